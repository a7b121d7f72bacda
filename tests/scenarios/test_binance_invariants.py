"""Every invariant of patches 2 and 9 is one that some scenario proves, by a variant that it must catch."""

import importlib

import pytest

from harness.registry import discover

SCENARIOS = [scenario for scenario in discover().values() if "binance" in scenario.ports]
INVARIANTS = [*(f"RL{number}" for number in range(1, 8)), *(f"EX{number}" for number in range(1, 7))]


@pytest.mark.parametrize("invariant", INVARIANTS)
def test_every_invariant_must_catch_a_variant(invariant):
    """One that no flawed variant is there for might hold whatever a target does."""
    judged = [scenario for scenario in SCENARIOS if invariant in {one.id for one in scenario.invariants}]
    assert judged, "no scenario judges by it"
    assert any(invariant in variant.caught_by for scenario in judged for variant in scenario.flawed)


@pytest.mark.parametrize("variant", sorted({variant.factory for scenario in SCENARIOS for variant in scenario.flawed}))
def test_every_variant_can_be_made(variant):
    """A name that leads nowhere would end as an error of the gate, hours later."""
    module, _, name = variant.partition(":")
    assert callable(getattr(importlib.import_module(module), name))
