"""A market without a gate, a server or a clock: requests go straight to the venue."""

import json
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from harness.dependencies.binance.gate.errors import Reject
from harness.dependencies.binance.market.venue import Outcome, Venue
from harness.dependencies.binance.settings import Market, Settings
from harness.dependencies.binance.streams import UserStreams

NOW_MS = 1_700_000_000_000


class Heard:
    """A shell with no sockets: it keeps what it was told to send."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, dict[str, Any]]] = []
        self.closed: list[tuple[str, int]] = []

    def send(self, key: str, text: str) -> None:
        self.sent.append((key, json.loads(text)))

    def close(self, key: str, code: int) -> None:
        self.closed.append((key, code))


class Bench:
    """A venue, what it recorded and said, and short forms of requests."""

    def __init__(self, market: Market, **settings: Any) -> None:
        self.market = market
        self.records: list[tuple[str, dict[str, Any]]] = []
        self.heard = Heard()

        def record(name: str, fields: dict[str, Any]) -> None:
            self.records.append((name, fields))

        self.streams = UserStreams(self.heard, record=record)
        self.venue = Venue(market, Settings(**settings), record=record, streams=self.streams)
        self.now_ms = NOW_MS

    def call(self, endpoint: str, *, move_bps: int = 0, **params: Any) -> Outcome:
        given = {name: str(value) for name, value in params.items()}
        return self.venue.call(endpoint, given, self.now_ms, move_bps=move_bps)

    def order(self, *, move_bps: int = 0, **params: Any) -> Outcome:
        given = {"symbol": "BTCUSDT", "side": "BUY", "quantity": "0.1", "type": "MARKET"}
        if self.market == "futures":
            given["newOrderRespType"] = "RESULT"
        if "price" in params:
            given |= {"type": "LIMIT", "timeInForce": "GTC"}
        return self.call("new_order", move_bps=move_bps, **(given | params))

    def refused(self, do: Callable[[], Any]) -> tuple[int | None, str]:
        with pytest.raises(Reject) as caught:
            do()
        return caught.value.code, caught.value.text

    def depth(self, symbol: str = "BTCUSDT", limit: int = 5) -> dict[str, Any]:
        answer = json.loads(self.call("depth", symbol=symbol, limit=limit).payload)
        assert isinstance(answer, dict)
        return answer

    def status(self, order_id: int) -> str:
        return str(self.call("query_order", symbol="BTCUSDT", orderId=order_id).payload["status"])

    def set_price(self, price: str, symbol: str = "BTCUSDT") -> None:
        self.venue.set_price(symbol, Decimal(price), self.now_ms)

    def listen(self, path: str = "/ws/{key}", query: str = "") -> str:
        key = str(self.call("new_listen_key").payload["listenKey"])
        assert self.streams.opened("session", path.format(key=key), query.format(key=key), self.now_ms)
        return key

    def events(self, kind: str) -> list[dict[str, Any]]:
        return [event for _, event in self.heard.sent if event.get("e") == kind]


@pytest.fixture
def futures() -> Bench:
    """A futures venue with the usual settings."""
    return Bench("futures")


@pytest.fixture
def spot() -> Bench:
    """A spot venue with the usual settings."""
    return Bench("spot")


@pytest.fixture
def bench() -> type[Bench]:
    """The class itself, for other settings."""
    return Bench
