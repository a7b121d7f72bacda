"""What tells two experiments apart: their choices, and the first thing that was recorded differently. Pure."""

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Final

from harness.experiment import Experiment, Held
from harness.history.events import (
    Event,
    Fail,
    FaultBegan,
    FaultHealed,
    HostChanged,
    Info,
    Invoke,
    Observation,
    Ok,
    RunEnded,
    RunStarted,
)
from harness.history.history import History
from harness.units import MILLISECOND, SECOND, human

_VALUE_MAX: Final = 60
_ROWS: Final = 4


def lines(experiment: Experiment) -> Iterator[str]:
    """Yield what an experiment is, a line for each choice; a seed alone decides whatever is not said."""
    span = human(experiment.span_ms * MILLISECOND)
    yield f"seed {experiment.seed}, {experiment.profile} profile, faults within {span}"
    for fault in experiment.faults:
        yield said(fault)
    for host, parameter, value in experiment.workload:
        yield f"{host}: {parameter} = {value}"
    if experiment.changes is None:
        yield "callback order: shuffled by the seed"
    elif experiment.changes:
        yield f"callback order: by priority, {experiment.changes} changes"
    if experiment.calm:
        yield f"the simplest choice throughout: {', '.join(experiment.calm)}"
    for label, position, value in experiment.edits:
        yield f"but {label}[{position}] = {value}"


def said(fault: Held) -> str:
    """Return a fault as a line: when, and what."""
    return f"{fault.start_ms / 1000:.2f} s to {fault.end_ms / 1000:.2f} s  {fault.entry}"


def between(failing: Experiment, passing: Experiment) -> list[str]:
    """Return the lines that only one of the two has: `-` the failing one, `+` the passing one."""
    mine, theirs = list(lines(failing)), list(lines(passing))
    return [f"- {line}" for line in mine if line not in theirs] + [f"+ {line}" for line in theirs if line not in mine]


def parting(failing: History, passing: History) -> list[str]:
    """Return the first rows that are not the same in both, `-` those of the failing run; empty if all are the same.

    The record of faults is left out: that it differs is known.
    """
    mine, theirs = list(_rows(failing.events)), list(_rows(passing.events))
    same = next((at for at, (one, other) in enumerate(zip(mine, theirs, strict=False)) if one != other), None)
    if same is None:
        same = min(len(mine), len(theirs))
    return [
        *(f"- {row}" for row in islice(mine, same, same + _ROWS)),
        *(f"+ {row}" for row in islice(theirs, same, same + _ROWS)),
    ]


def _rows(events: Sequence[Event]) -> Iterator[str]:
    for event in events:
        if not isinstance(event, RunStarted | RunEnded | FaultBegan | FaultHealed):
            yield f"{event.time_ns / SECOND:9.3f} s  {event.actor}#{event.incarnation}  {_told(event)}"


def _told(event: Event) -> str:
    match event:
        case Invoke(name=name, value=value) | Observation(name=name, value=value):
            return f"{name} {_short(value)}"
        case Ok(value=value):
            return f"ok {_short(value)}"
        case Fail(error=error) | Info(error=error):
            return f"{'fail' if isinstance(event, Fail) else 'unknown'} {_cut(error)}"
        case HostChanged(change=change, detail=detail):
            return f"{change} {_cut(detail)}".rstrip()
        case _:
            return type(event).__name__


def _short(value: dict[str, object]) -> str:
    return _cut(" ".join(f"{name}={item}" for name, item in value.items()))


def _cut(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= _VALUE_MAX else f"{text[: _VALUE_MAX - 3]}..."
