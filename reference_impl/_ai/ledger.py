"""Predictions and outcomes on disk, so that figures are the same after a crash. SQLite, one commit per batch.

What was committed is counted again when the file is opened; what was not was never acknowledged. Every call is meant
for a worker thread. Only the newest rows are kept: enough for every record's window many times over.
"""

import sqlite3
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from reference_impl._ai.rolling import Prediction, Rolling

ROWS_MAX: Final = 50_000
_PRUNE_EVERY: Final = 1_000
"""Commits between two clean-ups."""

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS prediction (
    id TEXT PRIMARY KEY, source TEXT NOT NULL, version TEXT NOT NULL, made INTEGER NOT NULL,
    direction INTEGER NOT NULL, confidence REAL NOT NULL, size INTEGER NOT NULL,
    return_ppm INTEGER, at_ms INTEGER
);
CREATE INDEX IF NOT EXISTS by_candle ON prediction (made);
"""
_COLUMNS: Final = "id, source, version, made, direction, confidence, size"
_INSERT: Final = f"INSERT INTO prediction ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO NOTHING"  # noqa: S608 - constants
_SELECT: Final = f"SELECT {_COLUMNS}, return_ppm, at_ms FROM prediction"  # noqa: S608 - constants
_RESOLVE: Final = "UPDATE prediction SET return_ppm = ?, at_ms = ? WHERE id = ? AND return_ppm IS NULL"
_PRUNE: Final = "DELETE FROM prediction WHERE rowid <= (SELECT MAX(rowid) FROM prediction) - ?"


class Ledger:
    """The file. Every method is one transaction; all raise `sqlite3.Error` or `OSError`."""

    def __init__(self, path: Path, *, rows_max: int = ROWS_MAX) -> None:
        self._path = path
        self._rows_max = rows_max
        self._db: sqlite3.Connection | None = None
        self._commits = 0

    @property
    def _open(self) -> sqlite3.Connection:
        if self._db is None:
            raise sqlite3.ProgrammingError("the ledger is not open")
        return self._db

    def open(self, rolling: Rolling) -> None:
        """Open or create the file, and enter all that it holds into the records."""
        db = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False)
        try:
            db.execute("PRAGMA journal_mode=WAL")
            db.execute("PRAGMA synchronous=FULL")
            db.executescript(_SCHEMA)
            for *columns, return_ppm, at_ms in db.execute(f"{_SELECT} ORDER BY made, rowid"):
                one = _prediction(columns)
                rolling.predicted(one)
                if return_ppm is not None:
                    rolling.resolve(one.id, return_ppm, at_ms)
        except BaseException:
            db.close()
            raise
        self._db = db

    def predictions_of(self, made: int) -> list[Prediction]:
        """Return what was predicted on that candle, in the order it was stored."""
        found = self._open.execute(f"{_SELECT} WHERE made = ? ORDER BY rowid", (made,))
        return [_prediction(columns) for *columns, _, _ in found]

    def store(self, predictions: Sequence[Prediction]) -> None:
        """Commit predictions."""
        with self._open as db:
            db.execute("BEGIN IMMEDIATE")
            db.executemany(
                _INSERT,
                [
                    (one.id, one.source, one.version, one.made, one.direction, one.confidence, one.size)
                    for one in predictions
                ],
            )
            self._commits += 1
            if self._commits % _PRUNE_EVERY == 0:
                db.execute(_PRUNE, (self._rows_max,))

    def resolve(self, outcomes: Iterable[tuple[str, int]], at_ms: int) -> None:
        """Commit outcomes; the first of each prediction stays."""
        with self._open as db:
            db.execute("BEGIN IMMEDIATE")
            db.executemany(_RESOLVE, [(return_ppm, at_ms, one) for one, return_ppm in outcomes])

    def close(self) -> None:
        """Close the file. Idempotent."""
        if self._db is not None:
            self._db.close()
            self._db = None


def _prediction(columns: Sequence[object]) -> Prediction:
    names = ("id", "source", "version", "made", "direction", "confidence", "size")
    return Prediction(**dict(zip(names, columns, strict=True)))  # type: ignore[arg-type]  # the schema has the types
