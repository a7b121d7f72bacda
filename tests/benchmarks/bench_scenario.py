"""How many seconds `redis-outage` simulates in one second of one core. Prints; a benchmark, not a timed test."""

import time
from pathlib import Path

import pytest

from harness.registry import discover
from harness.runner import Order, run
from harness.verdict import Verdict

pytestmark = pytest.mark.benchmark

_clock = time.process_time  # bound before a run, and read outside of one


def test_redis_outage(tmp_path: Path) -> None:
    """Full profile, 50 events/s, two consumer groups; judging and storing the history included."""
    scenario = discover()["redis-outage"]
    print()
    for seed in (1, 7, 8, 9):  # the first pays for the imports
        began = _clock()
        order = Order(
            scenario=scenario, profile="full", world="sim", seed=seed, targets=dict(scenario.ports), folder=tmp_path
        )
        result = run(order)
        took = _clock() - began
        assert result.verdict is Verdict.PASS
        assert result.simulated_s is not None
        rate = result.simulated_s / took
        print(f"seed {seed} ({result.faults[0].mode}): {result.simulated_s:.0f} s in {took:.2f} CPU s, {rate:.1f} s/s")
