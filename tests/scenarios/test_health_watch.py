"""`health-watch`, run for real in the sim world: the reference passes, and nothing passes as easily."""

from pathlib import Path

import pytest

from harness.registry import discover
from harness.verdict import Outcome, Verdict
from scenarios import health_watch

SCENARIO = discover()["health-watch"]
IN_SHORT = {
    "planned",
    "sequential_polling",
    "alert_storm",
    "caches_last_good",
    "slow_is_down",
    "tells_consequences",
    "healthy_by_default",
}
"""Variants that the short profile shows as well; the gate hunts them all in the full one."""


@pytest.mark.parametrize("seed", range(1, 10))
def test_the_reference_passes_every_way(run_short, seed: int) -> None:
    """Nine seeds fail a service in many ways; each bites, and everything holds."""
    result = run_short(SCENARIO, seed=seed)
    assert (result.verdict, result.errors, result.doubts) == (Verdict.PASS, (), ())
    assert all(fault.bit and fault.evidence for fault in result.faults)


def test_faults_without_effect_prove_nothing(run_short, without_effect) -> None:
    """A run in which nothing happened is no pass."""
    result = run_short(without_effect(SCENARIO))
    assert result.verdict is Verdict.INCONCLUSIVE
    assert [fault.name for fault in result.faults if fault.bit] == []


def test_same_seed_same_history(run_short) -> None:
    """Byte for byte."""
    first, again = (run_short(SCENARIO, seed=3) for _ in range(2))
    assert first.history is not None
    assert again.history is not None
    assert Path(first.history).read_bytes() == Path(again.history).read_bytes()
    assert first.trace_digest == again.trace_digest


@pytest.mark.parametrize(
    "variant", [one for one in SCENARIO.flawed if one.name in IN_SHORT], ids=lambda variant: variant.name
)
def test_flawed_variants_are_caught(must_catch, variant) -> None:
    """By an invariant that was written for them, within ten seeds."""
    must_catch(SCENARIO, variant, range(1, 11))


def test_every_invariant_is_proved_by_a_variant() -> None:
    """One that nothing was ever caught by might be unable to fail."""
    proved = {id_ for variant in SCENARIO.flawed if variant.name != "planned" for id_ in variant.caught_by}
    assert proved == {invariant.id for invariant in SCENARIO.invariants} == {f"HM{number}" for number in range(1, 7)}


def test_every_service_fails_at_once_in_the_full_profile() -> None:
    """Nine of them, from within a second of each other."""
    schedule = SCENARIO.profiles["full"].schedule
    at_once = [step for step in schedule if step.duration == schedule[-1].duration and step.start == schedule[-1].start]
    assert sorted(step.faults[0].on for step in at_once) == sorted(health_watch.ALL)
    assert len(health_watch.ALL) == 9


def test_a_monitor_that_cannot_start_is_no_pass(run_short, monkeypatch) -> None:
    """Nothing could be judged."""
    from reference_impl.health_service import HealthService  # noqa: PLC0415 - patched, not used

    async def fail(_: object) -> None:
        raise RuntimeError("no")

    monkeypatch.setattr(HealthService, "start", fail)
    result = run_short(SCENARIO)
    assert result.verdict is not Verdict.PASS
    assert {one.verdict for one in result.invariants} == {Outcome.INCONCLUSIVE}
