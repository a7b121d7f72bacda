"""Tells subscribers of each transition, in order, until the bus has acked it; what a crash left is told after it."""

import asyncio
import logging
import random
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Mapping
from functools import partial
from typing import Any, Final, TypeAlias

from reference_impl._ess.model import StoreError, Transition
from reference_impl._ess.store import StoreWorker

log = logging.getLogger(__name__)

Publish: TypeAlias = Callable[[str, Mapping[str, Any]], Awaitable[object]]
"""Returns once the event can no longer be lost; raises, and is called again. `EventBusV2.publish_event` is one."""

_TIMEOUT_S: Final = 5.0
_PAUSE_FIRST_S: Final = 0.1
_PAUSE_MAX_S: Final = 5.0


class Outbox:
    """What is to be told, and the task that tells it. At least once: a crash before the note of an ack repeats it."""

    def __init__(self, worker: StoreWorker, publish: Publish) -> None:
        self._worker = worker
        self._publish = publish
        self._waiting: deque[Transition] = deque()
        self._task: asyncio.Task[None] | None = None

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, transitions: Iterable[Transition]) -> None:
        """Tell these after all others."""
        self._waiting.extend(transitions)
        if self._waiting and self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._tell(), name="ess-outbox")

    async def close(self) -> None:
        """Stop telling; what is left is told after the next start."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})

    async def _tell(self) -> None:
        while self._waiting:
            transition = self._waiting[0]
            attempt = partial(self._publish, transition.event_type, transition.payload())
            await persistently(attempt, _TIMEOUT_S, "publishing")
            self._waiting.popleft()
            try:
                await self._worker.call(self._worker.store.heard, transition.number)
            except StoreError as error:
                log.info("emergency stop: a transition will be published once more (%s)", error)
        self._task = None


async def persistently(
    attempt: Callable[[], Awaitable[object]],
    timeout: float,  # noqa: ASYNC109 - of one attempt
    what: str,
    failed: Callable[[Exception], Awaitable[None]] | None = None,
) -> None:
    """Attempt something until it succeeds, with growing pauses of full jitter."""
    ceiling = _PAUSE_FIRST_S
    while True:
        try:
            async with asyncio.timeout(timeout):
                await attempt()
        except Exception as error:  # noqa: BLE001 - injected code may raise anything, and is tried again
            log.warning("emergency stop: %s failed, and is tried again (%s: %s)", what, type(error).__name__, error)
            if failed is not None:
                await failed(error)
        else:
            return
        await asyncio.sleep(random.uniform(0, ceiling))  # noqa: S311 - spreads load, protects nothing
        ceiling = min(_PAUSE_MAX_S, 2 * ceiling)
