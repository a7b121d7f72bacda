"""The engine: exact live figures, models that are away, time limits, restarts, disks that fail."""

import asyncio
import sqlite3
import threading
import time

import pytest

from reference_impl._ai.lineups import Choice, lineup
from reference_impl._ai.model import EngineError
from reference_impl._ai.workers import Threads
from reference_impl.ai_engine import ROWS_SEEN, AiEngine, Options, make

HISTORY = 120
SOURCES = {"xgb", "lgbm", "tft", "ensemble", "strategy-trend", "strategy-revert", "meta-strategy", "rl-sizing"}


def reasons(engine):
    return {slot.name: slot.reason for slot in engine.view().slots}


async def test_predictions_come_of_every_source(make_engine, feed):
    """Each once, on the candle, and waiting for its outcome."""
    engine = await make_engine()
    (made,) = await feed(engine, 1)
    assert {one.source for one in made} == SOURCES
    assert len({one.id for one in made}) == len(SOURCES)


async def test_figures_are_the_hit_rate_of_what_was_predicted(make_engine, feed, candles):
    """Recomputed by hand over the newest 30 of 45."""
    engine = await make_engine()
    made = await feed(engine, 45)
    for source in SOURCES:
        hits = 0
        for number, predictions in list(enumerate(made))[-30:]:
            (one,) = [one for one in predictions if one.source == source]
            at = HISTORY + number
            hits += one.direction * (candles[at + 1].close - candles[at].close) > 0
        record = engine.rolling.record((source, one.version))
        assert (record.hits, record.samples) == (hits, 30)


async def test_outcomes_count_once(make_engine, candles):
    """Unknown ids, repeats and contradictions are told apart from new ones."""
    engine = await make_engine()
    made = await engine.on_candle(candles[HISTORY])
    one, two = made[0].id, made[1].id
    assert await engine.on_outcomes({one: 5, "unknown": 1}) == 1
    assert await engine.on_outcomes({one: -5, two: 5}) == 1
    assert await engine.on_outcomes({one: 5, two: -5}) == 0
    assert await engine.on_outcomes({}) == 0


async def test_a_candle_given_again_gives_what_was_predicted_then(make_engine, feed, candles):
    """Also after a restart, whatever the models would say now."""
    engine = await make_engine()
    (first, second) = await feed(engine, 2)
    assert await engine.on_candle(candles[HISTORY]) == first
    engine._ledger.close()
    again = await make_engine()
    assert await again.on_candle(candles[HISTORY + 1]) == second


async def test_candles_out_of_order_and_too_few_are_refused(make_engine, feed, candles):
    """By a code; nothing is predicted."""
    engine = await make_engine()
    await feed(engine, 1)
    with pytest.raises(EngineError, match="out_of_order"):
        await engine.on_candle(candles[3])
    untrained = await make_engine(train=False)
    with pytest.raises(EngineError, match="too_few_candles"):
        await untrained.on_candle(candles[300])


async def test_a_restart_changes_no_figure(make_engine, feed):
    """All records are the same, to the digit, and what waited still waits."""
    engine = await make_engine()
    await feed(engine, 40)
    await engine.close()
    again = await make_engine()
    for key in engine.rolling:
        before, after = engine.rolling.record(key), again.rolling.record(key)
        assert (after.hits, after.samples, after.reward, after.as_of_ms, after.newest) == (
            before.hits,
            before.samples,
            before.reward,
            before.as_of_ms,
            before.newest,
        )


@pytest.mark.parametrize(
    ("how", "reason"),
    [
        (lambda: float("nan"), "not_a_number"),
        (lambda: 7.0, "out_of_range"),
        (lambda: None, "not_a_number"),
        (lambda: 1 / 0, "raised"),
    ],
)
async def test_a_model_that_fails_is_away_at_once_and_back_at_once(make_engine, feed, around, how, reason):
    """The others and the ensemble of them go on."""
    engine = await make_engine()
    await feed(engine, 3)
    await engine.disturb("lgbm", around(how))
    (made,) = await feed(engine, 1, first=3)
    assert {one.source for one in made} == SOURCES - {"lgbm"}
    assert reasons(engine) == {"xgb": None, "lgbm": reason, "tft": None}
    await engine.restore("lgbm")
    assert reasons(engine)["lgbm"] == "no_prediction"
    (made,) = await feed(engine, 1, first=4)
    assert {one.source for one in made} == SOURCES
    assert reasons(engine)["lgbm"] is None


async def test_a_stuck_model_is_found_out(make_engine, feed, around):
    """With the fourth equal answer; its earlier ones count, as they were its own."""
    engine = await make_engine()
    await engine.disturb("tft", around(lambda: 0.7))
    made = await feed(engine, 6)
    assert ["tft" in {one.source for one in predictions} for predictions in made] == [True] * 3 + [False] * 3
    assert reasons(engine)["tft"] == "stuck"


async def test_a_model_that_only_repeats_itself_in_a_calm_market_is_not_stuck(make_engine, feed):
    """It says the same of every new candle, as trees may, but tells those of its training apart."""
    engine = await make_engine()
    known = engine.slots["tft"].base

    class Calm:
        version = "calm"

        def predict(self, rows):
            return 0.7 if len(rows) == ROWS_SEEN else known.predict(rows)

    await engine.disturb("tft", lambda _: Calm())
    made = await feed(engine, 10)
    assert ["tft" in {one.source for one in predictions} for predictions in made] == [True] * 10


async def test_a_removed_model_is_away_before_the_next_candle(make_engine, feed):
    """Nothing need be tried to know it."""
    engine = await make_engine()
    await feed(engine, 1)
    for slot in ("xgb", "lgbm", "tft"):
        await engine.disturb(slot, None)
    assert set(reasons(engine).values()) == {"removed"}
    (made,) = await feed(engine, 1, first=1)
    assert {one.source for one in made} == SOURCES - {"xgb", "lgbm", "tft", "ensemble"}


async def test_a_hanging_model_costs_its_limit_three_times_and_then_nothing(make_engine, feed, around, hang):
    """One call hangs; it is not called again, so the candles after the first cost nothing."""
    calls = []

    def hanging():
        calls.append(1)
        raise hang

    engine = await make_engine()
    await engine.disturb("xgb", around(hanging))
    began = time.monotonic()
    made = await feed(engine, 8)
    assert time.monotonic() - began < 5
    assert len(calls) == 1
    assert reasons(engine)["xgb"] == "timeout"
    assert all("xgb" not in {one.source for one in predictions} for predictions in made)
    await engine.close()


async def test_a_swapped_model_begins_with_no_record(make_engine, feed):
    """And the old one's is still there when it comes back."""
    engine = await make_engine()
    await feed(engine, 5)
    usual = engine.slots["xgb"].key
    version = await engine.swap("xgb")
    assert engine.slots["xgb"].key == ("xgb", version) != usual
    assert engine.rolling.record(engine.slots["xgb"].key).samples == 0
    await feed(engine, 2, first=5)
    assert engine.rolling.record(engine.slots["xgb"].key).samples == 2
    assert await engine.swap("xgb") == usual[1]
    assert engine.rolling.record(usual).samples == 5


async def test_what_is_not_installed_is_reported_and_cannot_be_swapped_in(tmp_path, candles, clock):
    """The line-up for production where no library is: every model away, the strategies go on."""
    engine = AiEngine(tmp_path / "x.sqlite3", options=Options(models="installed", folds=0), clock=clock)
    missing = [slot for slot in engine.slots.values() if _not_installed(slot)]
    if not missing:
        pytest.skip("every library is installed")
    await engine.start()
    await engine._fit(*missing)
    assert {slot.reason for slot in missing} == {"not_installed"}
    with pytest.raises(EngineError, match="not_fitted"):
        await engine.swap(missing[0].name)
    assert missing[0].reason == "not_installed"
    await engine.close()


def _not_installed(slot):
    try:
        slot.factory()
    except Exception:  # noqa: BLE001 - that is the question
        return True
    return False


async def test_a_model_that_cannot_be_fitted(make_engine, candles):
    """At first there is none; later the old one stays and serves."""

    class Unfit:
        version = "unfit"

        def fit(self, data):
            raise MemoryError("secret")

    engine = await make_engine(train=False)
    usual, engine.slots["lgbm"].factory = engine.slots["lgbm"].factory, Unfit
    await engine.train(candles[:HISTORY])
    assert reasons(engine)["lgbm"] == "fit_failed"
    engine.slots["lgbm"].factory = usual
    await engine.train(candles[:HISTORY])
    kept, engine.slots["lgbm"].factory = engine.slots["lgbm"].key, Unfit
    await engine.train(candles[:HISTORY])
    assert engine.slots["lgbm"].key == kept


async def test_a_training_that_never_ends_costs_its_limit_and_its_model(make_engine, candles, hang):
    """The others are fitted after it."""

    class Hangs:
        version = "hangs"

        def fit(self, data):
            raise hang

    engine = await make_engine(train=False, fit_limit_s=0.05)
    engine.slots["xgb"].factory = Hangs
    await engine.train(candles[:HISTORY])
    assert reasons(engine) == {"xgb": "fit_timeout", "lgbm": "no_prediction", "tft": "no_prediction"}


async def test_a_full_disk_is_an_error_and_counts_nothing(make_engine, feed, candles):
    """The figures stay as they are; once there is space, the same is given again and counts."""
    engine = await make_engine()
    await feed(engine, 2)
    made = await engine.on_candle(candles[HISTORY + 2])
    outcomes = {one.id: 1 for one in made}
    resolve, store = engine._ledger.resolve, engine._ledger.store

    def full(*_):
        raise sqlite3.OperationalError("database or disk is full at /secret/path")

    engine._ledger.resolve = engine._ledger.store = full
    before = engine.rolling.record(engine.slots["xgb"].key).samples
    with pytest.raises(EngineError, match=r"^disk$"):
        await engine.on_outcomes(outcomes)
    with pytest.raises(EngineError, match=r"^disk$"):
        await engine.on_candle(candles[HISTORY + 3])
    assert engine.rolling.record(engine.slots["xgb"].key).samples == before
    engine._ledger.resolve, engine._ledger.store = resolve, store
    assert await engine.on_outcomes(outcomes) == len(outcomes)
    assert len(await engine.on_candle(candles[HISTORY + 3])) == len(SOURCES)


async def test_a_caller_who_gives_up_changes_nothing(make_engine, feed, candles):
    """What was being saved is saved, in memory as on disk."""
    engine = await make_engine()
    await feed(engine, 1)
    made = await engine.on_candle(candles[HISTORY + 1])
    inner, hold = engine._executor, asyncio.Event()

    async def slow(task, function, /, *args):
        if task == "disk":
            await hold.wait()
        return await inner(task, function, *args)

    engine._executor = slow
    giving = asyncio.create_task(engine.on_outcomes({made[0].id: 1}))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    giving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await giving
    hold.set()
    await engine.close()
    assert made[0].id not in engine.rolling.waiting


async def test_answers_do_not_wait_for_training_on_real_threads(tmp_path, candles, around):
    """A model that blocks in `fit`, and one that blocks in `predict`: the view is there all the while."""
    release = threading.Event()

    class Blocks:
        version = "blocks"

        def fit(self, data):
            release.wait(30)

    engine = make(directory=tmp_path, name="e", executor=Threads(), models="small", folds=0, predict_limit_s=0.2)
    await engine.start()
    await engine.train(candles[:HISTORY])
    await engine.disturb("xgb", around(lambda: release.wait(30)))
    assert "xgb" not in {one.source for one in await engine.on_candle(candles[HISTORY])}
    engine.slots["tft"].factory = Blocks
    training = asyncio.create_task(engine.train(candles[:HISTORY]))
    for _ in range(20):
        began = time.monotonic()
        assert reasons(engine)["xgb"] is not None
        await asyncio.sleep(0.005)
        assert time.monotonic() - began < 1
    assert not training.done()
    release.set()
    await training
    await engine.close()


def test_line_ups_have_the_three_places():
    """Those that the customer named, in every line-up."""
    for name in ("installed", "small"):
        assert list(lineup(name)) == ["xgb", "lgbm", "tft"]
        assert all(isinstance(choice, Choice) for choice in lineup(name).values())
