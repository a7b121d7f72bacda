"""JSON shapes of market data: tickers, candles, recent trades, funding.

Nobody trades but the client, so what only a crowd produces (volume, candles that move) is made up from the price and
the clock alone: the same at every asking, consistent in itself, and no source of surprise.
"""

from collections.abc import Mapping
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import Any, Final

from harness.dependencies.binance.gate.errors import Reject
from harness.dependencies.binance.market.account import Fill
from harness.dependencies.binance.market.symbols import BPS, Instrument, text
from harness.dependencies.binance.market.views import money
from harness.dependencies.binance.settings import Market

INTERVALS: Final[Mapping[str, int]] = {
    "1s": 1_000, "1m": 60_000, "3m": 180_000, "5m": 300_000, "15m": 900_000, "30m": 1_800_000, "1h": 3_600_000,
    "2h": 7_200_000, "4h": 14_400_000, "6h": 21_600_000, "8h": 28_800_000, "12h": 43_200_000, "1d": 86_400_000,
    "3d": 259_200_000, "1w": 604_800_000, "1M": 2_592_000_000,
}  # fmt: skip
"""Candles by length in milliseconds; a month counts as thirty days."""
FUNDING_MS: Final = 28_800_000
FUNDING_RATE: Final = "0.00010000"
DAY_MS: Final = 86_400_000
_VOLUME: Final = Decimal(1_000)


def candles(
    what: Instrument,
    price: Decimal,
    interval: str,
    count: int,
    span: tuple[int | None, int | None],
    wall_ms: int,
) -> list[list[Any]]:
    """Return `count` candles at most: from the start of `span`, else the last ones before its end (else now)."""
    length_ms = INTERVALS.get(interval)
    if length_ms is None or (interval == "1s" and what.market == "futures"):
        raise Reject(-1120)
    start_ms, end_ms = span
    last = min(end_ms if end_ms is not None else wall_ms, wall_ms) // length_ms
    first = last - count + 1
    if start_ms is not None:
        first = max(-(-start_ms // length_ms), last - 100_000)
        last = min(last, first + count - 1)
    return [_candle(what, price, index, length_ms) for index in range(max(first, 0), last + 1)]


def _candle(what: Instrument, price: Decimal, index: int, length_ms: int) -> list[Any]:
    tick = what.tick
    swing = max((price * BPS * (1 + index * 7 % 5) / tick).to_integral_value(ROUND_FLOOR), Decimal(1)) * tick
    volume = (_VOLUME * (1 + index % 3) * what.step).quantize(what.quantity_unit)
    high, low = (price + swing).quantize(what.price_unit), (price - swing).quantize(what.price_unit)
    quote = volume * price
    start_ms = index * length_ms
    return [
        start_ms, text(price), text(high), text(low), text(price), text(volume), start_ms + length_ms - 1,
        money(quote), 100 * (1 + index % 3), text((volume / 2).quantize(what.quantity_unit)), money(quote / 2), "0",
    ]  # fmt: skip


def day(
    what: Instrument, price: Decimal, best: Mapping[str, str], ids: tuple[int, int], wall_ms: int
) -> dict[str, Any]:
    """Return an entry of ticker/24hr. `best`: bidPrice, bidQty, askPrice, askQty (spot shows them)."""
    swing = (price * BPS * 100 / what.tick).to_integral_value(ROUND_CEILING) * what.tick
    volume = (_VOLUME * 100 * what.step).quantize(what.quantity_unit)
    printed = text(price.quantize(what.price_unit))
    answer: dict[str, Any] = {
        "symbol": what.symbol,
        "priceChange": text((price * 0).quantize(what.price_unit)),
        "priceChangePercent": "0.000",
        "weightedAvgPrice": printed,
        "lastPrice": printed,
        "lastQty": text(what.step.quantize(what.quantity_unit)),
        "openPrice": printed,
        "highPrice": text((price + swing).quantize(what.price_unit)),
        "lowPrice": text((price - swing).quantize(what.price_unit)),
        "volume": text(volume),
        "quoteVolume": money(volume * price),
        "openTime": wall_ms - DAY_MS,
        "closeTime": wall_ms,
        "firstId": ids[0],
        "lastId": ids[1],
        "count": ids[1] - ids[0] + 1,
    }
    if what.market == "spot":
        answer |= {"prevClosePrice": printed, **best}
    return answer


def mark(what: Instrument, price: Decimal, wall_ms: int) -> dict[str, Any]:
    """Return an entry of premiumIndex: mark and index are the price."""
    return {
        "symbol": what.symbol,
        "markPrice": money(price),
        "indexPrice": money(price),
        "estimatedSettlePrice": money(price),
        "lastFundingRate": FUNDING_RATE,
        "interestRate": FUNDING_RATE,
        "nextFundingTime": (wall_ms // FUNDING_MS + 1) * FUNDING_MS,
        "time": wall_ms,
    }


def funding(
    what: Instrument, price: Decimal, count: int, span: tuple[int | None, int | None], wall_ms: int
) -> list[dict[str, Any]]:
    """Return fundingRate's entries, oldest first. Nobody is charged."""
    last = min(span[1] or wall_ms, wall_ms) // FUNDING_MS
    first = max(last - count + 1, -(-(span[0] or 0) // FUNDING_MS))
    return [
        {"symbol": what.symbol, "fundingTime": at * FUNDING_MS, "fundingRate": FUNDING_RATE, "markPrice": money(price)}
        for at in range(first, last + 1)
    ]


def public_trade(fill: Fill, market: Market) -> dict[str, Any]:
    """Return an entry of trades."""
    answer: dict[str, Any] = {
        "id": fill.trade_id,
        "price": text(fill.price),
        "qty": text(fill.quantity),
        "quoteQty": text(fill.quote),
        "time": fill.time_ms,
        "isBuyerMaker": (fill.side == "BUY") == fill.maker,
    }
    return answer | ({"isBestMatch": True} if market == "spot" else {})


def aggregate_trade(fill: Fill, market: Market) -> dict[str, Any]:
    """Return an entry of aggTrades: one for each trade, as nobody trades in between."""
    answer: dict[str, Any] = {
        "a": fill.trade_id,
        "p": text(fill.price),
        "q": text(fill.quantity),
        "f": fill.trade_id,
        "l": fill.trade_id,
        "T": fill.time_ms,
        "m": (fill.side == "BUY") == fill.maker,
    }
    return answer | ({"M": True} if market == "spot" else {})
