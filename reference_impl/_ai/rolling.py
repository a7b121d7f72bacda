"""The record of what was predicted and what came: exact counts over a window, in bounded memory. Pure.

A *record* belongs to one source in one version, so a model that takes another's place begins with none. Its window is
the newest `window` of its predictions that have an outcome, by when they were made; when outcomes arrive plays no part.
So late, repeated and disordered outcomes end in the same figures as prompt ones.

- A prediction counts once: the first outcome of an id is its outcome, whatever comes later.
- Predictions of one record come in the order of `made`; one that does not is not taken, so ids never come back.
- At most `pending` predictions of a record wait for their outcome; beyond that the oldest are given up, counted.
- At most `records_max` records are kept; beyond that the one that was longest without a prediction goes.
"""

from bisect import insort
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Final, Literal, TypeAlias

WINDOW: Final = 200
PENDING: Final = 64
RECORDS_MAX: Final = 64

Key: TypeAlias = tuple[str, str]
"""Source and version."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction:
    """What one source expects of the next move."""

    id: str
    source: str
    version: str
    made: int
    """When the candle began that it was made on, in Unix milliseconds."""
    direction: Literal[1, -1]
    confidence: float
    """How likely the source takes its direction to be, from 0.5 to 1."""
    size: int = 100
    """How much to put on it, in percent."""

    @property
    def key(self) -> Key:
        """Whose record it counts for."""
        return self.source, self.version


@dataclass(frozen=True, slots=True)
class Resolved:
    """A prediction and what came of it, in millionths of the price."""

    prediction: Prediction
    return_ppm: int
    at_ms: int

    @property
    def hit(self) -> bool:
        """Whether the price went that way; it did not if it stayed."""
        return self.prediction.direction * self.return_ppm > 0

    @property
    def reward(self) -> int:
        """What the size made of the move, in hundredths of a millionth of the price."""
        return self.prediction.size * self.prediction.direction * self.return_ppm


_made = attrgetter("prediction.made")


@dataclass(slots=True)
class Record:
    """One source's record. `reward` is the sum over the window, `as_of_ms` when the newest counted outcome came."""

    window: int
    resolved: list[Resolved] = field(default_factory=list)
    pending: dict[str, Prediction] = field(default_factory=dict)
    newest: Prediction | None = None
    hits: int = 0
    reward: int = 0
    given_up: int = 0
    as_of_ms: int | None = None

    @property
    def samples(self) -> int:
        """How many predictions the figures are of."""
        return len(self.resolved)

    @property
    def accuracy(self) -> float | None:
        """The share of hits; None without any sample."""
        return self.hits / len(self.resolved) if self.resolved else None

    @property
    def odds(self) -> float:
        """A cautious accuracy for choosing by: one half as long as nothing is known."""
        return (self.hits + 1) / (len(self.resolved) + 2)

    def count(self, one: Resolved) -> None:
        """Put an outcome in its place in the window; what is older than a full window changes nothing."""
        if len(self.resolved) == self.window and one.prediction.made < _made(self.resolved[0]):
            self.given_up += 1
            return
        insort(self.resolved, one, key=_made)
        self._sum(one, 1)
        if len(self.resolved) > self.window:
            self._sum(self.resolved.pop(0), -1)
        self.as_of_ms = one.at_ms if self.as_of_ms is None else max(self.as_of_ms, one.at_ms)

    def _sum(self, one: Resolved, sign: int) -> None:
        self.hits += sign * one.hit
        self.reward += sign * one.reward


class Rolling:
    """All records."""

    def __init__(self, *, window: int = WINDOW, pending: int = PENDING, records_max: int = RECORDS_MAX) -> None:
        if min(window, pending, records_max) < 1:
            raise ValueError(f"window {window}, pending {pending} and records_max {records_max} must be at least 1")
        self.window = window
        self._pending = pending
        self._records_max = records_max
        self._records: dict[Key, Record] = {}
        self._waiting: dict[str, Key] = {}

    def __iter__(self) -> Iterator[Key]:
        return iter(self._records)

    @property
    def waiting(self) -> Mapping[str, Key]:
        """Predictions without an outcome, by id: whose record each will count for."""
        return self._waiting

    def record(self, key: Key) -> Record:
        """Return that record, an empty one if nothing is known of it."""
        return self._records.get(key) or Record(self.window)

    def predicted(self, prediction: Prediction) -> bool:
        """Take a prediction; False if it is not newer than its record's newest, or its id is known to wait."""
        record = self._records.pop(prediction.key, None) or Record(self.window)
        self._records[prediction.key] = record  # the newest record last
        taken = prediction.id not in self._waiting and (record.newest is None or record.newest.made < prediction.made)
        if taken:
            record.newest = prediction
            record.pending[prediction.id] = prediction
            self._waiting[prediction.id] = prediction.key
            self._bound(record)
        return taken

    def resolve(self, prediction_id: str, return_ppm: int, at_ms: int) -> bool:
        """Take an outcome; False if that prediction has one already, was given up, or is not known."""
        key = self._waiting.pop(prediction_id, None)
        if key is None:
            return False
        record = self._records[key]
        record.count(Resolved(record.pending.pop(prediction_id), return_ppm, at_ms))
        return True

    def _bound(self, record: Record) -> None:
        while len(record.pending) > self._pending:
            self._drop(record, next(iter(record.pending)))
        while len(self._records) > self._records_max:
            oldest = self._records.pop(next(iter(self._records)))
            for prediction_id in list(oldest.pending):
                self._drop(oldest, prediction_id)

    def _drop(self, record: Record, prediction_id: str) -> None:
        del record.pending[prediction_id]
        del self._waiting[prediction_id]
        record.given_up += 1
