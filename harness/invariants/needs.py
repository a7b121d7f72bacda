"""Needs: what must have happened for a verdict to mean anything. An unmet need makes a run inconclusive."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from harness.history.events import JSON
from harness.history.history import History
from harness.history.query import OperationOutcome, fault_windows, observations, operations
from harness.verdict import NeedResult


class Need(Protocol):
    """Something a scenario says must have happened."""

    def check(self, history: History) -> NeedResult:
        """Tell whether it did. Pure."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AtLeast:
    """At least `count` operations of that name were invoked, with that outcome, while a fault of that name held."""

    count: int
    operation: str
    outcome: OperationOutcome | None = None
    inside: str | None = None

    def __post_init__(self) -> None:
        _check_count(self.count)

    def check(self, history: History) -> NeedResult:
        """Count them; an operation that spans two such faults counts once."""
        records = operations(history, self.operation)
        times = [one.start_ns for one in records if self.outcome is None or one.outcome == self.outcome]
        outcome = "" if self.outcome is None else f" {self.outcome}"
        return _need(history, self.count, f"{self.operation}{outcome}", times, self.inside)


@dataclass(frozen=True, slots=True, kw_only=True)
class ObservedAtLeast:
    """At least `count` observations of that name, whose value holds all of `where`, while such a fault held."""

    count: int
    observation: str
    where: Mapping[str, JSON] = field(default_factory=dict)
    inside: str | None = None

    def __post_init__(self) -> None:
        _check_count(self.count)

    def check(self, history: History) -> NeedResult:
        """Count them."""
        times = [
            seen.time_ns
            for seen in observations(history, self.observation)
            if all(name in seen.value and seen.value[name] == value for name, value in self.where.items())
        ]
        where = "".join(f" {name}={value}" for name, value in self.where.items())
        return _need(history, self.count, f"{self.observation}{where}", times, self.inside)


def at_least(
    count: int, operation: str, *, outcome: OperationOutcome | None = None, inside: str | None = None
) -> AtLeast:
    """Need `count` operations. Raises ValueError below 1: such a need could not fail."""
    return AtLeast(count=count, operation=operation, outcome=outcome, inside=inside)


def observed_at_least(
    count: int, observation: str, *, where: Mapping[str, JSON] | None = None, inside: str | None = None
) -> ObservedAtLeast:
    """Need `count` observations. Raises ValueError below 1: such a need could not fail."""
    return ObservedAtLeast(count=count, observation=observation, where=where or {}, inside=inside)


def _check_count(count: int) -> None:
    if count < 1:
        raise ValueError(f"a need of {count} could not fail; it must be at least 1")


def _need(history: History, count: int, what: str, times: Sequence[int], inside: str | None) -> NeedResult:
    place = ""
    if inside is not None:
        windows = fault_windows(history, inside)
        times = [time_ns for time_ns in times if any(window.holds_at(time_ns) for window in windows)]
        place = f" inside {inside}"
    return NeedResult(text=f"at least {count:,} {what}{place}", met=len(times) >= count, observed=len(times))
