"""ES6: every trip event reaches its subscribers, a Redis outage included.

Owed are the trips that the harness knows of, from outside or from the audit trail, to every group that subscribed
(`groups`); heard is what a subscriber observed as `heard` {group, trip, to}. Of other transitions those in the trail
are owed too: who heard of a stop must hear of its end.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from harness.history.history import History
from harness.history.query import lifetimes, observations
from harness.invariants.base import none_of
from harness.invariants.exchange_record import margin_ns
from harness.invariants.findings import Moment, at, counted, finding
from harness.invariants.stop_record import STOPPED, StopRecord, stop_record
from harness.units import seconds
from harness.verdict import Finding, InvariantResult


@dataclass(frozen=True, slots=True)
class _Missed:
    time_ns: int
    group: str
    what: str
    id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """ES6. Checked: transitions owed, for each group.

    Publishing takes a moment (`publishing_ns`). What happened less than that before the subscribers ended is not owed,
    nor a trip less than that before its file was damaged: the trip that the damage causes is owed instead.
    """

    id: str = "ES6"
    name: str = "heard"
    statement: str = "every trip event reaches its subscribers, Redis outage included"
    needs_end: bool = True
    publishing_ns: int = seconds(1)
    real_publishing_ns: int = seconds(3)

    def judge(self, history: History) -> InvariantResult:
        """Compare what is owed with what was heard."""
        record = stop_record(history)
        groups = sorted({group for seen in observations(history, "groups") for group in seen.value["groups"]})
        publishing_ns = margin_ns(history, self.publishing_ns, self.real_publishing_ns)
        until_ns = _listening_until(history) - publishing_ns
        trips, others = _trips(record, publishing_ns, until_ns), _others(record, until_ns)
        heard = observations(history, "heard")
        missed: list[_Missed] = []
        for group in groups:
            told = [seen.value for seen in heard if seen.value["group"] == group]
            tripped = {value["trip"] for value in told if value["to"] == "TRIPPED"}
            ids = {value["transition"] for value in told}
            missed += [_Missed(ns, group, "trip", trip) for trip, ns in trips.items() if trip not in tripped]
            missed += [_Missed(ns, group, what, one) for one, (ns, what) in others.items() if one not in ids]
        missed.sort(key=lambda one: one.time_ns)
        return none_of(
            self,
            missed,
            checked=len(groups) * (len(trips) + len(others)),
            unit="transitions",
            explain=lambda: _explain(history, missed),
        )


def _listening_until(history: History) -> int:
    """Return when the last of the subscribers ended."""
    who = {seen.actor for seen in observations(history, "groups")}
    ends = [history.end_ns if life.end_ns is None else life.end_ns for life in lifetimes(history) if life.name in who]
    return max(ends, default=history.end_ns)


def _trips(record: StopRecord, publishing_ns: int, until_ns: int) -> Mapping[str, int]:
    """Return the trips that are owed, and when each was known first."""
    known: dict[str, int] = {}
    for one in record.known:
        if one.trip and one.state in STOPPED:
            known.setdefault(one.trip, one.time_ns)
    lost_ns = record.lost_ns
    lost = {trip for trip, ns in known.items() if lost_ns - publishing_ns < ns <= lost_ns}
    return {trip: ns for trip, ns in known.items() if ns <= until_ns and trip not in lost}


def _others(record: StopRecord, until_ns: int) -> Mapping[str, tuple[int, str]]:
    """Return the rows of the trail up to the last one that was known in time."""
    known = {one.transition for one in record.known if one.transition and one.time_ns <= until_ns}
    last = max((number for number, row in enumerate(record.trail) if row["id"] in known), default=-1)
    return {row["id"]: (record.trail_ns, f"{row['from']} -> {row['to']}") for row in record.trail[: last + 1]}


def _explain(history: History, missed: Sequence[_Missed]) -> Finding:
    first = missed[0]
    return finding(
        history,
        f"{counted(len(missed), 'transition')} never heard of, the first a {first.what} by {first.group}",
        missed,
        label=lambda one: at(one.id, one.time_ns),
        moments=lambda one: [Moment(one.time_ns, one.group, f"never heard of this {one.what}", one.id, offending=True)],
        badness=lambda one: -one.time_ns,
    )


def heard() -> Heard:
    """Declare ES6."""
    return Heard()
