"""`ess-cycle` and `ess-crash`: what is not in their histories, and what proves their invariants."""

from dataclasses import replace
from pathlib import Path

import pytest

from harness.faults.process import power_off
from harness.registry import discover
from harness.scenario import during
from harness.units import ms, seconds
from harness.verdict import Outcome

CYCLE, CRASH = (discover()[name] for name in ("ess-cycle", "ess-crash"))


def test_no_token_is_in_a_history(run_short) -> None:
    """Neither an operator's nor a stranger's, as the body of a call or otherwise."""
    history = run_short(CYCLE).history
    assert history is not None
    assert "token-for-this-run" not in Path(history).read_text(encoding="utf-8")


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


@pytest.mark.parametrize(
    ("bus", "heard"),
    [
        (None, Outcome.HOLDS),
        ("event_bus=reference_impl.flawed.event_bus:overlooks_ghost_reads", Outcome.VIOLATED),
    ],
)
def test_a_trip_just_after_a_subscriber_lost_its_power_is_heard_of(run_short, bus, heard) -> None:
    """What `explore` found once: the dead connection's read still blocks at Redis, and takes the trip."""
    short = replace(CYCLE.profiles["short"], schedule=(during(seconds(3), ms(50), power_off("subscriber")),))
    results = run_short(replace(CYCLE, profiles={"short": short}), target=bus).invariants
    assert {one.id: one.verdict for one in results}["ES6"] is heard
