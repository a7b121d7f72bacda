"""An exchange in front of a market that does as it is told, and a client that signs: the pipeline without the rest."""

import hmac
import json
from urllib.parse import urlencode

import pytest

from harness.dependencies.binance.arms import Arm
from harness.dependencies.binance.exchange import Exchange
from harness.dependencies.binance.gate.errors import Reject
from harness.dependencies.binance.market.venue import Outcome
from harness.dependencies.binance.settings import API_KEY, API_SECRET, SHORT_FUTURES_LIMITS, Limit, Settings
from harness.dependencies.binance.wire import Answer, Request
from harness.errors import WorldError
from harness.tape import Stream

NOON_MS = 1_700_000_040_000
"""The exchange's clock at the start: the first instant of a minute."""
IP = "203.0.113.7"


class TellingVenue:
    """Implements `parts.Venue`. `refuse=CODE` in a request is refused by it; everything else is carried out."""

    def __init__(self, market):
        self.market = market
        self.limits = ()
        self.calls = []
        self.orders = []
        self.thinned = []
        self.falls = []
        self.worse = False

    def call(self, endpoint, params, wall_ms, *, move_bps=0):
        self.calls.append((endpoint, dict(params), move_bps))
        if "refuse" in params:
            raise Reject(int(params["refuse"]))
        executed = endpoint in ("new_order", "cancel_order")
        if executed:
            self.orders.append((endpoint, params.get("newClientOrderId", "")))
        return Outcome(
            {"endpoint": endpoint},
            order_id=len(self.orders) if executed else 0,
            client_id=params.get("newClientOrderId", ""),
            executed=executed,
            fills=2 if executed else 0,
            worse=executed and (self.worse or move_bps > 0),
        )

    def thin(self, symbols, factor, refill_ms, wall_ms):
        self.thinned.append((tuple(symbols), float(factor), refill_ms))

    def restore(self, symbols, wall_ms):
        self.thinned.append((tuple(symbols), 1.0, 0))

    def fall(self, symbols, share, wall_ms):
        self.falls.append((tuple(symbols), round(share, 6)))

    def refill(self, symbols, wall_ms):
        self._need(symbols[0])
        self.calls.append(("refill", tuple(symbols), 0))

    def set_price(self, symbol, price, wall_ms):
        self._need(symbol)
        self.calls.append(("set_price", symbol, price))

    def _need(self, symbol):
        if symbol not in {"futures": ("BTCUSDT", "ETHUSDT"), "spot": ("BTCUSDT",)}[self.market]:
            raise WorldError(f"{symbol} is not traded on {self.market}")

    def advance(self, wall_ms):
        self.calls.append(("advance", wall_ms, 0))

    def ledger(self):
        return {"orders": list(self.orders), "limits": [limit.limit for limit in self.limits]}


class Sockets:
    """Implements `StreamOut`: what was sent and closed."""

    def __init__(self):
        self.sent = []
        self.closed = []

    def send(self, key, text):
        self.sent.append((key, json.loads(text)))

    def close(self, key, code):
        self.closed.append((key, code))


class Desk:
    """A client, and the exchange that it talks to. `wait` lets time pass."""

    def __init__(self, settings=None, seed=7):
        self.now_ns = 5_000_000_000
        self.wall_ms = NOON_MS
        self.records = []
        self.sockets = Sockets()
        self.venues = {}
        self.exchange = Exchange(
            settings or Settings(),
            dice=Stream("exchange", seed, {}),
            record=lambda name, fields: self.records.append((name, fields)),
            streams=self.sockets,
            venue=self._venue,
        )

    def _venue(self, market, streams):
        return self.venues.setdefault(market, TellingVenue(market))

    def wait(self, ms):
        self.wall_ms += ms
        self.now_ns += ms * 1_000_000

    def send(self, method, path, ip=IP, headers=None, body=b"", **params):
        """Send a request as it stands."""
        query = urlencode(params).encode()
        request = Request(method=method, path=path, query=query, headers=headers or {}, body=body, ip=ip)
        return self.exchange.receive(request, self.now_ns, self.wall_ms)

    def signed(self, method, path, ip=IP, **params):
        """Send a signed request."""
        params.setdefault("timestamp", self.wall_ms)
        query = urlencode(params)
        sign = hmac.new(API_SECRET.encode(), query.encode(), "sha256").hexdigest()
        request = Request(
            method=method,
            path=path,
            query=f"{query}&signature={sign}".encode(),
            headers={"x-mbx-apikey": API_KEY},
            ip=ip,
        )
        return self.exchange.receive(request, self.now_ns, self.wall_ms)

    def order(self, **params):
        """Send a new order of futures."""
        sent = {"symbol": "BTCUSDT", "side": "BUY", "type": "MARKET", "quantity": "1", **params}
        return self.signed("POST", "/fapi/v1/order", **sent)

    def arm(self, kind, *, share=1.0, count=0, methods=(), paths=(), symbols=(), **options):
        arm = Arm(kind=kind, share=share, count=count, methods=methods, paths=paths, symbols=symbols, options=options)
        return self.exchange.arm(arm, self.now_ns, self.wall_ms)

    def disarm(self, name):
        self.exchange.disarm(name, self.now_ns, self.wall_ms)
        return self.seen("exchange_fault")[-1]

    def seen(self, name):
        """The records of that name."""
        return [fields for seen, fields in self.records if seen == name]

    @property
    def last(self):
        """The record of the last request."""
        return self.seen("request")[-1]


def told(reaction: Answer) -> tuple[int, dict]:
    """Status and JSON body of an answer."""
    return reaction.status, json.loads(reaction.body)


@pytest.fixture
def desk():
    """A desk at an exchange with default settings."""
    return Desk()


@pytest.fixture
def desks():
    """Make a desk at an exchange with the given settings."""
    return lambda **settings: Desk(Settings(**settings))


@pytest.fixture(name="told")
def _told():
    """Take an answer apart."""
    return told


@pytest.fixture
def limit():
    """Make a limit: type, interval, number, limit."""
    return Limit


@pytest.fixture
def short_limits():
    """The limits of futures in windows of seconds."""
    return SHORT_FUTURES_LIMITS
