"""How long an operation may take, in every phase of a run.

A tail that is only bad during a fault disappears in the figure for the whole run, so the limit applies to
each phase by itself as well: each fault window, and each stretch of time without a fault. An operation
belongs to every window that it touched, and to a calm stretch only if it touched no window.

Two kinds of operations say nothing about the target and are left out, counted: those cut short because
their own host was killed or the run ended before the limit was up, and those in flight while their own
host was frozen. An operation that never came back although its host lived on past the limit is a
violation whatever the percentile.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from harness.history.history import History
from harness.history.query import (
    FaultWindow,
    Lifetime,
    OperationRecord,
    fault_windows,
    lifetimes,
    operations,
    parse_percentile,
    percentile,
)
from harness.invariants.base import result
from harness.invariants.findings import Moment, counted, finding
from harness.invariants.findings import at as at_time
from harness.units import MILLISECOND, human
from harness.verdict import Finding, InvariantResult, Outcome

_LABELS: Final = ("key", "id", "name")
"""Fields of an operation's value that can name it in a report."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounded:
    """An operation returns within `limit_ns` at the percentile `at`, overall and in every phase.

    In the real world the machine itself takes part: other processes, a slow fsync. There the limit is `real_limit_ns`,
    one that a busy machine meets and a missing timeout does not; the exact limit is the sim world's to prove.
    Observed: the worst phase's percentile, in milliseconds; unlimited values (never returned) show in the
    finding. Checked: operations measured, or found never to have returned.
    """

    id: str
    name: str
    statement: str
    operation: str
    limit_ns: int
    real_limit_ns: int | None = None
    at: str = "p99.9"
    of: str = ""
    """Only those of that host; empty: of all."""
    needs_end: bool = False

    def __post_init__(self) -> None:
        parse_percentile(self.at)
        if self.limit_ns <= 0:
            raise ValueError(f"a limit must be positive, not {self.limit_ns} ns")
        if self.real_limit_ns is not None and self.real_limit_ns < self.limit_ns:
            raise ValueError(f"the limit of the real world, {self.real_limit_ns} ns, is below {self.limit_ns} ns")

    def judge(self, history: History) -> InvariantResult:
        """Judge the durations of all outcomes alike: a quick answer is owed even if it is no."""
        if self.real_limit_ns is not None and history.header.world == "real":
            return replace(self, limit_ns=self.real_limit_ns, real_limit_ns=None).judge(history)
        begun = tuple(one for one in operations(history, self.operation) if self.of in ("", one.actor))
        sorted_out = _sort_out(history, begun, self.limit_ns)
        phases = _phases(sorted_out.measured, fault_windows(history))
        share = parse_percentile(self.at)
        figures = {phase: percentile(durations, share) for phase, durations in phases.items() if durations}
        worst = max(figures, key=lambda phase: figures[phase], default=None)
        over = [phase for phase, value in figures.items() if value > self.limit_ns]
        violated = bool(over or sorted_out.never)
        return result(
            self,
            Outcome.VIOLATED if violated else Outcome.HOLDS,
            checked=len(sorted_out.measured) + len(sorted_out.never),
            observed=None if worst is None else figures[worst] / MILLISECOND,
            limit=self.limit_ns / MILLISECOND,
            unit="ms",
            reason=sorted_out.left_out(),
            finding=self._explain(history, sorted_out, figures, over) if violated else None,
        )

    def _explain(self, history: History, sorted_out: "_SortedOut", figures: dict[str, int], over: list[str]) -> Finding:
        parts = []
        if over:
            worst = max(over, key=lambda phase: figures[phase])
            others = f", and in {counted(len(over) - 1, 'more phase')}" if len(over) > 1 else ""
            parts.append(f"{self.operation} took {human(figures[worst])} at {self.at} {worst}{others}")
        if sorted_out.never:
            parts.append(f"{len(sorted_out.never):,} {self.operation} never returned")
        slow = [record for record in sorted_out.measured if (record.duration_ns or 0) > self.limit_ns]
        offences = sorted([*slow, *sorted_out.never], key=lambda record: record.start_at)
        return finding(
            history,
            f"{'; '.join(parts)} (limit {human(self.limit_ns)})",
            offences,
            label=lambda record: at_time(_label(record), record.start_ns),
            moments=_moments,
            badness=lambda record: history.end_ns if record.duration_ns is None else record.duration_ns,
        )


@dataclass(frozen=True, slots=True)
class _SortedOut:
    measured: tuple[OperationRecord, ...]
    never: tuple[OperationRecord, ...]
    cut_short: int
    frozen: int

    def left_out(self) -> str:
        """Say what was not measured, if anything."""
        said = []
        if self.cut_short:
            said.append(f"{self.cut_short} cut short by the end of their host or of the run")
        if self.frozen:
            said.append(f"{self.frozen} in flight while their host was frozen")
        return f"left out: {', '.join(said)}" if said else ""


def _sort_out(history: History, records: Sequence[OperationRecord], limit_ns: int) -> _SortedOut:
    lives = {(life.name, life.incarnation): life for life in lifetimes(history)}
    measured: list[OperationRecord] = []
    never: list[OperationRecord] = []
    cut_short = frozen = 0
    for record in records:
        life = lives.get((record.actor, record.incarnation))
        if record.end_ns is None:
            if _awake_ns(history, record, life) > limit_ns:
                never.append(record)
            else:
                cut_short += 1
        elif life is not None and life.frozen and _touches_freeze(record, life):
            frozen += 1
        else:
            measured.append(record)
    return _SortedOut(tuple(measured), tuple(never), cut_short, frozen)


def _awake_ns(history: History, record: OperationRecord, life: Lifetime | None) -> int:
    """Return how long an unfinished operation's host lived on without standing still."""
    end_ns = history.end_ns if life is None or life.end_ns is None else life.end_ns
    frozen_ns = 0
    for from_ns, until_ns in () if life is None else life.frozen:
        frozen_ns += max(0, (end_ns if until_ns is None else until_ns) - max(from_ns, record.start_ns))
    return end_ns - record.start_ns - frozen_ns


def _touches_freeze(record: OperationRecord, life: Lifetime) -> bool:
    assert record.end_ns is not None
    return any(
        from_ns <= record.end_ns and (until_ns is None or record.start_ns < until_ns)
        for from_ns, until_ns in life.frozen
    )


def _phases(records: Sequence[OperationRecord], windows: Sequence[FaultWindow]) -> dict[str, list[int]]:
    """Return the ascending durations of each phase, by the words that a sentence says it with.

    Operations come in the order of their start, so a window that is over for one is over for the rest.
    """
    phases: dict[str, list[int]] = {"overall": sorted(_durations(records))}
    if not windows:
        return phases
    held: dict[int, list[int]] = {window.number: [] for window in windows}
    calm: dict[str, list[int]] = {}
    open_windows = list(windows)
    calm_name = "before any fault"
    for record, duration_ns in zip(records, _durations(records), strict=True):
        over = [window for window in open_windows if _is_over(window, record.start_ns)]
        if over:
            calm_name = f"after {_title(max(over, key=lambda window: window.end_ns or 0))}"
            open_windows = [window for window in open_windows if not _is_over(window, record.start_ns)]
        touched = [window for window in open_windows if _touches(record, window)]
        for window in touched:
            held[window.number].append(duration_ns)
        if not touched:
            calm.setdefault(calm_name, []).append(duration_ns)
    phases.update({f"during {_title(window)}": sorted(held[window.number]) for window in windows})
    phases.update({name: sorted(durations) for name, durations in calm.items()})
    return phases


def _durations(records: Sequence[OperationRecord]) -> Iterator[int]:
    for record in records:
        assert record.end_ns is not None
        yield record.end_ns - record.start_ns


def _is_over(window: FaultWindow, time_ns: int) -> bool:
    return window.end_ns is not None and window.end_ns <= time_ns


def _touches(record: OperationRecord, window: FaultWindow) -> bool:
    assert record.end_ns is not None
    return record.end_ns >= window.start_ns and (window.end_ns is None or record.start_ns < window.end_ns)


def _title(window: FaultWindow) -> str:
    return f"{window.name} {window.mode} (fault {window.number})"


def _label(record: OperationRecord) -> str:
    named = (str(record.value[field]) for field in _LABELS if field in record.value)
    return next(named, f"{record.name} {record.actor}#{record.incarnation}/{record.op}")


def _moments(record: OperationRecord) -> Iterator[Moment]:
    never = record.end_ns is None
    text = f"{record.name} began{' and never returned' if never else ''}"
    yield Moment(record.start_ns, record.actor, text, _label(record), offending=never)
    if record.end_ns is not None:
        took = human(record.end_ns - record.start_ns)
        said = f": {record.error}" if record.error else ""
        yield Moment(
            record.end_ns,
            record.actor,
            f"{record.name} {record.outcome} after {took}{said}",
            _label(record),
            offending=True,
        )
