"""Every refused call is told of; a flood of them is told of together, so that it cannot fill what keeps the records.

In each window of time the first calls are told of one by one. The others are counted, and told of in one record when
the window is over. `RefusalLog` is the shell of `Throttle`, which is pure.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Final, TypeAlias

from reference_impl._http.refusals import Refused

log = logging.getLogger(__name__)

Auditor: TypeAlias = Callable[[Refused], Awaitable[None]]
"""Keeps a record. What it raises is logged: a call is refused whether or not that can be recorded."""

WINDOW_S: Final = 60.0
PER_WINDOW: Final = 100


@dataclass(slots=True)
class Throttle:
    """Which refused calls are told of by themselves: `limit` in each window of `window_s` seconds."""

    window_s: float = WINDOW_S
    limit: int = PER_WINDOW
    _ends: float = float("-inf")
    _told: int = 0
    _untold: int = 0
    _last: Refused | None = None

    def offer(self, refused: Refused, now: float) -> list[Refused]:
        """Take a refused call; return what is to be told now, the sum of an earlier window first."""
        due = self.due(now)
        if now >= self._ends:
            self._ends, self._told = now + self.window_s, 0
        if self._told < self.limit:
            self._told += 1
            return [*due, refused]
        self._untold += refused.count
        self._last = refused
        return due

    def due(self, now: float, *, closing: bool = False) -> list[Refused]:
        """Return the sum of what was not told by itself, if its window is over or nothing comes any more."""
        if self._last is None or (now < self._ends and not closing):
            return []
        total, self._last, self._untold = replace(self._last, code="flood", count=self._untold), None, 0
        return [total]

    @property
    def due_at(self) -> float | None:
        """When something will be due; None: nothing waits."""
        return None if self._last is None else self._ends


class RefusalLog:
    """Tells an auditor of refused calls. Belongs to one event loop."""

    def __init__(self, auditor: Auditor, throttle: Throttle | None = None) -> None:
        self._auditor = auditor
        self._throttle = throttle or Throttle()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._telling: set[asyncio.Task[None]] = set()

    async def tell(self, refused: Refused) -> None:
        """Return when the auditor has it, or it is counted."""
        self._loop = loop = asyncio.get_running_loop()
        told = self._throttle.offer(refused, loop.time())
        self._set_timer(loop)
        await self._tell(told)

    async def close(self) -> None:
        """Tell what was only counted."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._loop is not None:
            await self._tell(self._throttle.due(self._loop.time(), closing=True))
        if self._telling:
            await asyncio.wait(self._telling)

    def _set_timer(self, loop: asyncio.AbstractEventLoop) -> None:
        due_at = self._throttle.due_at
        if due_at is not None and self._timer is None:
            self._timer = loop.call_at(due_at, self._window_over, loop)

    def _window_over(self, loop: asyncio.AbstractEventLoop) -> None:
        self._timer = None
        task = loop.create_task(self._tell(self._throttle.due(loop.time())), name="http-refusals")
        self._telling.add(task)
        task.add_done_callback(self._telling.discard)
        self._set_timer(loop)

    async def _tell(self, told: list[Refused]) -> None:
        for refused in told:
            try:
                await self._auditor(refused)
            except Exception as error:  # noqa: BLE001 - an auditor that fails must not let the call through
                log.error("a refused call could not be recorded (%s): %s", type(error).__name__, refused)  # noqa: TRY400
