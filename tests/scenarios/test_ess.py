"""`ess-cycle` and `ess-crash`, run in the sim world: they pass, they repeat, and they could not pass vacuously."""

from pathlib import Path

import pytest

from harness.registry import discover
from harness.verdict import Verdict

CYCLE, CRASH = (discover()[name] for name in ("ess-cycle", "ess-crash"))
IN_SHORT = {
    "planned",
    "acks_before_cancelling_in_flight",
    "audit_lost",
    "cools_down_without_cancelling",
    "wall_clock_cooldown",
    "resets_to_armed_while_breached",
    "nan_never_trips",
    "unauthenticated_reset",
    "accepts_replayed_calls",
    "refused_calls_not_audited",
    "forgets_on_restart",
    "unreadable_is_a_fresh_start",
}
"""What the short profile is long enough for; the gate hunts all of them in the full one."""


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("scenario", [CYCLE, CRASH], ids=lambda scenario: scenario.name)
def test_the_reference_passes(run_short, scenario, seed: int) -> None:
    """Every fault bites, and each invariant had something to look at."""
    result = run_short(scenario, seed=seed)
    assert (result.verdict, result.errors, result.doubts) == (Verdict.PASS, (), ())
    assert all(fault.bit for fault in result.faults)
    assert all(one.checked > 0 for one in result.invariants)


@pytest.mark.parametrize("fault", ["clock.step", "redis.outage"])
def test_a_cycle_without_its_faults_is_inconclusive(run_short, without_effect, fault: str) -> None:
    """Everything holds, as nothing happened: that is no pass."""
    result = run_short(without_effect(CYCLE, fault))
    assert result.verdict is Verdict.INCONCLUSIVE
    assert [one.name for one in result.faults if not one.bit] == [fault]


@pytest.mark.parametrize("fault", ["process.kill_inside", "process.kill", "disk.damage"])
def test_a_crash_without_effect_is_inconclusive(run_short, without_effect, fault: str) -> None:
    """Each of the ways to die is needed."""
    result = run_short(without_effect(CRASH, fault))
    assert result.verdict is Verdict.INCONCLUSIVE
    assert [one.name for one in result.faults if not one.bit] == [fault]


@pytest.mark.parametrize("scenario", [CYCLE, CRASH], ids=lambda scenario: scenario.name)
def test_same_seed_same_history(run_short, scenario) -> None:
    """Byte for byte, with SQLite, uvicorn and httpx in it."""
    first, again = (run_short(scenario, seed=4) for _ in range(2))
    assert first.history is not None
    assert again.history is not None
    assert Path(first.history).read_bytes() == Path(again.history).read_bytes()
    assert first.trace_digest == again.trace_digest


def test_no_token_is_in_a_history(run_short) -> None:
    """Neither an operator's nor a stranger's, as the body of a call or otherwise."""
    history = run_short(CYCLE).history
    assert history is not None
    assert "token-for-this-run" not in Path(history).read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("scenario", "variant"),
    [
        pytest.param(scenario, variant, id=f"{scenario.name}-{variant.name}")
        for scenario in (CYCLE, CRASH)
        for variant in scenario.flawed
        if variant.name in IN_SHORT
    ],
)
def test_flawed_variants_are_caught(must_catch, scenario, variant) -> None:
    """By an invariant that was written for them, within eight seeds."""
    must_catch(scenario, variant, range(1, 9))


def test_each_invariant_catches_a_variant_of_its_own() -> None:
    """ES1 to ES7: one that was written against it, besides the plan's sketch."""
    caught = {
        one
        for scenario in (CYCLE, CRASH)
        for variant in scenario.flawed
        if variant.name != "planned"
        for one in variant.caught_by
    }
    assert caught == {f"ES{number}" for number in range(1, 8)}
