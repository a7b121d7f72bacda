"""Where it stands, the audit trail and what subscribers have not heard yet: one SQLite file. Blocking.

Tables: `standing` (one row), `transitions` (the audit trail, kept for good), `outbox` (numbers of transitions that are
to be published), `incidents` and `nonces` (the newest ones only, so that no flood of bad calls can fill the disk).

A commit holds the new standing, its row of the trail and its place in the outbox, so none is there without the others.
A rollback journal rather than a write-ahead log: a log that is damaged ends early without a word, and with it the trip
that it held. The standing bears a digest, and each row of the trail one over itself and the row before, which ends in
the standing: what was changed, cut off or taken out is found at the next opening, also where SQLite sees no damage.

What cannot be read is set aside for people, and the new file begins with a trip. Only one process can have it open.
"""

import asyncio
import hashlib
import json
import sqlite3
import time
import uuid
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from typing import Any, Final, TypeVar

from reference_impl._ess.files import Files
from reference_impl._ess.model import Incident, Standing, State, StoreError, Transition

_T = TypeVar("_T")

INCIDENTS_KEPT: Final = 10_000
NONCES_KEPT: Final = 10_000
_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS standing (id INTEGER PRIMARY KEY CHECK (id = 1), body TEXT NOT NULL, digest TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS transitions (number INTEGER PRIMARY KEY, body TEXT NOT NULL, digest TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS outbox (number INTEGER PRIMARY KEY);
CREATE TABLE IF NOT EXISTS incidents (id INTEGER PRIMARY KEY, body TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS nonces (
    id INTEGER PRIMARY KEY, operator TEXT NOT NULL, nonce TEXT NOT NULL, UNIQUE (operator, nonce)
);
"""
_PRIMARY: Final = 0xFF  # of an extended SQLite error code
_NOT_DAMAGE: Final = frozenset(
    {
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_PERM,
        sqlite3.SQLITE_NOMEM,
    }
)
"""What says nothing about the file: it is there and cannot be had now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """What was found. `missed`: why it has to trip at once, as what is stored cannot be relied on; None: it can."""

    standing: Standing
    unheard: Sequence[Transition]
    missed: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Commit:
    """One thing to be written as a whole."""

    standing: Standing
    transition: Transition | None = None


class Store:
    """The file. Methods raise `sqlite3.Error` or `OSError`."""

    def __init__(self, files: Files) -> None:
        self._files = files
        self._db: sqlite3.Connection | None = None
        self._chain = ""

    @property
    def _open(self) -> sqlite3.Connection:
        if self._db is None:
            raise sqlite3.ProgrammingError("the store is not open")
        return self._db

    def open(self) -> Opened:
        """Open or create it. Writes nothing into a file that is sound, so a full disk is no obstacle."""
        missed: str | None = None
        if self._files.expected:
            try:
                found = self._read()
            except (sqlite3.DatabaseError, ValueError, KeyError, TypeError) as error:
                if isinstance(error, sqlite3.Error) and _code(error) in _NOT_DAMAGE:
                    raise
                self.close()
                aside = self._files.set_aside()
                kept = f", kept as {aside.name}" if aside else ""
                missed = f"the stored state is unreadable ({type(error).__name__}{kept})"
            else:
                if found.standing.state is not State.TRIPPED and not self._files.permitted:
                    found = replace(found, missed="a trip could not be written down before the restart")
                return found
        return self._create(missed)

    def forbid(self) -> None:
        """Have the next opening trip, whatever the file says. Needs no space."""
        self._files.forbid()

    def commit(self, commits: Sequence[Commit]) -> None:
        """Write these, in one transaction; durable when this returns.

        A trip that could not be written is to be written by itself, before a commit that ends in another state.
        """
        if commits[-1].standing.state is not State.TRIPPED:
            self._files.permit()
        chain = self._chain
        with _transaction(self._open) as db:
            for commit in commits:
                if commit.transition is not None:
                    body = _dump(asdict(commit.transition))
                    chain = _seal(chain + body)
                    db.execute("INSERT INTO transitions VALUES (?, ?, ?)", (commit.transition.number, body, chain))
                    db.execute("INSERT INTO outbox VALUES (?)", (commit.transition.number,))
            body = _dump(commits[-1].standing.saved() | {"chain": chain})
            db.execute("INSERT OR REPLACE INTO standing VALUES (1, ?, ?)", (body, _seal(body)))
        self._chain = chain

    def heard(self, number: int) -> None:
        """Take a transition out of the outbox."""
        self._open.execute("DELETE FROM outbox WHERE number = ?", (number,))

    def note(self, incidents: Sequence[Incident]) -> None:
        """Write incidents; the oldest go when there are too many."""
        with _transaction(self._open) as db:
            for incident in incidents:
                db.execute("INSERT INTO incidents (body) VALUES (?)", (_dump(asdict(incident)),))
            db.execute(
                "DELETE FROM incidents WHERE id <= (SELECT MAX(id) FROM incidents) - ?",
                (INCIDENTS_KEPT,),
            )

    def use_nonce(self, operator: str, nonce: str) -> bool:
        """Remember the id of a call; return whether it is new. The oldest of an operator's go."""
        with _transaction(self._open) as db:
            new = db.execute("INSERT OR IGNORE INTO nonces (operator, nonce) VALUES (?, ?)", (operator, nonce))
            db.execute(
                "DELETE FROM nonces WHERE operator = ?1 AND id <= (SELECT id FROM nonces WHERE operator = ?1"
                " ORDER BY id DESC LIMIT 1 OFFSET ?2)",
                (operator, NONCES_KEPT),
            )
        return new.rowcount == 1

    def trail(self) -> Sequence[Transition]:
        """Return the audit trail, oldest first."""
        return [_transition(body) for (body,) in self._open.execute("SELECT body FROM transitions ORDER BY number")]

    def incidents(self) -> Sequence[Incident]:
        """Return the incidents, oldest first."""
        rows = self._open.execute("SELECT body FROM incidents ORDER BY id")
        return [Incident(**json.loads(body)) for (body,) in rows]

    def close(self) -> None:
        """Close it."""
        if self._db is not None:
            self._db.close()
            self._db = None

    def _read(self) -> Opened:
        if not self._files.database.exists():
            raise ValueError("the file is missing")
        db = self._connect()
        (verdict,) = db.execute("PRAGMA quick_check(1)").fetchone()
        if verdict != "ok":
            raise ValueError(f"SQLite finds damage: {verdict}")
        body, digest = db.execute("SELECT body, digest FROM standing").fetchone()
        if _seal(body) != digest:
            raise ValueError("the standing is not what was written")
        saved = json.loads(body)
        chain, trail = "", {}
        for number, row, digest in db.execute("SELECT number, body, digest FROM transitions ORDER BY number"):
            chain = _seal(chain + row)
            if chain != digest:
                raise ValueError(f"the audit trail is broken at transition {number}")
            trail[number] = _transition(row)
        if chain != saved.pop("chain"):
            raise ValueError("the audit trail does not lead to where it stands")
        unheard = [trail[number] for (number,) in db.execute("SELECT number FROM outbox ORDER BY number")]
        db.execute("SELECT COUNT(*) FROM nonces").fetchone()
        self.incidents()
        self._chain = chain
        return Opened(standing=Standing(**saved | {"state": State(saved["state"])}), unheard=unheard, missed=None)

    def _create(self, missed: str | None) -> Opened:
        self._files.prepare()
        self._chain = ""
        db = self._connect()
        db.executescript(_SCHEMA)
        standing = Standing(origin=uuid.uuid4().hex[:12])
        if missed is not None:
            self._files.forbid()
        else:
            self._files.permit()
        body = _dump(standing.saved() | {"chain": ""})
        db.execute("INSERT OR REPLACE INTO standing VALUES (1, ?, ?)", (body, _seal(body)))
        return Opened(standing=standing, unheard=[], missed=missed)

    def _connect(self) -> sqlite3.Connection:
        self._db = db = sqlite3.connect(self._files.database, isolation_level=None, check_same_thread=False, timeout=1)
        db.execute("PRAGMA locking_mode=EXCLUSIVE")
        db.execute("PRAGMA journal_mode=DELETE")
        db.execute("PRAGMA synchronous=FULL")
        return db


class StoreWorker:
    """One thread that owns one `Store`: calls run one after another. Failures of the disk become `StoreError`."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="ess-store")

    def call(self, function: Callable[..., _T], *args: object) -> "asyncio.Future[_T]":
        """Run a method of the store."""
        return asyncio.get_running_loop().run_in_executor(self._executor, _typed, function, *args)

    async def close(self) -> None:
        """Close the store and end the thread."""
        await self.call(self.store.close)
        self._executor.shutdown()


def wall_ms() -> int:
    """Return the wall clock, for people to read."""
    return int(time.time() * 1_000)


def _typed(function: Callable[..., _T], *args: object) -> _T:
    try:
        return function(*args)
    except (sqlite3.Error, OSError) as error:
        raise StoreError(f"the store of the emergency stop failed: {error}") from error


def _transition(body: str) -> Transition:
    fields = json.loads(body)
    return Transition(**fields | {"source": State(fields["source"]), "target": State(fields["target"])})


def _dump(value: dict[str, Any]) -> str:
    return json.dumps(value, separators=(",", ":"))


def _seal(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _code(error: sqlite3.Error) -> int:
    return getattr(error, "sqlite_errorcode", 0) & _PRIMARY


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
