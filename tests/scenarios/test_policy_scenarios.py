"""The two scenarios of patch 8, in the sim world: the reference passes, and nothing passes as easily."""

from pathlib import Path

import pytest

from harness.history.query import observations, operations
from harness.history.store import load
from harness.registry import discover
from harness.verdict import Verdict

NAMES = ("policy-aging", "policy-writers")
SCENARIOS = {name: scenario for name, scenario in discover().items() if name in NAMES}
FLAWED = [(name, variant) for name, scenario in SCENARIOS.items() for variant in scenario.flawed]


def test_both_are_there() -> None:
    """So that the tests below have something to run."""
    assert set(SCENARIOS) == set(NAMES)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("seed", range(1, 5))
def test_the_reference_passes(run_short, name: str, seed: int) -> None:
    """Each fault bites, and everything holds."""
    result = run_short(SCENARIOS[name], seed=seed)
    assert (result.verdict, result.errors, result.doubts) == (Verdict.PASS, (), ())
    assert all(fault.bit and fault.evidence for fault in result.faults)
    assert all(judged.checked for judged in result.invariants)


@pytest.mark.parametrize("name", NAMES)
def test_faults_without_effect_prove_nothing(run_short, without_effect, name: str) -> None:
    """A run in which nothing happened is no pass."""
    result = run_short(without_effect(SCENARIOS[name]))
    assert result.verdict is Verdict.INCONCLUSIVE
    assert [fault.name for fault in result.faults if fault.bit] == []


@pytest.mark.parametrize("name", NAMES)
def test_same_seed_same_history(run_short, name: str) -> None:
    """Byte for byte, jitter and names of writers included."""
    first, again = (run_short(SCENARIOS[name], seed=3) for _ in range(2))
    assert first.history is not None
    assert again.history is not None
    assert Path(first.history).read_bytes() == Path(again.history).read_bytes()
    assert first.trace_digest == again.trace_digest


@pytest.mark.parametrize(("name", "variant"), FLAWED, ids=lambda one: getattr(one, "name", one))
def test_flawed_variants_are_caught(must_catch, name, variant) -> None:
    """By an invariant that was written for them, within 20 seeds."""
    must_catch(SCENARIOS[name], variant, range(1, 21))


def test_every_invariant_has_a_variant_of_its_own() -> None:
    """PS1 to PS6, each by one that is caught by it and no other."""
    alone = {variant.caught_by[0] for _, variant in FLAWED if len(variant.caught_by) == 1}
    assert alone == {"PS1", "PS2", "PS3", "PS4", "PS5", "PS6"}


def test_without_redis_updates_fail_in_bounded_time_and_reads_go_on(run_short) -> None:
    """No update begun in the outage takes longer than its limit and two conversations; each says that it failed."""
    result = run_short(SCENARIOS["policy-aging"], seed=1)
    assert result.history is not None
    history = load(Path(result.history))
    tried = [one for one in operations(history, "update") if one.outcome == "fail"]
    assert tried
    assert all(one.error and one.error.startswith("PolicyUnreachableError") for one in tried)
    assert max(one.duration_ns or 0 for one in tried) <= 4_600_000_000
    assert len({seen.actor for seen in observations(history, "policy") if seen.value["stale"]}) >= 2
