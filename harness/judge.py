"""From a history to a verdict. Pure: `harness run` and `harness check` come here with the same history and leave alike.

PASS needs everything: every planned fault began, was healed and proves that it bit; every need is met; every
invariant holds and had something to look at; no host failed on its own; the history is whole. A violated invariant is
FAIL whatever else is missing. Anything that leaves room for doubt is INCONCLUSIVE, and what the harness itself got
wrong is ERROR.
"""

from dataclasses import dataclass

from harness.errors import HistoryError
from harness.history.events import HostChanged, Observation, RunStarted
from harness.history.history import History
from harness.history.query import FaultWindow, fault_windows
from harness.invariants.base import judge_all
from harness.scenario import PlannedFault, Profile, Scenario, plan
from harness.tape import Tape
from harness.units import as_seconds
from harness.verdict import FaultResult, InvariantResult, NeedResult, Outcome, Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """What a history comes to, and why."""

    verdict: Verdict
    needs: tuple[NeedResult, ...]
    faults: tuple[FaultResult, ...]
    invariants: tuple[InvariantResult, ...]
    errors: tuple[str, ...]
    doubts: tuple[str, ...]


def judge(history: History, scenario: Scenario, *, trouble: tuple[str, ...] = ()) -> Judgement:
    """Judge a history of that scenario. `trouble` is what the harness itself ran into while making it."""
    header = history.header
    profile = scenario.profile(header.profile)
    planned = plan(profile, Tape(header.seed), header.left_out)
    errors = [*trouble, *_stale(header, planned), *_failed_hosts(history), *_failed_inside(history)]
    try:
        windows = {window.number: window for window in fault_windows(history)}
    except HistoryError as error:  # no question to it can be answered
        return _unreadable((*errors, f"the history contradicts itself: {error}"))
    faults, fault_errors = _faults(history, planned, windows)
    errors += fault_errors
    invariants = judge_all(history, scenario.invariants)
    errors += [f"invariant {one.id} raised: {one.reason}" for one in invariants if one.verdict is Outcome.ERROR]
    needs, need_errors = _needs(history, profile)
    errors += need_errors
    doubts = [
        *(["the history was cut short"] if history.truncated else []),
        *(f"fault {one.name} ({one.mode}) shows no evidence that it bit" for one in faults if not one.bit),
        *(f"fault {one.name} ({one.mode}) was never healed" for one in faults if one.end_s is None),
        *(f"need not met: {one.text} (observed {one.observed})" for one in needs if not one.met),
        *(f"{one.id} is inconclusive: {one.reason}" for one in invariants if one.verdict is Outcome.INCONCLUSIVE),
    ]
    return Judgement(
        verdict=_verdict(errors, invariants, doubts),
        needs=needs,
        faults=faults,
        invariants=invariants,
        errors=tuple(errors),
        doubts=tuple(doubts),
    )


def _unreadable(errors: tuple[str, ...]) -> Judgement:
    return Judgement(verdict=Verdict.ERROR, needs=(), faults=(), invariants=(), errors=errors, doubts=())


def _verdict(errors: list[str], invariants: tuple[InvariantResult, ...], doubts: list[str]) -> Verdict:
    if errors:
        return Verdict.ERROR
    if any(one.verdict is Outcome.VIOLATED for one in invariants):
        return Verdict.FAIL
    if doubts or not invariants:
        return Verdict.INCONCLUSIVE
    return Verdict.PASS


def _stale(header: RunStarted, planned: tuple[PlannedFault, ...]) -> list[str]:
    """A history is judged by the plan it was made under; a scenario edited since is another scenario."""
    if header.plan == [one.as_fields() for one in planned]:
        return []
    return [
        f"scenario {header.scenario} has changed since this history was made: its plan for seed {header.seed} differs"
    ]


def _failed_hosts(history: History) -> list[str]:
    return [
        f"host {event.actor} failed: {event.detail}"
        for event in history.events
        if type(event) is HostChanged and event.change == "failed"
    ]


def _failed_inside(history: History) -> list[str]:
    """A dependency that is an emulator of ours and broke: what it answered says nothing about the target."""
    return [
        f"{event.actor} failed inside, {event.value.get('what', 'no word of where')}: {event.value.get('error', '')}"
        for event in history.events
        if type(event) is Observation and event.name == "internal_error"
    ]


def _faults(
    history: History, planned: tuple[PlannedFault, ...], windows: dict[int, FaultWindow]
) -> tuple[tuple[FaultResult, ...], list[str]]:
    results: list[FaultResult] = []
    errors: list[str] = []
    for one in planned:
        window = windows.get(one.number)
        bit, counts = False, {}
        if window is not None:
            try:
                evidence = one.fault.evidence(history, window)
            except Exception as error:  # noqa: BLE001 - evidence that cannot be computed is our error, never a pass
                errors.append(f"evidence of {one.fault.name} raised {type(error).__name__}: {error}")
            else:
                bit, counts = evidence.bit, dict(evidence.counts)
        start_ns = one.start_ns if window is None else window.start_ns
        end_ns = None if window is None else window.end_ns
        results.append(
            FaultResult(
                name=one.fault.name,
                mode=one.mode,
                on=one.fault.on,
                start_s=as_seconds(start_ns),
                end_s=None if end_ns is None else as_seconds(end_ns),
                bit=bit,
                evidence=counts,
            )
        )
    return tuple(results), errors


def _needs(history: History, profile: Profile) -> tuple[tuple[NeedResult, ...], list[str]]:
    results: list[NeedResult] = []
    errors: list[str] = []
    for need in profile.needs:
        try:
            results.append(need.check(history))
        except Exception as error:  # noqa: BLE001 - a need that cannot be checked is our error, never a pass
            errors.append(f"a need raised {type(error).__name__}: {error}")
    return tuple(results), errors
