"""Events of a history as rows of a timeline, around the moment that matters."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

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
    RunEnded,
    RunStarted,
)
from harness.units import SECOND
from harness.verdict import Row

ROWS_MAX: Final = 40
_SAME_S: Final = 1e-6


@dataclass(frozen=True, slots=True, kw_only=True)
class Excerpt:
    """Consecutive rows of a history and how many events were cut on either side. `samples` were left out between."""

    rows: tuple[Row, ...]
    before: int
    after: int
    samples: int


def excerpt(events: Sequence[Event], told: Sequence[Row]) -> Excerpt:
    """Return at most `ROWS_MAX` events around the first of the rows that a finding told; its events are marked.

    An event is one that was told if actor and instant are the same, or the id: a finding may name an event by the
    workload's name of it, where the history has the id that the target gave.

    Periodic samples (`stats`) are left out: they are in the charts, and would crowd out what happened.
    """
    around_ns = round(told[0].time_s * SECOND)
    telling = [
        (at, event) for at, event in enumerate(events) if not (isinstance(event, Observation) and event.name == "stats")
    ]
    middle = next((i for i, (_, event) in enumerate(telling) if event.time_ns >= around_ns), len(telling))
    start = max(0, min(middle - ROWS_MAX // 2, len(telling) - ROWS_MAX))
    chosen = telling[start : start + ROWS_MAX]
    if not chosen:
        return Excerpt(rows=(), before=0, after=0, samples=0)
    first, last = chosen[0][0], chosen[-1][0]
    return Excerpt(
        rows=tuple(row_of(event, told) for _, event in chosen),
        before=first,
        after=len(events) - last - 1,
        samples=last - first + 1 - len(chosen),
    )


def row_of(event: Event, told: Sequence[Row] = ()) -> Row:
    """Return one event as time, actor, what happened, and the id it concerns."""
    text, identity = _described(event)
    actor = event.actor if event.incarnation <= 1 else f"{event.actor} #{event.incarnation}"
    time_s = event.time_ns / SECOND
    offending = any(
        (identity and row.id == identity) or (row.actor == event.actor and abs(row.time_s - time_s) < _SAME_S)
        for row in told
    )
    return Row(time_s=time_s, actor=actor, event=text, id=identity, offending=offending)


def _described(event: Event) -> tuple[str, str]:  # noqa: C901, PLR0911 - one line for each kind of event
    match event:
        case RunStarted():
            return f"run started, seed {event.seed}", ""
        case RunEnded():
            return "run ended", ""
        case Invoke():
            return f"{event.name} invoked (op {event.op}){_fields(event.value)}", _identity(event.value)
        case Ok():
            return f"ok (op {event.op}){_fields(event.value)}", _identity(event.value)
        case Fail():
            return f"failed (op {event.op}): {event.error[:200]}", ""
        case Info():
            return f"outcome unknown (op {event.op}): {event.error[:200]}", ""
        case Observation():
            return f"{event.name}{_fields(event.value)}", _identity(event.value)
        case HostChanged():
            return f"host {event.change} {event.detail[:200]}".rstrip(), ""
        case FaultBegan():
            return f"fault {event.fault} began: {event.name} {event.mode} on {event.on}", ""
        case FaultHealed():
            return f"fault {event.fault} healed", ""


def _identity(value: Fields) -> str:
    identity = value.get("id")
    return "" if identity is None else str(identity)[:100]


def _fields(value: Fields) -> str:
    shown = " ".join(f"{key}={str(item)[:40]}" for key, item in value.items() if key not in {"id", "digest"})
    return f" {shown[:160]}" if shown else ""
