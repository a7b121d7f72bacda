"""Which of a run's figures say how well a target does, in what unit, and which way is better.

A run has more figures than these: totals follow from the workload, and the slowest of a few thousand calls is a single
sample. What is judged is what a release changes: how soon it recovers, how long calls take, how many do not end well,
how many get through.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from harness.history.query import percentile

_ENDINGS: Final = (
    ("_p50_ms", "ms", True),
    ("_p99_ms", "ms", True),
    ("_fail", "operations", True),
    ("_info", "operations", True),
    ("_per_s", "/s", False),
)
_RECOVERY: Final = "recovery_s"
_P90_SAMPLES_MIN: Final = 10
_P99_SAMPLES_MIN: Final = 100


@dataclass(frozen=True, slots=True)
class Measure:
    """One figure by which targets are compared."""

    name: str
    unit: str
    less_is_better: bool


def measure_of(name: str) -> Measure | None:
    """Return the measure of that name, or None if the figure says nothing of better or worse."""
    if name == _RECOVERY:
        return Measure(name, "s", less_is_better=True)
    return next((Measure(name, unit, less) for ending, unit, less in _ENDINGS if name.endswith(ending)), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """One figure over the seeds that have it. Each value is one that was observed, none an average of percentiles.

    `p90` and `p99` are None where there are fewer seeds than it takes for them to be anything but the greatest.
    """

    name: str
    samples: int
    least: float
    median: float
    p90: float | None
    p99: float | None
    greatest: float


def spread_of(name: str, values: Iterable[float | int | None]) -> Spread | None:
    """Return how a figure spreads over seeds, or None if no seed has it."""
    known = sorted(float(value) for value in values if value is not None)
    if not known:
        return None
    return Spread(
        name=name,
        samples=len(known),
        least=known[0],
        median=_rank(known, 50),
        p90=_rank(known, 90) if len(known) >= _P90_SAMPLES_MIN else None,
        p99=_rank(known, 99) if len(known) >= _P99_SAMPLES_MIN else None,
        greatest=known[-1],
    )


def spreads_of(figures: Sequence[Mapping[str, float | int | None]]) -> tuple[Spread, ...]:
    """Return how every figure spreads over these runs, in the order in which runs tell them."""
    names = dict.fromkeys(name for run in figures for name in run)
    found = (spread_of(name, (run.get(name) for run in figures)) for name in names)
    return tuple(spread for spread in found if spread is not None)


def _rank(ordered: Sequence[float], percent: float) -> float:
    return ordered[percentile(range(len(ordered)), percent)]
