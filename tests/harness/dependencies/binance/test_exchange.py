"""The whole exchange, real markets included: plain use, and requests that nobody would send."""

import hmac
import json
from typing import Any
from urllib.parse import urlencode

import hypothesis.strategies as st
import msgspec
import pytest
from hypothesis import given, settings

from harness.dependencies.binance.arms import Arm
from harness.dependencies.binance.exchange import Exchange
from harness.dependencies.binance.gate.routes import EXCHANGE, ROUTES
from harness.dependencies.binance.settings import API_KEY, API_SECRET, Limit, Settings
from harness.dependencies.binance.wire import Answer, Reaction, Request, Reset, Silence
from harness.tape import Stream

NOON_MS = 1_700_000_040_000
WIDE = (
    Limit("REQUEST_WEIGHT", "MINUTE", 1, 10**9),
    Limit("ORDERS", "SECOND", 10, 10**9),
    Limit("ORDERS", "MINUTE", 1, 10**9),
)


class Sockets:
    """Nobody listens."""

    def send(self, key: str, text: str) -> None:
        """Drop it."""

    def close(self, key: str, code: int) -> None:
        """Drop it."""


class Session:
    """An exchange, its clock, and what it recorded."""

    def __init__(self, seed: int = 1, limits: tuple[Limit, ...] = WIDE) -> None:
        self.wall_ms = NOON_MS
        self.records: list[tuple[str, dict[str, Any]]] = []
        self.exchange = Exchange(
            Settings(futures_limits=limits, spot_limits=limits),
            dice=Stream("exchange", seed, {}),
            record=lambda name, fields: self.records.append((name, fields)),
            streams=Sockets(),
        )

    @property
    def now_ns(self) -> int:
        """The time of the run."""
        return (self.wall_ms - NOON_MS) * 1_000_000

    def send(self, request: Request) -> Reaction:
        """Send it now."""
        return self.exchange.receive(request, self.now_ns, self.wall_ms)

    def signed(self, method: str, path: str, **params: Any) -> Answer:
        """Send a signed request that is answered."""
        reaction = self.send(sign(method, path, {"timestamp": self.wall_ms, **params}))
        assert isinstance(reaction, Answer)
        return reaction

    def markets(self) -> Any:
        """The markets' part of the ledger, as text that can be compared."""
        return json.dumps(self.exchange.ledger()["markets"], sort_keys=True)


def sign(method: str, path: str, params: dict[str, Any], *, in_body: bool = False) -> Request:
    """A signed request."""
    query = urlencode(params)
    signature = hmac.new(API_SECRET.encode(), query.encode(), "sha256").hexdigest()
    raw = f"{query}&signature={signature}".encode()
    headers = {"x-mbx-apikey": API_KEY}
    return Request(
        method=method, path=path, query=b"" if in_body else raw, body=raw if in_body else b"", headers=headers
    )


def test_an_order_is_filled_found_and_recorded() -> None:
    """From the raw request to the fill and back to the query by client id."""
    session = Session()
    placed = session.signed(
        "POST",
        "/fapi/v1/order",
        symbol="BTCUSDT",
        side="BUY",
        type="MARKET",
        quantity="0.01",
        newClientOrderId="one",
        newOrderRespType="RESULT",
    )
    assert (placed.status, json.loads(placed.body)["status"]) == (200, "FILLED")
    queried = session.signed("GET", "/fapi/v1/order", symbol="BTCUSDT", origClientOrderId="one")
    assert json.loads(queried.body)["executedQty"] == "0.010"
    names = [name for name, _ in session.records]
    assert names.count("request") == 2
    assert "fill" in names
    ledger = session.exchange.ledger()
    assert [fill["client_id"] for fill in ledger["markets"]["futures"]["fills"]] == ["one"]
    assert ledger["quotas"]["orders"]["futures"][0][1] == 1


def test_every_endpoint_of_the_market_has_a_route_and_every_route_an_endpoint() -> None:
    """Neither a path that crashes, nor an endpoint that nobody can reach."""
    venues = Session().exchange._venues
    for market, venue in venues.items():
        routed = {route.endpoint for route in ROUTES.values() if route.market == market}
        assert routed - EXCHANGE == venue.endpoints


def test_lowered_limits_are_told_by_exchange_info() -> None:
    """A client that reads its limits there must see them change."""
    session = Session()
    name = session.exchange.arm(Arm(kind="limits", options={"factor": 0.5}), 0, session.wall_ms)
    told = session.send(Request(method="GET", path="/fapi/v1/exchangeInfo"))
    assert isinstance(told, Answer)
    assert [limit["limit"] for limit in json.loads(told.body)["rateLimits"]] == [10**9 // 2] * 3
    session.exchange.disarm(name, 0, session.wall_ms)
    told = session.send(Request(method="GET", path="/fapi/v1/exchangeInfo"))
    assert isinstance(told, Answer)
    assert [limit["limit"] for limit in json.loads(told.body)["rateLimits"]] == [10**9] * 3


@pytest.mark.parametrize(("kind", "options"), [("thin_book", {"factor": 0.001}), ("price_move", {"bps": 200})])
def test_a_hurt_market_counts_the_orders_that_felt_it(kind: str, options: dict[str, Any]) -> None:
    """Fills at worse prices, or orders left short."""
    session = Session()
    name = session.exchange.arm(Arm(kind=kind, options=options), 0, session.wall_ms)  # type: ignore[arg-type]
    session.signed("POST", "/fapi/v1/order", symbol="BTCUSDT", side="BUY", type="MARKET", quantity="1")
    session.exchange.disarm(name, 0, session.wall_ms)
    ended = [fields for seen, fields in session.records if seen == "exchange_fault"]
    assert ended[0]["fills"] >= 1


PLAUSIBLE: dict[str, tuple[str, ...]] = {
    "symbol": ("BTCUSDT", "ETHUSDT", "DOGE"),
    "side": ("BUY", "SELL", "buy"),
    "type": ("MARKET", "LIMIT", "STOP_MARKET", "TRAILING_STOP_MARKET"),
    "quantity": ("1", "0.01", "0.0001", "0", "-1", "1e5", "99999999", "1.000000000000000000001", "9" * 30),
    "price": ("60000", "59000.5", "61000", "0", "-1", "0.00000001", "sNaN", "Infinity", "1e999"),
    "timeInForce": ("GTC", "IOC", "FOK", "GTX", "GTD", "gtc"),
    "newClientOrderId": ("one", "two", "x" * 37, "a b"),
    "origClientOrderId": ("one", "two", "none"),
    "orderId": ("8000000001", "1", "-1", "9" * 30),
    "reduceOnly": ("true", "false", "maybe"),
    "closePosition": ("true", "false"),
    "newOrderRespType": ("ACK", "RESULT", "FULL", "x"),
    "quoteOrderQty": ("100", "-1"),
    "priceMatch": ("OPPONENT", "QUEUE_5"),
    "limit": ("5", "1000", "0", "-1", "x", "9" * 30),
    "interval": ("1m", "1d", "7x"),
    "startTime": ("1700000040000", "0", "9" * 19),
    "endTime": ("1700000040000", "1", "18446744073709551616"),
    "fromId": ("1", "-1"),
    "symbols": ('["BTCUSDT","ETHUSDT"]', "[]", '["x"', "null"),
    "batchOrders": (
        '[{"symbol":"BTCUSDT","side":"BUY","type":"MARKET","quantity":"0.01"},{"symbol":1},null]',
        '[{"symbol":"BTCUSDT","side":"SELL","type":"MARKET","quantity":0.01}]',
        "[]",
        "{}",
        "[[]]",
        "[" * 2000,
        "1",
    ),
    "orderIdList": ("[1,2]", "[null]", "x"),
    "origClientOrderIdList": ('["one"]', "[{}]"),
    "leverage": ("1", "125", "126", "x"),
    "marginType": ("ISOLATED", "CROSSED"),
    "positionSide": ("BOTH", "LONG"),
    "countdownTime": ("0", "1000", "-1"),
    "dualSidePosition": ("true", "false"),
    "multiAssetsMargin": ("true", "false"),
    "goodTillDate": ("253402300799000", "1700000900000", "1"),
    "stopPrice": ("1", "x"),
    "listenKey": ("x",),
    "recvWindow": ("5000", "60001", "x"),
}
ANYTHING = st.text(min_size=1, max_size=8)
ORDER = {"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "price": "60000", "quantity": "0.5", "timeInForce": "GTC"}
BASES = st.sampled_from(
    ({}, {"symbol": "BTCUSDT"}, ORDER, ORDER | {"side": "SELL"}, {"symbol": "BTCUSDT", "origClientOrderId": "one"})
)
CHANGES = st.dictionaries(st.sampled_from(sorted(PLAUSIBLE)), st.integers(0, 9), max_size=3).map(
    lambda picks: {name: PLAUSIBLE[name][pick % len(PLAUSIBLE[name])] for name, pick in picks.items()}
)


def _request(route: tuple[str, str], base: dict[str, str], changes: dict[str, str], in_body: bool) -> Request:
    return sign(*route, {**base, **changes, "timestamp": NOON_MS}, in_body=in_body)


REQUEST = st.one_of(
    st.builds(_request, st.sampled_from(sorted(ROUTES)), BASES, CHANGES, st.booleans()),
    st.builds(_request, st.just(("POST", "/fapi/v1/order")), st.just(ORDER), CHANGES, st.booleans()),
    st.builds(_request, st.just(("POST", "/api/v3/order")), st.just(ORDER), CHANGES, st.booleans()),
    st.builds(
        _request,
        st.sampled_from(sorted(ROUTES)),
        BASES,
        st.dictionaries(st.sampled_from(sorted(PLAUSIBLE)), ANYTHING, max_size=2),
        st.booleans(),
    ),
    st.builds(
        lambda route, query, body, key: Request(
            method=route[0], path=route[1], query=query, body=body, headers={"x-mbx-apikey": key}
        ),
        st.sampled_from([*sorted(ROUTES), ("PATCH", "/fapi/v1/order"), ("GET", "/x"), ("GET", "")]),
        st.binary(max_size=40),
        st.binary(max_size=40),
        st.sampled_from(("", API_KEY, "other", "no key")),
    ),
)
ARMS = st.sampled_from(
    (
        (),
        (Arm(kind="unknown_error", share=0.5), Arm(kind="latency", share=0.5, options={"ms": 10})),
        (Arm(kind="silent_after", share=0.3), Arm(kind="reset_before", share=0.3), Arm(kind="no_headers", share=0.5)),
        (Arm(kind="too_many_orders", share=0.5, options={"status": 400}), Arm(kind="price_move")),
        (Arm(kind="throttled", share=0.5), Arm(kind="thin_book"), Arm(kind="reset_after", share=0.5)),
        (Arm(kind="reject", share=0.5, options={"code": -1003}), Arm(kind="limits"), Arm(kind="firewall", share=0.1)),
    )
)


@settings(max_examples=150, deadline=None)
@given(requests=st.lists(REQUEST, min_size=1, max_size=12), arms=ARMS, seed=st.integers(0, 9))
def test_no_request_breaks_the_exchange(requests: list[Request], arms: tuple[Arm, ...], seed: int) -> None:
    """Each is answered in Binance's shapes or hit by what was armed; what is refused changes nothing.

    `receive` raises nothing: an exception would be a bug of the emulator, which the shell would answer with 500.
    """
    session = Session(seed)
    for arm in arms:
        session.exchange.arm(arm, 0, session.wall_ms)
    armed = {arm.kind for arm in arms}
    for number, request in enumerate(requests, 1):
        before = session.markets()
        reaction = session.send(request)
        recorded = session.records[-1][1]
        assert session.records[-1][0] == "request"
        assert recorded["n"] == number
        assert msgspec.json.decode(msgspec.json.encode(recorded))["path"] == request.path
        assert recorded.get("fault") in armed | {None}
        if isinstance(reaction, Answer):
            check_answer(reaction, recorded)
        else:
            assert isinstance(reaction, Silence | Reset)
            assert recorded["after_ns"] == -1
        if not recorded.get("executed"):
            assert session.markets() == before
    assert [name for name, _ in session.records].count("request") == len(requests)


def check_answer(answer: Answer, recorded: dict[str, Any]) -> None:
    """The answer has Binance's shape, and the record says the same."""
    assert recorded["status"] == answer.status
    assert answer.status in {200, 400, 401, 403, 404, 405, 429, 503}
    if answer.content_type != "application/json":
        assert answer.body.startswith(b"<html>")
        return
    body = json.loads(answer.body)
    if answer.status != 200:
        assert recorded.get("code") == body.get("code")
        assert isinstance(body["msg"], str)
    used = answer.headers.get("X-MBX-USED-WEIGHT-1M")
    assert used in {None, str(recorded.get("used", 0))}


@settings(max_examples=25, deadline=None)
@given(requests=st.lists(REQUEST, min_size=30, max_size=60))
def test_nobody_gets_more_than_the_limits_allow(requests: list[Request]) -> None:
    """However it is tried: in one window, orders and answered weight stay within the limits."""
    limits = (
        Limit("REQUEST_WEIGHT", "MINUTE", 1, 60),
        Limit("ORDERS", "SECOND", 10, 4),
        Limit("ORDERS", "MINUTE", 1, 6),
    )
    session = Session(limits=limits)
    for request in requests:
        session.send(request)
    seen = [fields for name, fields in session.records if name == "request"]
    for market in ("futures", "spot"):
        own = [fields for fields in seen if fields.get("market") == market]
        passed = [fields for fields in own if fields.get("status") not in (418, 429)]
        # What a spot order weighs when it fails is charged after it was let in.
        late = sum(fields["method"] != "GET" and fields.get("status") == 400 for fields in passed)
        assert sum(fields.get("weight", 0) for fields in passed) <= 60 + late
        assert sum(fields.get("orders", 0) for fields in passed) <= 4
