"""Futures orders through the market's door: what they answer, what they do, and which code refuses them."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from harness.dependencies.binance.gate.errors import Reject
from harness.dependencies.binance.market.venue import Outcome, Venue
from harness.dependencies.binance.settings import Settings
from harness.dependencies.binance.streams import UserStreams

NOW_MS = 1_700_000_000_000


class Nobody:
    """A shell with no sockets."""

    def send(self, key: str, text: str) -> None:
        raise AssertionError(f"{key} was sent {text}")

    def close(self, key: str, code: int) -> None:
        raise AssertionError(f"{key} was closed with {code}")


class Bench:
    """A futures venue, what it recorded, and short forms of requests."""

    def __init__(self, **settings: Any) -> None:
        self.records: list[tuple[str, dict[str, Any]]] = []

        def record(name: str, fields: dict[str, Any]) -> None:
            self.records.append((name, fields))

        self.venue = Venue("futures", Settings(**settings), record=record, streams=UserStreams(Nobody(), record=record))
        self.now_ms = NOW_MS

    def call(self, endpoint: str, **params: Any) -> Outcome:
        return self.venue.call(endpoint, {name: str(value) for name, value in params.items()}, self.now_ms)

    def order(self, **params: Any) -> Outcome:
        given = {"symbol": "BTCUSDT", "side": "BUY", "quantity": "0.1", "newOrderRespType": "RESULT"}
        if "price" in params:
            given |= {"type": "LIMIT", "timeInForce": "GTC"}
        return self.call("new_order", **({"type": "MARKET"} | given | params))

    def refused(self, do: Callable[[], Any]) -> tuple[int | None, str]:
        with pytest.raises(Reject) as caught:
            do()
        return caught.value.code, caught.value.text


def test_market_order_takes_level_by_level() -> None:
    """An order for more than the best level is filled at two prices, and its average is the weighted one."""
    bench = Bench()
    answer = bench.order(quantity="0.5").payload
    assert (answer["status"], answer["executedQty"]) == ("FILLED", "0.500")
    fills = [fields for name, fields in bench.records if name == "fill"]
    assert [(fill["price"], fill["quantity"]) for fill in fills] == [("60000.10", "0.416"), ("60006.10", "0.084")]
    queried = bench.call("query_order", symbol="BTCUSDT", orderId=answer["orderId"]).payload
    assert Decimal(queried["avgPrice"]) == (Decimal("60000.10") * 416 + Decimal("60006.10") * 84) / 500
    assert queried["cumQuote"] == "30000.55400"


def test_ack_says_new_although_it_is_filled() -> None:
    """The default answer says NEW and nothing filled; the truth has to be asked for."""
    bench = Bench()
    outcome = bench.call("new_order", symbol="BTCUSDT", side="BUY", type="MARKET", quantity="0.1")
    assert (outcome.payload["status"], outcome.payload["executedQty"]) == ("NEW", "0.000")
    assert "avgPrice" not in outcome.payload
    assert "cumQuote" not in outcome.payload
    assert bench.call("query_order", symbol="BTCUSDT", orderId=outcome.order_id).payload["status"] == "FILLED"


def test_limit_beyond_the_best_level_fills_partly_and_rests() -> None:
    """GTC keeps the rest in the book, at any later time; a cancel keeps what was executed."""
    bench = Bench()
    answer = bench.order(price="60000.10", quantity="1").payload
    assert (answer["status"], answer["executedQty"]) == ("PARTIALLY_FILLED", "0.416")
    bench.now_ms += 60_000
    cancelled = bench.call("cancel_order", symbol="BTCUSDT", orderId=answer["orderId"]).payload
    assert (cancelled["status"], cancelled["executedQty"]) == ("CANCELED", "0.416")


@pytest.mark.parametrize(
    ("params", "code"),
    [
        ({"quantity": "0.1001"}, -1111),
        ({"quantity": "0"}, -4003),
        ({"quantity": "-1"}, -4003),
        ({"quantity": "0.001"}, -4164),
        ({"quantity": "121"}, -4005),
        ({"quantity": "1e3"}, -1102),
        ({"quantity": ""}, -1102),
        ({"quantity": "119", "leverage": "1"}, None),
        ({"price": "60000.105"}, -1111),
        ({"price": "60000.15"}, -4014),
        ({"price": "63000.10"}, -4016),
        ({"price": "56999.90", "side": "SELL"}, -4024),
        ({"price": "0"}, -4001),
        ({"price": "60000", "timeInForce": "FOREVER"}, -1115),
        ({"price": "60000", "timeInForce": ""}, -1102),
        ({"price": "60000.10", "timeInForce": "GTX"}, -5022),
        ({"price": "60000.10", "timeInForce": "FOK", "quantity": "1"}, -5021),
        ({"price": "60000", "type": "MARKET"}, -1106),
        ({"symbol": "NOPEUSDT"}, -1121),
        ({"symbol": ""}, -1102),
        ({"side": "HOLD"}, -1117),
        ({"type": "WISH"}, -1116),
        ({"type": "STOP_MARKET"}, -4120),
        ({"positionSide": "LONG"}, -4061),
        ({"closePosition": "true"}, -4136),
        ({"reduceOnly": "true"}, -2022),
        ({"reduceOnly": "perhaps"}, -1102),
        ({"newClientOrderId": "x" * 37}, -4015),
        ({"newClientOrderId": "no spaces"}, -1100),
    ],
)
def test_refusals(params: dict[str, str], code: int | None) -> None:
    """Each flaw of an order has the exchange's own code, and leaves no trace."""
    bench = Bench()
    if code is None:
        assert bench.order(**params).executed
        return
    assert bench.refused(lambda: bench.order(**params))[0] == code
    assert bench.records == []
    assert bench.venue.ledger()["orders"] == []


def test_margin_is_insufficient() -> None:
    """An order that needs more margin than there is gets -2019."""
    bench = Bench(balance=100)
    assert bench.refused(lambda: bench.order(quantity="1"))[0] == -2019


def test_client_id_is_unique_among_open_orders_only() -> None:
    """A second order under an open order's id is refused; under a filled order's id it is a second order."""
    bench = Bench()
    bench.order(price="50000", newClientOrderId="same")
    assert bench.refused(lambda: bench.order(newClientOrderId="same"))[0] == -4116
    bench.call("cancel_order", symbol="BTCUSDT", origClientOrderId="same")
    assert bench.order(newClientOrderId="same").payload["status"] == "FILLED"
    assert bench.order(newClientOrderId="same").payload["status"] == "FILLED"
    assert len(bench.venue.ledger()["fills"]) == 2
