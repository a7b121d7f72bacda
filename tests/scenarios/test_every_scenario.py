"""Every scenario there is, in its short size in the sim world: the reference passes, and nothing passes as easily.

The gate proves the rest, in the full size: the reference over many seeds, one of them twice, and every flawed variant
hunted down. None of that is done again here, nor in the files beside this one, which look at what is in a run.
"""

import importlib
from dataclasses import replace
from pathlib import Path

import pytest

from harness.history.query import fault_windows
from harness.history.store import load
from harness.registry import discover
from harness.verdict import Verdict

SCENARIOS = discover()
QUICK = [name for name in SCENARIOS if name != "redis-outage-overflow"]
"""All but the one that takes more than 10,000 events in any size; its fault is that of `redis-outage`."""
VARIANTS = [variant for scenario in SCENARIOS.values() for variant in scenario.flawed]
PROMISED = {"EB": 7, "RL": 7, "SF": 7, "PF": 5, "ES": 7, "AI": 5, "HM": 6, "PS": 6, "EX": 6, "WS": 8}
"""How many invariants a patch has: EB1 to EB7, and so on."""


@pytest.mark.parametrize("name", QUICK)
def test_the_reference_passes_and_repeats(run_short, name: str) -> None:
    """Each fault bites, everything holds with something to look at, and the same seed gives the same bytes again."""
    first, again = (run_short(SCENARIOS[name], seed=3) for _ in range(2))
    assert (first.verdict, first.errors, first.doubts) == (Verdict.PASS, (), ())
    assert all(fault.bit and fault.evidence for fault in first.faults)
    assert all(invariant.checked for invariant in first.invariants)
    assert Path(first.history).read_bytes() == Path(again.history).read_bytes()
    assert first.trace_digest == again.trace_digest


@pytest.mark.parametrize("name", QUICK)
def test_faults_without_effect_prove_nothing(run_short, without_effect, name: str) -> None:
    """A run in which nothing happened is no pass, and no fault finds evidence in it, whichever its mode had been."""
    scenario = SCENARIOS[name]
    result = run_short(without_effect(scenario))
    assert result.verdict is Verdict.INCONCLUSIVE
    assert [fault.name for fault in result.faults if fault.bit] == []

    history = load(Path(result.history))
    windows = {window.number: window for window in fault_windows(history)}
    claims = [
        (fault, replace(windows[number], name=fault.name, mode=mode, on=fault.on))
        for number, step in enumerate(scenario.profiles["short"].schedule)
        for fault, mode in step.choices
    ]
    assert [claim for fault, claim in claims if fault.evidence(history, claim).bit] == []


@pytest.mark.parametrize("factory", sorted({variant.factory for variant in VARIANTS}))
def test_every_variant_can_be_made(factory: str) -> None:
    """A name that leads nowhere would end as an error of the gate, minutes later."""
    module, _, name = factory.partition(":")
    assert callable(getattr(importlib.import_module(module), name))


@pytest.mark.parametrize("invariant", [f"{patch}{n}" for patch, count in PROMISED.items() for n in range(1, count + 1)])
def test_every_promise_is_judged_and_proved(invariant: str) -> None:
    """By a variant besides the plan's sketch, which breaks much at once: else it might hold whatever a target does."""
    judging = [one for one in SCENARIOS.values() if invariant in {judged.id for judged in one.invariants}]
    assert [
        variant
        for scenario in judging
        for variant in scenario.flawed
        if invariant in variant.caught_by and variant.name not in {"planned", "sketch"}
    ]
