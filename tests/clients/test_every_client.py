"""What every real client can do against the emulator, unmodified: the same tests for each, judged by the exchange."""

from decimal import Decimal
from typing import Any

import pytest

pytestmark = [pytest.mark.real, pytest.mark.timeout(180)]

WITH_STREAMS = (
    "ccxt-pro-futures",
    "ccxt-pro-spot",
    "python-binance-async-futures",
    "python-binance-async-spot",
    "futures-connector",
    "spot-connector",
    "modular-sdk",
)
WITH_POSITIONS = (
    "ccxt-futures",
    "ccxt-pro-futures",
    "python-binance-futures",
    "python-binance-async-futures",
    "futures-connector",
    "modular-sdk",
)


def test_server_time(client: Any) -> None:
    """The exchange's clock, in whole milliseconds, as this machine's within seconds."""
    state = client.emulator.control("state")
    assert abs(client.driver.do("time") - state["wall_ms"]) < 60_000


def test_exchange_info(client: Any) -> None:
    """Each client finds the symbol in it, with the tick, step and notional that the exchange says."""
    path = "/fapi/v1/exchangeInfo" if client.market == "futures" else "/api/v3/exchangeInfo"
    symbol = next(s for s in client.emulator.get(path)["symbols"] if s["symbol"] == "BTCUSDT")
    rules = {rule["filterType"]: rule for rule in symbol["filters"]}
    notional = rules["MIN_NOTIONAL"]["notional"] if client.market == "futures" else rules["NOTIONAL"]["minNotional"]

    found = client.driver.do("exchange_info")

    expected = (rules["PRICE_FILTER"]["tickSize"], rules["LOT_SIZE"]["stepSize"], notional)
    told = (found["tick"], found["step"], found["min_notional"])
    assert [Decimal(value) for value in told] == [Decimal(value) for value in expected]


def test_market_order(client: Any) -> None:
    """A market order is filled, once, and the client's answer says what the ledger does."""
    told = client.driver.do("order", type="MARKET", side="BUY", quantity="0.01", client_id="market-1")

    (order,) = client.orders("market-1")
    assert (order["status"], Decimal(order["executed_quantity"])) == ("FILLED", Decimal("0.01"))
    assert (told["client_id"], told["status"], Decimal(told["filled"])) == ("market-1", "FILLED", Decimal("0.01"))


def test_limit_order_rests_until_it_is_cancelled(client: Any) -> None:
    """An order away from the market is open, found by its client id and among the open orders, and cancelled once."""
    price = str((client.best("BUY")[0] * Decimal("0.9")).quantize(Decimal(1)))
    placed = client.driver.do("order", type="LIMIT", side="BUY", quantity="0.01", price=price, client_id="resting-1")
    found = client.driver.do("query", client_id="resting-1")
    still_open = client.driver.do("open_orders")
    cancelled = client.driver.do("cancel", client_id="resting-1")

    (order,) = client.orders("resting-1")
    assert [told["status"] for told in (placed, found, cancelled)] == ["NEW", "NEW", "CANCELED"]
    assert (order["status"], Decimal(order["executed_quantity"])) == ("CANCELED", 0)
    assert still_open == ["resting-1"]
    assert client.driver.do("open_orders") == []


def test_partial_fill(client: Any) -> None:
    """More than the best level has is filled in part, rests for the rest, and a cancel keeps what was filled."""
    price, quantity = client.best("BUY")
    wanted = str(quantity * 2)
    placed = client.driver.do("order", type="LIMIT", side="BUY", quantity=wanted, price=str(price), client_id="part-1")
    found = client.driver.do("query", client_id="part-1")
    (partly,) = client.orders("part-1")
    cancelled = client.driver.do("cancel", client_id="part-1")
    (order,) = client.orders("part-1")

    assert (placed["status"], found["status"], partly["status"]) == ("PARTIALLY_FILLED",) * 3
    assert (cancelled["status"], order["status"]) == ("CANCELED", "CANCELED")
    amounts = [placed["filled"], found["filled"], cancelled["filled"], order["executed_quantity"]]
    assert [Decimal(amount) for amount in amounts] == [quantity] * 4


def test_trades(client: Any) -> None:
    """What an order was filled with comes out of the account's trades, all of it."""
    client.driver.do("order", type="MARKET", side="BUY", quantity="0.02", client_id="traded-1")

    assert sum(Decimal(amount) for amount in client.driver.do("trades")) == Decimal("0.02")


def test_balance(client: Any) -> None:
    """The account's balance in USDT is the ledger's, after a purchase and a sale that cost fees and the spread.

    Spot takes the fee of a purchase from what was bought, so not all of it can be sold.
    """
    sold = "0.01" if client.market == "futures" else "0.009"
    client.driver.do("order", type="MARKET", side="BUY", quantity="0.01", client_id="paid-1")
    client.driver.do("order", type="MARKET", side="SELL", quantity=sold, client_id="paid-2")
    ledger = client.emulator.control("ledger")["markets"][client.market]["balances"]["USDT"]
    expected = Decimal(ledger["wallet" if client.market == "futures" else "free"])

    assert expected != 10_000_000
    assert Decimal(client.driver.do("balance")) == expected


@pytest.mark.clients(*WITH_POSITIONS)
def test_position(client: Any) -> None:
    """A sale out of nothing is a short position of that size."""
    assert Decimal(client.driver.do("position")) == 0
    client.driver.do("order", type="MARKET", side="SELL", quantity="0.03", client_id="short-1")
    assert Decimal(client.driver.do("position")) == Decimal("-0.03")


@pytest.mark.clients(*WITH_STREAMS)
def test_user_stream(client: Any) -> None:
    """A client that listens hears of its order when it rests, and when it is cancelled."""
    client.driver.do("subscribe")
    price = str((client.best("BUY")[0] * Decimal("0.9")).quantize(Decimal(1)))
    client.driver.do("order", type="LIMIT", side="BUY", quantity="0.01", price=price, client_id="heard-1")
    placed = client.driver.do("event", client_id="heard-1", status="NEW")
    client.driver.do("cancel", client_id="heard-1")
    cancelled = client.driver.do("event", client_id="heard-1", status="CANCELED")
    client.driver.do("order", type="MARKET", side="BUY", quantity="0.01", client_id="heard-2")
    filled = client.driver.do("event", client_id="heard-2", status="FILLED")
    client.driver.do("unsubscribe")

    assert [Decimal(event["filled"]) for event in (placed, cancelled, filled)] == [0, 0, Decimal("0.01")]


def test_a_client_warns_of_nothing(client: Any) -> None:
    """No answer made a client log a warning: the modular SDK only warns of what does not fit its strict types."""
    client.driver.warned.clear()
    client.driver.do("exchange_info")
    client.driver.do("order", type="MARKET", side="BUY", quantity="0.01", client_id="strict-1")
    for step in ("balance", "open_orders", "trades"):
        client.driver.do(step)
    client.driver.do("query", client_id="strict-1")

    assert client.driver.warned == []
