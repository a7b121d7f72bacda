"""`ai-metrics` on the line-up for production: XGBoost, LightGBM and the transformer, each where it is installed."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from harness.history.query import operations
from harness.history.store import load
from harness.registry import discover
from harness.scenario import Scenario
from harness.verdict import InvariantResult, Verdict
from reference_impl._ai.candles import generate
from reference_impl._ai.features import table
from reference_impl._ai.lineups import installed, lineup

SCENARIO = discover()["ai-metrics"]
HERE = [slot for slot, there in installed().items() if there]


def on_installed(history: int) -> Scenario:
    """The short profile, in which both engines have the models for production."""
    profile = SCENARIO.profiles["short"]
    hosts = tuple(
        replace(
            host,
            params={
                **host.params,
                "history": history,
                "options": {**host.params["options"], "models": "installed", "folds": 0},
            },
        )
        if host.serves
        else host
        for host in profile.hosts
    )
    return replace(SCENARIO, profiles={"short": replace(profile, hosts=hosts)})


def violated(invariants: Sequence[InvariantResult]) -> list[str]:
    """What does not hold."""
    return [one.id for one in invariants if one.finding is not None]


@pytest.mark.skipif(not HERE, reason="no extra installed (make ml)")
@pytest.mark.filterwarnings("ignore:.*torch.distributed:FutureWarning")  # the sim world looks at every name there is
@pytest.mark.timeout(600)
def test_everything_holds_on_the_models_that_are_installed(run_short) -> None:
    """Their figures are recomputed like any other's, and each names its library; what is not installed says so."""
    for slot in HERE:  # libraries go on importing in their first fit, and PyTorch then makes folders of its own
        lineup("installed")[slot].usual().fit(table(generate(1, 140)))
    result = run_short(on_installed(300))
    assert (result.errors, violated(result.invariants)) == ((), [])
    assert result.verdict is Verdict.PASS
    assert result.history is not None
    versions, reasons = {}, {}
    for one in operations(load(Path(result.history)), "metrics"):
        for slot, figure in (one.result or {}).get("body", {}).get("models", {}).items():
            versions.setdefault(slot, set()).add(figure["version"])
            reasons.setdefault(slot, set()).add(figure["reason"])
    for slot, library in (("xgb", "xgboost-"), ("lgbm", "lightgbm-"), ("tft", "temporal-fusion-torch-")):
        if slot in HERE:
            assert any(str(version).startswith(library) for version in versions[slot])
        else:
            assert versions[slot] == {None}
            assert "not_installed" in reasons[slot]


@pytest.mark.skipif(len(HERE) == 3, reason="every library is installed")
def test_a_library_that_is_missing_is_reported(run_short) -> None:
    """Its place says `not_installed` from the training on, also after it was disturbed and restored."""
    result = run_short(on_installed(140))
    assert (result.errors, violated(result.invariants)) == ((), [])
    assert result.history is not None
    missing = {"xgb", "lgbm", "tft"} - set(HERE)
    asked = [one for one in operations(load(Path(result.history)), "metrics") if one.outcome == "ok"]
    last = next(one for one in reversed(asked) if str(one.value["path"]).endswith("ml_metrics"))
    assert last.result is not None
    figures = last.result["body"]["models"]
    assert {(slot, figures[slot]["accuracy"], figures[slot]["reason"]) for slot in missing} == {
        (slot, None, "not_installed") for slot in missing
    }
    if len(missing) == 3:
        assert last.result["status"] == 503
