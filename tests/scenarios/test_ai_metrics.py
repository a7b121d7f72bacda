"""`ai-metrics` in the sim world: what a run of it goes through, and what its hosts are made of."""

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from harness.history.query import observations, operations
from harness.history.store import load
from harness.registry import discover
from harness.verdict import Verdict
from scenarios.ai_feeder import SLOTS, STAGES
from scenarios.ai_models import Misbehaving, Workshop

SCENARIO = discover()["ai-metrics"]


def test_every_stage_shows_in_what_the_dashboard_was_told(run_short) -> None:
    """Each way of being away was seen from another machine, by its reason; so were staleness and the 503."""
    result = run_short(SCENARIO)
    assert result.history is not None
    history = load(Path(result.history))
    assert {one.value["kind"] for one in observations(history, "stage")} == set(STAGES)
    reasons, stale, statuses = set(), set(), set()
    for one in operations(history, "metrics"):
        body = (one.result or {}).get("body", {})
        statuses.add((one.result or {}).get("status"))
        for slot in SLOTS:
            figure = body.get("models", {}).get(slot, {})
            reasons.add(figure.get("reason"))
            stale.add(figure.get("stale"))
    assert reasons >= {"removed", "raised", "timeout", "not_a_number", "stuck"}
    assert stale >= {True, False}
    assert statuses >= {200, 503}


@pytest.mark.parametrize("left_out", ["stuck", "pause", "remove_all"])
def test_a_stage_that_is_left_out_leaves_a_need_unmet(run_short, left_out: str) -> None:
    """No pass without each disturbance."""
    profile = SCENARIO.profiles["short"]
    hosts = tuple(
        replace(host, params={**host.params, "stages": [one for one in host.params["stages"] if one != left_out]})
        if host.name == "engine"
        else host
        for host in profile.hosts
    )
    result = run_short(replace(SCENARIO, profiles={"short": replace(profile, hosts=hosts)}))
    assert result.verdict is Verdict.INCONCLUSIVE
    assert [need.text for need in result.needs if not need.met] == [f"at least 1 stage kind={left_out}"]


def test_each_invariant_has_a_variant_of_its_own() -> None:
    """One that nothing else need catch; the gate then shows that it does."""
    alone = {variant.caught_by for variant in SCENARIO.flawed if len(variant.caught_by) == 1}
    assert alone == {(invariant.id,) for invariant in SCENARIO.invariants}


class _Model:
    version = "v"

    def predict(self, *_: object) -> float:
        """Predict."""
        return 0.4


def test_a_misbehaving_model_passes_for_what_it_stands_for() -> None:
    """Its version is the model's, and its text holds what must not leak."""
    model = Misbehaving(_Model(), "raise", "canary-1")
    assert model.version == "v"
    with pytest.raises(RuntimeError, match="canary-1"):
        model.predict()


async def test_the_workshop_never_comes_back_from_a_model_that_hangs() -> None:
    """And says how many such calls there are."""
    workshop = Workshop(fit_ns=0)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(workshop("predict", Misbehaving(_Model(), "hang", "c").predict), 0.05)
    assert workshop.hung == 1
    assert await workshop("predict", _Model().predict) == 0.4
