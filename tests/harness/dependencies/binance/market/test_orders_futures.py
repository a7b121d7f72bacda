"""Futures orders through the market's door: what they answer, what they do, and which code refuses them."""

import json
from decimal import Decimal
from typing import Any

import pytest


def test_market_order_takes_level_by_level(futures: Any) -> None:
    """An order for more than the best level is filled at two prices, and its average is the weighted one."""
    answer = futures.order(quantity="0.5").payload
    assert (answer["status"], answer["executedQty"]) == ("FILLED", "0.500")
    fills = [fields for name, fields in futures.records if name == "fill"]
    assert [(fill["price"], fill["quantity"]) for fill in fills] == [("60000.10", "0.416"), ("60006.10", "0.084")]
    queried = futures.call("query_order", symbol="BTCUSDT", orderId=answer["orderId"]).payload
    assert Decimal(queried["avgPrice"]) == (Decimal("60000.10") * 416 + Decimal("60006.10") * 84) / 500
    assert queried["cumQuote"] == "30000.55400"


def test_ack_says_new_although_it_is_filled(futures: Any) -> None:
    """The default answer says NEW and nothing filled; the truth has to be asked for."""
    outcome = futures.call("new_order", symbol="BTCUSDT", side="BUY", type="MARKET", quantity="0.1")
    assert (outcome.payload["status"], outcome.payload["executedQty"]) == ("NEW", "0.000")
    assert "avgPrice" not in outcome.payload
    assert "cumQuote" not in outcome.payload
    assert futures.status(outcome.order_id) == "FILLED"


def test_what_is_recorded_of_an_order_that_fills_at_once(futures: Any) -> None:
    """The record has NEW, each fill, then the status it came to; fields that would be empty are left out."""
    outcome = futures.order(newClientOrderId="mine")
    common = {"symbol": "BTCUSDT", "side": "BUY", "order_id": outcome.order_id, "client_id": "mine"}
    order = {**common, "quantity": "0.100", "type": "MARKET"}
    assert futures.records == [
        ("order", {**order, "status": "NEW"}),
        ("fill", {**common, "price": "60000.10", "quantity": "0.100", "trade_id": 1_000_001}),
        ("order", {**order, "status": "FILLED", "executed_quantity": "0.100"}),
    ]


def test_limit_beyond_the_best_level_fills_partly_and_rests(futures: Any) -> None:
    """GTC keeps the rest in the book, at any later time; a cancel keeps what was executed."""
    answer = futures.order(price="60000.10", quantity="1").payload
    assert (answer["status"], answer["executedQty"]) == ("PARTIALLY_FILLED", "0.416")
    futures.now_ms += 60_000
    assert futures.status(answer["orderId"]) == "PARTIALLY_FILLED"
    cancelled = futures.call("cancel_order", symbol="BTCUSDT", orderId=answer["orderId"]).payload
    assert (cancelled["status"], cancelled["executedQty"]) == ("CANCELED", "0.416")


def test_ioc_away_from_the_market_expires(futures: Any) -> None:
    """An IOC order takes what its limit allows, nothing here, and expires."""
    answer = futures.order(price="59999", timeInForce="IOC").payload
    assert (answer["status"], answer["executedQty"]) == ("EXPIRED", "0.000")


def test_gtd_expires_when_its_time_is_over(futures: Any) -> None:
    """A GTD order lives to the second it names, which must be more than ten minutes ahead."""
    until_ms = futures.now_ms + 700_000
    early = futures.refused(
        lambda: futures.order(price="50000", timeInForce="GTD", goodTillDate=futures.now_ms + 600_000)
    )
    assert early[0] == -1130
    order_id = futures.order(price="50000", timeInForce="GTD", goodTillDate=until_ms).order_id
    futures.now_ms = until_ms - 1
    assert futures.status(order_id) == "NEW"
    futures.now_ms = until_ms
    assert futures.status(order_id) == "EXPIRED"


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
        ({"quantity": "99999999999999999999.99999999999999999999"}, -4005),
        ({"price": "60000.105"}, -1111),
        ({"price": "60000.15"}, -4014),
        ({"price": "63000.10"}, -4016),
        ({"price": "56999.90", "side": "SELL"}, -4024),
        ({"price": "0"}, -4001),
        ({"price": "6000000.1"}, -4002),
        ({"price": "60000", "timeInForce": "FOREVER"}, -1115),
        ({"price": "60000", "timeInForce": ""}, -1102),
        ({"price": "60000", "timeInForce": "GTD"}, -1102),
        ({"price": "60000.10", "timeInForce": "GTX"}, -5022),
        ({"price": "60000.10", "timeInForce": "FOK", "quantity": "1"}, -5021),
        ({"price": "60000", "type": "MARKET"}, -1106),
        ({"symbol": "NOPEUSDT"}, -1121),
        ({"symbol": ""}, -1102),
        ({"side": "HOLD"}, -1117),
        ({"type": "WISH"}, -1116),
        ({"type": "STOP"}, -4120),
        ({"type": "STOP_MARKET", "closePosition": "true"}, -4120),
        ({"type": "TAKE_PROFIT_MARKET"}, -4120),
        ({"type": "TRAILING_STOP_MARKET"}, -4120),
        ({"positionSide": "LONG"}, -4061),
        ({"closePosition": "true"}, -4136),
        ({"reduceOnly": "true"}, -2022),
        ({"reduceOnly": "perhaps"}, -1102),
        ({"newOrderRespType": "FULL"}, -1102),
        ({"newClientOrderId": "x" * 37}, -4015),
        ({"newClientOrderId": "no spaces"}, -1100),
    ],
)
def test_refusals(futures: Any, params: dict[str, str], code: int) -> None:
    """Each flaw of an order has the exchange's own code, and leaves no trace."""
    assert futures.refused(lambda: futures.order(**params))[0] == code
    assert futures.records == []
    assert futures.venue.ledger()["orders"] == []


def test_margin_is_insufficient(bench: Any) -> None:
    """An order may use up the margin and no more: 20 times the balance is that, at the usual leverage."""
    made = bench("futures", balance=300)
    assert made.refused(lambda: made.order(quantity="0.101", price="59500"))[0] == -2019
    assert made.order(quantity="0.1", price="59500").executed
    assert made.refused(lambda: made.order(quantity="0.01", price="59000"))[0] == -2019


def test_client_id_is_unique_among_open_orders_only(futures: Any) -> None:
    """A second order under an open order's id is refused; under a filled order's id it opens a second position."""
    futures.order(price="50000", newClientOrderId="same")
    assert futures.refused(lambda: futures.order(newClientOrderId="same"))[0] == -4116
    futures.call("cancel_order", symbol="BTCUSDT", origClientOrderId="same")
    assert futures.order(newClientOrderId="same").payload["status"] == "FILLED"
    assert futures.order(newClientOrderId="same").payload["status"] == "FILLED"
    assert len(futures.venue.ledger()["fills"]) == 2


def test_orders_are_found_by_either_id(futures: Any) -> None:
    """By client id the latest order is found; unknown ones are -2013 to a query and -2011 to a cancel."""
    first = futures.order(newClientOrderId="same").order_id
    second = futures.order(newClientOrderId="same").order_id
    query = {"symbol": "BTCUSDT"}
    assert futures.call("query_order", **query, origClientOrderId="same").payload["orderId"] == second
    assert futures.call("query_order", **query, orderId=first).payload["orderId"] == first
    assert futures.refused(lambda: futures.call("query_order", symbol="ETHUSDT", orderId=first))[0] == -2013
    assert futures.refused(lambda: futures.call("query_order", **query, origClientOrderId="other"))[0] == -2013
    assert futures.refused(lambda: futures.call("cancel_order", **query, origClientOrderId="other"))[0] == -2011
    assert futures.refused(lambda: futures.call("cancel_order", **query, orderId=first))[0] == -2011
    assert futures.refused(lambda: futures.call("query_order", **query)) == (
        -1102,
        "Param 'origClientOrderId' or 'orderId' must be sent, but both were empty/null!",
    )


def test_reduce_only_takes_no_more_than_the_position(futures: Any) -> None:
    """It closes what there is and expires with the rest, and is refused when nothing is left to reduce."""
    futures.order(quantity="0.1")
    assert futures.refused(lambda: futures.order(reduceOnly="true"))[0] == -2022
    answer = futures.order(side="SELL", quantity="0.3", reduceOnly="true").payload
    assert (answer["status"], answer["executedQty"], answer["reduceOnly"]) == ("EXPIRED", "0.100", True)
    assert futures.refused(lambda: futures.order(side="SELL", reduceOnly="true"))[0] == -2022


def test_a_resting_reduce_only_order_ends_with_the_position(futures: Any) -> None:
    """When another order has closed the position, a resting reduce-only order expires."""
    futures.order()
    order_id = futures.order(side="SELL", price="61000", reduceOnly="true").order_id
    futures.order(side="SELL")
    assert futures.status(order_id) == "EXPIRED"


def test_own_orders_do_not_trade_with_each_other(futures: Any) -> None:
    """A resting order that the client's own next order meets expires in the match; post-only would have met it."""
    resting = futures.order(price="60000").order_id
    assert futures.refused(
        lambda: futures.order(side="SELL", price="60000", timeInForce="GTX")
    )[0] == -5022  # fmt: skip
    futures.order(side="SELL", quantity="0.2")
    assert futures.status(resting) == "EXPIRED_IN_MATCH"


def test_resting_orders_fill_when_the_price_reaches_them(futures: Any) -> None:
    """At their own price, as maker, the better price first, then the older order; no further than the book goes."""
    low = futures.order(price="59400", newClientOrderId="low").order_id
    old = futures.order(price="59500", newClientOrderId="old").order_id
    new = futures.order(price="59500", newClientOrderId="new", quantity="5").order_id
    futures.set_price("59499.90")
    assert [futures.status(each) for each in (low, old, new)] == ["NEW", "FILLED", "PARTIALLY_FILLED"]
    fills = futures.venue.ledger()["fills"]
    assert [(fill["client_id"], fill["price"], fill["maker"]) for fill in fills] == [
        ("old", "59500.00", True),
        ("new", "59500.00", True),
    ]


def test_modify(futures: Any) -> None:
    """A modified order has its new price, and takes if that crosses; refused: the same again, or once filled."""
    order_id = futures.order(price="59000").order_id
    query = {"symbol": "BTCUSDT", "orderId": order_id, "side": "BUY"}
    changed = futures.call("modify_order", **query, price="59001", quantity="0.2").payload
    assert (changed["price"], changed["origQty"], changed["status"]) == ("59001.00", "0.200", "NEW")
    assert futures.refused(lambda: futures.call("modify_order", **query, price="59001", quantity="0.2"))[0] == -5027
    assert futures.refused(lambda: futures.call("modify_order", **query, price="59001.05", quantity="1"))[0] == -4014
    assert futures.call("modify_order", **query, price="60000.10", quantity="0.2").payload["status"] == "FILLED"
    assert futures.refused(lambda: futures.call("modify_order", **query, price="59000", quantity="1"))[0] == -2013


def test_a_refused_change_leaves_the_order_as_it_was(bench: Any) -> None:
    """Without margin for the change, the old order still rests, in its place, with its margin held."""
    made = bench("futures", balance=400)
    order_id = made.order(price="59500", quantity="0.05").order_id
    later = made.order(price="59500", quantity="0.01").order_id
    held = made.venue.ledger()["balances"]["USDT"]["held"]
    query = {"symbol": "BTCUSDT", "orderId": order_id, "side": "BUY"}
    assert made.refused(lambda: made.call("modify_order", **query, price="59500", quantity="0.2"))[0] == -2019
    assert made.venue.ledger()["balances"]["USDT"]["held"] == held
    assert made.call("query_order", **query).payload["origQty"] == "0.050"
    made.set_price("59499.90")
    assert [fill["order_id"] for fill in made.venue.ledger()["fills"]] == [order_id, later]


def test_a_batch_tells_each_refusal_in_its_place(futures: Any) -> None:
    """One bad order of a batch does not keep the others from being placed, up to five."""
    good = {
        "symbol": "BTCUSDT",
        "side": "BUY",
        "type": "LIMIT",
        "timeInForce": "GTC",
        "quantity": 0.1,
        "price": "59000",
    }
    bad = {**good, "quantity": "0"}
    answers = futures.call("batch_orders", batchOrders=json.dumps([good, bad, good])).payload
    assert [answer.get("code", answer.get("status")) for answer in answers] == ["NEW", -4003, "NEW"]
    ids = [answers[0]["orderId"], 1]
    gone = futures.call("batch_cancel", symbol="BTCUSDT", orderIdList=json.dumps(ids)).payload
    assert [answer.get("code", answer.get("status")) for answer in gone] == ["CANCELED", -2011]
    assert futures.refused(lambda: futures.call("batch_orders", batchOrders=json.dumps([good] * 6)))[0] == -4082
    for malformed in ("[", "{}", "[1]", "[" * 100_000):
        assert futures.refused(lambda text=malformed: futures.call("batch_orders", batchOrders=text))[0] == -1130


def test_cancel_all_and_the_countdown(futures: Any) -> None:
    """All open orders of a symbol are cancelled at once, or when a countdown is not renewed."""
    first, second = futures.order(price="50000").order_id, futures.order(price="50001").order_id
    assert futures.call("cancel_all", symbol="BTCUSDT").payload["code"] == 200
    assert [futures.status(each) for each in (first, second)] == ["CANCELED", "CANCELED"]
    third = futures.order(price="50000").order_id
    futures.call("countdown_cancel", symbol="BTCUSDT", countdownTime=1_000)
    futures.now_ms += 999
    futures.call("countdown_cancel", symbol="BTCUSDT", countdownTime=1_000)
    futures.now_ms += 999
    assert futures.status(third) == "NEW"
    futures.now_ms += 1
    assert futures.status(third) == "CANCELED"


def test_open_orders_have_a_limit(futures: Any) -> None:
    """The 201st open order of a symbol is refused."""
    for _ in range(200):
        futures.order(price="50000", quantity="0.01")
    assert futures.refused(lambda: futures.order(price="50000", quantity="0.01"))[0] == -2025
    assert len(futures.call("open_orders").payload) == 200


def test_a_thin_book_leaves_market_orders_short(futures: Any) -> None:
    """A market order goes no further than 5 % from the price; what a thin book lacks until there expires."""
    futures.venue.thin(["BTCUSDT"], 0.01, 5_000, futures.now_ms)
    outcome = futures.order(quantity="5")
    assert (outcome.payload["status"], outcome.worse) == ("EXPIRED", True)
    assert Decimal(outcome.payload["executedQty"]) > 0
    prices = [Decimal(fill["price"]) for fill in futures.venue.ledger()["fills"]]
    assert max(prices) <= Decimal(60_000) * Decimal("1.05")
    futures.venue.restore([], futures.now_ms)
    again = futures.order(quantity="5")
    assert (again.payload["status"], again.worse) == ("FILLED", False)


def test_a_price_move_runs_away_from_the_order(futures: Any) -> None:
    """With the move an order pays as much more, or is left short by its limit; the price is back after a while."""
    outcome = futures.order(move_bps=80)
    assert outcome.worse
    (fill,) = futures.venue.ledger()["fills"]
    assert Decimal(fill["price"]) >= Decimal("60000.10") * Decimal("1.008")
    short = futures.order(price="60030", timeInForce="IOC", move_bps=80)
    assert (short.payload["executedQty"], short.worse) == ("0.000", True)
    assert not futures.order(price="59000", timeInForce="IOC").worse
    futures.now_ms += 200
    assert futures.order(price="60000.10", timeInForce="IOC").payload["status"] == "FILLED"
    selling = futures.order(side="SELL", move_bps=80)
    assert selling.worse
    assert Decimal(futures.venue.ledger()["fills"][-1]["price"]) <= Decimal(60_000) * Decimal("0.992")


def test_prices_fall_and_come_back(futures: Any) -> None:
    """Step by step from where they were before, taking resting orders along; the same share again is no fall."""
    order_id = futures.order(price="54000").order_id
    for share, price in ((0.0, "60000"), (0.05, "57000"), (0.2, "48000"), (0.2, "48000"), (0.0, "60000")):
        futures.venue.fall(("BTCUSDT",), share, futures.now_ms)
        assert futures.venue.price("BTCUSDT") == Decimal(price)
    assert futures.status(order_id) == "FILLED"
    futures.set_price("50000")
    futures.venue.fall((), 0.1, futures.now_ms)
    assert futures.venue.price("BTCUSDT") == Decimal(45_000)


def test_a_test_order_does_nothing(futures: Any) -> None:
    """It is checked and answered, and no order comes of it."""
    given = {"symbol": "BTCUSDT", "side": "BUY", "type": "MARKET"}
    assert futures.call("test_order", **given, quantity="0.1").payload["status"] == "NEW"
    assert futures.refused(lambda: futures.call("test_order", **given, quantity="0"))[0] == -4003
    assert futures.venue.ledger()["orders"] == []


def test_a_book_that_became_thin_shows_no_negative_depth(futures: Any) -> None:
    """More may have been taken from a level than is left of it once the book is thin; then it is just empty."""
    futures.order(quantity="0.4")
    futures.venue.thin([], 0.05, 5_000, futures.now_ms)
    futures.order(side="SELL", price="60000.10", quantity="0.1")
    assert futures.depth()["asks"][0] == ["60000.10", "0.100"]
