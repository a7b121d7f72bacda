"""What a campaign is asked and answers: jobs, limits, results. Plain data, so that jobs go to other processes."""

from dataclasses import dataclass
from typing import Protocol, TypeAlias

from harness.runner import Order
from harness.scenario import FlawedVariant
from harness.verdict import FlawedResult, RunResult
from harness.worker_process import Broken, Interrupted, Overdue


@dataclass(frozen=True, slots=True, kw_only=True)
class Hunt:
    """Run a flawed variant over successive seeds until one of its invariants catches it, at most `seeds` of them.

    `first` is a seed to try before the others: the one that caught it the last time. It is one of them.
    """

    order: Order
    variant: FlawedVariant
    seeds: int
    first: int | None = None

    @property
    def tries(self) -> list[int]:
        """The seeds, in the order in which they are tried."""
        usual = range(self.order.seed, self.order.seed + self.seeds)
        if self.first is None or self.first not in usual:
            return list(usual)
        return [self.first, *(seed for seed in usual if seed != self.first)]

    def __str__(self) -> str:
        return f"{self.order.scenario.name} [{self.order.world}] {self.variant.label}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Single:
    """One run. `keep_history` is False where a campaign would fill the disk; what does not pass is kept anyway.

    Without an optional one, the whole can still pass.
    """

    order: Order
    keep_history: bool = True
    is_optional: bool = False

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
    `executor` is the URL of what does the sim runs instead of this machine. `run_timeout_s` is how long a run may take
    by the wall's clock; a job that makes several has several times as long.
    """

    jobs: int = 1
    real_jobs: int = 1
    budget_s: float | None = None
    fail_fast: bool = False
    run_timeout_s: float | None = None
    executor: str | None = None

    def of(self, job: Job) -> float | None:
        """Return how long that job may take, if there is a limit."""
        runs = job.seeds if isinstance(job, Hunt) else 2 if isinstance(job, Twice) else 1
        return None if self.run_timeout_s is None else self.run_timeout_s * runs


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """What a campaign came to. `skipped` names the jobs that were never started, and why; `omitted` the optional ones.

    `undone` are those that were skipped.
    """

    runs: tuple[RunResult, ...]
    flawed: tuple[FlawedResult, ...]
    skipped: tuple[str, ...]
    interrupted: bool
    omitted: tuple[str, ...] = ()
    undone: tuple[Job, ...] = ()
