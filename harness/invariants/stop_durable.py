"""ES5: after a crash at any point, the acked state or a safer one.

What was known last before a host died, by a sample or an answer, is what it acked. If orders were stopped, its next
life must begin with the same stop or a newer one; it may begin armed only if it could have been armed unseen: by an
authorised reset that was under way, or because the cooldown was over. A damaged file excuses nothing.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from harness.history.history import History
from harness.history.query import lifetimes
from harness.invariants.base import none_of
from harness.invariants.findings import Moment, at, finding
from harness.invariants.stop_record import ARMED, STOPPED, Known, StopRecord, first_signs, resets, stop_record
from harness.verdict import Finding, InvariantResult


@dataclass(frozen=True, slots=True)
class _Restart:
    last: Known
    first: Known
    tripped_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Durable:
    """ES5. Checked: restarts after which it was known where it stood."""

    id: str = "ES5"
    name: str = "durable"
    statement: str = "after a crash at any point: the acked state or a safer one"
    needs_end: bool = False

    def judge(self, history: History) -> InvariantResult:
        """Compare the ends of lives with the beginnings of the next."""
        record = stop_record(history)
        restarts = list(_restarts(history, record))
        offences = [one for one in restarts if not _is_safe(history, record, one)]
        return none_of(
            self, offences, checked=len(restarts), unit="restarts", explain=lambda: _explain(history, offences)
        )


def _restarts(history: History, record: StopRecord) -> Iterator[_Restart]:
    crashed = {
        (life.name, life.incarnation)
        for life in lifetimes(history)
        if life.ending in {"killed", "powered_off", "failed"}
    }
    tripped = first_signs(record)
    last: Known | None = None
    for one in record.known:
        if last is not None and one.incarnation > last.incarnation and (last.actor, last.incarnation) in crashed:
            yield _Restart(last, one, tripped.get(last.trip, last.time_ns))
        last = one


def _is_safe(history: History, record: StopRecord, restart: _Restart) -> bool:
    last, first = restart.last, restart.first
    if last.state not in STOPPED:
        return True
    if first.state in STOPPED:
        return bool(first.trip)
    if first.state != ARMED:
        return False
    if first.time_ns - restart.tripped_ns >= record.cooldown_ns:
        return True
    return any(one.start_ns <= first.time_ns and one.end_ns is None for one in resets(history, last.trip))


def _explain(history: History, offences: Sequence[_Restart]) -> Finding:
    first = offences[0]
    return finding(
        history,
        f"{first.last.state} was acked, and after a crash it stood at {first.first.state}",
        offences,
        label=lambda one: at(one.last.trip or one.first.actor, one.first.time_ns),
        moments=_moments,
        badness=lambda one: one.first.state == ARMED,
    )


def _moments(one: _Restart) -> Iterator[Moment]:
    yield one.last.moment()
    yield one.first.moment(offending=True, note="the first that is known of the next life")


def durable() -> Durable:
    """Declare ES5."""
    return Durable()
