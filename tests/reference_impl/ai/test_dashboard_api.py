"""The metrics API: what is known, nothing else, and no more than codes when something is wrong."""

import json
import re

import httpx
import pytest

from reference_impl._ai import figures
from reference_impl.dashboard_api import READERS, application

CANARY = "canary-7f3a"
PATHS = list(READERS)


@pytest.fixture
def get():
    """Return what asks an application."""

    async def ask(app, path, method="GET"):
        transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://ai") as client:
            return await client.request(method, path)

    return ask


async def test_live_figures(make_engine, feed, get):
    """Status, the three models and the ensemble, and the time; each figure with its samples, window and as-of time."""
    engine = await make_engine(folds=2)
    await feed(engine, 12)
    answer = await get(engine.app(), "/api/dashboard/ml_metrics")
    body = answer.json()
    assert (answer.status_code, body["status"]) == (200, "ok")
    assert set(body["models"]) == {"xgb", "lgbm", "tft", "ensemble"}
    for name, key in ((slot.name, slot.key) for slot in engine.slots.values()):
        figure, record = body["models"][name], engine.rolling.record(key)
        assert figure["accuracy"] == record.hits / 12
        assert (figure["samples"], figure["window"], figure["version"]) == (12, 30, key[1])
        assert (figure["as_of"], figure["age_s"], figure["stale"]) == ("2023-11-14T22:13:20.000Z", 0, False)
        assert figure["walk_forward"]["samples"] == 44
    assert 0.5 <= body["models"]["ensemble"]["confidence"] <= 1
    assert body["timestamp"] == "2023-11-14T22:13:20.000Z"
    assert answer.headers["cache-control"] == "no-store"


async def test_the_other_metrics(make_engine, feed, get):
    """Who is in the ensemble, which strategy is followed, what sizes have earned."""
    engine = await make_engine()
    made = await feed(engine, 12)
    newest = {one.source: one for one in made[-1]}
    ensemble = (await get(engine.app(), "/api/ai/metrics/ensemble")).json()["ensemble"]
    assert ensemble["members"] == {"xgb": True, "lgbm": True, "tft": True}
    assert ensemble["confidence"] == newest["ensemble"].confidence
    meta = (await get(engine.app(), "/api/ai/metrics/meta-strategy")).json()["meta_strategy"]
    assert meta["chosen"] in meta["strategies"]
    assert {one["samples"] for one in meta["strategies"].values()} == {12}
    sizing = (await get(engine.app(), "/api/ai/metrics/rl-sizing")).json()["rl_sizing"]
    record = engine.rolling.record(figures.SIZING)
    assert sizing["mean_reward_ppm"] == pytest.approx(record.reward / 1_200)
    assert sizing["size_percent"] == newest["rl-sizing"].size
    assert sum(arm["tried"] for arm in sizing["arms"]) == 12


@pytest.mark.parametrize("path", PATHS)
async def test_nothing_to_tell_is_503(make_engine, get, path):
    """Before any outcome, every figure is null with a reason."""
    engine = await make_engine(train=False)
    answer = await get(engine.app(), path)
    assert (answer.status_code, answer.json()["status"]) == (503, "unavailable")
    values = re.findall(r'"(?:accuracy|confidence|mean_reward_ppm|size_percent)":([^,}]*)', answer.text)
    assert set(values) == {"null"}


async def test_without_any_model_the_dashboard_gets_503(make_engine, feed, get):
    """Models and ensemble are null, each with its reason; the strategies, which need none, go on."""
    engine = await make_engine()
    await feed(engine, 5)
    for slot in engine.slots:
        await engine.disturb(slot, None)
    answer = await get(engine.app(), "/api/dashboard/ml_metrics")
    assert answer.status_code == 503
    models = answer.json()["models"]
    assert {(one["accuracy"], one["status"]) for one in models.values()} == {(None, "unavailable")}
    assert {name: one["reason"] for name, one in models.items()} == {
        **dict.fromkeys(("xgb", "lgbm", "tft"), "removed"),
        "ensemble": "no_members",
    }
    assert models["ensemble"]["confidence"] is None
    assert (await get(engine.app(), "/api/ai/metrics/ensemble")).status_code == 503
    assert (await get(engine.app(), "/api/ai/metrics/meta-strategy")).status_code == 200


async def test_one_model_away_is_degraded(make_engine, feed, get):
    """200, and only that one is null."""
    engine = await make_engine()
    await feed(engine, 5)
    await engine.disturb("tft", None)
    body = (await get(engine.app(), "/api/dashboard/ml_metrics")).json()
    assert body["status"] == "degraded"
    assert [name for name, one in body["models"].items() if one["accuracy"] is None] == ["tft"]


@pytest.mark.parametrize("path", PATHS)
async def test_old_figures_are_called_stale(make_engine, feed, get, clock, path):
    """One millisecond past the limit, not at it; the value is still told, with its age."""
    engine = await make_engine(stale_after_s=60.0)
    await feed(engine, 5)
    clock.now_ms += 60_000
    assert (await get(engine.app(), path)).json()["status"] == "ok"
    clock.now_ms += 1
    body = (await get(engine.app(), path)).json()
    assert body["status"] == "stale"
    for figure in list(body.get("models", {}).values()) or [one for one in body.values() if isinstance(one, dict)]:
        assert (figure["stale"], figure["status"], figure["age_s"]) == (True, "stale", 60.001)
        assert figure["accuracy"] is not None


@pytest.mark.parametrize("path", PATHS)
async def test_no_answer_holds_an_exceptions_text(make_engine, feed, get, around, path, caplog):
    """Neither of a model that raises secrets nor of the engine's own failure; nor does the log hold them."""
    engine = await make_engine()

    def fail():
        raise RuntimeError(f"/srv/models/{CANARY} token={CANARY}")

    await feed(engine, 2)
    for slot in engine.slots:
        await engine.disturb(slot, around(fail))
    await feed(engine, 2, first=2)
    said = (await get(engine.app(), path)).text
    broken = await get(application(fail), path)
    assert (broken.status_code, broken.json()) == (500, {"status": "error", "reason": "internal"})
    for text in (said, broken.text, caplog.text):
        assert CANARY not in text
        assert "Traceback" not in text
    assert str(engine._ledger._path.parent) not in said


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/api/dashboard", 404),
        ("GET", "/api/dashboard/ml_metrics/", 404),
        ("POST", PATHS[0], 405),
        ("DELETE", PATHS[1], 405),
        ("GET", "/docs", 404),
    ],
)
async def test_what_is_not_there(make_engine, get, method, path, status):
    """A code, and nothing of the request."""
    engine = await make_engine(train=False)
    answer = await get(engine.app(), path, method)
    assert answer.status_code == status
    assert set(answer.json()) == {"status", "reason"}


async def test_answers_are_json_also_to_strict_readers(make_engine, feed, get, around):
    """No NaN, whatever models say."""
    engine = await make_engine()
    await engine.disturb("xgb", around(lambda: float("nan")))
    await feed(engine, 3)

    def refuse(name):
        raise AssertionError(name)

    for path in PATHS:
        json.loads((await get(engine.app(), path)).text, parse_constant=refuse)
