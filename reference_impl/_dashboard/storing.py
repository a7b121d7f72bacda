"""The store's one writer: commits follow each other, and each takes all that has come since the one before."""

import asyncio
import contextlib
import logging
import sqlite3
import time
from collections.abc import Callable
from typing import Final

from reference_impl._dashboard.errors import StorageError
from reference_impl._dashboard.feed import Feed
from reference_impl._dashboard.model import Event, Key, Options
from reference_impl._dashboard.store import Store

log = logging.getLogger(__name__)

_AGAIN_S: Final = 1.0
"""After a commit that failed."""


class Storing:
    """Writes what the feed publishes; `settled` is called when critical events have become visible."""

    def __init__(self, store: Store, feed: Feed, reserved: int, options: Options, settled: Callable[[], None]) -> None:
        self._store = store
        self._feed = feed
        self._reserved = reserved
        self._options = options
        self._settled = settled
        self._critical: list[Event] = []
        self._dirty: dict[Key, Event] = {}
        self._waiting: list[asyncio.Future[None]] = []
        self._wanted = asyncio.Event()
        self._urgent = asyncio.Event()
        self._closing = False
        self._task: asyncio.Task[None] | None = None
        self.failures = 0

    def start(self) -> None:
        """Begin to write."""
        self._task = asyncio.get_running_loop().create_task(self._write_until_closed(), name="dashboard-store")

    def check_room(self) -> None:
        """Raise `StorageError` if no event can be numbered: the disk has taken nothing for long."""
        if self._feed.seq >= self._reserved or len(self._critical) >= self._options.critical_retained:
            raise StorageError("the store takes nothing; nothing was published")

    def changed(self, event: Event) -> None:
        """Have a value written, soon."""
        self._dirty[event.topic, event.key] = event
        self._wanted.set()

    async def stored(self, event: Event) -> None:
        """Have a critical event written; return when it is durable. Raises `StorageError`."""
        waiter = asyncio.get_running_loop().create_future()
        self._critical.append(event)
        self._waiting.append(waiter)
        self._urgent.set()
        self.changed(event)
        await waiter

    async def close(self) -> None:
        """Write what is left, and close the file."""
        self._closing = True
        self._urgent.set()
        self._wanted.set()
        if self._task is not None:
            await self._task  # not cancelled: a commit that is on its way goes on in its thread, and must end first
        await asyncio.to_thread(self._store.close)

    async def _write_until_closed(self) -> None:
        while not self._closing:
            await self._wanted.wait()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._urgent.wait(), self._options.store_interval)
            self._wanted.clear()
            self._urgent.clear()
            if (self._critical or self._dirty) and not await self._write():
                self._wanted.set()
                await asyncio.sleep(_AGAIN_S)
        await self._write(clean=True)

    async def _write(self, *, clean: bool = False) -> bool:
        feed = self._feed
        critical, dirty, waiting = list(self._critical), self._dirty, self._waiting
        self._dirty, self._waiting = {}, []
        latest, seq = list(dirty.values()), feed.seq
        problem: StorageError | None = None
        try:
            self._reserved = await asyncio.to_thread(self._store.commit, critical, latest, seq, clean=clean)
        except (sqlite3.Error, OSError, StorageError) as error:
            self.failures += 1
            log.error("the dashboard's store could not be written: %s", error)  # noqa: TRY400
            self._dirty = {**dirty, **self._dirty}
            problem = StorageError(
                "the store could not be written: the event is shown, but would not survive a restart"
            )
            self._answer(waiting, problem)
        else:
            del self._critical[: len(critical)]
            self._answer(waiting, None)
        if critical:
            feed.settle(critical[-1].seq, time.monotonic_ns())
            self._settled()
        return problem is None

    def _answer(self, waiting: list[asyncio.Future[None]], problem: StorageError | None) -> None:
        for waiter in waiting:
            if waiter.done():  # who published was cancelled
                continue
            if problem is None:
                waiter.set_result(None)
            else:
                waiter.set_exception(problem)
