"""The two scenarios of patch 8: what proves their invariants, and what goes on without Redis."""

from pathlib import Path

from harness.history.query import observations, operations
from harness.history.store import load
from harness.registry import discover

NAMES = ("policy-aging", "policy-writers")
SCENARIOS = {name: scenario for name, scenario in discover().items() if name in NAMES}
FLAWED = [(name, variant) for name, scenario in SCENARIOS.items() for variant in scenario.flawed]


def test_every_invariant_has_a_variant_of_its_own() -> None:
    """PS1 to PS7, each by one that is caught by it and no other."""
    alone = {variant.caught_by[0] for _, variant in FLAWED if len(variant.caught_by) == 1}
    assert alone == {"PS1", "PS2", "PS3", "PS4", "PS5", "PS6", "PS7"}


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
