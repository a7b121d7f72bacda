"""What services share: loops that survive the failure of what they do, and tasks that end with the service."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

log = logging.getLogger(__name__)


class Tasks:
    """The tasks of one service. Belongs to one event loop."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()

    def start(self, work: Coroutine[Any, Any, Any], name: str) -> None:
        """Let it run until it ends, or `end`."""
        task = asyncio.get_running_loop().create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._over)

    def _over(self, task: "asyncio.Task[Any]") -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            log.error("%s ended in an error", task.get_name(), exc_info=task.exception())

    def every(self, pause_s: float, work: Callable[[], Awaitable[object]], name: str) -> None:
        """Do it again and again, that long after it was done; what it raises is logged, by its kind only."""
        self.start(self._repeat(pause_s, work, name), name)

    @staticmethod
    async def _repeat(pause_s: float, work: Callable[[], Awaitable[object]], name: str) -> None:
        while True:
            try:
                await work()
            except Exception as error:  # noqa: BLE001 - a part that fails must not end the loop that would try again
                log.warning("%s failed: %s", name, type(error).__name__)
            await asyncio.sleep(pause_s)

    async def end(self) -> None:
        """Cancel all, and wait for them."""
        while self._tasks:
            tasks = tuple(self._tasks)
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
