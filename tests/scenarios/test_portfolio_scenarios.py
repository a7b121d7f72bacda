"""`pnl-replay` and `pnl-crash`: the reference passes, at every point of a crash too, and nothing passes as easily."""

import importlib
from dataclasses import replace
from pathlib import Path

import pytest

from harness.crash_points import crash_points
from harness.history.query import operations
from harness.history.store import load
from harness.registry import discover
from harness.targets import choose
from harness.units import ms, seconds
from harness.verdict import Outcome, Verdict
from scenarios.portfolio_hosts import keeper

SCENARIOS = {name: scenario for name, scenario in discover().items() if "portfolio" in scenario.ports}
REPLAY, CRASH = SCENARIOS["pnl-replay"], SCENARIOS["pnl-crash"]
FLAWED = [(name, variant) for name, scenario in SCENARIOS.items() for variant in scenario.flawed]
INVARIANTS = ("PF1", "PF2", "PF3", "PF4", "PF5")


@pytest.mark.parametrize("name", ["pnl-replay", "pnl-crash"])
@pytest.mark.parametrize("seed", range(1, 6))
def test_the_reference_passes(run_short, name: str, seed: int) -> None:
    """Each fault bites, and everything holds; five seeds have every way of damaging a snapshot."""
    result = run_short(SCENARIOS[name], seed=seed)
    assert (result.verdict, result.errors, result.doubts) == (Verdict.PASS, (), ())
    assert all(fault.bit and fault.evidence for fault in result.faults)
    assert all(one.checked for one in result.invariants)


@pytest.mark.parametrize("name", ["pnl-replay", "pnl-crash"])
def test_faults_without_effect_prove_nothing(run_short, without_effect, name: str) -> None:
    """A run in which nothing happened is no pass."""
    result = run_short(without_effect(SCENARIOS[name]))
    assert result.verdict is Verdict.INCONCLUSIVE
    assert [fault.name for fault in result.faults if fault.bit] == []


@pytest.mark.parametrize("name", ["pnl-replay", "pnl-crash"])
def test_same_seed_same_history(run_short, name: str) -> None:
    """Byte for byte, what the tape brings included."""
    first, again = (run_short(SCENARIOS[name], seed=3) for _ in range(2))
    assert first.history is not None
    assert again.history is not None
    assert Path(first.history).read_bytes() == Path(again.history).read_bytes()
    assert first.trace_digest == again.trace_digest


@pytest.mark.parametrize(("name", "variant"), FLAWED, ids=lambda one: getattr(one, "name", one))
def test_flawed_variants_are_caught(must_catch, name, variant) -> None:
    """By an invariant that was written for them, within ten seeds."""
    must_catch(SCENARIOS[name], variant, range(1, 11))


@pytest.mark.parametrize("invariant", INVARIANTS)
def test_every_invariant_must_catch_a_variant(invariant: str) -> None:
    """One that no variant is there for might hold whatever a target does; the plan's sketch breaks them all at once."""
    assert any(invariant in variant.caught_by and variant.name != "planned" for _, variant in FLAWED)
    assert all(invariant in {one.id for one in scenario.invariants} for scenario in SCENARIOS.values())


@pytest.mark.parametrize("variant", sorted({variant.factory for _, variant in FLAWED}))
def test_every_variant_can_be_made(variant: str) -> None:
    """A name that leads nowhere would end as an error of the gate, hours later."""
    module, _, name = variant.partition(":")
    assert callable(getattr(importlib.import_module(module), name))


@pytest.mark.parametrize("operation", ["apply", "snapshot", "reload"])
def test_a_crash_at_any_step_loses_nothing(tmp_path: Path, operation: str) -> None:
    """After each step of taking a batch, of saving a snapshot, of closing and opening again."""
    profile = CRASH.profiles["short"]
    hosts = (keeper(trades=160, batch=6, gap_ns=ms(100), snapshot_every=2, reload_every=5),)
    small = replace(
        CRASH, profiles={"short": replace(profile, hosts=hosts, settle_ns=seconds(2), needs=profile.needs[:1])}
    )
    small = replace(
        small, profiles={"short": replace(small.profiles["short"], needs=(replace(profile.needs[0], count=20),))}
    )
    points = list(
        crash_points(
            small,
            host="keeper",
            operation=operation,
            after_ns=ms(900),
            folder=tmp_path,
            profile="short",
            down_ns=seconds(1),
        )
    )
    assert [(one.step, one.result.verdict) for one in points if one.result.verdict is not Verdict.PASS] == []
    assert sum(one.inside for one in points) >= 3


@pytest.mark.parametrize(
    ("variant", "operation"), [("snapshot_not_atomic", "snapshot"), ("acks_before_commit", "apply")]
)
def test_a_crash_point_that_loses_something_is_found(tmp_path: Path, variant: str, operation: str) -> None:
    """Were the search blind, it would find nothing in those either."""
    points = crash_points(
        CRASH,
        host="keeper",
        operation=operation,
        after_ns=ms(900),
        folder=tmp_path,
        profile="short",
        targets=choose(CRASH, [f"portfolio:{variant}"]),
    )
    violated = [{one.id for one in point.result.invariants if one.verdict is Outcome.VIOLATED} for point in points]
    assert any("PF5" in ids for ids in violated)


def test_the_desk_finds_what_was_withheld(run_short) -> None:
    """Reconciling has gaps to find, and names them; in the end the exchange and the books agree."""
    result = run_short(REPLAY, seed=1)
    assert result.history is not None
    found = [one.result for one in operations(load(Path(result.history)), "reconcile") if one.result is not None]
    assert sum(len(one["backfilled"]) for one in found) > 0
    assert (found[-1]["settled"], found[-1]["differences"]) == (True, [])
