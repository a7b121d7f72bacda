"""The six scenarios of patches 2 and 9, in the sim world: the reference passes, and nothing passes as easily."""

from pathlib import Path

import pytest

from harness.registry import discover
from harness.verdict import Verdict

EXECUTION = ("execution-retry", "unknown-outcome")
LIMITS = ("binance-storm", "binance-ban", "order-limit-storm", "two-thousand-requests")
SCENARIOS = {name: scenario for name, scenario in discover().items() if name in EXECUTION + LIMITS}
IN_SHORT = {"planned", "ignores_retry_after", "retries_through_429", "counts_requests_not_weight"}
"""Variants of limits that the short profile shows as well; the gate hunts them all in the full one."""
FLAWED = [
    (name, variant)
    for name, scenario in SCENARIOS.items()
    for variant in scenario.flawed
    if name in EXECUTION or variant.name in IN_SHORT
]


def test_all_six_are_there() -> None:
    """So that the tests below have something to run."""
    assert set(SCENARIOS) == {*EXECUTION, *LIMITS}


@pytest.mark.parametrize("name", SCENARIOS)
@pytest.mark.parametrize("seed", range(1, 5))
def test_the_reference_passes(run_short, name: str, seed: int) -> None:
    """Each fault bites, and everything holds."""
    result = run_short(SCENARIOS[name], seed=seed)
    assert (result.verdict, result.errors, result.doubts) == (Verdict.PASS, (), ())
    assert all(fault.bit and fault.evidence for fault in result.faults)


@pytest.mark.parametrize("name", SCENARIOS)
def test_faults_without_effect_prove_nothing(run_short, without_effect, name: str) -> None:
    """A run in which nothing happened is no pass."""
    result = run_short(without_effect(SCENARIOS[name]))
    assert result.verdict is Verdict.INCONCLUSIVE
    assert [fault.name for fault in result.faults if fault.bit] == []


@pytest.mark.parametrize("name", SCENARIOS)
def test_same_seed_same_history(run_short, name: str) -> None:
    """Byte for byte, the exchange's dice included."""
    first, again = (run_short(SCENARIOS[name], seed=3) for _ in range(2))
    assert first.history is not None
    assert again.history is not None
    assert Path(first.history).read_bytes() == Path(again.history).read_bytes()
    assert first.trace_digest == again.trace_digest


@pytest.mark.parametrize(("name", "variant"), FLAWED, ids=lambda one: getattr(one, "name", one))
def test_flawed_variants_are_caught(must_catch, name, variant) -> None:
    """By an invariant that was written for them, within ten seeds."""
    must_catch(SCENARIOS[name], variant, range(1, 11))
