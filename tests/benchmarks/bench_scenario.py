"""How many seconds `redis-outage` simulates in one second of one core. Prints; a benchmark, not a timed test.

CPU seconds of this process, the lesser of two runs of each seed: a machine that others use too makes them dearer, by
half and more when its caches are shared. `nice` does not help against that; an idle machine does.
"""

import time
from pathlib import Path
from typing import Final

import pytest

from harness.registry import discover
from harness.runner import Order, run
from harness.verdict import RunResult, Verdict

pytestmark = pytest.mark.benchmark

_clock = time.process_time  # bound before a run, and read outside of one
_SEEDS: Final = (7, 8, 1, 2)
_TARGET: Final = 100
"""Simulated seconds per CPU second, for the mean and for each of the seeds."""


def test_redis_outage(tmp_path: Path) -> None:
    """Full profile, 50 events/s, two consumer groups; judging and storing the history included, imports not."""
    _timed(tmp_path, 9)
    print()
    rates = []
    for seed in _SEEDS:
        took, result = min((_timed(tmp_path, seed) for _ in range(2)), key=lambda timed: timed[0])
        assert result.verdict is Verdict.PASS
        assert result.simulated_s is not None
        rates.append(result.simulated_s / took)
        mode = result.faults[0].mode
        print(f"seed {seed} ({mode}): {result.simulated_s:.0f} s in {took:.2f} CPU s, {rates[-1]:.1f} s/s")
    reached = (
        "reached"
        if min(rates) >= _TARGET
        else "reached by the mean"
        if sum(rates) >= _TARGET * len(rates)
        else "missed"
    )
    print(
        f"{sum(rates) / len(rates):.1f} simulated seconds per CPU second, {min(rates):.1f} at the slowest seed: "
        f"the target of {_TARGET} is {reached}"
    )


def _timed(folder: Path, seed: int) -> tuple[float, RunResult]:
    """Return the CPU seconds that a run took, and what it came to."""
    scenario = discover()["redis-outage"]
    order = Order(
        scenario=scenario, profile="full", world="sim", seed=seed, targets=dict(scenario.ports), folder=folder
    )
    began = _clock()
    result = run(order)
    return _clock() - began, result
