"""The journal: a SQLite file that holds every entry once. Blocking; one call at a time.

An entry's identity is its kind, symbol and id; the unique index on that tells what came before, in memory that does not
grow. (Sets of intervals of ids, which would, are no use: on a symbol the exchange numbers everybody's trades, so that
one's own ids have gaps between them.) `seq` numbers entries as they came, which is how far a snapshot goes.

WAL and `synchronous=FULL`: a batch is in the file as a whole when `add` returns, or not at all, whatever dies when.
What a death tears at the end of the log SQLite finds by its checksums, and leaves out. The file is locked for as long
as it is open: two portfolios on one journal would each miss what the other takes.
"""

import contextlib
import sqlite3
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from reference_impl._portfolio.errors import ConflictError, StorageError
from reference_impl._portfolio.ledger import Trade
from reference_impl._portfolio.model import Entry, Fill, Flow

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS entries (
    seq INTEGER PRIMARY KEY,
    kind TEXT NOT NULL,
    symbol TEXT NOT NULL,
    id INTEGER NOT NULL,
    time_ms INTEGER NOT NULL,
    amount TEXT NOT NULL,
    price TEXT NOT NULL,
    fee TEXT NOT NULL,
    asset TEXT NOT NULL,
    UNIQUE (symbol, id, kind)
);
CREATE TABLE IF NOT EXISTS verified (symbol TEXT PRIMARY KEY, trade_id INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
"""
_TRADE: Final = "TRADE"
_INSERT: Final = (
    "INSERT OR IGNORE INTO entries (kind, symbol, id, time_ms, amount, price, fee, asset)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
)
_READ: Final = "SELECT kind, symbol, id, time_ms, amount, price, fee, asset, seq FROM entries "
_FIND: Final = _READ + "WHERE symbol = ? AND id = ? AND kind = ?"
_SINCE: Final = _READ + "WHERE seq > ? ORDER BY seq LIMIT ?"
_BETWEEN: Final = _READ + "WHERE symbol = ? AND kind = 'TRADE' AND id > ? AND id <= ? ORDER BY id"
_TRADES: Final = "SELECT id, amount, price FROM entries WHERE symbol = ? AND kind = 'TRADE' AND id > ? ORDER BY id"
_NEWEST: Final = "SELECT COALESCE(MAX(id), -1) FROM entries WHERE symbol = ? AND kind = 'TRADE'"
_VERIFIED: Final = (
    "INSERT INTO verified VALUES (?, ?) ON CONFLICT (symbol) DO UPDATE SET trade_id = MAX(trade_id, excluded.trade_id)"
)


@dataclass(frozen=True, slots=True)
class Added:
    """What a batch came to: the entries that are new, in order, and the number of the last one in the file."""

    new: Sequence[Entry]
    seq: int


class Journal:
    """The file. All methods but `close` raise `StorageError`; then nothing was changed."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._db: sqlite3.Connection | None = None
        self.identity = ""
        self.last = 0

    def open(self) -> None:
        """Open it, or make it. A file that another portfolio has open is refused."""
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._db = db = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False, timeout=1.0)
            db.execute("PRAGMA locking_mode = EXCLUSIVE")
            db.execute("PRAGMA journal_mode = WAL")
            db.execute("PRAGMA synchronous = FULL")
            with self._transaction():
                for statement in filter(str.strip, _SCHEMA.split(";")):
                    db.execute(statement)
                db.execute("INSERT OR IGNORE INTO meta VALUES ('identity', ?)", (uuid.uuid4().hex,))
            ((self.identity,),) = db.execute("SELECT value FROM meta WHERE key = 'identity'")
            self.last = self._last()
        except (sqlite3.Error, OSError) as error:
            self.close()
            raise StorageError(f"the journal cannot be opened: {error}") from error

    def add(self, entries: Sequence[Entry]) -> Added:
        """Have the entries in the file; durable when this returns.

        Raises:
            ConflictError: One has the id of another one. Nothing was changed.

        """
        try:
            with self._transaction() as db:
                db.executemany(_INSERT, map(_row, entries))
                last = self._last()
                new = entries if last - self.last == len(entries) else self.sift(entries)
        except (sqlite3.Error, OSError) as error:
            raise StorageError(f"the journal cannot be written: {error}") from error
        self.last = last
        return Added(new, last)

    def sift(self, entries: Sequence[Entry]) -> list[Entry]:
        """Return, of a batch that was just inserted, what is new; compare the rest with what there was."""
        fresh = {_key(entry) for entry, _ in self._read(_SINCE, self.last, -1)}
        new: list[Entry] = []
        for entry in entries:
            key = _key(entry)
            if key in fresh:
                fresh.remove(key)
                new.append(entry)
            else:
                ((known, _),) = self._read(_FIND, *key)
                if known != entry:
                    raise ConflictError(f"{key[2]} {key[1]} of {key[0] or 'the account'} was {known}; now {entry}")
        return new

    def since(self, seq: int, limit: int) -> list[tuple[Entry, int]]:
        """Return so many entries that came after that number, with theirs."""
        try:
            return list(self._read(_SINCE, seq, limit))
        except (sqlite3.Error, OSError) as error:
            raise StorageError(f"the journal cannot be read: {error}") from error

    def between(self, symbol: str, after_id: int, to_id: int) -> list[Fill]:
        """Return the trades of a symbol with ids above the first one, up to the second."""
        try:
            return [entry for entry, _ in self._read(_BETWEEN, symbol, after_id, to_id) if isinstance(entry, Fill)]
        except (sqlite3.Error, OSError) as error:
            raise StorageError(f"the journal cannot be read: {error}") from error

    def trades(self, symbol: str, after_id: int) -> Iterator[Trade]:
        """Yield the trades of a symbol with higher ids in the exchange's order."""
        try:
            for trade_id, amount, price in self._opened().execute(_TRADES, (symbol, after_id)):
                yield trade_id, Decimal(amount), Decimal(price)
        except (sqlite3.Error, OSError) as error:
            raise StorageError(f"the journal cannot be read: {error}") from error

    def newest(self, symbol: str) -> int:
        """Return the highest trade id of a symbol, -1 without any."""
        try:
            ((newest,),) = self._opened().execute(_NEWEST, (symbol,))
        except (sqlite3.Error, OSError) as error:
            raise StorageError(f"the journal cannot be read: {error}") from error
        return int(newest)

    def verified(self) -> dict[str, int]:
        """Return up to which trade id each symbol was compared with the exchange's own list."""
        return dict(self._opened().execute("SELECT symbol, trade_id FROM verified ORDER BY symbol"))

    def verify(self, symbol: str, trade_id: int) -> None:
        """Note that a symbol's trades were compared up to that id."""
        try:
            with self._transaction() as db:
                db.execute(_VERIFIED, (symbol, trade_id))
        except (sqlite3.Error, OSError) as error:
            raise StorageError(f"the journal cannot be written: {error}") from error

    def close(self) -> None:
        """Close it. Idempotent."""
        if self._db is not None:
            with contextlib.suppress(sqlite3.Error):
                self._db.close()
            self._db = None

    def _opened(self) -> sqlite3.Connection:
        if self._db is None:
            raise StorageError("the journal is not open")
        return self._db

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        db = self._opened()
        db.execute("BEGIN IMMEDIATE")
        try:
            yield db
            db.execute("COMMIT")
        except BaseException:
            with contextlib.suppress(sqlite3.Error):  # it may have rolled back by itself
                db.execute("ROLLBACK")
            raise

    def _last(self) -> int:
        ((last,),) = self._opened().execute("SELECT COALESCE(MAX(seq), 0) FROM entries")
        return int(last)

    def _read(self, query: str, *values: Any) -> Iterator[tuple[Entry, int]]:
        for row in self._opened().execute(query, values):
            yield _entry(row), row[-1]


def _key(entry: Entry) -> tuple[str, int, str]:
    return (entry.symbol, entry.trade_id, _TRADE) if isinstance(entry, Fill) else ("", entry.flow_id, entry.kind)


def _row(entry: Entry) -> tuple[str | int, ...]:
    if isinstance(entry, Fill):
        symbol, trade_id, time_ms, amount, price, fee, asset = entry
        return _TRADE, symbol, trade_id, time_ms, str(amount), str(price), str(fee), asset
    return entry.kind, "", entry.flow_id, entry.time_ms, str(entry.amount), "", "", entry.asset


def _entry(row: Sequence[Any]) -> Entry:
    kind, symbol, number, time_ms, amount, price, fee, asset = row[:8]
    if kind == _TRADE:
        return Fill(symbol, number, time_ms, Decimal(amount), Decimal(price), Decimal(fee), asset)
    return Flow(kind, number, time_ms, asset, Decimal(amount))
