"""HM2 and HM4: what people are told.

HM2: of a service that is well nothing bad is told, however slow the way to it. An alert is false if the service was not
ill at any time in the last `alert_ns` (twice two intervals and a timeout: what it may take to look for a cause).
Checked: checks that were answered by services under a harmless fault. Observed: false alerts.

HM4: one alert for each real transition. A *spell* is a time in which a service was ill by itself without a break. An
offence is

- `missing`: a spell, not restless, that the monitor could watch for `alert_ns` and of which nothing was told; or the
  end of one that was told of, if nothing bad followed for as long, and no all-clear;
- `again`: the same told twice in a row, or an all-clear of nothing;
- `too often`: more alerts that begin something bad than spells so far;
- `consequence`: a bad alert of a service that only its cause can have made ill;
- `false all-clear`: in the midst of a spell, a detection after it began;
- `undamped`: more than `flapping_max` alerts of a service because of one restless fault, until it has been calm for
  8 intervals; none of the others is asked of these alerts.

Checked: spells that had to be told of, and restless faults of which anything was. Observed: offences.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from harness.history.history import History
from harness.invariants.base import none_of, result
from harness.invariants.findings import Moment, at, counted, finding
from harness.invariants.health_record import (
    DEFAULT_WATCHING,
    AlertSeen,
    HealthRecord,
    Illness,
    Span,
    Watching,
    read_health,
)
from harness.units import human
from harness.verdict import Finding, InvariantResult, Outcome

_CALM_INTERVALS: Final = 8


@dataclass(frozen=True, slots=True)
class _Offence:
    service: str
    time_ns: int
    what: str
    span: Span | None = None

    def moments(self) -> Iterator[Moment]:
        if self.span is not None:
            yield Moment(self.span.start_ns, self.service, "ill", self.service)
            yield Moment(self.span.end_ns, self.service, "no longer ill by itself", self.service)
        yield Moment(self.time_ns, "harness", self.what, self.service, offending=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Quiet:
    """HM2: no alert for healthy services under latency and jitter below the timeout."""

    id: str
    name: str
    statement: str
    watching: Watching = DEFAULT_WATCHING
    needs_end: bool = False

    def judge(self, history: History) -> InvariantResult:
        """Judge each bad alert by whether the service was ill of late."""
        record = read_health(history, self.watching)
        if record is None:
            return result(self, Outcome.INCONCLUSIVE, checked=0, reason="no monitor began to watch")
        false = [
            _Offence(service, alert.time_ns, f"{alert.kind} was told of a healthy service")
            for service, alerts in record.alerts.items()
            for alert in alerts
            if not alert.is_clear and not _ill_of_late(record, service, alert.time_ns, own=False)
        ]
        false.sort(key=lambda one: one.time_ns)
        checked = _checks_under_harmless(record)
        return none_of(
            self,
            false,
            checked=checked + len(false),
            unit="alerts",
            reason="" if checked else "no service was checked under a harmless fault",
            explain=lambda: _explain(history, false, f"told within {human(record.alert_ns)} of no illness"),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Once:
    """HM4: one alert per real transition, flapping damped."""

    id: str
    name: str
    statement: str
    flapping_max: int = 5
    watching: Watching = DEFAULT_WATCHING
    needs_end: bool = False

    def judge(self, history: History) -> InvariantResult:
        """Judge the alerts of each service, over all lives of the monitor."""
        record = read_health(history, self.watching)
        if record is None:
            return result(self, Outcome.INCONCLUSIVE, checked=0, reason="no monitor began to watch")
        books = [_Book.of(record, service) for service in record.depends_on]
        offences = [offence for book in books for offence in book.offences(self.flapping_max)]
        offences.sort(key=lambda one: one.time_ns)
        checked = sum(len(book.owed) + len(book.told_restless) for book in books)
        return none_of(
            self,
            offences,
            checked=checked + len(offences),
            unit="offences",
            reason="" if checked else f"no illness lasted for {human(record.alert_ns)} of watching",
            explain=lambda: _explain(history, offences, "against one alert for each real transition"),
        )


def quiet(*, id: str = "HM2", watching: Watching = DEFAULT_WATCHING) -> Quiet:  # noqa: A002 - PATCHES.md's word
    """Declare HM2."""
    statement = "no alert for healthy services under latency and jitter below the timeout"
    return Quiet(id=id, name="quiet", statement=statement, watching=watching)


def once(*, id: str = "HM4", flapping_max: int = 5, watching: Watching = DEFAULT_WATCHING) -> Once:  # noqa: A002
    """Declare HM4; a service that flaps may be told of `flapping_max` times."""
    statement = f"one alert per real transition, flapping damped to {flapping_max}"
    return Once(id=id, name="once", statement=statement, flapping_max=flapping_max, watching=watching)


@dataclass(frozen=True, slots=True)
class _Book:
    """The alerts of one service, next to what it had by itself.

    `spells` are its own, merged; `owed` those of them that had to be told of, with the time when that was due;
    `restless` are its restless faults, each with the calm after it.
    """

    record: HealthRecord
    service: str
    alerts: tuple[AlertSeen, ...]
    spells: tuple[Span, ...]
    owed: tuple[tuple[Span, int], ...]
    restless: tuple[Span, ...]

    @classmethod
    def of(cls, record: HealthRecord, service: str) -> "_Book":
        illnesses = record.illnesses[service]
        calm_ns = _CALM_INTERVALS * record.interval_ns
        restless = tuple(Span(one.span.start_ns, one.span.end_ns + calm_ns) for one in illnesses if one.restless)
        spells = _merged([one for one in illnesses if one.is_own])
        owed = tuple(
            (spell, due_ns)
            for spell in spells
            if not any(spell.meets(span.start_ns, span.end_ns) for span in restless)
            and (due_ns := _due(record, service, spell)) is not None
        )
        return cls(record, service, record.alerts.get(service, ()), spells, owed, restless)

    @property
    def told_restless(self) -> list[list[AlertSeen]]:
        """The alerts of each restless fault of which anything was told."""
        told = [[one for one in self.alerts if _is_in(span, one.time_ns)] for span in self.restless]
        return [alerts for alerts in told if alerts]

    def offences(self, flapping_max: int) -> Iterator[_Offence]:
        yield from self._damping(flapping_max)
        yield from self._sequence()
        for spell, due_ns in self.owed:
            yield from self._missing(spell, due_ns)

    def _damping(self, flapping_max: int) -> Iterator[_Offence]:
        for alerts in self.told_restless:
            if len(alerts) > flapping_max:
                what = f"undamped: {len(alerts)} alerts while it flapped (limit {flapping_max})"
                yield _Offence(self.service, alerts[flapping_max].time_ns, what)

    def _sequence(self) -> Iterator[_Offence]:
        before: str | None = "recovered"
        begun = 0
        for alert in self.alerts:
            if any(_is_in(span, alert.time_ns) for span in self.restless):
                before = None
                continue
            if alert.kind == before:
                yield self._of(alert, f"again: {alert.kind}, as told before")
            if alert.is_clear:
                yield from self._clear(alert)
            elif not _ill_of_late(self.record, self.service, alert.time_ns, own=True):
                if _ill_of_late(self.record, self.service, alert.time_ns, own=False):
                    yield self._of(alert, f"consequence: {alert.kind}, though only its cause was ill")
            elif before in ("recovered", None):
                begun += 1
                if self._spells_until(alert.time_ns) < begun and not self.restless:
                    yield self._of(alert, f"too often: {alert.kind} for the {begun}. time")
            before = alert.kind

    def _clear(self, alert: AlertSeen) -> Iterator[_Offence]:
        latest_ns = alert.time_ns - self.record.detection_ns
        for spell in self.spells:
            if spell.start_ns <= latest_ns and alert.time_ns < spell.end_ns:
                yield self._of(alert, "false all-clear: it was ill all the while")

    def _missing(self, spell: Span, due_ns: int) -> Iterator[_Offence]:
        told = [one for one in self.alerts if spell.start_ns <= one.time_ns < spell.end_ns + self.record.timeout_ns]
        if all(one.is_clear for one in told):
            yield _Offence(self.service, due_ns, "missing: nothing was told of it by now", spell)
            return
        clear_ns = spell.end_ns + self.record.alert_ns
        well = any(
            span.start_ns <= spell.end_ns and clear_ns <= span.end_ns
            for awake in self.record.awake
            for span in self.record.well(self.service, within=awake)
        )
        if well and not any(one.is_clear and spell.end_ns <= one.time_ns <= clear_ns for one in self.alerts):
            yield _Offence(self.service, clear_ns, "missing: no all-clear by now", spell)

    def _spells_until(self, time_ns: int) -> int:
        return sum(spell.start_ns <= time_ns for spell in self.spells)

    def _of(self, alert: AlertSeen, what: str) -> _Offence:
        return _Offence(self.service, alert.time_ns, what)


def _due(record: HealthRecord, service: str, spell: Span) -> int | None:
    """Return by when that spell has to be told of; None if it is too short.

    Or if the monitor cannot tell it from a consequence: what the service depends on was ill, or looked so from there.
    """
    causes = [one.span for cause in record.depends_on[service] for one in record.illnesses[cause]]
    if any(spell.meets(span.start_ns - record.alert_ns, span.end_ns) for span in causes):
        return None
    for awake in record.awake:
        due_ns = max(spell.start_ns, awake.start_ns) + record.alert_ns
        if due_ns <= min(spell.end_ns, awake.end_ns):
            return due_ns
    return None


def _merged(illnesses: Sequence[Illness]) -> tuple[Span, ...]:
    merged: list[Span] = []
    for span in sorted((one.span for one in illnesses), key=lambda one: one.start_ns):
        if merged and span.start_ns <= merged[-1].end_ns:
            merged[-1] = Span(merged[-1].start_ns, max(merged[-1].end_ns, span.end_ns))
        else:
            merged.append(span)
    return tuple(merged)


def _ill_of_late(record: HealthRecord, service: str, time_ns: int, *, own: bool) -> bool:
    return any(
        one.span.meets(time_ns - record.alert_ns, time_ns + 1)
        for one in record.illnesses.get(service, ())
        if one.is_own or not own
    )


def _checks_under_harmless(record: HealthRecord) -> int:
    return sum(
        check.end_ns is not None and any(_is_in(span, check.start_ns) for span in spans)
        for service, spans in record.harmless.items()
        for check in record.checks.get(service, ())
    )


def _is_in(span: Span, time_ns: int) -> bool:
    return span.start_ns <= time_ns < span.end_ns


def _explain(history: History, offences: Sequence[_Offence], why: str) -> Finding:
    first = offences[0]
    return finding(
        history,
        f"{counted(len(offences), 'offence')} {why}; the first, of {first.service}: {first.what}",
        offences,
        label=lambda one: at(one.service, one.time_ns),
        moments=lambda one: one.moments(),
        badness=lambda one: -one.time_ns,  # none is worse than another: the first
    )
