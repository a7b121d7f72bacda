"""What an experiment reached: which faults met which operations, in which phase, with which outcome. Pure.

A phase is where an operation stood towards a fault: `cut` across its beginning, begun `inside` it, `carried` across its
healing, begun within a second `after` it. A fault may also have begun in a state of things in which none had before.
What is new is a reason to look around there; what is missing at the end of a search is what it says nothing about.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Final, NamedTuple

from harness.explore.landmarks import came_into, met
from harness.history.history import History
from harness.history.query import FaultWindow, OperationRecord, fault_windows, operations
from harness.units import SECOND

PHASES: Final = ("cut", "inside", "carried", "after")
REACHED: Final = "reached"
_LONG_NS: Final = 60 * SECOND
"""An operation that began earlier than so long before a fault is not looked for."""


class Feature(NamedTuple):
    """One thing reached: a fault and its mode, an operation, phase, outcome.

    Of two faults, `phase` has the other. Of a state that something came into, `operation` has what is observed,
    `outcome` the state; `phase` is `in` if the fault began in it, and REACHED, of no fault, for the state itself.
    """

    fault: str
    operation: str
    phase: str
    outcome: str


class Coverage:
    """All that a search has reached so far, and in how many executions each."""

    def __init__(self) -> None:
        self._seen: Counter[Feature] = Counter()

    def note(self, features: Iterable[Feature]) -> int:
        """Take in what one execution reached; return how much of that is new."""
        reached = set(features)
        fresh = sum(feature not in self._seen for feature in reached)
        self._seen.update(reached)
        return fresh

    def __len__(self) -> int:
        return len(self._seen)

    def table(self) -> list[tuple[str, str, dict[str, dict[str, int]]]]:
        """Return a row for each fault and operation that met: executions by phase and outcome."""
        rows: dict[tuple[str, str], dict[str, dict[str, int]]] = {}
        for feature, count in sorted(self._seen.items()):
            if feature.phase in PHASES:
                phases = rows.setdefault((feature.fault, feature.operation), {})
                phases.setdefault(feature.phase, {})[feature.outcome] = count
        return [(fault, operation, phases) for (fault, operation), phases in sorted(rows.items())]


def features(history: History) -> Iterator[Feature]:
    """Yield what a run reached, with repetitions."""
    windows = fault_windows(history)
    records = operations(history)
    starts = [record.start_ns for record in records]
    for observed, state in came_into(history):
        yield Feature("", observed, REACHED, state)
    for number, window in enumerate(windows):
        name = f"{window.name}/{window.mode}"
        yield Feature(name, "", "held", "")
        for observed, state in met(history, window.start_ns):
            yield Feature(name, observed, "in", state)
        for other in windows[number + 1 :]:
            if _overlap(window, other):
                yield Feature(name, "", f"with {other.name}/{other.mode}", "")
        for record in _around(records, starts, window):
            for phase in _phases(record, window):
                yield Feature(name, record.name, phase, record.outcome)


def _around(
    records: Sequence[OperationRecord], starts: Sequence[int], window: FaultWindow
) -> Sequence[OperationRecord]:
    first = bisect_left(starts, window.start_ns - _LONG_NS)
    last = len(starts) if window.end_ns is None else bisect_left(starts, window.end_ns + SECOND)
    return records[first:last]


def _phases(record: OperationRecord, window: FaultWindow) -> Iterator[str]:
    ended_ns = record.end_ns
    if record.start_ns < window.start_ns:
        if ended_ns is None or ended_ns > window.start_ns:
            yield "cut"
    elif window.holds_at(record.start_ns):
        yield "inside"
    else:
        yield "after"
        return
    if window.end_ns is not None and (ended_ns is None or ended_ns > window.end_ns):
        yield "carried"


def _overlap(one: FaultWindow, other: FaultWindow) -> bool:
    return (one.end_ns is None or other.start_ns < one.end_ns) and (other.end_ns is None or one.start_ns < other.end_ns)
