"""`redis-outage` with a Redis that answers errors in place of one that is gone, run in the sim world."""

from dataclasses import replace
from pathlib import Path

import pytest

from harness.dependencies.redis import faults as redis
from harness.faults.base import Fault, WithoutEffect
from harness.invariants.needs import at_least
from harness.registry import discover
from harness.runner import Order, run
from harness.scenario import Scenario
from harness.targets import choose
from harness.verdict import Outcome, RunResult, Verdict
from scenarios.event_bus_invariants import invariants


def scenario_with(fault: Fault) -> Scenario:
    """The scenario's short profile, its outage replaced by that fault."""
    base = discover()["redis-outage"]
    profile = base.profiles["short"]
    outage, *others = profile.schedule
    needs = (at_least(200, "publish", outcome="ok", inside=fault.name), at_least(600, "publish", outcome="ok"))
    profile = replace(profile, schedule=(replace(outage, faults=(fault,)), *others), needs=needs)
    return replace(base, profiles={"short": profile}, invariants=invariants(recovers_after=fault.name))


def result_of(fault: Fault, folder: Path, *, seed: int = 1, target: str | None = None) -> RunResult:
    """Run it in the sim world."""
    scenario = scenario_with(fault)
    targets = choose(scenario, [] if target is None else [target])
    return run(Order(scenario=scenario, profile="short", world="sim", seed=seed, targets=targets, folder=folder))


@pytest.mark.parametrize("mode", redis.REFUSALS)
@pytest.mark.parametrize("seed", [1, 2])
def test_the_reference_passes_every_mode(tmp_path: Path, mode: str, seed: int) -> None:
    """Publishes are acked by the buffer, and all arrives once and in order; the server gave errors to prove it."""
    result = result_of(redis.replies(mode), tmp_path, seed=seed)
    assert (result.verdict, result.errors, result.doubts) == (Verdict.PASS, (), ())
    assert all(fault.bit and fault.evidence for fault in result.faults)


@pytest.mark.parametrize("mode", redis.REFUSALS)
def test_a_server_that_refuses_nothing_is_inconclusive(tmp_path: Path, mode: str) -> None:
    """Everything holds, as nothing happened: that is no pass."""
    result = result_of(WithoutEffect(redis.replies(mode)), tmp_path)
    assert result.verdict is Verdict.INCONCLUSIVE
    assert [one.name for one in result.faults if not one.bit] == ["redis.replies"]


@pytest.mark.parametrize("mode", ["oom", "readonly"])
@pytest.mark.parametrize("variant", ["treats_error_reply_as_sent", "drops_what_redis_refuses"])
def test_a_bus_that_does_not_heed_errors_is_caught(tmp_path: Path, variant: str, mode: str) -> None:
    """Acked events that Redis had refused are missing: EB1."""
    target = f"event_bus=reference_impl.flawed.event_bus:{variant}"
    result = result_of(redis.replies(mode), tmp_path, target=target)
    assert "EB1" in {one.id for one in result.invariants if one.verdict is Outcome.VIOLATED}


@pytest.mark.parametrize("variant", ["treats_error_reply_as_sent", "drops_what_redis_refuses"])
def test_only_error_replies_catch_it(tmp_path: Path, variant: str) -> None:
    """While Redis is just gone, both behave as the reference does: no other fault stands in for this one."""
    target = f"event_bus=reference_impl.flawed.event_bus:{variant}"
    assert result_of(redis.outage("refuse"), tmp_path, target=target).verdict is Verdict.PASS
