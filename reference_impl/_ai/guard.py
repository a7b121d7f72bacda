"""When to ask a model, and what to make of its answer. Pure: time comes in, decisions go out.

A model that fails is unavailable at once, and available again with its next good answer. After `failures_max` failures
in a row its circuit opens: it is left alone for `pause_s`, twice as long after each further failure, at most
`pause_s_max`; then one prediction is tried. A model whose call has not come back is not called again, so one that hangs
holds one thread, however long it hangs.

An answer that is the same to the last bit, `stuck_after` times in a row on candles that differ, is suspect. Trees give
such in a calm market, and so does a model that is stuck. Which it is shows when the model is asked about other candles,
those of its training (`slots.py`); `varies` tells the guard. A model that is `stuck` is still asked, as there is no
other way to find out that it is not any more.
"""

import math
from dataclasses import dataclass
from typing import Final

FAILURES_MAX: Final = 3
PAUSE_S: Final = 1.0
PAUSE_S_MAX: Final = 60.0
STUCK_AFTER: Final = 20


@dataclass(slots=True, kw_only=True)
class Guard:
    """What is known of one model. `reason` is why it is unavailable, a short code; None: it is available."""

    failures_max: int = FAILURES_MAX
    pause_s: float = PAUSE_S
    pause_s_max: float = PAUSE_S_MAX
    stuck_after: int = STUCK_AFTER
    reason: str | None = "not_trained"
    _failures: int = 0
    _closed_at: float = float("-inf")
    _calling: bool = False
    _same: int = 0
    _last: float | None = None

    @property
    def calling(self) -> bool:
        """Whether a call has not come back."""
        return self._calling

    def admits(self, now_s: float) -> bool:
        """Whether the model may be asked now."""
        return not self._calling and now_s >= self._closed_at

    def asked(self) -> None:
        """A call begins."""
        self._calling = True

    def came_back(self) -> None:
        """A call came back, in time or not."""
        self._calling = False

    def answered(self, chance: object, now_s: float) -> float | None:
        """Take an answer; return the probability if it is one that counts, else note why not.

        Only a float (or int) from 0 to 1 is a probability. What is not is a failure of the model like any other.
        """
        if isinstance(chance, bool) or not isinstance(chance, float | int) or not math.isfinite(chance):
            self.failed("not_a_number", now_s)
            return None
        if not 0 <= chance <= 1:
            self.failed("out_of_range", now_s)
            return None
        value = float(chance)
        self._same = self._same + 1 if value == self._last else 1
        self._last = value
        self._failures = 0
        self.reason = "stuck" if self._same >= self.stuck_after else None
        return None if self.reason else value

    def varies(self) -> float | None:
        """Take it that the model does tell other candles apart; return the answer that was suspect."""
        self._same = 1
        self.reason = None
        return self._last

    def failed(self, reason: str, now_s: float) -> None:
        """Take a failure."""
        self.reason = reason
        self._failures += 1
        over = self._failures - self.failures_max
        if over >= 0:
            self._closed_at = now_s + min(self.pause_s_max, self.pause_s * 2.0 ** min(over, 30))
