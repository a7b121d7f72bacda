"""The wall clock of a host process, which the harness can step: what the machine's clock shows, and an offset.

Nothing is redirected before the first step, so a run without one costs nothing. How it is done, and what it does not
reach: harness/world/wall_clock.py.
"""

import datetime  # noqa: ICN001 - its class is looked at
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from harness.errors import WorldError
from harness.units import SECOND
from harness.world import wall_clock

_VERIFIED_WITHIN_NS: Final = 5 * SECOND
_bound_before_any_step: Final = (time.time, datetime.datetime.now)


class SteppedClock:
    """The clock of this process; one for the life of it.

    `observe` is called with `offset_ns` and `reads` for each step, and once more at the first read after it. `soon` has
    a call made by the event loop: a read can happen anywhere, where recording it then and there would not do.
    """

    def __init__(self, observe: Callable[..., None], soon: Callable[[Callable[[], None]], object]) -> None:
        self._observe = observe
        self._soon = soon
        self._offset_ns = 0
        self._reads = 0
        self._seen = False
        self._redirected = False

    def step_to(self, offset_ns: int) -> None:
        """Be off by so much from now on.

        Raises:
            WorldError: This interpreter's clocks cannot be redirected.

        """
        if not self._redirected:
            self._redirect()
        self._offset_ns, self._seen = offset_ns, False
        self.report()
        self._verify()

    def report(self) -> None:
        """Observe how often the clock was read while it was off, since the last time."""
        reads, self._reads = self._reads, 0
        self._observe(offset_ns=self._offset_ns, reads=reads)

    def _redirect(self) -> None:
        redirections = wall_clock.redirections(self._shown_ns)
        wall_clock.arm_datetime(self._shown_ns)
        for redirection in redirections:
            redirection.install()
        self._redirected = True

    def _shown_ns(self) -> int | None:
        if not self._offset_ns:
            return None
        self._reads += 1
        if not self._seen:
            self._seen = True
            with suppress(RuntimeError):  # the loop is closed: the program is over
                self._soon(self.report)
        return wall_clock.true_time_ns() + self._offset_ns

    def _verify(self) -> None:
        """Read through references bound at import: a clock that does not follow now never will."""
        seconds, now = _bound_before_any_step
        reads, seen, self._seen = self._reads, self._seen, True
        shown = (seconds(), now(datetime.UTC).timestamp(), datetime.datetime.now(datetime.UTC).timestamp())
        self._reads, self._seen = reads, seen
        want = (wall_clock.true_time_ns() + self._offset_ns) / SECOND
        if any(abs(one - want) > _VERIFIED_WITHIN_NS / SECOND for one in shown):
            raise WorldError(f"this interpreter's clocks do not follow a step: {shown} while it should be {want}")
