"""How much may be in flight at once: what a storm that begins now would refuse.

How many refusals earn a ban is not published, and a storm refuses all that is in flight when it begins. So what is in
flight, plus the refusals of the last minute, stays below `_STRIKES`. Concurrency shrinks by itself after refusals, and
the last places are kept for cancels and reduce-only orders.
"""

import math
from collections import deque
from typing import Final

from reference_impl._binance.penalty import RISK_PROBES

_STRIKES: Final = 10
"""Refusals within a minute that are taken to earn a ban. Unpublished; a careful guess."""
_STRIKE_S: Final = 61.0
_MANY: Final = 4
_RISK_PLACES: Final = 3
"""Requests in flight that only cancels and reduce-only orders may add."""


class Exposure:
    """The refusals that still count, and what they leave room for. Instants are monotonic seconds."""

    __slots__ = ("_most", "_strikes")

    def __init__(self, max_in_flight: int) -> None:
        self._most = max_in_flight
        self._strikes: deque[float] = deque()

    def strike(self, now: float) -> None:
        """Take a refusal that counts towards a ban."""
        self._strikes.append(now)

    def forget(self) -> None:
        """Take it that no refusal counts any more."""
        self._strikes.clear()

    @property
    def many(self) -> bool:
        """Whether refusals have become so many that risk orders, too, come back at random."""
        return len(self._strikes) > _MANY

    def earliest(self, out: int, now: float, *, risk: bool, half_open: bool) -> float:
        """Return when one more request may be in flight beside `out` others; `inf` if that hangs on an answer.

        `half_open`: whether a probe has to go, or is out.
        """
        while self._strikes and self._strikes[0] + _STRIKE_S <= now:
            self._strikes.popleft()
        # The more refusals, the fewer at once: in a storm that spares some, one probe's luck is not that of all.
        most = max(1, self._most - len(self._strikes))
        if risk:
            most += _RISK_PLACES
            if half_open:
                most = 1 + RISK_PROBES
        if out >= most:
            return math.inf
        over = len(self._strikes) + out + 1 - (_STRIKES - (1 if risk else 2))
        if over <= 0:
            return now
        return math.inf if out else self._strikes[over - 1] + _STRIKE_S
