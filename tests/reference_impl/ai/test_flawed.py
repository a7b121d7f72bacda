"""Each flawed engine works, and shows its one defect when something happens."""

import asyncio

import httpx
import pytest

from reference_impl.flawed import ai_engine as flawed

HISTORY = 120


@pytest.fixture
def make_flawed(tmp_path, candles):
    """Return what makes a variant, trained, on real threads."""
    made = []

    async def make(name, **options):
        settings = {"models": "small", "window": 30, "folds": 2, "stuck_after": 4, "predict_limit_s": 1.0} | options
        engine = flawed.VARIANTS[name](directory=tmp_path, name="e", **settings)
        made.append(engine)
        await engine.start()
        await engine.train(candles[:HISTORY])
        return engine

    yield make
    for engine in made:
        engine._ledger.close()


async def metrics(engine, app=None):
    transport = httpx.ASGITransport(app=app or engine.app())
    async with httpx.AsyncClient(transport=transport, base_url="http://ai") as client:
        return (await client.get("/api/dashboard/ml_metrics")).json()


@pytest.mark.parametrize("name", flawed.VARIANTS)
async def test_a_flawed_variant_predicts_and_answers(make_flawed, feed, name):
    """A variant that does not work at all would prove nothing about what catches it."""
    engine = await make_flawed(name)
    made = await feed(engine, 3)
    assert len(made[-1]) == 8
    body = await metrics(engine)
    assert body["status"] == "ok"
    assert all(isinstance(body["models"][slot]["accuracy"], float) for slot in ("xgb", "lgbm", "tft"))


def test_every_variant_is_a_name_of_its_module():
    """Scenarios name variants as `module:attribute`."""
    assert {name: getattr(flawed, name) for name in flawed.VARIANTS} == flawed.VARIANTS


async def test_planned_tells_what_training_scored(make_flawed, feed):
    """Live outcomes move nothing, and a removed model is as good as ever."""
    engine = await make_flawed("planned")
    before = await metrics(engine)
    await feed(engine, 5)
    await engine.disturb("xgb", None)
    after = await metrics(engine)
    assert before["models"] == after["models"]
    assert after["models"]["ensemble"] == {"confidence": 0.0}


async def test_hard_coded_scores(make_flawed, feed):
    """What looks good, whatever was predicted."""
    steady = await make_flawed("hard_coded_scores")
    await feed(steady, 3)
    assert {(await metrics(steady))["models"]["xgb"]["accuracy"] for _ in range(3)} == {0.873}


async def test_random_numbers_differ_each_time(make_flawed, feed):
    """Though nothing happened in between."""
    engine = await make_flawed("random_numbers")
    await feed(engine, 3)
    assert len({(await metrics(engine))["models"]["xgb"]["accuracy"] for _ in range(3)}) == 3


@pytest.mark.parametrize("name", ["zero_when_missing", "last_known_when_gone"])
async def test_a_removed_model_has_a_figure(make_flawed, feed, name):
    """A zero, or the last one known."""
    engine = await make_flawed(name)
    await feed(engine, 6)
    before = (await metrics(engine))["models"]["lgbm"]["accuracy"]
    await engine.disturb("lgbm", None)
    figure = (await metrics(engine))["models"]["lgbm"]
    assert figure["status"] == "ok"
    assert figure["accuracy"] == (before if name == "last_known_when_gone" else 0.0)


async def test_cached_forever(make_flawed, feed):
    """Outcomes change nothing that is told any more."""
    engine = await make_flawed("cached_forever")
    await feed(engine, 3)
    app = engine.app()
    before = await metrics(engine, app)
    await feed(engine, 3, first=3)
    assert await metrics(engine, app) == before


async def test_never_stale_calls_old_figures_fresh(make_flawed, feed):
    """With a limit of nothing every figure is old."""
    engine = await make_flawed("never_stale", stale_after_s=-1.0)
    await feed(engine, 3)
    assert (await metrics(engine))["models"]["tft"]["stale"] is False


async def test_leaks_exception_text(make_flawed, feed, around):
    """In the exception's own words."""
    engine = await make_flawed("leaks_exception_text")

    def fail():
        raise RuntimeError("canary")

    await engine.disturb("xgb", around(fail))
    await feed(engine, 1)
    assert (await metrics(engine))["models"]["xgb"]["detail"] == "canary"


@pytest.mark.parametrize("name", ["blocks_while_training", "hangs_with_model"])
async def test_answers_wait_for_the_lock(make_flawed, name):
    """Held while models train, or predict."""
    engine = await make_flawed(name)
    async with engine.lock:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(metrics(engine), 0.2)


async def test_counts_repeats(make_flawed, candles):
    """The last word counts."""
    engine = await make_flawed("counts_repeats")
    one = (await engine.on_candle(candles[HISTORY]))[0]
    await engine.on_outcomes({one.id: one.direction})
    assert engine.rolling.record(one.key).hits == 1
    await engine.on_outcomes({one.id: -one.direction})
    assert (engine.rolling.record(one.key).hits, engine.rolling.record(one.key).samples) == (0, 1)


async def test_forgets_on_restart(make_flawed, feed):
    """Nothing of an earlier life is known."""
    await feed(await make_flawed("forgets_on_restart"), 3)
    again = await make_flawed("forgets_on_restart")
    assert list(again.rolling) == []
