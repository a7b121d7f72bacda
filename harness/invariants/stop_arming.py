"""ES3 and ES4: when it may be armed: after the cooldown or an authorised reset, and never while a limit is breached.

Both are judged from the harness's clock and the figures that it fed. A trip is no later than what is first known of
it and no earlier than what was known last before that; the earlier of the two is held against the target's cooldown,
so that seeing a trip late does not make a cooldown look short.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from harness.history.history import History
from harness.history.query import OperationRecord, lifetimes, operations
from harness.invariants.base import none_of
from harness.invariants.exchange_record import margin_ns
from harness.invariants.findings import Moment, at, finding
from harness.invariants.stop_record import ARMED, ERRORS_MAX, Known, breached, changes_to_armed, resets, stop_record
from harness.units import human, ms, seconds
from harness.verdict import Finding, InvariantResult


@dataclass(frozen=True, slots=True)
class _Early:
    before: Known
    armed: Known
    last: Known

    @property
    def after_ns(self) -> int:
        return self.armed.time_ns - self.before.time_ns


@dataclass(frozen=True, slots=True, kw_only=True)
class Cooldown:
    """ES3. Checked: the times that it was armed again after a trip."""

    id: str = "ES3"
    name: str = "cooldown"
    statement: str = "never ARMED earlier than the cooldown after the trip without an authorised reset of that trip"
    needs_end: bool = False

    def judge(self, history: History) -> InvariantResult:
        """Look at each time that it was armed."""
        record = stop_record(history)
        armed = [_Early(before, one, last) for before, last, one in changes_to_armed(record)]
        early = [one for one in armed if one.after_ns < record.cooldown_ns and not _was_reset(history, one)]
        return none_of(
            self,
            early,
            checked=len(armed),
            unit="times",
            explain=lambda: _explain_early(history, early, record.cooldown_ns),
        )


def _was_reset(history: History, armed: _Early) -> bool:
    return any(
        armed.before.time_ns <= (one.end_ns or history.end_ns) and one.start_ns <= armed.armed.time_ns
        for one in resets(history, armed.last.trip)
    )


def _explain_early(history: History, early: Sequence[_Early], cooldown_ns: int) -> Finding:
    soonest = min(one.after_ns for one in early)
    return finding(
        history,
        f"armed {human(soonest)} after the trip, and nobody had reset it (cooldown {human(cooldown_ns)})",
        early,
        label=lambda one: at(one.last.trip, one.armed.time_ns),
        moments=lambda one: [one.before.moment(), one.last.moment(), one.armed.moment(offending=True)],
        badness=lambda one: -one.after_ns,
    )


@dataclass(frozen=True, slots=True)
class _Breach:
    since: OperationRecord | None
    known: Known
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Breach:
    """ES4. Checked: figures that breach a limit or are none, silences, and rows of errors, that were looked at."""

    id: str = "ES4"
    name: str = "breach"
    statement: str = "never ARMED while a limit is breached, or without metrics"
    needs_end: bool = False
    slack_ns: int = ms(100)
    real_slack_ns: int = seconds(1)

    def judge(self, history: History) -> InvariantResult:
        """Look at what is known between one figure and the next, and after errors."""
        slack_ns = margin_ns(history, self.slack_ns, self.real_slack_ns)
        looked = [*_figures(history), *_silences(history, slack_ns), *_errors(history)]
        offences = sorted((one for _, found in looked for one in found), key=lambda one: one.known.at)
        return none_of(
            self,
            offences,
            checked=len(looked),
            unit="times",
            explain=lambda: _explain_breach(history, offences),
        )


def _fed(history: History) -> list[OperationRecord]:
    """Return what fed figures; a run may also have a dashboard that asks for another kind of `metrics`."""
    return [one for one in operations(history, "metrics") if "drawdown" in one.value]


def _figures(history: History) -> Iterator[tuple[OperationRecord, list[_Breach]]]:
    """Yield each breaching figure that was taken, and what stood at ARMED between that and the next figure."""
    fed = _fed(history)
    known = stop_record(history).known
    cursor = 0
    for number, one in enumerate(fed):
        if one.outcome != "ok" or one.end_at is None or not breached(one):
            continue
        until = fed[number + 1].start_at if number + 1 < len(fed) else len(history.events)
        while cursor < len(known) and known[cursor].at < one.end_at:
            cursor += 1
        figures = f"drawdown {one.value['drawdown']}, open loss {one.value['loss']}"
        found, look = [], cursor
        while look < len(known) and known[look].at < until:
            if known[look].state == ARMED:
                found.append(_Breach(one, known[look], f"figures in breach: {figures}"))
            look += 1
        yield one, found


def _silences(history: History, slack_ns: int) -> Iterator[tuple[OperationRecord, list[_Breach]]]:
    """Yield each silence of a living host that was longer than figures may be old, and what stood at ARMED in it."""
    record = stop_record(history)
    ends = {(life.name, life.incarnation): life.end_ns for life in lifetimes(history)}
    fed = [one for one in _fed(history) if one.end_ns is not None]
    for number, one in enumerate(fed):
        following = fed[number + 1] if number + 1 < len(fed) else None
        died_ns = ends.get((one.actor, one.incarnation))
        until_ns = min(
            history.end_ns if following is None else following.start_ns, history.end_ns if died_ns is None else died_ns
        )
        assert one.end_ns is not None
        stale_ns = one.end_ns + record.max_age_ns + slack_ns
        if until_ns > stale_ns:
            inside = [known for known in record.known if stale_ns < known.time_ns < until_ns and known.state == ARMED]
            yield one, [_Breach(one, known, "no figures for longer than they may be old") for known in inside]


def _errors(history: History) -> Iterator[tuple[OperationRecord, list[_Breach]]]:
    """Yield the last error of each full row of them while armed; its answer must not be ARMED."""
    known = {id(one.by): one for one in stop_record(history).known if one.by is not None}
    row = 0
    for one in operations(history, "execution"):
        if "ok" not in one.value:  # an executor's, in a run that has one as well
            continue
        answer = known.get(id(one))
        row = 0 if one.value["ok"] or answer is None else row + 1
        if row == ERRORS_MAX:
            assert answer is not None
            why = f"{ERRORS_MAX} executions failed in a row"
            yield one, [_Breach(one, answer, why)] if answer.state == ARMED else []
        if answer is not None and answer.state != ARMED:
            row = 0


def _explain_breach(history: History, offences: Sequence[_Breach]) -> Finding:
    return finding(
        history,
        f"ARMED with {offences[0].why}" if offences else "",
        offences,
        label=lambda one: at(one.known.trip or one.known.actor, one.known.time_ns),
        moments=_breach_moments,
        badness=lambda one: one.known.time_ns - (one.since.end_ns or 0 if one.since else 0),
    )


def _breach_moments(one: _Breach) -> Iterator[Moment]:
    if one.since is not None and one.since.end_ns is not None:
        yield Moment(one.since.end_ns, one.since.actor, f"{one.since.name} taken", one.why)
    yield one.known.moment(offending=True, note=one.why)


def cooldown() -> Cooldown:
    """Declare ES3. The cooldown is the one that the scenario gave the target (`ess_limits`)."""
    return Cooldown()


def breach() -> Breach:
    """Declare ES4."""
    return Breach()
