"""`ess-cycle` and `ess-crash`: what is not in their histories, and what proves their invariants."""

from pathlib import Path

from harness.registry import discover

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
