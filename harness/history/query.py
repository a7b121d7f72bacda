"""Questions to a history. Each is answered from one index, built in one pass when it is first needed."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from fractions import Fraction
from typing import Final, Literal, TypeAlias

import msgspec

from harness.errors import HistoryError
from harness.history.events import (
    Event,
    Fail,
    FaultBegan,
    FaultHealed,
    Fields,
    HostChanged,
    Info,
    Invoke,
    Observation,
    Ok,
)
from harness.history.history import History

OperationOutcome: TypeAlias = Literal["ok", "fail", "info"]
Window: TypeAlias = tuple[int, int | None]
"""From (inclusive) and until (exclusive; None = to the end of the run), in nanoseconds."""

_ENDINGS: Final = frozenset({"stopped", "finished", "failed", "killed", "powered_off"})


class OperationRecord(msgspec.Struct, frozen=True, gc=False):
    """One operation: its invocation and what came of it.

    A msgspec struct, as the events are: it is made by the ten thousand, at a fifth of a frozen dataclass's cost.

    `end_ns`, `end_at` and `result` are None for an operation that never came back; its outcome is `info`. `start_at`
    and `end_at` are positions in `History.events`: they tell apart what happened within one instant.
    """

    name: str
    actor: str
    incarnation: int
    op: int
    value: Fields
    start_ns: int
    start_at: int
    end_ns: int | None
    end_at: int | None
    outcome: OperationOutcome
    result: Fields | None
    error: str | None

    @property
    def duration_ns(self) -> int | None:
        """How long it took; None if it never came back."""
        return None if self.end_ns is None else self.end_ns - self.start_ns


@dataclass(frozen=True, slots=True)
class FaultWindow:
    """One fault and the time it held; `end_ns` is None if it was never healed.

    From `healing_ns`, at most `end_ns`, it may have held for some and not for others.
    """

    number: int
    name: str
    mode: str
    on: str
    start_ns: int
    end_ns: int | None
    healing_ns: int | None = None

    def holds_at(self, time_ns: int) -> bool:
        """Tell whether the fault held at that time."""
        return self.start_ns <= time_ns and (self.end_ns is None or time_ns < self.end_ns)


@dataclass(frozen=True, slots=True)
class Lifetime:
    """One incarnation of a host. `ending` is stopped, finished, failed, killed or powered_off; None: it still lived.

    `frozen` holds the windows in which it stood still.
    """

    name: str
    incarnation: int
    start_ns: int
    end_ns: int | None
    ending: str | None
    frozen: tuple[Window, ...] = ()


@dataclass(frozen=True, slots=True)
class _Index:
    every_operation: tuple[OperationRecord, ...]
    operations: dict[str, tuple[OperationRecord, ...]]
    observations: dict[str, tuple[Observation, ...]]
    faults: tuple[FaultWindow, ...]
    lifetimes: tuple[Lifetime, ...]


def operations(history: History, name: str | None = None) -> tuple[OperationRecord, ...]:
    """Return the operations, or those of that name, in the order of their invocation.

    Raises `HistoryError` if completions and invocations do not fit together.
    """
    index = _index(history)
    return index.every_operation if name is None else index.operations.get(name, ())


def observations(history: History, name: str) -> tuple[Observation, ...]:
    """Return the observations of that name in order."""
    return _index(history).observations.get(name, ())


def fault_windows(history: History, name: str | None = None) -> tuple[FaultWindow, ...]:
    """Return the faults in the order in which they began; or those whose name matches (`network.*`)."""
    faults = _index(history).faults
    return faults if name is None else tuple(window for window in faults if fnmatchcase(window.name, name))


def lifetimes(history: History) -> tuple[Lifetime, ...]:
    """Return every incarnation of every host in the order of their starts."""
    return _index(history).lifetimes


def link_counts(
    history: History, window: FaultWindow | Window | None, to: str, *, of: str | None = None
) -> dict[str, int]:
    """Count what connections towards `to` met (connected, refused, unreachable, reset, closed), within a window.

    All hosts' connections, or those of one host.
    """
    if isinstance(window, FaultWindow):
        window = (window.start_ns, window.end_ns)
    start_ns, end_ns = window or (0, None)
    counts: dict[str, int] = {}
    for link in observations(history, "link"):
        inside = start_ns <= link.time_ns and (end_ns is None or link.time_ns < end_ns)
        if inside and link.value.get("to") == to and of in (None, link.actor):
            outcome = str(link.value.get("outcome"))
            counts[outcome] = counts.get(outcome, 0) + int(link.value.get("count", 1))
    return counts


def toxic_counts(history: History, window: FaultWindow, host: str, to: str, types: Collection[str]) -> dict[str, int]:
    """Sum up the effects of toxics of these types on the link from `host` towards `to` that ended within the window."""
    counts: dict[str, int] = {}
    for toxic in observations(history, "toxic"):
        inside = window.start_ns <= toxic.time_ns and (window.end_ns is None or toxic.time_ns <= window.end_ns)
        if inside and toxic.actor == host and toxic.value.get("to") == to and toxic.value.get("type") in types:
            for effect, count in toxic.value.items():
                if isinstance(count, int) and count:
                    counts[effect] = counts.get(effect, 0) + count
    return counts


def percentile(ordered: Sequence[int], percent: float | Fraction) -> int:
    """Return the nearest-rank percentile of ascending values: an observed value, never one in between.

    `percent` is in (0, 100]; a float is taken as the decimal it is written as, so that 99.9 is exact. Raises
    ValueError outside of that, and if there are no values.
    """
    share = (percent if isinstance(percent, Fraction) else Fraction(str(percent))) / 100
    if not 0 < share <= 1:
        raise ValueError(f"{percent} is not a percentile; it must be above 0 and at most 100")
    if not ordered:
        raise ValueError("a percentile of nothing")
    rank = -(-share.numerator * len(ordered) // share.denominator)
    return ordered[rank - 1]


def parse_percentile(text: str) -> Fraction:
    """Return `p99.9` as 99.9 and `max` as 100, exactly. Raises ValueError for anything else."""
    if text == "max":
        return Fraction(100)
    number = text.removeprefix("p")
    if number == text or not number.replace(".", "", 1).isdecimal() or not 0 < Fraction(number) <= 100:  # noqa: PLR2004 - percent
        raise ValueError(f"{text!r} is not a percentile; write p50, p99.9 or max")
    return Fraction(number)


def _index(history: History) -> _Index:
    return history.once("query.index", lambda: _build(history.events))


def _build(events: Sequence[Event]) -> _Index:
    observed: dict[str, list[Observation]] = {}
    changes: list[HostChanged] = []
    faults: list[FaultBegan | FaultHealed] = []
    for event in events:
        if type(event) is Observation:
            observed.setdefault(event.name, []).append(event)
        elif type(event) is HostChanged:
            changes.append(event)
        elif type(event) is FaultBegan or type(event) is FaultHealed:
            faults.append(event)
    paired = _pair_operations(events)
    named: dict[str, list[OperationRecord]] = {}
    for record in paired:
        named.setdefault(record.name, []).append(record)
    return _Index(
        paired,
        {name: tuple(records) for name, records in named.items()},
        {name: tuple(seen) for name, seen in observed.items()},
        _pair_faults(faults),
        _pair_lives(changes),
    )


def _pair_operations(events: Sequence[Event]) -> tuple[OperationRecord, ...]:
    begun: dict[tuple[str, int, int], int] = {}
    ended: dict[tuple[str, int, int], int] = {}
    for at, event in enumerate(events):
        kind = type(event)
        if kind is Invoke:
            table = begun
        elif kind is Ok or kind is Fail or kind is Info:
            table = ended
        else:
            continue
        key = (event.actor, event.incarnation, event.op)  # type: ignore[union-attr]  # narrowed by `kind`, for speed
        if key in table:
            raise HistoryError(f"operation {key} at {event.time_ns} ns was invoked or completed twice")
        if table is ended and key not in begun:
            raise HistoryError(f"operation {key} completed at {event.time_ns} ns without having been invoked")
        table[key] = at
    return tuple(_operation(events, at, ended.get(key)) for key, at in begun.items())


def _operation(events: Sequence[Event], at: int, end_at: int | None) -> OperationRecord:
    start = events[at]
    end = None if end_at is None else events[end_at]
    assert type(start) is Invoke
    outcome: OperationOutcome = "info"
    result: Fields | None = None
    error: str | None = None
    if type(end) is Ok:
        outcome, result = "ok", end.value
    elif type(end) is Fail:
        outcome, error = "fail", end.error
    elif type(end) is Info:
        error = end.error
    return OperationRecord(
        name=start.name,
        actor=start.actor,
        incarnation=start.incarnation,
        op=start.op,
        value=start.value,
        start_ns=start.time_ns,
        start_at=at,
        end_ns=None if end is None else end.time_ns,
        end_at=end_at,
        outcome=outcome,
        result=result,
        error=error,
    )


def _pair_faults(events: Sequence[FaultBegan | FaultHealed]) -> tuple[FaultWindow, ...]:
    began: dict[int, FaultBegan] = {}
    healed: dict[int, FaultHealed] = {}
    for event in events:
        if isinstance(event, FaultBegan):
            if event.fault in began:
                raise HistoryError(f"fault {event.fault} began twice, the second time at {event.time_ns} ns")
            began[event.fault] = event
        elif event.fault not in began or event.fault in healed:
            raise HistoryError(f"fault {event.fault} healed at {event.time_ns} ns, but did not hold")
        else:
            healed[event.fault] = event
    return tuple(_window(fault, healed.get(number)) for number, fault in began.items())


def _window(began: FaultBegan, healed: FaultHealed | None) -> FaultWindow:
    window = FaultWindow(began.fault, began.name, began.mode, began.on, began.time_ns, None)
    if healed is None:
        return window
    healing_ns = healed.time_ns if healed.healing_ns is None else healed.healing_ns
    return replace(window, end_ns=healed.time_ns, healing_ns=healing_ns)


def _pair_lives(changes: Sequence[HostChanged]) -> tuple[Lifetime, ...]:
    grouped: dict[tuple[str, int], list[HostChanged]] = {}
    for change in changes:
        grouped.setdefault((change.actor, change.incarnation), []).append(change)
    return tuple(_life(name, incarnation, life) for (name, incarnation), life in grouped.items())


def _life(name: str, incarnation: int, changes: Sequence[HostChanged]) -> Lifetime:
    end_ns: int | None = None
    ending: str | None = None
    frozen: list[Window] = []
    for change in changes:
        if change.change in _ENDINGS:
            end_ns, ending = change.time_ns, change.change
        elif change.change == "frozen":
            frozen.append((change.time_ns, None))
        elif change.change == "thawed" and frozen:
            frozen[-1] = (frozen[-1][0], change.time_ns)
    if frozen and frozen[-1][1] is None:
        frozen[-1] = (frozen[-1][0], end_ns)
    return Lifetime(name, incarnation, changes[0].time_ns, end_ns, ending, tuple(frozen))
