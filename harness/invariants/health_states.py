"""HM1 and HM5: what a monitor shows is what is, soon after it changed.

Both look at what others saw when they asked the monitor. An outage has to show from two intervals and a timeout after
it began, or after the monitor was able to work, until it is over; health from two intervals after it came back. What
happens in between is the monitor's own business. A look counts if it began and ended within the time in question, so
that whatever moment its answer is of, it is one of these.

Observed: of the outages (recoveries) looked at, the longest time after which the wrong state was still seen, in
seconds; 0 if none was. Checked: outages (recoveries) that somebody looked at.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from harness.history.history import History
from harness.history.query import OperationRecord
from harness.invariants.base import result
from harness.invariants.findings import Moment, at, counted, finding
from harness.invariants.health_record import (
    DEFAULT_WATCHING,
    HealthRecord,
    Span,
    Watching,
    read_health,
    state_in,
)
from harness.units import as_seconds, human
from harness.verdict import Finding, InvariantResult, Outcome

_SHOWN = frozenset({"DEGRADED", "CRITICAL"})
_WELL = frozenset({"HEALTHY"})


@dataclass(frozen=True, slots=True)
class _Case:
    """One stretch in which one thing was to be shown of a service: from `due_ns` on it must be."""

    service: str
    what: str
    since_ns: int
    due_ns: int
    wrong: tuple[OperationRecord, ...]

    @property
    def longest_ns(self) -> int:
        return max(((look.end_ns or 0) - self.since_ns for look in self.wrong), default=0)

    def moments(self) -> Iterator[Moment]:
        yield Moment(self.since_ns, self.service, self.what, self.service)
        yield Moment(self.due_ns, "harness", "due to show", self.service)
        for look in (self.wrong[0], self.wrong[-1]):
            text = f"was seen as {state_in(look, self.service)}"
            yield Moment(look.end_ns or 0, look.actor, text, self.service, offending=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Detects:
    """HM1: an outage shows within two intervals and a timeout."""

    id: str
    name: str
    statement: str
    watching: Watching = DEFAULT_WATCHING
    needs_end: bool = False

    def judge(self, history: History) -> InvariantResult:
        """Judge each outage in each stretch in which the monitor could see it."""
        return _judge(self, history, _outages, "outage", "DEGRADED or CRITICAL", lambda record: record.detection_ns)


@dataclass(frozen=True, slots=True, kw_only=True)
class Recovers:
    """HM5: a service is HEALTHY again within two intervals of being so."""

    id: str
    name: str
    statement: str
    watching: Watching = DEFAULT_WATCHING
    needs_end: bool = False

    def judge(self, history: History) -> InvariantResult:
        """Judge each stretch in which a service was well and the monitor could see it."""
        return _judge(self, history, _recoveries, "recovery", "HEALTHY", lambda record: record.recovery_ns)


def detects(*, id: str = "HM1", watching: Watching = DEFAULT_WATCHING) -> Detects:  # noqa: A002 - PATCHES.md's word
    """Declare HM1."""
    statement = "an outage shows within 2 intervals + timeout"
    return Detects(id=id, name="detects", statement=statement, watching=watching)


def recovers(*, id: str = "HM5", watching: Watching = DEFAULT_WATCHING) -> Recovers:  # noqa: A002
    """Declare HM5."""
    statement = "back to HEALTHY within 2 intervals of the service being healthy"
    return Recovers(id=id, name="recovers", statement=statement, watching=watching)


def _outages(record: HealthRecord) -> Iterator[_Case]:
    for service, illnesses in record.illnesses.items():
        for ill in illnesses:
            for awake in () if ill.restless else record.awake:
                since_ns = max(ill.span.start_ns, awake.start_ns)
                until_ns = min(ill.span.end_ns, awake.end_ns)
                case = _case(record, service, ill.what, Span(since_ns, until_ns), record.detection_ns, _SHOWN)
                if case is not None:
                    yield case


def _recoveries(record: HealthRecord) -> Iterator[_Case]:
    for service in record.depends_on:
        for awake in record.awake:
            for well in record.well(service, within=awake):
                what = "well, and watched" if well.start_ns == awake.start_ns else "well again"
                case = _case(record, service, what, well, record.recovery_ns, _WELL)
                if case is not None:
                    yield case


def _case(
    record: HealthRecord, service: str, what: str, span: Span, limit_ns: int, right: frozenset[str]
) -> _Case | None:
    due_ns = span.start_ns + limit_ns
    seen = record.seen(Span(due_ns, span.end_ns)) if due_ns < span.end_ns else ()
    wrong = tuple(look for look in seen if state_in(look, service) not in right)
    return _Case(service, what, span.start_ns, due_ns, wrong) if seen else None


def _judge(
    invariant: Detects | Recovers,
    history: History,
    cases_of: Callable[[HealthRecord], Iterator[_Case]],
    noun: str,
    right: str,
    limit: Callable[[HealthRecord], int],
) -> InvariantResult:
    record = read_health(history, invariant.watching)
    if record is None:
        return result(invariant, Outcome.INCONCLUSIVE, checked=0, reason="no monitor began to watch")
    cases = list(cases_of(record))
    wrong = [case for case in cases if case.wrong]
    return result(
        invariant,
        Outcome.VIOLATED if wrong else Outcome.HOLDS,
        checked=len(cases),
        observed=as_seconds(max((case.longest_ns for case in wrong), default=0)),
        limit=as_seconds(limit(record)),
        unit="s",
        reason="" if cases else f"nobody looked at any {noun} that lasted {human(limit(record))}",
        finding=_explain(history, wrong, noun, right, human(limit(record))) if wrong else None,
    )


def _explain(history: History, wrong: Sequence[_Case], noun: str, right: str, limit: str) -> Finding:
    worst = max(wrong, key=lambda case: case.longest_ns)
    state = state_in(worst.wrong[-1], worst.service)
    return finding(
        history,
        f"{counted(len(wrong), noun)} not shown as {right}: {worst.service} was still {state} "
        f"{human(worst.longest_ns)} after it was {worst.what} (limit {limit})",
        sorted(wrong, key=lambda case: case.since_ns),
        label=lambda case: at(case.service, case.since_ns),
        moments=lambda case: case.moments(),
        badness=lambda case: case.longest_ns,
    )
