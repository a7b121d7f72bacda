"""Candles for the models. Pure.

The emulated exchange's prices stand still until something is done to them, and nothing could be learnt from that. So
the models live on a market that is drawn from a seed (`_ai.candles`); what is traded on, and at which price, is the
exchange's. Who has a feed of real candles puts it in the place of this one.
"""

from typing import Final

from reference_impl._ai.candles import Candle, generate

HISTORY: Final = 140
"""Candles to train on: a second's work for the small models is a tenth of this many milliseconds."""
_AHEAD: Final = 2_000


class Market:
    """One symbol's candles: those of the past, and one after the other of what comes. Repeats itself in the end."""

    def __init__(self, seed: int, *, history: int = HISTORY, ahead: int = _AHEAD) -> None:
        self._history = history
        self._candles = generate(seed, history + ahead)
        self._number = 0

    def past(self) -> list[Candle]:
        """Return what there was before the first."""
        return self._candles[: self._history]

    def skip_to(self, number: int) -> None:
        """Go on with that one, counted from 0."""
        self._number = number

    @property
    def number(self) -> int:
        """The number of the next."""
        return self._number

    def next(self) -> Candle:
        """Return the next candle."""
        ahead = len(self._candles) - self._history
        lap, at = divmod(self._number, ahead)
        candle = self._candles[self._history + at]
        self._number += 1
        if not lap:
            return candle
        opens_ms = candle.open_ms + lap * ahead * (self._candles[1].open_ms - self._candles[0].open_ms)
        return Candle(opens_ms, candle.open, candle.high, candle.low, candle.close, candle.volume)
