"""How good a model is on data that it has not seen: fitted on the past alone, asked about what came next.

A fold is fitted on rows whose outcomes were known when its first prediction was due: the last `HORIZON` rows before it
are left out, or their labels would tell of prices that lay ahead.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from reference_impl._ai.features import HORIZON, Table
from reference_impl._ai.model import Factory


@dataclass(frozen=True, slots=True)
class Forecast:
    """One prediction of an evaluation: of the row at that place in the table."""

    at: int
    chance: float
    rose: int

    @property
    def hit(self) -> bool:
        """Whether the more likely side came."""
        return (self.chance > 0.5) == bool(self.rose)  # noqa: PLR2004 - half


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What an evaluation comes to."""

    hits: int
    samples: int
    folds: int

    @property
    def accuracy(self) -> float:
        """The share of hits."""
        return self.hits / self.samples


def walk_forward(factory: Factory, table: Table, *, first: int, step: int) -> Iterator[Forecast]:
    """Yield a forecast of each row from `first` on, by a model fitted anew every `step` rows. Raises ValueError."""
    if first <= HORIZON or step < 1:
        raise ValueError(f"a first row of {first} and a step of {step} leave nothing to learn from")
    for start in range(first, len(table.rows), step):
        model = factory()
        known = start - HORIZON
        model.fit(Table(table.rows[:known], table.labels[:known]))
        for at in range(start, min(start + step, len(table.rows))):
            yield Forecast(at, model.predict(table.rows[: at + 1]), table.labels[at])


def evaluate(factory: Factory, table: Table, *, folds: int = 3) -> Evaluation | None:
    """Return how often a model is right over the table's second half, in so many folds; None if it is too short."""
    first = len(table.rows) // 2
    step = -(-(len(table.rows) - first) // folds)
    if first <= HORIZON or step < 1:
        return None
    return summed(list(walk_forward(factory, table, first=first, step=step)), folds)


def summed(forecasts: Sequence[Forecast], folds: int) -> Evaluation:
    """Return the sum of forecasts; there is at least one."""
    return Evaluation(hits=sum(one.hit for one in forecasts), samples=len(forecasts), folds=folds)
