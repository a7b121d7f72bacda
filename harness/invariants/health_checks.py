"""HM3 and HM6: that a monitor really checks, as those see it who are checked.

HM3: from one check of a service to the next there is never more than an interval, whatever the others do: from when it
was well and watched until it no longer was. Only what its own illness or the monitor's death explains is left out.
Observed: the longest such time, in milliseconds. Checked: times between two checks of a service while another was ill.

HM6: whoever is shown as HEALTHY was asked by this life of the monitor, and said so, not long ago (three intervals and
a timeout). Observed: how many were shown so without. Checked: states seen of services that had given no such answer.
"""

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from harness.history.history import History
from harness.history.query import OperationRecord
from harness.invariants.base import none_of, result
from harness.invariants.findings import Moment, at, counted, finding
from harness.invariants.health_record import DEFAULT_WATCHING, HealthRecord, Watching, read_health, state_in
from harness.units import MILLISECOND, human
from harness.verdict import Finding, InvariantResult, Outcome


@dataclass(frozen=True, slots=True)
class _Gap:
    service: str
    start_ns: int
    end_ns: int
    others: tuple[str, ...]

    @property
    def length_ns(self) -> int:
        return self.end_ns - self.start_ns

    def moments(self) -> Iterator[Moment]:
        yield Moment(self.start_ns, self.service, "checked, or well and watched", self.service)
        ill = f" ({', '.join(self.others)} ill)" if self.others else ""
        text = f"checked again after {human(self.length_ns)}, or not any more{ill}"
        yield Moment(self.end_ns, self.service, text, self.service, offending=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Isolated:
    """HM3: one hung service delays no other's check."""

    id: str
    name: str
    statement: str
    watching: Watching = DEFAULT_WATCHING
    needs_end: bool = False

    def judge(self, history: History) -> InvariantResult:
        """Judge the times between the checks of each service, as it saw them."""
        record = read_health(history, self.watching)
        if record is None:
            return result(self, Outcome.INCONCLUSIVE, checked=0, reason="no monitor began to watch")
        gaps = [gap for service in record.depends_on for gap in _gaps(record, service)]
        limit_ns = record.interval_ns + record.slack_ns
        late = sorted((gap for gap in gaps if gap.length_ns > limit_ns), key=lambda gap: gap.start_ns)
        checked = sum(bool(gap.others) for gap in gaps)
        return result(
            self,
            Outcome.VIOLATED if late else Outcome.HOLDS,
            checked=checked + len(late),
            observed=max((gap.length_ns / MILLISECOND for gap in gaps), default=None),
            limit=limit_ns / MILLISECOND,
            unit="ms",
            reason="" if checked else "no service was checked while another was ill",
            finding=self._explain(history, late, limit_ns) if late else None,
        )

    def _explain(self, history: History, late: list[_Gap], limit_ns: int) -> Finding:
        worst = max(late, key=lambda gap: gap.length_ns)
        meanwhile = f" while {', '.join(worst.others)} was ill" if worst.others else ""
        return finding(
            history,
            f"{counted(len(late), 'check')} late: {worst.service} was not checked for {human(worst.length_ns)}"
            f"{meanwhile} (limit {human(limit_ns)})",
            late,
            label=lambda gap: at(gap.service, gap.start_ns),
            moments=lambda gap: gap.moments(),
            badness=lambda gap: gap.length_ns,
        )


@dataclass(frozen=True, slots=True)
class _Claim:
    """HEALTHY, without anything to show for it. `answered_ns`: when the service last said so, in any life."""

    service: str
    look: OperationRecord
    answered_ns: int | None

    @property
    def time_ns(self) -> int:
        return self.look.end_ns or 0

    def moments(self) -> Iterator[Moment]:
        if self.answered_ns is not None:
            yield Moment(self.answered_ns, self.service, "last said that it was healthy", self.service)
        yield Moment(self.time_ns, self.look.actor, "was seen as HEALTHY", self.service, offending=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Honest:
    """HM6: what was not checked is never HEALTHY."""

    id: str
    name: str
    statement: str
    watching: Watching = DEFAULT_WATCHING
    needs_end: bool = False

    def judge(self, history: History) -> InvariantResult:
        """Judge each state that somebody saw."""
        record = read_health(history, self.watching)
        if record is None:
            return result(self, Outcome.INCONCLUSIVE, checked=0, reason="no monitor began to watch")
        limit_ns = 3 * record.interval_ns + record.timeout_ns + record.slack_ns
        unproven = [one for service in record.depends_on for one in _unproven(record, service, limit_ns)]
        claims = [one for one in unproven if state_in(one.look, one.service) == "HEALTHY"]
        claims.sort(key=lambda one: one.time_ns)
        return none_of(
            self,
            claims,
            checked=len(unproven),
            unit="states",
            reason="" if unproven else "every service had been checked whenever somebody looked",
            explain=lambda: self._explain(history, claims, limit_ns),
        )

    def _explain(self, history: History, claims: list[_Claim], limit_ns: int) -> Finding:
        first = claims[0]
        last = "never" if first.answered_ns is None else f"{human(first.time_ns - first.answered_ns)} before"
        return finding(
            history,
            f"{counted(len(claims), 'state')} HEALTHY without a check: {first.service} had last said so {last}, "
            f"or to an earlier life of the monitor (limit {human(limit_ns)})",
            claims,
            label=lambda one: at(one.service, one.time_ns),
            moments=lambda one: one.moments(),
            badness=lambda one: one.time_ns - (one.answered_ns or 0),
        )


def isolated(*, id: str = "HM3", watching: Watching = DEFAULT_WATCHING) -> Isolated:  # noqa: A002 - PATCHES.md's word
    """Declare HM3."""
    return Isolated(id=id, name="isolated", statement="one hung service delays no other's check", watching=watching)


def honest(*, id: str = "HM6", watching: Watching = DEFAULT_WATCHING) -> Honest:  # noqa: A002
    """Declare HM6."""
    statement = "a check that did not run is UNKNOWN, never HEALTHY"
    return Honest(id=id, name="honest", statement=statement, watching=watching)


def _gaps(record: HealthRecord, service: str) -> Iterator[_Gap]:
    starts = [check.start_ns for check in record.checks.get(service, ())]
    for awake in record.awake:
        for span in record.well(service, within=awake, causes=False):
            inside = [start_ns for start_ns in starts if span.start_ns < start_ns < span.end_ns]
            for start_ns, end_ns in pairwise([span.start_ns, *inside, span.end_ns]):
                yield _Gap(service, start_ns, end_ns, _ill_meanwhile(record, service, start_ns, end_ns))


def _ill_meanwhile(record: HealthRecord, service: str, start_ns: int, end_ns: int) -> tuple[str, ...]:
    return tuple(
        other
        for other, illnesses in record.illnesses.items()
        if other != service and any(one.span.meets(start_ns, end_ns) for one in illnesses)
    )


def _unproven(record: HealthRecord, service: str, limit_ns: int) -> Iterator[_Claim]:
    said = [
        check.end_ns
        for check in record.checks.get(service, ())
        if check.end_ns is not None and (check.result or {}).get("status") == "healthy"
    ]
    for look in record.looks:
        time_ns = look.end_ns or 0
        born_ns = max((life.start_ns for life in record.lives if life.start_ns <= time_ns), default=0)
        before = bisect_right(said, time_ns)
        last_ns = said[before - 1] if before else None
        if last_ns is None or last_ns < max(born_ns, time_ns - limit_ns):
            yield _Claim(service, look, last_ns)
