"""`redis-flaky-network` itself, in the sim world: the reference passes every way, and nothing else passes as easily."""

from dataclasses import replace
from pathlib import Path

import pytest

from harness.history.query import fault_windows
from harness.history.store import load
from harness.registry import discover
from harness.verdict import Verdict

SCENARIO = discover()["redis-flaky-network"]
SEEDS = range(1, 1 + len(SCENARIO.profiles["short"].schedule[0].choices))
"""So many seeds take each link through every way."""


@pytest.mark.parametrize("seed", SEEDS)
def test_the_reference_passes_every_way(run_short, seed: int) -> None:
    """Each fault bites, and everything holds."""
    result = run_short(SCENARIO, seed=seed)
    assert (result.verdict, result.errors, result.doubts) == (Verdict.PASS, (), ())
    assert all(fault.bit and fault.evidence for fault in result.faults)


def test_faults_without_effect_prove_nothing(run_short, without_effect) -> None:
    """Not one finds evidence in a run in which nothing happened, in any of its ways, and the run is no pass."""
    result = run_short(without_effect(SCENARIO))
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


def test_same_seed_same_history(run_short) -> None:
    """Byte for byte, the toxics' dice included."""
    first, again = (run_short(SCENARIO, seed=6) for _ in range(2))
    assert first.history is not None
    assert again.history is not None
    assert Path(first.history).read_bytes() == Path(again.history).read_bytes()
    assert first.trace_digest == again.trace_digest


@pytest.mark.parametrize("variant", SCENARIO.flawed, ids=lambda variant: variant.name)
def test_flawed_variants_are_caught(must_catch, variant) -> None:
    """By an invariant that was written for them, within eight seeds."""
    must_catch(SCENARIO, variant, range(1, 9))
