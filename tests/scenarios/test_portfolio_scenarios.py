"""`pnl-replay` and `pnl-crash`: a crash at any point loses nothing, and what was withheld is found."""

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
