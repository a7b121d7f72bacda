"""Moments of a run at which a fault is likely to meet something, and the state of things that it meets. Pure.

Time is mostly uneventful: a fault at a random moment meets the same as a hundred others. What is rare is a *change of
state*, such as a stop that trips, a source that becomes stale, a service that is down: an observation one of whose
fields takes few values, and keeps each for a while. Around those is where to look, and a fault that holds in a state in
which none has held before has reached something new. A kill inside an operation needs the operation to begin.
"""

import re
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from harness.explore.menu import inside_entry
from harness.history.events import HostChanged, Observation
from harness.history.history import History
from harness.history.query import operations
from harness.units import MILLISECOND

_VALUES_MAX: Final = 6
"""A field with more values names things; it is no state."""
_CHANGES_MAX: Final = 16
"""One that changes more often than that is no state either."""
_WORDS: Final = re.compile(r"[A-Za-z][A-Za-z_ -]{0,31}")
"""What a state is called; ids, prices and texts of errors are not."""


@dataclass(frozen=True, slots=True)
class Landmarks:
    """Moments of one run, in milliseconds from when every host was started.

    `changes` has a row for each state that something came into. `under_way` has a row for each operation, from when to
    when; `begins`, for each entry of a kill inside an operation, when such an operation began.
    """

    changes: tuple[tuple[int, ...], ...] = ()
    under_way: tuple[tuple[tuple[int, int], ...], ...] = ()
    begins: Mapping[str, tuple[int, ...]] = field(default_factory=dict)


class Change(NamedTuple):
    """A field of something observed took another value."""

    time_ns: int
    value: str


States = dict[tuple[str, str, str], tuple[Change, ...]]


def states(history: History) -> States:
    """Return by actor, observation and field what was a state, and its changes, the first value included."""

    def compute() -> States:
        found: dict[tuple[str, str, str], list[Change]] = defaultdict(list)
        for event in history.events:
            if isinstance(event, Observation):
                for name, value in event.value.items():
                    if isinstance(value, str | bool):
                        changes = found[event.actor, event.name, name]
                        text = str(value)
                        if len(changes) <= _CHANGES_MAX and (not changes or changes[-1].value != text):
                            changes.append(Change(event.time_ns, text))
        return {key: tuple(changes) for key, changes in sorted(found.items()) if _is_state(changes)}

    return history.once("explore.states", compute)


def _is_state(changes: list[Change]) -> bool:
    values = {change.value for change in changes}
    named = all(_WORDS.fullmatch(value) for value in values)
    return named and 1 < len(changes) <= _CHANGES_MAX and len(values) <= _VALUES_MAX


def met(history: History, time_ns: int) -> Iterator[tuple[str, str]]:
    """Yield in which states things were at that time, as (`ess.state`, `TRIPPED`), but for those they began in."""
    for (_, observation, name), changes in states(history).items():
        at = bisect_right(changes, time_ns, key=lambda change: change.time_ns) - 1
        if at > 0 and changes[at].value != changes[0].value:
            yield f"{observation}.{name}", changes[at].value


def came_into(history: History) -> Iterator[tuple[str, str]]:
    """Yield which states things came into, with repetitions, but for those they began in."""
    for (_, observation, name), changes in states(history).items():
        for change in changes[1:]:
            if change.value != changes[0].value:
                yield f"{observation}.{name}", change.value


def landmarks(history: History, span_ms: int) -> Landmarks:
    """Return the moments of a run that lie within the span in which faults may hold."""
    zero_ns = _all_started_ns(history)

    def moment_ms(time_ns: int) -> int | None:
        after_ms = (time_ns - zero_ns) // MILLISECOND
        return after_ms if 0 <= after_ms < span_ms else None

    changes: dict[tuple[str, str, str], list[int]] = defaultdict(list)
    for (_, observation, name), states_of in states(history).items():
        for change in states_of[1:]:
            if (at_ms := moment_ms(change.time_ns)) is not None:
                changes[observation, name, change.value].append(at_ms)
    begins: dict[str, list[int]] = defaultdict(list)
    under_way: dict[str, list[tuple[int, int]]] = defaultdict(list)
    for operation in operations(history):
        if (from_ms := moment_ms(operation.start_ns)) is not None:
            begins[inside_entry(operation.actor, operation.name)].append(from_ms)
            if operation.end_ns is not None:
                to_ms = (operation.end_ns - zero_ns) // MILLISECOND
                under_way[operation.name].append((from_ms, min(to_ms, span_ms)))
    return Landmarks(
        changes=tuple(tuple(sorted(set(moments))) for moments in changes.values()),
        under_way=tuple(tuple(under_way[name]) for name in sorted(under_way)),
        begins={entry: tuple(moments) for entry, moments in begins.items()},
    )


def _all_started_ns(history: History) -> int:
    """Return when the last host was started for the first time: planned times count from there."""
    first: dict[str, int] = {}
    for event in history.events:
        if isinstance(event, HostChanged) and event.change == "started":
            first.setdefault(event.actor, event.time_ns)
    return max(first.values(), default=0)
