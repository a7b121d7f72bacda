"""Being told to wait, and coming back from it: one for the IP, one for orders.

```
open --refused--> waiting --its time is over--> half open --the probe's answer is fine--> open
                     ^                              |
                     +------------------------------+ the probe is refused: one level more
```

A wait is what the server said, and on top of it a random part (full jitter) whose bound doubles with each level. Levels
go away with time, never by an answer that is fine: in a storm, one cheap request that passes proves nothing. Answers to
requests that were sent before the wait began lengthen it if they say so, but are no new offence.

After the wait one request goes first; the others follow when its answer is fine, spread at random, so that neither
these callers nor other processes on the IP come as one herd. Cancels and reduce-only orders wait as long as the server
said, and for a probe only a moment; for a little of the random part, too, when refusals have become many.
"""

import math
from collections.abc import Callable
from typing import Final

_FIRST: Final = 0.5
_CAP: Final = 8.0
"""Seconds: bounds of the random part at the first level, and at any."""
_LEVEL_S: Final = 60.0
"""Seconds without an offence after which a level is gone."""
_HIGHEST: Final = 12
_RAMP_S: Final = 1.0
_GAP_S: Final = 0.04
"""For so long after the probe, requests follow each other by a random gap of at most `_GAP_S`."""
_LOST_PROBE_S: Final = 0.5
"""Bound of the random pause after a probe that got no answer."""
_RISK_PATIENCE_S: Final = 0.3
"""For so long a cancel or reduce-only order waits for the answer to a probe."""
RISK_PROBES: Final = 2
"""Cancels and reduce-only orders that may be out beside a probe."""


class Penalty:
    """The wait of one scope. Instants are monotonic seconds; `draw` throws a number in [0, 1)."""

    __slots__ = (
        "_draw",
        "_level",
        "_level_at",
        "_next",
        "_probe_at",
        "_ramp",
        "began",
        "cause",
        "half_open",
        "probe",
        "risk_until",
        "until",
    )

    def __init__(self, draw: Callable[[], float]) -> None:
        self._draw = draw
        self._level = 0
        self._level_at = -math.inf
        self._next = -math.inf
        self._ramp = -math.inf
        self._probe_at = -math.inf
        self.began = -math.inf
        self.risk_until = -math.inf
        self.until = -math.inf
        self.cause = ""
        self.half_open = False
        self.probe: object | None = None

    def level(self, now: float) -> int:
        """Return how many offences still count."""
        if self._level:
            gone = int(max(0.0, now - self._level_at) // _LEVEL_S)
            if gone:
                self._level = max(0, self._level - gone)
                self._level_at += gone * _LEVEL_S
        return self._level

    def offend(self, now: float, *, sent: float, cause: str) -> int:
        """Take a refusal of what was sent at `sent`; return the level, from 1."""
        level = self.level(now)
        if sent >= self.began or not level:
            level = min(_HIGHEST, level + 1)
            self._level = level
            self.began = now
        self._level_at = now
        self.cause = cause
        return level

    def jitter(self, level: int) -> float:
        """Return the random part of a wait at that level, in seconds."""
        bound: float = min(_CAP, _FIRST * 2.0 ** (level - 1))
        return self._draw() * bound

    def wait(self, until: float, risk_until: float) -> None:
        """Be silent until then, or longer if that was known already."""
        self.until = max(self.until, until)
        self.risk_until = max(self.risk_until, risk_until)
        self.half_open = True
        self.probe = None

    def silent_until(self, *, risk: bool) -> float:
        """Return before when nothing goes."""
        return self.risk_until if risk else self.until

    def earliest(self, now: float, *, risk: bool) -> float:
        """Return when a request may go: `now`, an instant, or `inf` if that hangs on the probe's answer."""
        silent = self.risk_until if risk else self.until
        if now < silent:
            return silent
        if self.half_open:
            if risk:
                return now if self.probe is None else max(now, self._probe_at + _RISK_PATIENCE_S)
            return math.inf if self.probe is not None else max(now, self._next)
        if risk or now >= self._ramp:
            return now
        return max(now, self._next)

    def went(self, request: object, now: float) -> bool:
        """Take that a request was sent; return whether it is the probe."""
        if self.half_open:
            if self.probe is None:
                self.probe = request
                self._probe_at = now
                return True
        elif now < self._ramp:
            self._next = now + self._draw() * _GAP_S
        return False

    def passed(self, request: object, now: float) -> bool:
        """Take an answer that is fine; return whether that ends the half-open state."""
        if self.probe is not request:
            return False
        self.probe = None
        self.half_open = False
        self._ramp = now + _RAMP_S
        self._next = now + self._draw() * _GAP_S
        return True

    def unanswered(self, request: object, now: float, *, sent: bool) -> None:
        """Take that a request was lost, or not sent after all; another may be the probe."""
        if self.probe is request:
            self.probe = None
            if sent:
                self._next = now + self._draw() * _LOST_PROBE_S
