"""Many runs: over seeds, over flawed variants, over processes.

With one job, runs follow each other in this process: sim runs first, then the real ones. With more, they go to worker
processes, and real runs are made beside the sim ones: a real run mostly waits, a sim run only computes. The timings of
real runs mean something, so sim runs beside them give way, and few real runs are made at once (`real_jobs`).

A worker ends by itself when this process dies, however it dies. A job that breaks, or takes its worker along, or takes
longer than it may, is an ERROR of its own; the others go on. Such a run is told as lost: it is neither a pass nor a
failure of the target, and no rate counts it as either.
"""

import time
from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Final, Protocol, TypeAlias

from harness import interrupts
from harness.runner import Order, run
from harness.scenario import FlawedVariant
from harness.verdict import CRASHED, INTERRUPTED, TIMED_OUT, FlawedResult, Outcome, RunResult, Verdict
from harness.worker_process import Broken, Interrupted, Overdue, one_line
from harness.workers import Lane, spread

_REAL_GRACE_S: Final = 15.0
"""How long an interrupted real run has to heal its faults and stop its processes; their own bounds are below that."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hunt:
    """Run a flawed variant over successive seeds until one of its invariants catches it, at most `seeds` of them."""

    order: Order
    variant: FlawedVariant
    seeds: int

    def __str__(self) -> str:
        return f"{self.order.scenario.name} [{self.order.world}] {self.variant.label}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Single:
    """One run. `keep_history` is False where a campaign would fill the disk; what does not pass is kept anyway."""

    order: Order
    keep_history: bool = True

    def __str__(self) -> str:
        return f"{self.order.scenario.name} [{self.order.world}] seed {self.order.seed}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Twice:
    """Run the same seed twice and compare: same history, same trace, or the world is not deterministic."""

    order: Order

    def __str__(self) -> str:
        return f"{self.order.scenario.name} [{self.order.world}] seed {self.order.seed}, twice"


Job: TypeAlias = Single | Hunt | Twice
Result: TypeAlias = RunResult | FlawedResult
Ended: TypeAlias = Result | Broken | Interrupted | Overdue
"""What comes of a job: its result, or why there is none."""


class Progress(Protocol):
    """Is told what happens, as it happens."""

    def began(self, job: Job) -> None:
        """A job was started."""

    def ended(self, job: Job, result: Result) -> None:
        """A job came to a result."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How far a campaign may go: worker processes, wall seconds for starting work, stop at the first failure or not.

    `jobs` sim runs are made at once, and beside them `real_jobs` real ones; with one job, no run has another beside it.
    `run_timeout_s` is how long a run may take by the wall's clock; a job that makes several has several times as long.
    """

    jobs: int = 1
    real_jobs: int = 1
    budget_s: float | None = None
    fail_fast: bool = False
    run_timeout_s: float | None = None

    def of(self, job: Job) -> float | None:
        """Return how long that job may take, if there is a limit."""
        runs = job.seeds if isinstance(job, Hunt) else 2 if isinstance(job, Twice) else 1
        return None if self.run_timeout_s is None else self.run_timeout_s * runs


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """What a campaign came to. `skipped` names the jobs that were never started, and why."""

    runs: tuple[RunResult, ...]
    flawed: tuple[FlawedResult, ...]
    skipped: tuple[str, ...]
    interrupted: bool


def conduct(jobs: Sequence[Job], limits: Limits, progress: Progress) -> Done:
    """Do every job, in order of its list, within the limits. An interrupt ends it with what there is so far."""
    ledger = _Ledger(limits)
    try:
        with closing(_outcomes(jobs, limits, ledger, progress)) as outcomes:
            for job, outcome in outcomes:
                if isinstance(outcome, Interrupted):
                    ledger.interrupted = True
                else:
                    result = _result(job, outcome)
                    ledger.note(job, result)
                    progress.ended(job, result)
                if ledger.interrupted and not interrupts.asked():  # a worker was, not we
                    break
    except KeyboardInterrupt:
        ledger.interrupted = True
    ledger.interrupted |= interrupts.asked()
    return ledger.done(jobs)


def _outcomes(
    jobs: Sequence[Job], limits: Limits, ledger: "_Ledger", progress: Progress
) -> Generator[tuple[Job, Ended], None, None]:
    """Keep each worker busy with one job at a time, so that limits are obeyed and what runs is what was announced."""
    sim = [job for job in jobs if job.order.world == "sim"]
    real = [job for job in jobs if job.order.world == "real"]
    real_jobs = 1 if any(job.order.options.shared for job in real) else limits.real_jobs
    alone = len(jobs) <= 1 or (not sim and real_jobs == 1)
    one_by_one = limits.jobs == 1 or alone
    if one_by_one and limits.run_timeout_s is None:
        return _here([*sim, *real], ledger, progress)
    lanes = [
        Lane(pieces=real, workers=1 if one_by_one else real_jobs, grace_s=_REAL_GRACE_S),
        Lane(pieces=sim, workers=limits.jobs, gives_way=bool(real) and not one_by_one),
    ]

    def side_by_side(lanes: Sequence[Lane[Job]]) -> Generator[tuple[Job, Ended], None, None]:
        return spread(lanes, perform, may_start=ledger.may_start, began=progress.began, limit_s=limits.of)

    if one_by_one:  # in processes all the same: only a process can be ended from outside
        return (ended for lane in reversed(lanes) for ended in side_by_side([lane]))
    return side_by_side(lanes)


def perform(job: Job) -> Result:
    """Do one job, in whichever process this is."""
    match job:
        case Single():
            return run(job.order, keep_history=job.keep_history)
        case Twice():
            return _twice(job.order)
        case Hunt():
            return _hunt(job)


def _twice(order: Order) -> RunResult:
    first = run(order)
    if INTERRUPTED in first.doubts:
        return first
    first_bytes = order.history_path.read_bytes()
    again = run(order)
    if INTERRUPTED in again.doubts:
        return again
    if first.trace_digest == again.trace_digest and first_bytes == order.history_path.read_bytes():
        return again
    text = f"not deterministic: seed {order.seed} gave trace {first.trace_digest}, then {again.trace_digest}"
    return replace(again, verdict=Verdict.ERROR, errors=(text, *again.errors))


def _hunt(hunt: Hunt) -> FlawedResult:
    last: RunResult | None = None
    tried = 0
    for seed in range(hunt.order.seed, hunt.order.seed + hunt.seeds):
        tried += 1
        last = run(replace(hunt.order, seed=seed), keep_history=False)
        if INTERRUPTED in last.doubts:
            raise KeyboardInterrupt
        violated = tuple(one.id for one in last.invariants if one.verdict is Outcome.VIOLATED)
        if set(violated) & set(hunt.variant.caught_by):
            return _flawed(hunt, tried, caught=True, by=violated, example=last)
        if last.verdict is Verdict.ERROR:
            break
    return _flawed(hunt, tried, caught=False, by=(), example=last)


def _flawed(hunt: Hunt, seeds: int, *, caught: bool, by: tuple[str, ...], example: RunResult | None) -> FlawedResult:
    return FlawedResult(
        variant=hunt.variant.label,
        scenario=hunt.order.scenario.name,
        world=hunt.order.world,
        expected=hunt.variant.caught_by,
        caught=caught,
        by=by,
        seeds=seeds,
        example=example,
    )


class _Ledger:
    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._began = time.monotonic()
        self._results: dict[int, Result] = {}
        self._stop = ""
        self.interrupted = False

    def may_start(self) -> bool:
        """Is there still time and reason to start another job?"""
        budget = self._limits.budget_s
        if not self._stop and budget is not None and time.monotonic() - self._began > budget:
            self._stop = f"time budget of {budget:g} s spent"
        return not self._stop and not self.interrupted and not interrupts.asked()

    def note(self, job: Job, result: Result) -> None:
        """Keep a result."""
        self._results[id(job)] = result
        if isinstance(result, RunResult):
            self.interrupted |= INTERRUPTED in result.doubts
            if self._limits.fail_fast and result.verdict is not Verdict.PASS:
                self._stop = f"stopped at the first run that did not pass ({job})"

    def done(self, jobs: Sequence[Job]) -> Done:
        """Return everything, in the order in which the jobs were listed."""
        results = [self._results[id(job)] for job in jobs if id(job) in self._results]
        why = "interrupted" if self.interrupted else self._stop
        return Done(
            runs=tuple(result for result in results if isinstance(result, RunResult)),
            flawed=tuple(result for result in results if isinstance(result, FlawedResult)),
            skipped=tuple(f"{job}: {why}" for job in jobs if id(job) not in self._results),
            interrupted=self.interrupted,
        )


def _here(jobs: Sequence[Job], ledger: _Ledger, progress: Progress) -> Generator[tuple[Job, Ended], None, None]:
    for job in jobs:
        if not ledger.may_start():
            return
        progress.began(job)
        try:
            result: Result | Broken = perform(job)
        except Exception as error:  # noqa: BLE001 - the same as in a worker: this job is ERROR, the others go on
            result = Broken(one_line(error))
        yield job, result


def _result(job: Job, ended: Result | Broken | Overdue) -> Result:
    """Return the result of a job, an ERROR if it has come to none. What an overdue run had recorded is kept."""
    match ended:
        case Broken():
            return _errored(job, ended.reason, CRASHED if ended.crashed else "")
        case Overdue(outcome=RunResult() as late) if INTERRUPTED not in late.doubts:
            return late  # it ended while it was being told to
        case Overdue(outcome=RunResult() as late):
            cut = _errored(job, _too_long(ended), TIMED_OUT)
            assert isinstance(cut, RunResult)
            return replace(cut, history=late.history, faults=late.faults, metrics=late.metrics, wall_s=late.wall_s)
        case Overdue():
            return _errored(job, _too_long(ended), TIMED_OUT)
        case _:
            return ended


def _too_long(overdue: Overdue) -> str:
    return f"ended after {overdue.limit_s:g} s, longer than it may take"


def _errored(job: Job, reason: str, lost: str) -> Result:
    """Return the result of a job that gave none: an ERROR that names it, so that the report shows it as well."""
    order = job.order
    run_result = RunResult(
        scenario=order.scenario.name,
        title=order.scenario.title,
        patch=order.scenario.patch,
        priority=order.scenario.priority,
        world=order.world,
        profile=order.profile,
        seed=order.seed,
        target=dict(order.targets),
        verdict=Verdict.ERROR,
        replay=order.replay,
        errors=(f"{job}: {reason}",),
        lost=lost,
    )
    if isinstance(job, Hunt):
        return _flawed(job, 0, caught=False, by=(), example=run_result)
    return run_result
