"""What the tests of scenarios share: runs of the short profile in the sim world, and faults that do nothing."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Protocol

import pytest

from harness.faults.base import WithoutEffect
from harness.runner import Order, run
from harness.scenario import Scenario
from harness.targets import choose
from harness.verdict import RunResult


class RunShort(Protocol):
    """Runs a scenario's short profile in the sim world, in a folder of its own."""

    def __call__(self, scenario: Scenario, *, seed: int = 1, target: str | None = None) -> RunResult: ...


@pytest.fixture
def run_short(tmp_path: Path) -> RunShort:
    """Return what runs the short profile in the sim world; the reference, unless a target is named."""
    runs = 0

    def one(scenario: Scenario, *, seed: int = 1, target: str | None = None) -> RunResult:
        nonlocal runs
        runs += 1
        targets = choose(scenario, [] if target is None else [target])
        folder = tmp_path / str(runs)
        return run(Order(scenario=scenario, profile="short", world="sim", seed=seed, targets=targets, folder=folder))

    return one


@pytest.fixture
def without_effect() -> Callable[..., Scenario]:
    """Return what makes a scenario's faults (all, or those of that name) only claim to happen, in the short profile."""

    def change(scenario: Scenario, name: str | None = None) -> Scenario:
        profile = scenario.profiles["short"]
        schedule = tuple(
            replace(step, faults=tuple(WithoutEffect(one) if name in (None, one.name) else one for one in step.faults))
            for step in profile.schedule
        )
        return replace(scenario, profiles={"short": replace(profile, schedule=schedule)})

    return change
