"""ES2: only legal transitions, and every one in the audit trail with actor, reason and time.

The trail is what was read back last. Looked at are its rows (each legal, beginning where the one before ended, whole),
what was known of the stop from outside (each transition that a sample or an answer named is a row that leads to that
state), and where the harness cancels orders itself, that it had when COOLING_DOWN was said.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from harness.history.events import Fields
from harness.history.history import History
from harness.history.query import operations
from harness.invariants.base import none_of
from harness.invariants.findings import Moment, at, finding
from harness.invariants.stop_record import STATES, StopRecord, first_signs, stop_record
from harness.verdict import Finding, InvariantResult

LEGAL: Final = frozenset(
    {
        ("DISABLED", "ARMED"),
        ("ARMED", "DISABLED"),
        ("DISABLED", "TRIPPED"),
        ("ARMED", "TRIPPED"),
        ("COOLING_DOWN", "TRIPPED"),
        ("TRIPPED", "TRIPPED"),
        ("TRIPPED", "COOLING_DOWN"),
        ("COOLING_DOWN", "ARMED"),
    }
)
"""PATCHES.md's four states; a person can trip in any of them, also once more."""


@dataclass(frozen=True, slots=True)
class _Offence:
    time_ns: int
    actor: str
    what: str
    id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Legal:
    """ES2. Checked: rows of the trail, and transitions known from outside."""

    id: str = "ES2"
    name: str = "legal"
    statement: str = "only legal transitions; every one in the audit trail with actor, reason and time"
    needs_end: bool = True
    cancel: str | None = None
    """The operation by which the harness cancels working orders; without it COOLING_DOWN before it would be a lie."""

    def judge(self, history: History) -> InvariantResult:
        """Judge the trail by itself, then what was known by the trail."""
        record = stop_record(history)
        rows = {row["id"]: row for row in record.trail}
        offences = [
            *_bad_rows(record, len(rows)),
            *_unexplained(record, rows),
            *(() if self.cancel is None else _cooling_too_soon(history, record, self.cancel)),
        ]
        offences.sort(key=lambda one: one.time_ns)
        return none_of(
            self,
            offences,
            checked=len(record.trail) + len(_named(record)),
            unit="transitions",
            explain=lambda: _explain(history, offences),
        )


def _bad_rows(record: StopRecord, distinct: int) -> Iterator[_Offence]:
    trail = record.trail
    if distinct < len(trail):
        yield _Offence(record.trail_ns, "audit trail", "two rows have one id", "")
    state = "DISABLED"
    for row in trail:
        step = (row["from"], row["to"])
        if step not in LEGAL:
            yield _row(record, row, f"{step[0]} -> {step[1]} is no legal transition")
        elif row["from"] != state:
            yield _row(record, row, f"begins at {row['from']}, but the row before ended at {state}")
        if not row["actor"] or not row["reason"] or not row["at_ms"]:
            yield _row(record, row, "a row without actor, reason or time")
        state = row["to"]


def _unexplained(record: StopRecord, rows: Mapping[str, Fields]) -> Iterator[_Offence]:
    """Yield what was seen and is not in the trail; what was lost with a damaged file is not missed."""
    for transition, (time_ns, actor, state) in _named(record).items():
        row = rows.get(transition)
        if state not in STATES:
            yield _Offence(time_ns, actor, f"{state} is no state", transition)
        elif row is None:
            yield _Offence(time_ns, actor, f"{state} was seen, and no row of the audit trail led there", transition)
        elif row["to"] != state:
            yield _Offence(time_ns, actor, f"{state} was seen where the audit trail has {row['to']}", transition)
    trips = {row["trip"] for row in record.trail}
    seen: set[str] = set()
    for one in record.known:
        if one.trip and one.trip not in trips | seen and record.in_trail(one.time_ns):
            seen.add(one.trip)
            yield _Offence(one.time_ns, one.actor, "a trip that the audit trail does not have", one.trip)


def _named(record: StopRecord) -> dict[str, tuple[int, str, str]]:
    """Return the state that each transition was seen to have led to, when, and by whom; but for the very beginning."""
    named: dict[str, tuple[int, str, str]] = {}
    for one in record.known:
        fresh = one.state == "DISABLED" and not one.trip
        if one.transition and not fresh and record.in_trail(one.time_ns):
            named.setdefault(one.transition, (one.time_ns, one.actor, one.state))
    return named


def _cooling_too_soon(history: History, record: StopRecord, cancel: str) -> Iterator[_Offence]:
    """Yield the trips that cooled down although working orders were not cancelled since they were seen first."""
    done = [one.end_ns for one in operations(history, cancel) if one.outcome == "ok" and one.end_ns is not None]
    since_ns = first_signs(record)
    judged: set[str] = set()
    for one in record.known:
        if one.trip and one.state == "COOLING_DOWN" and one.trip not in judged:
            judged.add(one.trip)
            if not any(since_ns[one.trip] <= end_ns <= one.time_ns for end_ns in done):
                yield _Offence(one.time_ns, one.actor, "COOLING_DOWN, and nobody had cancelled orders", one.trip)


def _row(record: StopRecord, row: Fields, what: str) -> _Offence:
    return _Offence(record.trail_ns, "audit trail", what, str(row["id"]))


def _explain(history: History, offences: Sequence[_Offence]) -> Finding:
    return finding(
        history,
        f"{offences[0].what}; {len(offences)} such in all" if len(offences) > 1 else offences[0].what,
        offences,
        label=lambda one: at(one.id or one.actor, one.time_ns),
        moments=lambda one: [Moment(one.time_ns, one.actor, one.what, one.id, offending=True)],
        badness=lambda one: -one.time_ns,
    )


def legal(*, cancel: str | None = None) -> Legal:
    """Declare ES2; `cancel` names the operation by which the harness cancels working orders, if it does."""
    return Legal(cancel=cancel)
