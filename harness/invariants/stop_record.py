"""What is known of an emergency stop, read once per history: where it stood when, what was done to it, what it said.

*Known* is what the harness saw: `ess` observations (samples), and what operations returned. An operation that returned
a state other than ARMED *acked* a stop: by the contract no order is under way then. Positions in `History.events` tell
apart what happened within one instant. One emergency stop a run.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from harness.history.events import Fields, Observation
from harness.history.history import History
from harness.history.query import OperationRecord, fault_windows, observations, operations
from harness.invariants.findings import Moment
from harness.units import seconds

ARMED: Final = "ARMED"
STOPPED: Final = frozenset({"TRIPPED", "COOLING_DOWN"})
STATES: Final = frozenset({ARMED, "DISABLED", *STOPPED})
DRAWDOWN_MAX: Final = 0.05
OPEN_LOSS_MAX: Final = 0.10
ERRORS_MAX: Final = 5
_COOLDOWN_S: Final = 900.0
_MAX_AGE_S: Final = 10.0
_ASKED: Final = ("metrics", "execution", "trip", "reset", "arm", "call")


@dataclass(frozen=True, slots=True)
class Known:
    """Where it stood at a time. `by` is the operation that returned it; None: a sample. Empty fields are unknown."""

    at: int
    time_ns: int
    actor: str
    incarnation: int
    state: str
    trip: str = ""
    transition: str = ""
    by: OperationRecord | None = None

    @property
    def acked(self) -> bool:
        """Whether this says that orders are stopped: COOLING_DOWN, or TRIPPED as the answer of an operation."""
        return self.state == "COOLING_DOWN" or (self.state in STOPPED and self.by is not None)

    def moment(self, *, offending: bool = False, note: str = "") -> Moment:
        """Return its row in a timeline."""
        said = f"{self.by.name} returned {self.state}" if self.by else f"stands at {self.state}"
        return Moment(self.time_ns, self.actor, said + (f": {note}" if note else ""), self.trip, offending=offending)


@dataclass(frozen=True, slots=True)
class StopRecord:
    """All of it, in order."""

    known: tuple[Known, ...]
    trail: tuple[Fields, ...] = ()
    trail_ns: int = -1
    refused_calls: Fields = field(default_factory=dict)
    cooldown_ns: int = 0
    max_age_ns: int = 0
    lost_ns: int = -1
    """When the files of the stop were last damaged, and what it knew may have been lost; -1: never."""

    def before_last_loss(self, time_ns: int) -> bool:
        """Whether what was true then may be gone from the audit trail for a reason."""
        return time_ns < self.lost_ns

    def in_trail(self, time_ns: int) -> bool:
        """Whether what was true then must be in the audit that was read back last; a run cut short reads none."""
        return not self.before_last_loss(time_ns) and time_ns <= self.trail_ns


def stop_record(history: History) -> StopRecord:
    """Return the record of the run."""
    return history.once("stop_record", lambda: _read(history))


def breached(operation: OperationRecord) -> bool:
    """Say whether the figures that an operation `metrics` fed break a limit, or are none."""
    drawdown, loss = float(operation.value["drawdown"]), float(operation.value["loss"])
    if not (math.isfinite(drawdown) and math.isfinite(loss)):
        return True
    return drawdown >= DRAWDOWN_MAX or loss >= OPEN_LOSS_MAX


def changes_to_armed(record: StopRecord) -> Iterator[tuple[Known, Known, Known]]:
    """Yield each (last known before that trip, last known stopped, first known armed) of one trip."""
    before: Known | None = None
    last: Known | None = None
    trip = ""
    for one in record.known:
        if one.state in STOPPED:
            if last is None or last.state not in STOPPED or (one.trip and trip and one.trip != trip):
                before, trip = last or one, ""
            trip = one.trip or trip
        elif one.state == ARMED and last is not None and last.state in STOPPED and before is not None:
            yield before, replace(last, trip=trip), one
        last = one


def first_signs(record: StopRecord) -> Mapping[str, int]:
    """Return the time until which each trip was not known yet: it is no older than that."""
    signs: dict[str, int] = {}
    before_ns = 0
    for one in record.known:
        if one.trip:
            signs.setdefault(one.trip, before_ns)
        if one.trip or one.state not in STOPPED:  # what names no trip may be of one that is not seen by name yet
            before_ns = one.time_ns
    return signs


def resets(history: History, trip: str) -> Iterator[OperationRecord]:
    """Yield the authorised resets of that trip that may have succeeded."""
    for one in operations(history, "reset"):
        if one.value.get("trip") == trip and one.outcome != "fail":
            yield one
    for one in calls(history):
        valid = one.value["call"] == "reset" and not one.value["defect"]
        if valid and one.value.get("trip") == trip and (one.result is None or one.result["status"] == 200):  # noqa: PLR2004 - HTTP
            yield one


def calls(history: History) -> tuple[OperationRecord, ...]:
    """Return the calls of the HTTP API."""
    return operations(history, "call")


def _read(history: History) -> StopRecord:
    limits = [seen.value for seen in observations(history, "ess_limits")]
    first = limits[0] if limits else {}
    trails, refusals = observations(history, "audit"), observations(history, "refused_calls")
    return StopRecord(
        known=tuple(sorted(_known(history), key=lambda one: one.at)),
        trail=tuple(trails[-1].value["trail"]) if trails else (),
        trail_ns=trails[-1].time_ns if trails else -1,
        refused_calls=refusals[-1].value["by_code"] if refusals else {},
        cooldown_ns=seconds(first.get("cooldown_s", _COOLDOWN_S)),
        max_age_ns=seconds(first.get("metrics_max_age_s", _MAX_AGE_S)),
        lost_ns=max((window.start_ns for window in fault_windows(history, "disk.damage")), default=-1),
    )


def _known(history: History) -> Iterator[Known]:
    for at, event in enumerate(history.events):
        if type(event) is Observation and event.name == "ess":
            value = event.value
            yield Known(
                at, event.time_ns, event.actor, event.incarnation, value["state"], value["trip"], value["transition"]
            )
    for name in _ASKED:
        for one in operations(history, name):
            if one.outcome == "ok" and one.result and "state" in one.result:
                assert one.end_at is not None
                assert one.end_ns is not None
                trip = one.result.get("trip", "")
                transition = one.result.get("transition", "")
                state = one.result["state"]
                yield Known(one.end_at, one.end_ns, one.actor, one.incarnation, state, trip, transition, one)
