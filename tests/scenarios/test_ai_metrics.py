"""`ai-metrics` in the sim world: the reference passes, nothing passes as easily, and each flawed variant is caught."""

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


@pytest.mark.parametrize("seed", range(1, 5))
def test_the_reference_passes(run_short, seed: int) -> None:
    """Every stage is gone through, each fault bites, and everything holds with something to look at."""
    result = run_short(SCENARIO, seed=seed)
    assert (result.verdict, result.errors, result.doubts) == (Verdict.PASS, (), ())
    assert all(fault.bit and fault.evidence for fault in result.faults)
    assert {one.id for one in result.invariants if one.checked > 0} == {"AI1", "AI2", "AI3", "AI4", "AI5"}


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


def test_faults_without_effect_prove_nothing(run_short, without_effect) -> None:
    """A run in which nothing happened to the hosts is no pass."""
    result = run_short(without_effect(SCENARIO))
    assert result.verdict is Verdict.INCONCLUSIVE
    assert [fault.name for fault in result.faults if fault.bit] == []


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


def test_same_seed_same_history(run_short) -> None:
    """Byte for byte, models included."""
    first, again = (run_short(SCENARIO, seed=3) for _ in range(2))
    assert first.history is not None
    assert again.history is not None
    assert Path(first.history).read_bytes() == Path(again.history).read_bytes()
    assert first.trace_digest == again.trace_digest


@pytest.mark.parametrize("variant", SCENARIO.flawed, ids=lambda variant: variant.name)
def test_flawed_variants_are_caught(must_catch, variant) -> None:
    """By an invariant that was written for them."""
    must_catch(SCENARIO, variant, range(1, 6))


def test_each_invariant_has_a_variant_of_its_own() -> None:
    """One that nothing else need catch; the test above then shows that it does."""
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
