"""What may be asked of the market: complete, strictly typed, and never a crash whatever the parameters are."""

import contextlib
import json
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.dependencies.binance.gate.errors import Reject
from harness.dependencies.binance.market.symbols import INSTRUMENTS
from harness.dependencies.binance.market.venue import Venue
from harness.dependencies.binance.settings import Market, Settings
from harness.dependencies.binance.streams import UserStreams

INTEGERS = {"orderId", "updateTime", "time", "serverTime", "id", "lastUpdateId", "E", "T", "transactTime"}
AMOUNTS = {"price", "origQty", "executedQty", "qty", "walletBalance", "availableBalance", "positionAmt", "entryPrice"}
AMOUNTS |= {"avgPrice", "cumQuote", "free", "locked", "commission", "markPrice", "notional"}


def walk(value: Any, check: Callable[[str, Any], None]) -> None:
    """Check every field of a JSON value, however deep."""
    if isinstance(value, dict):
        for name, inner in value.items():
            check(name, inner)
            walk(inner, check)
    elif isinstance(value, list):
        for inner in value:
            walk(inner, check)


@pytest.mark.parametrize("market", ["futures", "spot"])
def test_types_are_strict(bench: Any, market: Market) -> None:
    """Ids and times are integers, amounts are texts that are no exponents, in every answer there is."""
    made = bench(market)
    made.order(quantity="0.5")
    open_order = made.order(price="59000").order_id
    params = {"symbol": "BTCUSDT", "orderId": open_order, "interval": "1m", "limit": 5}
    params |= {"listenKey": made.call("new_listen_key").payload["listenKey"]}
    seen, answered = set(), 0

    def check(name: str, value: Any) -> None:
        if name in INTEGERS:
            assert type(value) is int, (name, value)
        if name in AMOUNTS:
            assert type(value) is str, (name, value)
            assert "E" not in value
            Decimal(value)
        assert not isinstance(value, float) or name in ("maintMarginRatio", "cum", "notionalCoef"), (name, value)
        seen.add(name)

    reads = made.venue.endpoints - {"close_listen_key", "cancel_order", "cancel_all", "countdown_cancel"}
    for endpoint in sorted(reads):
        with contextlib.suppress(Reject):  # some need more parameters
            payload = made.call(endpoint, **params).payload
            answered += 1
            walk(json.loads(payload) if isinstance(payload, bytes) else payload, check)
    assert answered >= len(reads) * 2 / 3
    assert {"orderId", "price", "updateTime", "lastUpdateId"} <= seen


class Unheard:
    """No session is ever opened here."""

    def send(self, key: str, text: str) -> None:
        raise AssertionError(key, text)

    def close(self, key: str, code: int) -> None:
        raise AssertionError(key, code)


def venue_of(market: Market) -> Venue:
    streams = UserStreams(Unheard(), record=lambda *_: None)
    return Venue(market, Settings(), record=lambda *_: None, streams=streams)


ENDPOINTS: dict[Market, list[str]] = {
    "futures": sorted(venue_of("futures").endpoints),
    "spot": sorted(venue_of("spot").endpoints),
}
NAMES = [
    *(
        "symbol",
        "side",
        "type",
        "quantity",
        "price",
        "timeInForce",
        "orderId",
        "origClientOrderId",
        "limit",
        "interval",
    ),
    *("startTime", "endTime", "fromId", "symbols", "batchOrders", "orderIdList", "leverage", "marginType", "pair"),
    *("newClientOrderId", "goodTillDate", "reduceOnly", "quoteOrderQty", "listenKey", "countdownTime", "incomeType"),
    *("newOrderRespType", "dualSidePosition", "multiAssetsMargin", "closePosition", "omitZeroBalances"),
]
VALUES = st.one_of(
    st.sampled_from(["BTCUSDT", "BUY", "SELL", "LIMIT", "MARKET", "GTC", "IOC", "GTD", "0.1", "60000", "1m", "true"]),
    st.integers(-(10**20), 10**20).map(str),
    st.decimals(allow_nan=True).map(str),
    st.sampled_from(["", "[]", "{}", "[1]", '[{"symbol":1}]', '["BTCUSDT"]', "[" * 5_000, "²", "٣", "NaN", "1e5"]),
    st.text(max_size=40),
)


@pytest.mark.parametrize("market", ["futures", "spot"])
@settings(deadline=None)  # the machine may be busy
@given(data=st.data())
def test_no_parameters_crash_it(market: Market, data: st.DataObject) -> None:
    """Any endpoint with any parameters answers something that is JSON, or refuses with a code."""
    venue = venue_of(market)
    for _ in range(5):
        endpoint = data.draw(st.sampled_from(ENDPOINTS[market]))
        params = data.draw(st.dictionaries(st.sampled_from(NAMES), VALUES, max_size=8))
        if data.draw(st.booleans()):
            params["symbol"] = "BTCUSDT"
        try:
            payload = venue.call(endpoint, params, 1_700_000_000_000).payload
        except Reject as refused:
            json.loads(refused.body)
        else:
            json.loads(payload if isinstance(payload, bytes) else json.dumps(payload))


def test_depth(futures: Any, spot: Any) -> None:
    """Any limit of the documentation is served, best first, one basis point apart; an own order stands among them."""
    for limit in (5, 10, 20, 50, 100, 500, 1_000):
        depth = futures.depth(limit=limit)
        assert (len(depth["bids"]), len(depth["asks"])) == (limit, limit)
    assert futures.depth()["asks"][:2] == [["60000.10", "0.416"], ["60006.10", "0.624"]]
    assert futures.refused(lambda: futures.depth(limit=7))[0] == -4021
    assert len(spot.depth(limit=5_000)["bids"]) == 1_000
    first = futures.depth()["lastUpdateId"]
    futures.order(price="59999", quantity="0.3")
    depth = futures.depth()
    assert depth["bids"][1] == ["59999.00", "0.300"]
    assert depth["lastUpdateId"] > first


def test_taken_levels_come_back(futures: Any) -> None:
    """What was taken is gone until the refill time has passed, or until it is refilled by hand."""
    whole = futures.depth()["asks"]
    futures.order(quantity="0.5")
    assert futures.depth()["asks"][0] == ["60006.10", "0.540"]
    futures.now_ms += 199
    assert futures.depth()["asks"][0] == ["60006.10", "0.540"]
    futures.now_ms += 1
    assert futures.depth()["asks"] == whole
    futures.order(quantity="0.5")
    futures.venue.refill(["BTCUSDT"], futures.now_ms)
    assert futures.depth()["asks"] == whole


def test_exchange_info(futures: Any, spot: Any) -> None:
    """Every instrument is listed with the filters that orders are held against."""
    for made in (futures, spot):
        info = made.call("exchange_info").payload
        assert {each["symbol"] for each in info["symbols"]} == set(INSTRUMENTS[made.market])
        for each in info["symbols"]:
            filters = {entry["filterType"]: entry for entry in each["filters"]}
            what = INSTRUMENTS[made.market][each["symbol"]]
            assert Decimal(filters["PRICE_FILTER"]["tickSize"]) == what.tick
            assert Decimal(filters["LOT_SIZE"]["stepSize"]) == what.step
            least = filters["MIN_NOTIONAL"]["notional"] if made is futures else filters["NOTIONAL"]["minNotional"]
            assert Decimal(least) == what.min_notional
            assert each["status"] == "TRADING"
    perpetual = futures.call("exchange_info").payload["symbols"][0]
    assert (perpetual["contractType"], perpetual["deliveryDate"]) == ("PERPETUAL", 4_133_404_800_000)
    assert [each["symbol"] for each in spot.call("exchange_info", symbols='["ETHBTC"]').payload["symbols"]] == [
        "ETHBTC"
    ]
    assert spot.refused(lambda: spot.call("exchange_info", symbol="NOPE"))[0] == -1121


@pytest.mark.parametrize("market", ["futures", "spot"])
def test_every_instrument_can_be_bought(bench: Any, market: Market) -> None:
    """The least order that the filters allow is filled, for each symbol: the filters fit each other."""
    made = bench(market)
    for symbol, what in INSTRUMENTS[market].items():
        if what.quote != "USDT":
            continue
        quantity = (what.min_notional / what.price / what.step).to_integral_value("ROUND_CEILING") * what.step
        outcome = made.order(symbol=symbol, quantity=format(max(quantity, what.step), "f"))
        assert outcome.payload["status"] == "FILLED", symbol


def test_candles(futures: Any) -> None:
    """The same at every asking, aligned to the clock, at most as many as asked for, and consistent in themselves."""
    asked = {"symbol": "BTCUSDT", "interval": "5m", "limit": 10}
    candles = futures.call("klines", **asked).payload
    assert candles == futures.call("klines", **asked).payload
    assert [candle[0] % 300_000 for candle in candles] == [0] * 10
    assert candles[-1][0] <= futures.now_ms <= candles[-1][6]
    for _, first, high, low, last, *_ in candles:
        assert Decimal(low) < min(Decimal(first), Decimal(last)) < Decimal(high)
    old = futures.call("klines", **asked, startTime=candles[2][0], endTime=candles[4][0]).payload
    assert [candle[0] for candle in old] == [candle[0] for candle in candles[2:5]]
    assert futures.refused(lambda: futures.call("klines", symbol="BTCUSDT", interval="7m"))[0] == -1120


def test_the_futures_account(futures: Any) -> None:
    """Balance, profit and margin follow from the fills and the price; every asset has a time."""
    asset = futures.call("account_v3").payload["assets"][0]
    assert (asset["walletBalance"], asset["updateTime"]) == ("10000000.00000000", futures.now_ms)
    futures.order(quantity="0.4")
    futures.set_price("61000")
    account = futures.call("account").payload
    position = {each["symbol"]: each for each in account["positions"]}["BTCUSDT"]
    assert (position["positionAmt"], position["entryPrice"]) == ("0.400", "60000.10000")
    assert Decimal(position["unrealizedProfit"]) == Decimal("0.4") * Decimal("999.9")
    fee = Decimal("0.4") * Decimal("60000.10") * Decimal("0.0005")
    assert Decimal(account["totalWalletBalance"]) == 10_000_000 - fee
    assert Decimal(account["totalPositionInitialMargin"]) == Decimal("0.4") * 61_000 / 20
    (risk,) = futures.call("position_risk_v3").payload
    assert (risk["symbol"], risk["markPrice"]) == ("BTCUSDT", "61000.00000000")
    assert len(futures.call("position_risk").payload) == len(INSTRUMENTS["futures"])


def test_leverage(futures: Any) -> None:
    """Leverage is set within a symbol's bounds, and halves the margin when doubled."""
    asked = {"symbol": "BTCUSDT"}
    assert futures.call("leverage", **asked, leverage=40).payload["leverage"] == 40
    for bad in (0, 126):
        assert futures.refused(lambda value=bad: futures.call("leverage", **asked, leverage=value))[0] == -4028
    futures.order(quantity="0.4")
    (risk,) = futures.call("position_risk_v3").payload
    assert Decimal(risk["initialMargin"]) == Decimal("0.4") * 60_000 / 40
    assert futures.refused(lambda: futures.call("margin_type", **asked, marginType="CROSSED"))[0] == -4046
    assert futures.refused(lambda: futures.call("set_position_mode", dualSidePosition="false"))[0] == -4059


def test_orders_and_trades_are_listed(futures: Any) -> None:
    """Orders from an id on or in a time, the latest ones otherwise; trades of one order or all."""
    ids = []
    for _ in range(5):
        ids.append(futures.order(quantity="0.01").order_id)
        futures.now_ms += 1_000
    asked = {"symbol": "BTCUSDT", "limit": 2}

    def listed(**params: Any) -> list[int]:
        return [each["orderId"] for each in futures.call("all_orders", **asked, **params).payload]

    assert listed() == ids[-2:]
    assert listed(orderId=ids[1]) == ids[1:3]
    assert listed(startTime=futures.now_ms - 3_000) == ids[2:4]
    trades = futures.call("user_trades", symbol="BTCUSDT", orderId=ids[3]).payload
    assert [(each["orderId"], each["qty"], each["maker"]) for each in trades] == [(ids[3], "0.010", False)]
    assert len(futures.call("user_trades", symbol="BTCUSDT").payload) == 5
    assert futures.call("all_orders", symbol="ETHUSDT").payload == []
    income = futures.call("income", incomeType="COMMISSION").payload
    assert [Decimal(each["income"]) for each in income] == [Decimal("-0.3000005")] * 5
