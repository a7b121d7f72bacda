"""What many seeds of one scenario come to: how many passed, how sure that rate is, and the first seed to look at.

The rate is that of runs that were judged. A run that was lost, broke or could not be judged is neither a pass nor a
failure; it is counted by itself, and the verdict of the whole is none while there is one.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from harness.intervals import wilson
from harness.measures import Spread, spreads_of
from harness.verdict import CRASHED, TIMED_OUT, RunResult, Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """The runs of one scenario in one world, counted. `low` and `high` bound the rate of passes (Wilson, 95 %).

    `errors` are those that are not lost: every run is in exactly one of the six counts.
    """

    runs: int
    passed: int
    failed: int
    inconclusive: int
    errors: int
    crashed: int
    timed_out: int
    low: float
    high: float
    lowest_failing: int | None
    replay: str
    spreads: tuple[Spread, ...]

    @property
    def judged(self) -> int:
        """How many runs came to a pass or a failure."""
        return self.passed + self.failed

    @property
    def rate(self) -> float | None:
        """The share of judged runs that passed."""
        return self.passed / self.judged if self.judged else None


def tally(runs: Sequence[RunResult]) -> Tally:
    """Count the runs."""
    count = {verdict: sum(run.verdict is verdict for run in runs) for verdict in Verdict}
    crashed, timed_out = (sum(run.lost == how for run in runs) for how in (CRASHED, TIMED_OUT))
    passed, failed = count[Verdict.PASS], count[Verdict.FAIL]
    low, high = wilson(passed, passed + failed)
    failing = min((run for run in runs if run.verdict is Verdict.FAIL), key=lambda run: run.seed, default=None)
    return Tally(
        runs=len(runs),
        passed=passed,
        failed=failed,
        inconclusive=count[Verdict.INCONCLUSIVE],
        errors=count[Verdict.ERROR] - crashed - timed_out,
        crashed=crashed,
        timed_out=timed_out,
        low=low,
        high=high,
        lowest_failing=None if failing is None else failing.seed,
        replay="" if failing is None else failing.replay,
        spreads=spreads_of([run.metrics for run in runs if not run.lost]),
    )
