"""Candles, and a seeded market to draw them from.

The market switches between three regimes: one in which moves go on, one in which they turn back, one without memory.
Returns follow a first-order autoregression whose coefficient is the regime's, so a model that sees which regime holds
can be right more often than not: with a coefficient of 0.6 the next move has the sign of the last one with probability
1/2 + asin(0.6)/pi = 0.70. Nothing else can be known, so a model that is right far more often looks into the future.
"""

import math
import random
from dataclasses import dataclass
from typing import Final

INTERVAL_MS: Final = 60_000
_MEMORY: Final = (0.6, -0.6, 0.0)
"""The autoregression's coefficient in each regime."""
_VOLATILITY: Final = (0.0012, 0.0009, 0.0005)
"""Standard deviation of a candle's own return in each regime, as a fraction of the price."""
_SWITCH: Final = 1 / 80
"""How likely a candle is to be the first of another regime."""


@dataclass(frozen=True, slots=True)
class Candle:
    """One candle. `open_ms` is when it begins, in Unix milliseconds; prices are floats, as only features see them."""

    open_ms: int
    open: float
    high: float
    low: float
    close: float
    volume: float


def generate(
    seed: int, count: int, *, start_ms: int = 0, interval_ms: int = INTERVAL_MS, price: float = 30_000.0
) -> list[Candle]:
    """Return that many candles. The same seed gives the same ones, and a longer list begins as a shorter one does."""
    dice = random.Random(seed)  # noqa: S311 - a market, no secret
    regime = dice.randrange(len(_MEMORY))
    last, candles = 0.0, []
    for number in range(count):
        if dice.random() < _SWITCH:
            regime = (regime + 1 + dice.randrange(len(_MEMORY) - 1)) % len(_MEMORY)
        last = _MEMORY[regime] * last + dice.gauss(0.0, _VOLATILITY[regime])
        opened, price = price, price * math.exp(last)
        reach = abs(dice.gauss(0.0, _VOLATILITY[regime] / 2))
        candles.append(
            Candle(
                open_ms=start_ms + number * interval_ms,
                open=opened,
                high=max(opened, price) * (1 + reach),
                low=min(opened, price) * (1 - reach),
                close=price,
                volume=100.0 * (1 + 400 * abs(last)) * dice.uniform(0.5, 1.5),
            )
        )
    return candles


def return_ppm(before: Candle, after: Candle) -> int:
    """Return the move from one close to another in millionths of the price, whole: what outcomes are told in."""
    return round((after.close / before.close - 1) * 1_000_000)
