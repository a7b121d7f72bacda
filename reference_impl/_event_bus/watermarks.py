"""What a consumer has already handled: one watermark per (group, producer, event type).

First occurrences in a stream are in publish order (see `lane`), so an event whose `(epoch, seq)` is not above the
watermark is a repetition. One number replaces a set of all ids ever seen.

The file is committed once per batch, after the handlers ran and before the entries are acknowledged to Redis; groups
that finish a batch at about the same time share a commit. In WAL mode with `synchronous=NORMAL` a commit survives the
death of the process; a power cut may take back the last ones, and their events are then handled a second time.
"""

import asyncio
import sqlite3
from collections import deque
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from pathlib import Path
from typing import NamedTuple

from reference_impl._event_bus.encoding import EventKey

_SCHEMA = """
CREATE TABLE IF NOT EXISTS watermark (
    consumer_group TEXT NOT NULL,
    producer TEXT NOT NULL,
    event_type TEXT NOT NULL,
    epoch INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    PRIMARY KEY (consumer_group, producer, event_type)
) WITHOUT ROWID;
"""
_SAVE = "INSERT OR REPLACE INTO watermark VALUES (?, ?, ?, ?, ?)"
_NOTHING = (-1, -1)  # below any (epoch, seq)
_SAVE_SEVERAL = [_SAVE + ", (?, ?, ?, ?, ?)" * others for others in range(16)]


class Mark(NamedTuple):
    """One row of the file."""

    group: str
    producer: str
    event_type: str
    epoch: int
    seq: int


class Saved(NamedTuple):
    """What one commit was for, and how it failed."""

    savers: Sequence["asyncio.Future[None]"]
    error: Exception | None


class WatermarkFile:
    """The file behind all subscriptions of one bus; blocking SQLite in one thread, opened at the first use."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="event-bus-watermarks")
        self._db: sqlite3.Connection | None = None
        self._due: deque[tuple[Sequence[Mark], asyncio.Future[None]]] = deque()  # for the thread to take
        self._saving = False

    async def load(self, group: str) -> Sequence[Mark]:
        """Return the marks of a group."""
        return await asyncio.get_running_loop().run_in_executor(self._executor, self._load, group)

    def save(self, marks: Sequence[Mark]) -> "asyncio.Future[None]":
        """Commit marks, together with what others want committed before the thread gets to it."""
        saver: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._due.append((marks, saver))
        if not self._saving:
            self._begin()
        return saver

    def _begin(self) -> None:
        self._saving = True
        job = asyncio.get_running_loop().run_in_executor(self._executor, self._save_due)
        job.add_done_callback(self._ended)

    def _ended(self, job: "asyncio.Future[Saved]") -> None:
        """Tell those whose marks were taken how it went; whoever came too late gets the next commit."""
        self._saving = False
        if job.cancelled():  # the loop is closing
            while self._due:
                self._due.popleft()[1].cancel()
            return
        savers, error = job.result()
        for saver in savers:
            if saver.done():
                continue
            if error is None:
                saver.set_result(None)
            else:
                saver.set_exception(error)
        if self._due:
            self._begin()

    async def close(self) -> None:
        """Close the file and end the thread; nobody may be waiting for a `save`."""
        self._due.clear()
        await asyncio.get_running_loop().run_in_executor(self._executor, self._close)
        self._executor.shutdown()

    def _open(self) -> sqlite3.Connection:
        if self._db is None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            db = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False, timeout=5)
            try:
                db.execute("PRAGMA journal_mode=WAL")
                db.execute("PRAGMA synchronous=NORMAL")
                db.executescript(_SCHEMA)
            except BaseException:
                db.close()
                raise
            self._db = db
        return self._db

    def _load(self, group: str) -> Sequence[Mark]:
        found = self._open().execute(
            "SELECT consumer_group, producer, event_type, epoch, seq FROM watermark WHERE consumer_group = ?", (group,)
        )
        return [Mark(*row) for row in found]

    def _save_due(self) -> "Saved":
        """Commit what is due by now."""
        marks: list[Mark] = []
        savers = []
        while self._due:  # the loop only ever appends
            more, saver = self._due.popleft()
            marks += more
            savers.append(saver)
        try:
            self._save(marks)
        except Exception as error:  # noqa: BLE001 - raised by each `save` it concerns
            return Saved(savers, error)
        return Saved(savers, None)

    def _save(self, marks: Sequence[Mark]) -> None:
        if not marks:
            return
        db = self._open()
        if len(marks) <= len(_SAVE_SEVERAL):  # a statement alone is its own transaction
            db.execute(_SAVE_SEVERAL[len(marks) - 1], list(chain.from_iterable(marks)))
            return
        db.execute("BEGIN IMMEDIATE")
        try:
            db.executemany(_SAVE, marks)
            db.execute("COMMIT")
        except BaseException:
            if db.in_transaction:
                db.execute("ROLLBACK")
            raise

    def _close(self) -> None:
        if self._db is not None:
            self._db.close()
            self._db = None


class Watermarks:
    """The marks of one group in memory. Pure; what changed is collected for the next commit."""

    def __init__(self, group: str, saved: Sequence[Mark] = ()) -> None:
        self._group = group
        self._marks = {(mark.producer, mark.event_type): (mark.epoch, mark.seq) for mark in saved}
        self._changed: dict[tuple[str, str], None] = {}

    def is_duplicate(self, key: EventKey, event_type: str) -> bool:
        """Whether this event was handled before."""
        return key[1:] <= self._marks.get((key[0], event_type), _NOTHING)

    def handled(self, key: EventKey, event_type: str) -> None:
        """Raise the mark to this event."""
        place, reached = (key[0], event_type), key[1:]
        if reached > self._marks.get(place, _NOTHING):
            self._marks[place] = reached
            self._changed[place] = None

    def changed(self) -> Sequence[Mark]:
        """Return the marks raised since the last `saved`."""
        return [Mark(self._group, *place, *self._marks[place]) for place in self._changed]

    def saved(self) -> None:
        """The changed marks are committed."""
        self._changed.clear()
