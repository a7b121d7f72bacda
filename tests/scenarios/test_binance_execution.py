"""The two scenarios of patch 9, in the sim world: the reference passes, and nothing passes as easily."""

from dataclasses import replace
from pathlib import Path

import pytest

from harness.faults.base import WithoutEffect
from harness.registry import discover
from harness.runner import Order, run
from harness.scenario import Scenario
from harness.targets import choose
from harness.verdict import RunResult, Verdict

NAMES = ("execution-retry", "unknown-outcome")
SCENARIOS = {name: scenario for name, scenario in discover().items() if name in NAMES}
FLAWED = [(name, variant) for name, scenario in SCENARIOS.items() for variant in scenario.flawed]


def result_of(scenario: Scenario, folder: Path, *, seed: int = 1) -> RunResult:
    """Run the short profile in the sim world."""
    targets = choose(scenario, [])
    return run(Order(scenario=scenario, profile="short", world="sim", seed=seed, targets=targets, folder=folder))


def without_effects(scenario: Scenario) -> Scenario:
    """The same scenario, all of whose faults only claim to happen."""
    profile = scenario.profiles["short"]
    schedule = tuple(
        replace(step, faults=tuple(WithoutEffect(fault) for fault in step.faults)) for step in profile.schedule
    )
    return replace(scenario, profiles={"short": replace(profile, schedule=schedule)})


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("seed", range(1, 5))
def test_the_reference_passes(tmp_path: Path, name: str, seed: int) -> None:
    """Each fault bites, and everything holds."""
    result = result_of(SCENARIOS[name], tmp_path, seed=seed)
    assert (result.verdict, result.errors, result.doubts) == (Verdict.PASS, (), ())
    assert all(fault.bit and fault.evidence for fault in result.faults)


@pytest.mark.parametrize("name", NAMES)
def test_faults_without_effect_prove_nothing(tmp_path: Path, name: str) -> None:
    """A run in which nothing happened is no pass."""
    result = result_of(without_effects(SCENARIOS[name]), tmp_path)
    assert result.verdict is Verdict.INCONCLUSIVE
    assert [fault.name for fault in result.faults if fault.bit] == []


@pytest.mark.parametrize("name", NAMES)
def test_same_seed_same_history(tmp_path: Path, name: str) -> None:
    """Byte for byte, the exchange's dice included."""
    first, again = (result_of(SCENARIOS[name], tmp_path / folder, seed=3) for folder in "ab")
    assert first.history is not None
    assert again.history is not None
    assert Path(first.history).read_bytes() == Path(again.history).read_bytes()
    assert first.trace_digest == again.trace_digest


@pytest.mark.parametrize(("name", "variant"), FLAWED, ids=lambda one: getattr(one, "name", one))
def test_flawed_variants_are_caught(must_catch, name, variant) -> None:
    """By an invariant that was written for them, within ten seeds."""
    must_catch(SCENARIOS[name], variant, range(1, 11))
