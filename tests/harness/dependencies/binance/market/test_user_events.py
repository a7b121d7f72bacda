"""What user data streams hear of orders, with every field that the documentation names."""

from typing import Any

from harness.dependencies.binance.market import events

ORDER_FIELDS = [
    "s",
    "c",
    "S",
    "o",
    "f",
    "q",
    "p",
    "ap",
    "sp",
    "x",
    "X",
    "i",
    "l",
    "z",
    "L",
    "N",
    "n",
    "T",
    "t",
    "b",
    "a",
    "m",
    "R",
    "wt",
    "ot",
    "ps",
    "cp",
    "rp",
    "V",
    "pm",
    "gtd",
    "er",
]


def test_futures_events_of_a_fill(futures: Any) -> None:
    """NEW, then for each fill TRADE_LITE, ACCOUNT_UPDATE and ORDER_TRADE_UPDATE, which has the average price."""
    futures.listen()
    outcome = futures.order(quantity="0.5", newClientOrderId="mine")
    kinds = [event["e"] for _, event in futures.heard.sent]
    fill = ["TRADE_LITE", "ACCOUNT_UPDATE", "ORDER_TRADE_UPDATE"]
    assert kinds == ["ORDER_TRADE_UPDATE", *fill, *fill]
    new, first, last = (event["o"] for event in futures.events("ORDER_TRADE_UPDATE"))
    assert all(set(ORDER_FIELDS) <= set(each) for each in (new, first, last))
    assert [(each["x"], each["X"], each["l"], each["z"]) for each in (new, first, last)] == [
        ("NEW", "NEW", "0", "0.000"),
        ("TRADE", "PARTIALLY_FILLED", "0.416", "0.416"),
        ("TRADE", "FILLED", "0.084", "0.500"),
    ]
    assert (last["c"], last["i"], last["ap"], last["m"]) == ("mine", outcome.order_id, "60001.10800", False)
    update = futures.events("ACCOUNT_UPDATE")[-1]["a"]
    assert update["m"] == "ORDER"
    assert set(update["B"][0]) == {"a", "wb", "cw", "bc"}
    assert {"s", "pa", "ep", "bep", "cr", "up", "mt", "iw", "ps"} <= set(update["P"][0])
    assert (update["P"][0]["pa"], update["P"][0]["ep"]) == ("0.500", "60001.10800")


def test_futures_events_of_an_orders_end(futures: Any) -> None:
    """A cancel says CANCELED, an order that could not be filled EXPIRED, a change AMENDMENT."""
    futures.listen()
    order_id = futures.order(price="59000").order_id
    futures.call("modify_order", symbol="BTCUSDT", orderId=order_id, side="BUY", price="59001", quantity="0.1")
    futures.call("cancel_order", symbol="BTCUSDT", orderId=order_id)
    futures.order(price="59000", timeInForce="IOC")
    told = [(event["o"]["x"], event["o"]["X"]) for event in futures.events("ORDER_TRADE_UPDATE")]
    assert told == [
        ("NEW", "NEW"),
        ("AMENDMENT", "NEW"),
        ("CANCELED", "CANCELED"),
        ("NEW", "NEW"),
        ("EXPIRED", "EXPIRED"),
    ]


def test_a_resting_order_that_fills_is_told(futures: Any) -> None:
    """The fill of a resting order is the maker's, at its own price, and told although nobody asked anything."""
    futures.order(price="59500")
    futures.listen()
    futures.set_price("59000")
    (told,) = (event["o"] for event in futures.events("ORDER_TRADE_UPDATE"))
    assert (told["x"], told["X"], told["m"], told["L"], told["n"]) == (
        "TRADE",
        "FILLED",
        True,
        "59500.00",
        "1.19000000",
    )


def test_spot_events(spot: Any) -> None:
    """Every step is an executionReport, with the balances after it."""
    spot.listen()
    spot.order(quantity="0.1", newClientOrderId="mine")
    spot.order(side="SELL", price="61000", quantity="0.05")
    spot.call("cancel_all", symbol="BTCUSDT")
    told = [(event["x"], event["X"], event["c"]) for event in spot.events("executionReport")]
    assert told[:2] == [("NEW", "NEW", "mine"), ("TRADE", "FILLED", "mine")]
    assert [each[0] for each in told[2:]] == ["NEW", "CANCELED"]
    after = {each["a"]: (each["f"], each["l"]) for each in spot.events("outboundAccountPosition")[2]["B"]}
    assert after["BTC"] == ("0.04990000", "0.05000000")


def test_nobody_listening_costs_nothing(futures: Any, monkeypatch: Any) -> None:
    """Without a session no event is even made: orders are far more often placed than streamed."""

    def unwanted(*_: object) -> None:
        raise AssertionError("an event was made for nobody")

    for name in ("order_trade_update", "account_update", "trade_lite"):
        monkeypatch.setattr(events, name, unwanted)
    assert futures.order().executed
