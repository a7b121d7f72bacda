"""Spot orders: the shapes of answers, balances that are locked and paid, and the refusals that differ from futures'."""

from decimal import Decimal
from typing import Any

import pytest


def balances(bench: Any) -> dict[str, tuple[Decimal, Decimal]]:
    found = bench.call("account", omitZeroBalances="true").payload["balances"]
    return {each["asset"]: (Decimal(each["free"]), Decimal(each["locked"])) for each in found}


def test_a_market_order_answers_in_full(spot: Any) -> None:
    """The default answer names every fill with its fee, which is taken from what was bought."""
    answer = spot.order(quantity="0.5").payload
    assert (answer["status"], answer["executedQty"]) == ("FILLED", "0.50000000")
    assert [(fill["price"], fill["qty"], fill["commission"], fill["commissionAsset"]) for fill in answer["fills"]] == [
        ("60000.01000000", "0.41666000", "0.00041666", "BTC"),
        ("60006.01000000", "0.08334000", "0.00008334", "BTC"),
    ]
    paid = Decimal("60000.01") * Decimal("0.41666") + Decimal("60006.01") * Decimal("0.08334")
    assert Decimal(answer["cummulativeQuoteQty"]) == paid
    assert balances(spot) == {
        "BTC": (Decimal("0.4995"), Decimal(0)),
        "USDT": (10_000_000 - paid, Decimal(0)),
    }


def test_answers_of_the_other_types(spot: Any) -> None:
    """ACK is bare, RESULT has no fills, and LIMIT_MAKER answers ACK unless asked."""
    bare = {"symbol", "orderId", "orderListId", "clientOrderId", "transactTime"}
    assert set(spot.order(newOrderRespType="ACK").payload) == bare
    assert "fills" not in spot.order(newOrderRespType="RESULT").payload
    maker = {"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT_MAKER", "quantity": "0.1", "price": "59000"}
    assert set(spot.call("new_order", **maker).payload) == bare


def test_a_resting_order_locks_what_it_may_cost(spot: Any) -> None:
    """The limit times the quantity is locked, and free again after the cancel."""
    order_id = spot.order(price="59000", quantity="0.1").order_id
    assert balances(spot)["USDT"] == (Decimal(9994100), Decimal(5_900))
    gone = spot.call("cancel_order", symbol="BTCUSDT", orderId=order_id).payload
    assert (gone["status"], gone["origClientOrderId"]) == ("CANCELED", f"emulated{order_id:014d}")
    assert balances(spot)["USDT"] == (Decimal(10_000_000), Decimal(0))


def test_a_better_price_than_the_limit_leaves_nothing_locked(spot: Any) -> None:
    """An order that is filled below its limit pays the better price only."""
    spot.order(price="61000", quantity="0.1")
    assert balances(spot)["USDT"] == (10_000_000 - Decimal("6000.001"), Decimal(0))


def test_an_amount_of_the_quote_asset_can_be_spent(spot: Any) -> None:
    """`quoteOrderQty` buys as many whole steps as it pays for."""
    answer = spot.call("new_order", symbol="BTCUSDT", side="BUY", type="MARKET", quoteOrderQty="30000").payload
    spent = Decimal(answer["cummulativeQuoteQty"])
    assert Decimal(30_000) - Decimal("60006.01") * Decimal("0.00001") < spent <= 30_000
    assert answer["origQuoteOrderQty"] == "30000.00000000"


@pytest.mark.parametrize(
    ("params", "code", "text"),
    [
        ({"quantity": "0.000001"}, -1013, "Filter failure: LOT_SIZE"),
        ({"quantity": "0.100001"}, -1013, "Filter failure: LOT_SIZE"),
        ({"quantity": "0.1000000001"}, -1111, "Precision is over the maximum defined for this asset."),
        ({"quantity": "0"}, -1013, "Invalid quantity."),
        ({"quantity": "-1"}, -1100, None),
        ({"quantity": "0.00005"}, -1013, "Filter failure: NOTIONAL"),
        ({"price": "60000.001"}, -1013, "Filter failure: PRICE_FILTER"),
        ({"price": "1000"}, -1013, "Filter failure: PERCENT_PRICE_BY_SIDE"),
        ({"price": "0"}, -1013, "Invalid price."),
        ({"price": "60000", "timeInForce": "GTX"}, -1115, None),
        ({"timeInForce": "GTC"}, -1106, None),
        ({"quoteOrderQty": "100"}, -1128, None),
        ({"side": "SELL"}, -2010, "Account has insufficient balance for requested action."),
        ({"quantity": "9000"}, -2010, "Account has insufficient balance for requested action."),
        ({"type": "STOP_LOSS"}, -2010, "Stop loss orders are not supported for this symbol."),
        ({"type": "TAKE_PROFIT_LIMIT"}, -2010, "Take profit orders are not supported for this symbol."),
        ({"type": "LIMIT_MAKER", "price": "61000"}, -1106, None),
        ({"newClientOrderId": "x" * 37}, -1100, None),
        ({"symbol": "NOPE"}, -1121, "Invalid symbol."),
    ],
)
def test_refusals(spot: Any, params: dict[str, str], code: int, text: str | None) -> None:
    """Each flaw of an order has the exchange's own code, and leaves no trace."""
    refusal = spot.refused(lambda: spot.order(**params))
    assert refusal[0] == code
    assert text in (None, refusal[1])
    assert spot.records == []
    assert balances(spot) == {"USDT": (Decimal(10_000_000), Decimal(0))}


def test_a_duplicate_of_an_open_order(spot: Any) -> None:
    """An open order's client id is taken, a closed one's is free."""
    spot.order(price="59000", newClientOrderId="same")
    assert spot.refused(lambda: spot.order(newClientOrderId="same")) == (-2010, "Duplicate order sent.")
    assert spot.call("cancel_all", symbol="BTCUSDT").payload[0]["status"] == "CANCELED"
    assert spot.order(newClientOrderId="same").executed
    assert spot.refused(lambda: spot.call("cancel_all", symbol="BTCUSDT"))[0] == -2011


def test_post_only_and_fill_or_kill(spot: Any) -> None:
    """LIMIT_MAKER that would take is refused; a FOK order that cannot be filled whole is accepted and expires."""
    maker = {"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT_MAKER", "quantity": "0.1", "price": "60000.01"}
    assert spot.refused(lambda: spot.call("new_order", **maker)) == (-2010, "Order would immediately match and take.")
    killed = spot.order(price="60000.01", quantity="1", timeInForce="FOK").payload
    assert (killed["status"], killed["executedQty"], killed["fills"]) == ("EXPIRED", "0.00000000", [])
    assert balances(spot)["USDT"] == (Decimal(10_000_000), Decimal(0))


def test_the_other_market_of_a_coin_pays_in_that_coin(spot: Any) -> None:
    """ETHBTC is bought with BTC, and its fee is taken in ETH."""
    spot.order(quantity="1")
    spot.order(symbol="ETHBTC", quantity="2")
    found = balances(spot)
    assert found["ETH"][0] == Decimal("1.998")
    assert found["BTC"][0] == Decimal("0.999") - 2 * Decimal("0.05001")


def test_a_refused_cancel_cancels_nothing(spot: Any) -> None:
    """A name for the cancellation that is not allowed is found out before anything is done."""
    order_id = spot.order(price="59000").order_id
    query = {"symbol": "BTCUSDT", "orderId": order_id}
    assert spot.refused(lambda: spot.call("cancel_order", **query, newClientOrderId="no spaces"))[0] == -1100
    assert spot.status(order_id) == "NEW"
