"""What an AI engine's figures must be: its states, one after each operation that its host invoked (`ai_record.py`)."""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Final, Literal, TypeAlias

from harness.history.query import OperationRecord

SLOTS: Final = ("xgb", "lgbm", "tft")
ENSEMBLE: Final = "ensemble"
META: Final = "meta-strategy"
SIZING: Final = "rl-sizing"
SOURCES: Final = (*SLOTS, ENSEMBLE, META, SIZING)

Owed: TypeAlias = Literal["value", "nothing", "either"]


@dataclass(frozen=True, slots=True)
class Expected:
    """One source's figure in one state. `as_of` is the span in which its newest outcome was taken; None: none yet."""

    owed: Owed
    samples: int = 0
    hits: int = 0
    reward: int = 0
    confidence: float | None = None
    """Of the newest prediction; None if that is not known."""
    as_of: tuple[int, int | None] | None = None
    version: str | None = None

    @property
    def accuracy(self) -> Fraction | None:
        """The share of hits."""
        return Fraction(self.hits, self.samples) if self.samples else None

    @property
    def mean_reward(self) -> Fraction | None:
        """Mean of size x direction x return, in millionths of the price."""
        return Fraction(self.reward, 100 * self.samples) if self.samples else None


@dataclass(frozen=True, slots=True)
class Fabricated:
    """A prediction of a model that could not make any, or none of one that nothing was done to."""

    record: OperationRecord
    slot: str
    what: str


@dataclass(frozen=True, slots=True)
class EngineRecord:
    """Everything one engine was given, as states. Each list holds the changes of one source, by operation."""

    actor: str
    begun: Sequence[int]
    """Where in the history each operation begins."""
    ended: Sequence[int]
    """Where the operations up to each of these have all ended (ascending; parallel to `ended_upto`)."""
    ended_upto: Sequence[int]
    doubts: Sequence[tuple[int, int | None]]
    """Operations that gave outcomes and never ended, and where in the history what they gave was confirmed."""
    changes: Mapping[str, Sequence[tuple[int, Expected]]]
    fabricated: Sequence[Fabricated]
    predicts: int
    canaries: Sequence[str]

    def candidates(self, source: str, question: OperationRecord) -> list[Expected]:
        """Return the states that the answer may have been given in."""
        assert question.end_at is not None
        at = bisect_right(self.ended, question.start_at)
        low = self.ended_upto[at - 1] if at else -1
        open_doubts = (one for one, end_at in self.doubts if end_at is None or end_at > question.start_at)
        low = min(low, *(one - 1 for one in open_doubts), low)
        high = bisect_right(self.begun, question.end_at) - 1
        changes = self.changes.get(source, ())
        first = bisect_right(changes, low, key=lambda one: one[0])
        before = [changes[first - 1][1]] if first else []
        return before + [one for number, one in changes[first:] if number <= high]
