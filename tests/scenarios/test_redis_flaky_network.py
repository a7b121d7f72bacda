"""`redis-flaky-network` itself, in the sim world: the reference passes every way, and nothing else passes as easily."""

from dataclasses import replace
from pathlib import Path

import pytest

from harness.faults.base import WithoutEffect
from harness.history.query import fault_windows
from harness.history.store import load
from harness.registry import discover
from harness.runner import Order, run
from harness.scenario import Scenario
from harness.targets import choose
from harness.verdict import RunResult, Verdict

SCENARIO = discover()["redis-flaky-network"]
SEEDS = range(1, 1 + len(SCENARIO.profiles["short"].schedule[0].choices))
"""So many seeds take each link through every way."""


def result_of(scenario: Scenario, folder: Path, *, seed: int = 1, target: str | None = None) -> RunResult:
    """Run the short profile in the sim world."""
    targets = choose(scenario, [] if target is None else [target])
    return run(Order(scenario=scenario, profile="short", world="sim", seed=seed, targets=targets, folder=folder))


def without_effects() -> Scenario:
    """The same scenario, all of whose faults only claim to happen."""
    profile = SCENARIO.profiles["short"]
    schedule = tuple(
        replace(step, faults=tuple(WithoutEffect(fault) for fault in step.faults)) for step in profile.schedule
    )
    return replace(SCENARIO, profiles={"short": replace(profile, schedule=schedule)})


@pytest.mark.parametrize("seed", SEEDS)
def test_the_reference_passes_every_way(tmp_path: Path, seed: int) -> None:
    """Each fault bites, and everything holds."""
    result = result_of(SCENARIO, tmp_path, seed=seed)
    assert (result.verdict, result.errors, result.doubts) == (Verdict.PASS, (), ())
    assert all(fault.bit and fault.evidence for fault in result.faults)


def test_faults_without_effect_prove_nothing(tmp_path: Path) -> None:
    """Not one finds evidence in a run in which nothing happened, in any of its ways, and the run is no pass."""
    result = result_of(without_effects(), tmp_path)
    assert result.verdict is Verdict.INCONCLUSIVE
    assert [fault.name for fault in result.faults if fault.bit] == []

    assert result.history is not None
    history = load(Path(result.history))
    windows = {window.number: window for window in fault_windows(history)}
    claims = [
        (fault, replace(windows[number], name=fault.name, mode=mode, on=fault.on))
        for number, step in enumerate(SCENARIO.profiles["short"].schedule)
        for fault, mode in step.choices
    ]
    assert [claim for fault, claim in claims if fault.evidence(history, claim).bit] == []


def test_same_seed_same_history(tmp_path: Path) -> None:
    """Byte for byte, the toxics' dice included."""
    first, again = (result_of(SCENARIO, tmp_path / name, seed=6) for name in "ab")
    assert first.history is not None
    assert again.history is not None
    assert Path(first.history).read_bytes() == Path(again.history).read_bytes()
    assert first.trace_digest == again.trace_digest


@pytest.mark.parametrize("variant", SCENARIO.flawed, ids=lambda variant: variant.name)
def test_flawed_variants_are_caught(must_catch, variant) -> None:
    """By an invariant that was written for them, within eight seeds."""
    must_catch(SCENARIO, variant, range(1, 9))
