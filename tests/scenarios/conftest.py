"""What the tests of scenarios share: one run of the short profile in the sim world, and the hunt for a variant."""

from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from harness.runner import Order, run
from harness.scenario import FlawedVariant, Scenario
from harness.targets import choose
from harness.verdict import Outcome, RunResult


def result_of(scenario: Scenario, folder: Path, *, seed: int = 1, target: str | None = None) -> RunResult:
    """Run the short profile in the sim world."""
    targets = choose(scenario, [] if target is None else [target])
    return run(Order(scenario=scenario, profile="short", world="sim", seed=seed, targets=targets, folder=folder))


@pytest.fixture
def must_catch(tmp_path: Path) -> Callable[[Scenario, FlawedVariant, Iterable[int]], None]:
    """Return the check that one of these seeds shows a variant to an invariant that was written for it."""

    def check(scenario: Scenario, variant: FlawedVariant, seeds: Iterable[int]) -> None:
        caught: set[str] = set()
        for seed in seeds:
            result = result_of(scenario, tmp_path, seed=seed, target=variant.label)
            caught |= {one.id for one in result.invariants if one.verdict is Outcome.VIOLATED}
            if caught & set(variant.caught_by):
                return
        pytest.fail(f"{variant.label} was caught by {sorted(caught) or 'nothing'}, not by {variant.caught_by}")

    return check
