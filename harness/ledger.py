"""Keeps account of a campaign: what may still be started, what came of each job, what was left undone and why."""

import time
from collections.abc import Sequence

from harness import interrupts
from harness.jobs import Done, Job, Limits, Result, Single
from harness.verdict import INTERRUPTED, FlawedResult, RunResult, Verdict


class Ledger:
    """One campaign's account.

    Optional jobs go on as long as the budget lasts; without one, as long as something is under way that is required,
    so that they take no time of their own: real runs mostly wait, and leave a machine to what only computes.
    """

    def __init__(self, limits: Limits, jobs: Sequence[Job]) -> None:
        self._limits = limits
        self._required = {id(job) for job in jobs if not is_optional(job)}
        self._began = time.monotonic()
        self._results: dict[int, Result] = {}
        self._stop = ""
        self.interrupted = False

    def may_start(self, job: Job) -> bool:
        """Is there still time and reason to start this job?"""
        budget = self._limits.budget_s
        if not self._stop and budget is not None and time.monotonic() - self._began > budget:
            self._stop = f"time budget of {budget:g} s spent"
        if not self._stop and budget is None and not self._required and is_optional(job):
            self._stop = "all that is required was done"
        return not self._stop and not self.interrupted and not interrupts.asked()

    def note(self, job: Job, result: Result) -> None:
        """Keep a result."""
        self._results[id(job)] = result
        self._required.discard(id(job))
        if isinstance(result, RunResult):
            self.interrupted |= INTERRUPTED in result.doubts
            if self._limits.fail_fast and result.verdict is not Verdict.PASS:
                self._stop = f"stopped at the first run that did not pass ({job})"

    def done(self, jobs: Sequence[Job]) -> Done:
        """Return everything, in the order in which the jobs were listed."""
        results = [self._results[id(job)] for job in jobs if id(job) in self._results]
        why = "interrupted" if self.interrupted else self._stop
        undone = [job for job in jobs if id(job) not in self._results]
        return Done(
            runs=tuple(result for result in results if isinstance(result, RunResult)),
            flawed=tuple(result for result in results if isinstance(result, FlawedResult)),
            skipped=tuple(f"{job}: {why}" for job in undone if not is_optional(job)),
            omitted=_omitted([job for job in undone if is_optional(job)], why),
            undone=tuple(job for job in undone if not is_optional(job)),
            interrupted=self.interrupted,
        )


def is_optional(job: Job) -> bool:
    """Can the whole pass without it?"""
    return isinstance(job, Single) and job.is_optional


def _omitted(jobs: Sequence[Job], why: str) -> tuple[str, ...]:
    """Return what was left out, a line for each scenario: there can be hundreds of seeds."""
    seeds: dict[str, list[int]] = {}
    for job in jobs:
        seeds.setdefault(f"{job.order.scenario.name} [{job.order.world}]", []).append(job.order.seed)
    return tuple(
        f"{place}: {len(left)} further seed{'s' if len(left) > 1 else ''} of {min(left)} to {max(left)}: {why}"
        for place, left in seeds.items()
    )
