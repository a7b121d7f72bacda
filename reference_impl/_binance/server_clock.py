"""What the exchange's clock says, as an interval that is certain, so that window edges can be given a wide berth.

Limits are counted in windows aligned to the exchange's clock, and this host's clock may be off by anything. Every
answer bounds the difference: the server read its clock between our sending and our receiving (Cristian's algorithm), so
the offset lies in an interval; intervals of several answers are intersected (Marzullo). One that contradicts what was
known replaces it: a clock was stepped. Only a `Date` header, which may come from another machine than the exchange's
own time, never overrules that. Until the first answer the host's own wall clock is a guess, and a wide one.

All instants are seconds; local ones are monotonic.
"""

from typing import Final

_GUESS: Final = 30.0
"""Seconds by which this host's wall clock may be off before anything was heard from the exchange."""
_DRIFT: Final = 100e-6
"""Seconds per second by which the two clocks may drift apart: quartz is better, virtual machines are not always."""
_CACHED_DATE: Final = 2.0
"""A `Date` header says full seconds, and servers may keep the text for a second: it is true to 2 s, one-sided."""
_MILLISECOND: Final = 0.001


class ServerClock:
    """Bounds of (exchange's clock - local monotonic clock)."""

    __slots__ = ("_at", "_high", "_low", "_precise", "known")

    def __init__(self, *, now: float, wall: float) -> None:
        self._low = wall - now - _GUESS
        self._high = wall - now + _GUESS
        self._at = now
        self.known = False
        self._precise = False

    def bounds(self, now: float) -> tuple[float, float]:
        """Return the least and the greatest offset that are possible at `now`."""
        drift = _DRIFT * max(0.0, now - self._at)
        return self._low - drift, self._high + drift

    def learn_time(self, server_ms: int, *, sent: float, received: float) -> bool:
        """Take the server's time in milliseconds, said in an answer; return whether all before was wrong."""
        seconds = server_ms / 1_000
        contradicts = self._learn(seconds - received, seconds + _MILLISECOND - sent, received)
        self._precise = True
        return contradicts

    def learn_date(self, seconds: float, *, sent: float, received: float) -> bool:
        """Take a `Date` header; return whether all before was wrong."""
        low, high = seconds - received, seconds + _CACHED_DATE - sent
        if self._precise:
            known_low, known_high = self.bounds(received)
            if low > known_high or high < known_low:
                return False
        return self._learn(low, high, received)

    def _learn(self, low: float, high: float, now: float) -> bool:
        known_low, known_high = self.bounds(now)
        contradicts = not self.known or low > known_high or high < known_low
        if contradicts:
            self._low, self._high = low, high
        else:
            self._low, self._high = max(low, known_low), min(high, known_high)
        self._at = now
        self.known = True
        return contradicts
