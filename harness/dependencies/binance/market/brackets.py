"""Leverage: how much of a symbol may be held at which, and what the exchange says about it in JSON."""

from decimal import Decimal
from functools import cache
from typing import Any, Final

from harness.dependencies.binance.market.futures import Position
from harness.dependencies.binance.market.symbols import Instrument

_BRACKETS: Final = (
    (125, 50_000),
    (100, 250_000),
    (50, 3_000_000),
    (20, 20_000_000),
    (10, 40_000_000),
    (5, 100_000_000),
    (1, 1_000_000_000),
)
"""Leverage and the notional up to which it may be had: the shape of BTCUSDT's brackets, for all symbols."""
_RATES: Final = ("0.004", "0.005", "0.01", "0.025", "0.05", "0.1", "0.5")


@cache
def max_notional(leverage: int) -> int:
    """Return the notional that may be held at that leverage: the highest cap of the brackets that allow it."""
    return max(cap for most, cap in _BRACKETS if most >= leverage)


def leverage_bracket(what: Instrument) -> dict[str, Any]:
    """Return an entry of leverageBracket."""
    brackets = []
    floor, subtracted, before = 0, Decimal(0), Decimal(0)
    shown = [(min(most, what.max_leverage), cap) for most, cap in _BRACKETS]
    for number, ((most, cap), rate) in enumerate(zip(shown, _RATES, strict=True), 1):
        subtracted += floor * (Decimal(rate) - before)
        brackets.append(
            {
                "bracket": number,
                "initialLeverage": most,
                "notionalCap": cap,
                "notionalFloor": floor,
                "maintMarginRatio": float(rate),
                "cum": float(subtracted),
            }
        )
        floor, before = cap, Decimal(rate)
    return {"symbol": what.symbol, "notionalCoef": 1.0, "brackets": brackets}


def leverage_changed(position: Position) -> dict[str, Any]:
    """Return what a change of leverage answers."""
    return {
        "leverage": position.leverage,
        "maxNotionalValue": str(max_notional(position.leverage)),
        "symbol": position.instrument.symbol,
    }
