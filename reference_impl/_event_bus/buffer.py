"""The fallback buffer: a SQLite file that survives the process. Blocking; `BufferWorker` runs it beside the loop.

Tables: `event_buffer(id, event_type, payload, timestamp, event_id)` holds acked events that Redis has not confirmed;
`retained` holds confirmed ones that Redis may still forget (see `tail`; they do not count against the capacity);
`meta(key, value)` holds `producer`, `epoch`, `dropped` and `tail_run_id`.

One transaction per group of events (WAL, `synchronous=FULL`): the cost of an fsync is shared by everybody waiting. The
number of rows is counted once at opening and then carried along, and overflow deletes by primary key, so that the cost
of an insert does not depend on what is stored. Drops are counted in the transaction that makes them. Row ids grow while
there are rows, and are not remembered beyond that, so they need no AUTOINCREMENT, which writes a second page a commit.

A full disk takes no rows, and lets none be deleted either. Those that Redis has confirmed must not hold up direct
publishing, which needs no disk: they count as gone at once, and are deleted with the next commit that succeeds. If the
process dies before that, they are published once more, and consumers recognise the repetition.

`epoch` grows with each opening. Event ids of a later process are therefore above those of an earlier one, and a writer
that finds another epoch in the file than its own knows that it was superseded.
"""

import asyncio
import contextlib
import sqlite3
import uuid
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import msgspec

from reference_impl._event_bus.errors import BufferSupersededError, BufferUnavailableError
from reference_impl._event_bus.model import Event, Overflow

_T = TypeVar("_T")

_SCHEMA = """
CREATE TABLE IF NOT EXISTS event_buffer (
    id INTEGER PRIMARY KEY,
    event_type TEXT NOT NULL,
    payload TEXT NOT NULL,
    timestamp REAL NOT NULL,
    event_id TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS retained (
    id INTEGER PRIMARY KEY,
    event_type TEXT NOT NULL,
    payload TEXT NOT NULL,
    timestamp REAL NOT NULL,
    event_id TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
"""
_INSERT = "INSERT INTO event_buffer (event_id, event_type, payload, timestamp) VALUES (?, ?, ?, ?)"
_PRIMARY = 0xFF  # of an extended SQLite error code
_SUPERSEDED = "another bus has opened this buffer since; this one must not write any more"
_INSERT_ALONE = (  # checks the epoch itself, so it needs no transaction around it: a third of the cost
    "INSERT INTO event_buffer (event_id, event_type, payload, timestamp)"
    " SELECT ?, ?, ?, ? WHERE (SELECT value FROM meta WHERE key = 'epoch') = ?"
)
_DELETE = "DELETE FROM event_buffer WHERE id <= ?"
_COUNT = "SELECT COUNT(*) FROM event_buffer WHERE id > ? AND id <= ?"
_RETAIN = "INSERT INTO retained (event_id, event_type, payload, timestamp) VALUES (?, ?, ?, ?)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """What was found in the file."""

    producer: str
    epoch: int
    rows: int
    dropped: int
    tail: Sequence[Event]
    tail_run_id: str | None


class Appended(msgspec.Struct, frozen=True):
    """What one commit did: `accepted` events from the front of the group are in, the ids in `dropped` were given up."""

    accepted: int
    dropped: Sequence[str]
    rows: int
    dropped_ever: int


@dataclass(frozen=True, slots=True)
class Spill:
    """A tail to be written out, and the Redis process that confirmed it."""

    events: Sequence[Event]
    run_id: str | None


class Row(msgspec.Struct, frozen=True):
    """One buffered event and its row id."""

    id: int
    event: Event


class Buffer:
    """The file. Every method is one transaction; all raise `sqlite3.Error` or `OSError`."""

    def __init__(self, path: Path, capacity: int, overflow: Overflow) -> None:
        self._path = path
        self._capacity = capacity
        self._overflow = overflow
        self._epoch = 0
        self._rows = 0
        self._dropped = 0
        self._gone_up_to = 0  # rows up to this id are confirmed, but could not be deleted yet
        self._db: sqlite3.Connection | None = None

    @property
    def _open(self) -> sqlite3.Connection:
        if self._db is None:
            raise sqlite3.ProgrammingError("the buffer is not open")
        return self._db

    def open(self, name: str) -> Opened:
        """Open or create the file, and begin a new epoch. A new file is a new producer, with epochs of its own."""
        db = self._connect()
        try:
            db.execute("PRAGMA journal_mode=WAL")
            db.execute("PRAGMA synchronous=FULL")
            db.executescript(_SCHEMA)
            with _transaction(db):
                db.execute(
                    "INSERT OR IGNORE INTO meta VALUES ('producer', ?), ('epoch', '0'), ('dropped', '0')",
                    (f"{name}-{uuid.uuid4().hex[:8]}",),
                )
                db.execute("UPDATE meta SET value = value + 1 WHERE key = 'epoch'")
                meta = dict(db.execute("SELECT key, value FROM meta"))
                (rows,) = db.execute("SELECT COUNT(*) FROM event_buffer").fetchone()
                tail = db.execute("SELECT event_id, event_type, payload, timestamp FROM retained ORDER BY id")
                events = [Event(*row) for row in tail]
        except BaseException:
            db.close()
            raise
        self._db, self._rows = db, rows
        self._epoch, self._dropped = int(meta["epoch"]), int(meta["dropped"])
        return Opened(
            producer=meta["producer"],
            epoch=self._epoch,
            rows=rows,
            dropped=self._dropped,
            tail=events,
            tail_run_id=meta.get("tail_run_id") or None,
        )

    def append(self, events: Sequence[Event], spill: Spill | None) -> Appended:
        """Commit events behind all others, and the tail with them; at capacity drop the oldest or accept fewer.

        Raises:
            BufferSupersededError: Another bus has opened the file since.

        """
        db = self._open
        accepted = events
        if self._overflow == "reject":
            accepted = events[: max(0, self._capacity - self._rows)]
        if len(accepted) == 1 and spill is None and self._rows < self._capacity and not self._gone_up_to:
            if db.execute(_INSERT_ALONE, (*accepted[0], str(self._epoch))).rowcount != 1:
                raise BufferSupersededError(_SUPERSEDED)
            self._rows += 1
            return Appended(accepted=1, dropped=[], rows=self._rows, dropped_ever=self._dropped)
        with _transaction(db):
            self._check_epoch(db)
            if self._gone_up_to:
                db.execute(_DELETE, (self._gone_up_to,))
            if spill is not None:
                db.execute("DELETE FROM retained")
                db.executemany(_RETAIN, spill.events)
                db.execute("INSERT OR REPLACE INTO meta VALUES ('tail_run_id', ?)", (spill.run_id or "",))
            db.executemany(_INSERT, accepted)
            excess = self._rows + len(accepted) - self._capacity
            dropped = self._drop_oldest(db, excess) if excess > 0 else []
        self._gone_up_to = 0
        self._rows += len(accepted) - len(dropped)
        self._dropped += len(dropped)
        return Appended(accepted=len(accepted), dropped=dropped, rows=self._rows, dropped_ever=self._dropped)

    def head(self, limit: int) -> Sequence[Row]:
        """Return the oldest rows."""
        found = self._open.execute(
            "SELECT id, event_id, event_type, payload, timestamp FROM event_buffer WHERE id > ? ORDER BY id LIMIT ?",
            (self._gone_up_to, limit),
        )
        return [Row(row[0], tuple.__new__(Event, row[1:])) for row in found]

    def confirm(self, last_id: int) -> int:
        """Delete the rows up to this id, which Redis has confirmed; return how many are left.

        On a full disk they are only taken out of account, and deleted later.
        """
        db = self._open
        (gone,) = db.execute(_COUNT, (self._gone_up_to, last_id)).fetchone()
        try:
            with _transaction(db):
                self._check_epoch(db)
                db.execute(_DELETE, (last_id,))
            self._gone_up_to = 0
        except sqlite3.OperationalError as error:
            if not _is_disk_trouble(error):
                raise
            self._check_epoch(db)
            self._gone_up_to = last_id
        self._rows -= gone
        return self._rows

    def forget_tail(self) -> None:
        """Delete the written-out tail: it is in Redis, and in memory."""
        with _transaction(self._open) as db:
            self._check_epoch(db)
            db.execute("DELETE FROM retained")
            db.execute("DELETE FROM meta WHERE key = 'tail_run_id'")

    def close(self) -> None:
        """Close the file."""
        if self._db is not None:
            if self._gone_up_to:
                with contextlib.suppress(sqlite3.Error):  # then they are published once more
                    self._db.execute(_DELETE, (self._gone_up_to,))
            self._db.close()
            self._db = None

    def _connect(self) -> sqlite3.Connection:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        return sqlite3.connect(self._path, isolation_level=None, check_same_thread=False, timeout=5)

    def _check_epoch(self, db: sqlite3.Connection) -> None:
        (epoch,) = db.execute("SELECT value FROM meta WHERE key = 'epoch'").fetchone()
        if int(epoch) != self._epoch:
            raise BufferSupersededError(_SUPERSEDED)

    def _drop_oldest(self, db: sqlite3.Connection, excess: int) -> Sequence[str]:
        oldest = db.execute("SELECT id, event_id FROM event_buffer ORDER BY id LIMIT ?", (excess,)).fetchall()
        db.execute("DELETE FROM event_buffer WHERE id <= ?", (oldest[-1][0],))
        db.execute("UPDATE meta SET value = value + ? WHERE key = 'dropped'", (len(oldest),))
        return [event_id for _, event_id in oldest]


def _is_disk_trouble(error: sqlite3.Error) -> bool:
    """Say whether the disk refused; ENOSPC becomes SQLITE_FULL, a quota or a file size limit SQLITE_IOERR."""
    return getattr(error, "sqlite_errorcode", 0) & _PRIMARY in {sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR}


class _transaction:  # noqa: N801 - reads as a verb: `with _transaction(db)`
    """BEGIN IMMEDIATE, then COMMIT or ROLLBACK."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def __enter__(self) -> sqlite3.Connection:
        self._db.execute("BEGIN IMMEDIATE")
        return self._db

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        if kind is None:
            try:
                self._db.execute("COMMIT")
            except sqlite3.Error:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise
        elif self._db.in_transaction:  # a full disk makes SQLite roll back by itself
            self._db.execute("ROLLBACK")


class BufferWorker:
    """One thread that owns one `Buffer`: calls run one after another, in the order they were made."""

    def __init__(self, buffer: Buffer) -> None:
        self.buffer = buffer
        self._loop = asyncio.get_running_loop()
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="event-bus-buffer")

    def call(self, function: Callable[..., _T], *args: object) -> "asyncio.Future[_T]":
        """Run a method of the buffer; failures of the disk become `BufferUnavailableError`."""
        return self._loop.run_in_executor(self._executor, _typed, function, *args)

    async def close(self) -> None:
        """Close the buffer and end the thread."""
        await self.call(self.buffer.close)
        self._executor.shutdown()


def _typed(function: Callable[..., _T], *args: object) -> _T:
    try:
        return function(*args)
    except (sqlite3.Error, OSError) as error:
        raise BufferUnavailableError(f"the fallback buffer failed: {error}") from error
