"""What models see of the market: one row of numbers per candle, computed from that candle and those before it alone."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, TypeAlias

from reference_impl._ai.candles import Candle

Row: TypeAlias = tuple[float, ...]

LOOKBACK: Final = 33
"""Candles that a row is computed from, its own included."""
WIDTH: Final = 8
"""Numbers in a row."""
HORIZON: Final = 1
"""Candles from a prediction to its outcome."""

_RECENT: Final = 4
_LONGER: Final = 16
_TINY: Final = 1e-12


@dataclass(frozen=True, slots=True)
class Table:
    """Rows in the order of time, each with whether the price had risen one horizon later (1) or not (0)."""

    rows: tuple[Row, ...]
    labels: tuple[int, ...]

    def __post_init__(self) -> None:
        if len(self.rows) != len(self.labels):
            raise ValueError(f"{len(self.rows)} rows with {len(self.labels)} labels")


def row(candles: Sequence[Candle]) -> Row:
    """Return the row of the last of these candles. Raises ValueError for fewer than `LOOKBACK`."""
    if len(candles) < LOOKBACK:
        raise ValueError(f"a row needs {LOOKBACK} candles, not {len(candles)}")
    seen = candles[-LOOKBACK:]
    now = seen[-1]
    moves = [math.log(after.close / before.close) for before, after in pairwise(seen)]
    spread = math.sqrt(sum(move * move for move in moves) / len(moves)) + _TINY
    scaled = [move / spread for move in moves]
    memory = sum(a * b for a, b in pairwise(scaled)) / (len(scaled) - 1)
    volume = sum(candle.volume for candle in seen) / len(seen) + _TINY
    return (
        scaled[-1],
        scaled[-2],
        sum(scaled[-_RECENT:]) / _RECENT,
        sum(scaled[-_LONGER:]) / _LONGER,
        memory,
        scaled[-1] * memory,
        (now.close - now.low) / (now.high - now.low + _TINY) - 0.5,
        now.volume / volume - 1.0,
    )


def rows(candles: Sequence[Candle]) -> tuple[Row, ...]:
    """Return the row of every candle that has enough before it; none looks ahead."""
    return tuple(row(candles[end - LOOKBACK : end]) for end in range(LOOKBACK, len(candles) + 1))


def table(candles: Sequence[Candle]) -> Table:
    """Return every row whose outcome lies within these candles."""
    every = rows(candles)[: max(0, len(candles) - LOOKBACK + 1 - HORIZON)]
    first = LOOKBACK - 1
    rose = (int(candles[first + at + HORIZON].close > candles[first + at].close) for at in range(len(every)))
    return Table(every, tuple(rose))
