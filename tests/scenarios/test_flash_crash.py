"""The scenario `flash-crash`, in the sim world: the stop stops orders at the exchange, and nothing passes as easily."""

from pathlib import Path

import pytest

from harness.history.query import observations
from harness.history.store import load
from harness.verdict import Verdict
from scenarios.flash_crash import SCENARIO


@pytest.mark.parametrize("seed", range(1, 5))
def test_the_reference_passes(run_short, seed: int) -> None:
    """Each fault bites, and everything holds."""
    result = run_short(SCENARIO, seed=seed)
    assert (result.verdict, result.errors, result.doubts) == (Verdict.PASS, (), ())
    assert all(fault.bit and fault.evidence for fault in result.faults)


def test_the_crash_trips_the_stop_and_nothing_else_does(run_short) -> None:
    """Armed until prices fell, stopped to the end, the order that rested among those that were cancelled."""
    history = load(Path(run_short(SCENARIO).history))
    (crash,) = [fault for fault in history.header.plan if fault["name"] == "binance.flash_crash"]
    stands = [(seen.time_ns, seen.value["state"]) for seen in observations(history, "ess")]
    before = {state for time_ns, state in stands if time_ns < crash["start_ns"]}
    assert before == {"DISABLED", "ARMED"}
    assert stands[-1][1] == "COOLING_DOWN"
    assert any(seen.value["orders"] for seen in observations(history, "working_cancelled"))


def test_faults_without_effect_prove_nothing(run_short, without_effect) -> None:
    """A run in which nothing happened is no pass."""
    result = run_short(without_effect(SCENARIO))
    assert result.verdict is Verdict.INCONCLUSIVE
    assert [fault.name for fault in result.faults if fault.bit] == []


def test_same_seed_same_history(run_short) -> None:
    """Byte for byte, over three ports and two dependencies."""
    first, again = (run_short(SCENARIO, seed=3) for _ in range(2))
    assert Path(first.history).read_bytes() == Path(again.history).read_bytes()
    assert first.trace_digest == again.trace_digest


@pytest.mark.parametrize("variant", SCENARIO.flawed, ids=lambda one: one.name)
def test_flawed_variants_are_caught(must_catch, variant) -> None:
    """By an invariant that was written for them."""
    must_catch(SCENARIO, variant, range(1, 11))
