"""Many runs: over seeds, over flawed variants, over processes.

With one job, runs follow each other in this process: sim runs first, then the real ones. With more, they go to worker
processes, and real runs are made beside the sim ones: a real run mostly waits, a sim run only computes. The timings of
real runs mean something, so sim runs beside them give way, and few real runs are made at once (`real_jobs`).

A worker ends by itself when this process dies, however it dies. A job that breaks, or takes its worker along, or takes
longer than it may, is an ERROR of its own; the others go on. Such a run is told as lost: it is neither a pass nor a
failure of the target, and no rate counts it as either.
"""

from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from dataclasses import replace
from typing import Final

from harness import interrupts
from harness.farm import Farm, hand_out
from harness.jobs import Done, Ended, Hunt, Job, Limits, Progress, Result, Single, Twice
from harness.ledger import Ledger, is_optional
from harness.runner import Order, run
from harness.verdict import CRASHED, INTERRUPTED, NOT_REPRODUCIBLE, TIMED_OUT, FlawedResult, Outcome, RunResult, Verdict
from harness.worker_process import Broken, Interrupted, Overdue, one_line
from harness.workers import Lane, spread

__all__ = ["Done", "Hunt", "Job", "Limits", "Progress", "Result", "Single", "Twice", "conduct", "perform"]

_REAL_GRACE_S: Final = 15.0
"""How long an interrupted real run has to heal its faults and stop its processes; their own bounds are below that."""


def conduct(
    jobs: Sequence[Job],
    limits: Limits,
    progress: Progress,
    *,
    order: Callable[[Sequence[Job]], Sequence[Job]] | None = None,
    farm: Farm | None = None,
) -> Done:
    """Do every job within the limits, in `order` or else in that of the list, in which results come back anyway.

    With a farm, sim jobs are done there, by an executor of any kind, and real ones here after them. An interrupt ends
    it with what there is so far.
    """
    ledger = Ledger(limits, jobs)
    ordered = jobs if order is None else order(jobs)
    try:
        with closing(_everywhere(ordered, limits, ledger, progress, farm)) as outcomes:
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


def _everywhere(
    jobs: Sequence[Job], limits: Limits, ledger: Ledger, progress: Progress, farm: Farm | None
) -> Generator[tuple[Job, Ended], None, None]:
    if farm is not None:
        sim = [job for job in jobs if job.order.world == "sim"]
        jobs = [job for job in jobs if job.order.world == "real"]
        yield from hand_out(sim, farm, may_start=ledger.may_start, began=progress.began, limit_s=limits.of)
    yield from _outcomes(jobs, limits, ledger, progress)


def _outcomes(
    jobs: Sequence[Job], limits: Limits, ledger: Ledger, progress: Progress
) -> Generator[tuple[Job, Ended], None, None]:
    """Keep each worker busy with one job at a time, so that limits are obeyed and what runs is what was announced."""
    sim = [job for job in jobs if job.order.world == "sim"]
    real = [job for job in jobs if job.order.world == "real"]
    further = [job for job in sim if is_optional(job)]
    real_jobs = 1 if any(job.order.options.shared for job in real) else limits.real_jobs
    alone = len(jobs) <= 1 or (not sim and real_jobs == 1)
    one_by_one = limits.jobs == 1 or alone
    if one_by_one and limits.run_timeout_s is None:
        return _here([*(job for job in sim if not is_optional(job)), *real, *further], ledger, progress)
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
    text = f"{NOT_REPRODUCIBLE}: seed {order.seed} gave trace {first.trace_digest}, then {again.trace_digest}"
    return replace(again, verdict=Verdict.ERROR, errors=(text, *again.errors))


def _hunt(hunt: Hunt) -> FlawedResult:
    last: RunResult | None = None
    tried = 0
    for seed in hunt.tries:
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
        seed=example.seed if caught and example is not None else None,
    )


def _here(jobs: Sequence[Job], ledger: Ledger, progress: Progress) -> Generator[tuple[Job, Ended], None, None]:
    for job in jobs:
        if not ledger.may_start(job):
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
