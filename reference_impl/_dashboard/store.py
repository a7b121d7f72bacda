"""What survives the process: a SQLite file. Blocking; `Storing` calls it beside the loop.

Tables: `critical` holds the newest critical events, `latest` the newest value of each key, `meta` the rest: `epoch`,
`seq` (everything up to it is in the tables), `reserved`, `resume_floor`, `critical_floor`, `clean`, `openings`.

One transaction per group of events (WAL, `synchronous=FULL`), so that all who wait share an fsync. State events get
their numbers without waiting for it; that no number is used twice, all those up to `reserved` count as used after a
crash, and who had something of them is given a snapshot (`resume_floor`), as what they saw may not be here.
"""

import sqlite3
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from reference_impl._dashboard.errors import StorageError
from reference_impl._dashboard.feed import make_event
from reference_impl._dashboard.model import Event, Restored

RESERVED: Final = 100_000
"""Numbers reserved at once. A disk that takes nothing more leaves at least half of them, 100 s at 500 events/s."""

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS critical (
    seq INTEGER PRIMARY KEY, topic TEXT NOT NULL, key TEXT NOT NULL, at INTEGER NOT NULL, value TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS latest (
    seq INTEGER NOT NULL, topic TEXT NOT NULL, key TEXT NOT NULL, at INTEGER NOT NULL, value TEXT NOT NULL,
    PRIMARY KEY (topic, key)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
"""
_FIRST: Final = (
    "INSERT OR IGNORE INTO meta VALUES ('epoch', ?), ('seq', 0), ('reserved', 0), ('resume_floor', 0),"
    " ('critical_floor', 0), ('clean', 1), ('openings', 0)"
)
_ROWS: Final = "SELECT seq, topic, key, at, value FROM {} ORDER BY seq"


class Store:
    """The file. Every method is one transaction; all raise `sqlite3.Error` or `OSError`."""

    def __init__(self, path: Path, retained: int) -> None:
        self._path = path
        self._retained = retained
        self._rows = 0
        self._openings = ""
        self._db: sqlite3.Connection | None = None

    def open(self) -> Restored:
        """Open or create the file."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._db = db = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False, timeout=5)
        try:
            return self._restore(db)
        except BaseException:
            db.close()
            self._db = None
            raise

    def commit(self, critical: Sequence[Event], latest: Sequence[Event], seq: int, *, clean: bool = False) -> int:
        """Store these, and that all up to `seq` is stored now; return up to what number events may be numbered.

        Raises:
            StorageError: Another server has opened the file since.

        """
        reserved = seq if clean else seq + RESERVED
        excess = self._rows + len(critical) - self._retained
        with self._transaction() as db:
            (openings,) = db.execute("SELECT value FROM meta WHERE key = 'openings'").fetchone()
            if openings != self._openings:
                raise StorageError("another server has opened this store since; this one must not write any more")
            db.executemany("INSERT OR REPLACE INTO critical VALUES (?, ?, ?, ?, ?)", [event[:5] for event in critical])
            db.executemany("INSERT OR REPLACE INTO latest VALUES (?, ?, ?, ?, ?)", [event[:5] for event in latest])
            meta = {"seq": seq, "reserved": reserved, "clean": int(clean)}
            if excess > self._retained // 4:
                meta["critical_floor"] = _trim(db, excess)
            db.executemany("UPDATE meta SET value = ? WHERE key = ?", [(value, key) for key, value in meta.items()])
        self._rows += len(critical) - (excess if "critical_floor" in meta else 0)
        return reserved

    def close(self) -> None:
        """Close the file."""
        if self._db is not None:
            self._db.close()
            self._db = None

    def _restore(self, db: sqlite3.Connection) -> Restored:
        db.execute("PRAGMA journal_mode=WAL")
        db.execute("PRAGMA synchronous=FULL")
        db.executescript(_SCHEMA)
        with self._transaction():
            db.execute(_FIRST, (uuid.uuid4().hex,))
            meta = dict(db.execute("SELECT key, value FROM meta"))
            crashed = meta["clean"] == "0"
            seq = int(meta["reserved" if crashed else "seq"])
            resume_floor = seq if crashed else int(meta["resume_floor"])
            self._openings = str(int(meta["openings"]) + 1)
            changed = {
                "openings": self._openings,
                "clean": 0,
                "seq": seq,
                "reserved": seq + RESERVED,
                "resume_floor": resume_floor,
            }
            db.executemany("UPDATE meta SET value = ? WHERE key = ?", [(value, key) for key, value in changed.items()])
            critical = [make_event(*row) for row in db.execute(_ROWS.format("critical"))]
            latest = [make_event(*row) for row in db.execute(_ROWS.format("latest"))]
        self._rows = len(critical)
        return Restored(
            epoch=meta["epoch"],
            seq=seq,
            reserved=seq + RESERVED,
            resume_floor=resume_floor,
            critical_floor=int(meta["critical_floor"]),
            critical=critical,
            latest=latest,
        )

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        db = self._db
        if db is None:
            raise sqlite3.ProgrammingError("the store is not open")
        db.execute("BEGIN IMMEDIATE")
        try:
            yield db
            db.execute("COMMIT")
        except BaseException:
            if db.in_transaction:  # a full disk makes SQLite roll back by itself
                db.execute("ROLLBACK")
            raise


def _trim(db: sqlite3.Connection, excess: int) -> int:
    """Delete the oldest critical events; return the number of the last of them."""
    (floor,) = db.execute("SELECT seq FROM critical ORDER BY seq LIMIT 1 OFFSET ?", (excess - 1,)).fetchone()
    db.execute("DELETE FROM critical WHERE seq <= ?", (floor,))
    return int(floor)
