"""AI1 to AI4 on histories by hand: what holds, what does not, and what there is too little of to judge."""

import dataclasses

import pytest

from harness.history.events import SCHEMA, Observation, RunStarted
from harness.invariants.ai_absence import absent_is_absent
from harness.invariants.ai_freshness import fresh
from harness.invariants.ai_metrics import causal, not_constant
from harness.invariants.base import judge_all
from harness.units import seconds
from harness.verdict import Outcome

WINDOW, STUCK = 4, 3
LIMIT_S = 5
SETTINGS = {"window": WINDOW, "stuck_after": STUCK}
CAUSAL = causal(**SETTINGS)
CONSTANT = not_constant(**SETTINGS)
ABSENT = absent_is_absent(**SETTINGS)
FRESH = fresh(seconds(LIMIT_S), **SETTINGS)
SLOTS = ("xgb", "lgbm", "tft")
CANARY = "canary-x"


class EngineRun:
    """A host `engine` that is fed one candle a second, and a dashboard that is told what a test says."""

    def __init__(self, run, world="sim", name="engine"):
        self.run = run
        self.name = name
        self.candle = 0
        self.incarnation = 1
        self.run.events[0] = RunStarted(0, "harness", 1, SCHEMA, "0", "s", "full", world, 7, {}, [])

    def op(self, name, start, end=None, value=None, result=None, outcome="ok"):
        end = start + 0.01 if end is None else end
        self.run.call(name, start, end or None, outcome, value, result, self.name, self.incarnation)
        return self

    def begin(self, at=0.0):
        return self.op("start", at).op("train", at + 0.02, value={"candles": 9})

    def predict(self, at, sources=(*SLOTS, "ensemble"), up=True, confidence=0.6, version="1", size=100, end=None):
        """One candle: every source says the same."""
        made = [[f"{self.candle}-{one}", one, version, 1 if up else -1, confidence, size] for one in sources]
        self.op("predict", at, end, {"candle": self.candle}, {"made": made})
        self.candle += 1
        return self

    def resolve(self, at, return_ppm, candle=None, sources=(*SLOTS, "ensemble"), end=None, outcome="ok"):
        """What came of one candle's predictions; the last one's unless told."""
        number = self.candle - 1 if candle is None else candle
        outcomes = {f"{number}-{one}": return_ppm for one in sources}
        return self.op("resolve", at, end, {"outcomes": outcomes}, {"counted": 4}, outcome)

    def disturb(self, at, slot, how):
        return self.op("disturb", at, value={"slot": slot, "how": how, "canary": CANARY})

    def ask(self, at, end=None, status=200, path="ml_metrics", more=None, **figures):
        """An answer; each figure is a share and its samples, a reason, or a whole dict."""
        told = {}
        for slot in (*SLOTS, "ensemble") if path == "ml_metrics" else (path.replace("-", "_"),):
            told[slot] = self.figure(slot, figures.get(slot, figures.get("all")), at)
        body = {"timestamp": stamp(at), "models": told} if path == "ml_metrics" else {"timestamp": stamp(at), **told}
        value = {"engine": self.name, "path": f"/api/{path}"}
        result = {"status": status, "body": body | (more or {})}
        self.run.call("metrics", at, end or at + 0.01, "ok", value, result, "dashboard")
        return self

    @staticmethod
    def figure(slot, told, at):
        if told is None or isinstance(told, dict):
            return told
        if isinstance(told, str):
            return {"status": "unavailable", "reason": told, "accuracy": None, "samples": 0}
        value, samples, *age = told
        age_s = age[0] if age else 1.0
        name = "mean_reward_ppm" if slot == "rl_sizing" else "accuracy"
        return {
            "status": "stale" if age_s > LIMIT_S else "ok",
            "stale": age_s > LIMIT_S,
            "reason": None,
            name: value,
            "samples": samples,
            "confidence": 0.6,
            "as_of": stamp(at - age_s),
            "age_s": age_s,
        }

    def judge(self, invariant):
        (result,) = judge_all(self.run.end(100), [invariant])
        return result


def stamp(at):
    """A time of an engine whose clock is off by a long way."""
    return f"2031-05-05T05:{int(10 + at // 60):02d}:{at % 60:06.3f}+00:00"


@pytest.fixture
def engine(run):
    """Two hits and a miss of every source, all known at 4 s."""
    one = EngineRun(run).begin()
    for number, came in enumerate((500, -500, 700)):
        one.predict(1 + number).resolve(1.5 + number, came)
    return one


def outcome(result):
    return result.verdict, result.checked


def test_figures_as_recomputed_hold(engine):
    """Two of three, at any later time."""
    engine.ask(4, all=(2 / 3, 3, 0.5)).ask(9, all=(2 / 3, 3, 5.5))
    assert outcome(engine.judge(CAUSAL)) == (Outcome.HOLDS, 8)


@pytest.mark.parametrize("told", [(0.5, 3), (2 / 3, 4), (1, 3), (0, 3), (True, 3), ("0.67", 3), (0.6667, 3)])
def test_any_other_figure_is_violated(engine, told):
    """A wrong share, a wrong number of samples, a rounded one, text: all are wrong; one of four figures is."""
    engine.ask(4, all=(2 / 3, 3), lgbm=told)
    result = engine.judge(CAUSAL)
    assert (result.verdict, result.observed, result.checked) == (Outcome.VIOLATED, 1, 4)
    assert "lgbm of engine" in result.finding.sentence


def test_the_window_is_of_the_newest_predictions(engine):
    """An outcome that comes late takes its place by when it was predicted; what it pushes out is the oldest."""
    engine.predict(5).predict(6).resolve(6.2, 900, candle=4).resolve(6.4, -900, candle=3)
    engine.ask(7, all=(2 / 4, 4))
    assert engine.judge(CAUSAL).verdict is Outcome.HOLDS
    engine.predict(8).resolve(8.2, 900).ask(9, all=(3 / 4, 4))
    assert engine.judge(CAUSAL).verdict is Outcome.HOLDS


def test_a_repeated_outcome_changes_nothing(engine):
    """The first one counts."""
    engine.resolve(3.8, -700).ask(4, all=(2 / 3, 3))
    assert engine.judge(CAUSAL).verdict is Outcome.HOLDS
    engine.ask(5, all=(1 / 3, 3))
    assert engine.judge(CAUSAL).verdict is Outcome.VIOLATED


def test_an_answer_may_be_of_before_or_after_what_went_on_meanwhile(engine):
    """An outcome that was being given while the question was out; but not of two steps before."""
    engine.predict(5).resolve(5.5, 100, end=6.5)
    engine.ask(6, 6.2, all=(3 / 4, 4), xgb=(2 / 3, 3))
    assert engine.judge(CAUSAL).verdict is Outcome.HOLDS
    engine.ask(7, 7.2, all=(2 / 3, 3))
    assert engine.judge(CAUSAL).verdict is Outcome.VIOLATED


def test_what_a_killed_host_was_giving_may_have_counted_or_not(engine):
    """Until it is given again; from then on it has."""
    engine.predict(5).resolve(5.5, 100, end=0)
    engine.incarnation = 2
    engine.begin(7)
    engine.ask(8, all=(3 / 4, 4), xgb=(2 / 3, 3))
    assert engine.judge(CAUSAL).verdict is Outcome.HOLDS
    engine.resolve(9, 100).ask(10, all=(3 / 4, 4))
    assert engine.judge(CAUSAL).verdict is Outcome.HOLDS
    engine.ask(11, all=(2 / 3, 3))
    assert engine.judge(CAUSAL).verdict is Outcome.VIOLATED


def test_a_swapped_model_has_no_record(engine):
    """The old figure under the new model is wrong, none is right, and its own counts from one."""
    engine.op("swap", 4, value={"slot": "xgb"}, result={"version": "2"})
    engine.ask(5, all=(2 / 3, 3), xgb="no_outcomes")
    assert engine.judge(CAUSAL).verdict is Outcome.HOLDS
    assert engine.judge(ABSENT).verdict is Outcome.INCONCLUSIVE
    engine.ask(6, all=(2 / 3, 3))
    assert engine.judge(CAUSAL).verdict is Outcome.VIOLATED
    assert engine.judge(ABSENT).verdict is Outcome.VIOLATED


def test_the_ensembles_confidence_is_that_of_its_newest_prediction(engine):
    """Any other is wrong."""
    engine.ask(4, all=(2 / 3, 3))
    assert engine.judge(CAUSAL).verdict is Outcome.HOLDS
    engine.ask(5, all=(2 / 3, 3), ensemble=EngineRun.figure("ensemble", (2 / 3, 3), 5) | {"confidence": 0.61})
    assert engine.judge(CAUSAL).verdict is Outcome.VIOLATED


def test_sizes_earn_what_they_were_put_on(run):
    """Half the size up, all of it down: the mean of size x direction x return."""
    engine = EngineRun(run).begin()
    engine.predict(1, ("rl-sizing",), size=50).resolve(1.5, 600, sources=("rl-sizing",))
    engine.predict(2, ("rl-sizing",), up=False).resolve(2.5, 100, sources=("rl-sizing",))
    engine.ask(3, path="rl-sizing", all=(100.0, 2))
    assert outcome(engine.judge(CAUSAL)) == (Outcome.HOLDS, 1)
    engine.ask(4, path="rl-sizing", all=(250.0, 2))
    assert engine.judge(CAUSAL).verdict is Outcome.VIOLATED


@pytest.mark.parametrize("invariant", [CAUSAL, CONSTANT, ABSENT, FRESH])
def test_without_answers_nothing_is_judged(engine, invariant):
    """Not held: unsure."""
    assert outcome(engine.judge(invariant)) == (Outcome.INCONCLUSIVE, 0)


def moving(run, name, came):
    engine = EngineRun(run, name=name).begin()
    for number, return_ppm in enumerate(came):
        engine.predict(1 + number, SLOTS).resolve(1.5 + number, return_ppm, sources=SLOTS)
    return engine


def shares(came):
    """The true share after each outcome."""
    windows = [came[max(0, at - WINDOW + 1) : at + 1] for at in range(len(came))]
    return [sum(one > 0 for one in window) / len(window) for window in windows]


CAME = (1, -1, -1, -1, 1, 1, 1, 1, -1, -1, 1, 1)


def test_a_figure_that_moves_with_its_record_is_no_constant(run):
    """Each of the three; the limit of distinct values is met in a wider window."""
    engine = moving(run, "engine", CAME)
    wide = dataclasses.replace(CONSTANT, window=50)
    for at, count in enumerate(range(1, len(CAME) + 1)):
        share = sum(one > 0 for one in CAME[:count]) / count
        engine.ask(1.8 + at, all=(share, count))
    assert outcome(engine.judge(wide)) == (Outcome.HOLDS, 3)


def test_a_constant_is_found(run):
    """The same number to every question, while the record went through eight values."""
    engine = moving(run, "engine", CAME)
    wide = dataclasses.replace(CONSTANT, window=50)
    for at in range(len(CAME)):
        engine.ask(1.8 + at, all=(0.87, 40))
    result = engine.judge(wide)
    assert (result.verdict, result.observed) == (Outcome.VIOLATED, 3)
    assert "0.87" in result.finding.sentence


@pytest.mark.parametrize(("equal", "verdict"), [(False, Outcome.HOLDS), (True, Outcome.VIOLATED)])
def test_two_engines_with_other_data_tell_other_figures(run, equal, verdict):
    """Equal ones are the first engine's for both."""
    other_came = tuple(-one for one in CAME)
    first, other = moving(run, "engine", CAME), moving(run, "other", other_came)
    for at in range(4, len(CAME)):
        first.ask(1.8 + at, all=(shares(CAME)[at], WINDOW))
        other.ask(1.85 + at, all=(shares(CAME if equal else other_came)[at], WINDOW))
        first.ask(1.9 + at, all=(shares(CAME)[at], WINDOW))
        other.ask(1.95 + at, all=(shares(CAME if equal else other_came)[at], WINDOW))
    assert first.judge(CONSTANT).verdict is verdict


def removed(engine, **told):
    """`lgbm` is taken away, and the dashboard is told this of it."""
    return engine.disturb(4, "lgbm", "remove").ask(5, all=(2 / 3, 3), **told)


def test_a_removed_model_with_a_reason_holds(engine):
    """The others have their figures."""
    assert removed(engine, lgbm="removed").judge(ABSENT).verdict is Outcome.HOLDS


@pytest.mark.parametrize(
    ("told", "words"),
    [
        ((0.0, 3), "nothing to tell"),
        ((2 / 3, 3), "nothing to tell"),
        ({"status": "unavailable", "accuracy": None}, "without a reason"),
        ({"status": "unavailable", "accuracy": None, "reason": "No such file: /srv/x"}, "without a reason"),
        ({"status": "ok", "accuracy": None, "reason": "removed"}, "status is 'ok'"),
        (None, "no such figure"),
    ],
)
def test_a_removed_model_with_anything_else_is_violated(engine, told, words):
    """A zero, the last value, no reason, a reason that is no code, another status, nothing at all."""
    assert removed(engine, lgbm="removed").judge(ABSENT).verdict is Outcome.HOLDS
    engine.ask(6, all=(2 / 3, 3), lgbm=told)
    result = engine.judge(ABSENT)
    assert result.verdict is Outcome.VIOLATED
    assert words in result.finding.sentence


def test_the_others_are_unaffected(engine):
    """A null of one that predicts is as wrong as a value of one that is away."""
    engine.disturb(4, "lgbm", "remove").predict(5, ("xgb", "tft", "ensemble"))
    engine.ask(6, all=(2 / 3, 3), lgbm="removed", tft="timeout")
    result = engine.judge(ABSENT)
    assert result.verdict is Outcome.VIOLATED
    assert "tft of engine null (timeout) though it predicts" in result.finding.sentence


def test_one_that_stops_predicting_with_another_is_found_in_the_sim_world_only(run):
    """In the real world a busy machine may be the cause."""
    for world, verdict in (("sim", Outcome.VIOLATED), ("real", Outcome.HOLDS)):
        engine = EngineRun(type(run)(), world).begin()
        engine.predict(1).resolve(1.5, 5)
        engine.disturb(2, "lgbm", "remove").predict(3, ("xgb", "ensemble"))
        engine.ask(4, all=(1.0, 1), lgbm="removed", tft="away")
        assert engine.judge(ABSENT).verdict is verdict


@pytest.mark.parametrize("how", ["raise", "hang", "nan", "remove"])
def test_no_prediction_can_be_made_up(engine, how):
    """A model that cannot have predicted is not said to have."""
    engine.disturb(4, "tft", how).predict(5).ask(6, all=(2 / 3, 3), tft="away")
    result = engine.judge(ABSENT)
    assert result.verdict is Outcome.VIOLATED
    assert how in result.finding.sentence or "predicts" in result.finding.sentence


def test_a_stuck_model_may_predict_until_it_is_due_to_be_found_out(engine):
    """As often as it takes, and not once more."""
    engine.disturb(4, "tft", "stuck")
    for number in range(STUCK):
        engine.predict(5 + number)
    engine.disturb(8.5, "lgbm", "remove").ask(9, all=(2 / 3, 3), lgbm="removed")
    assert engine.judge(ABSENT).verdict is Outcome.HOLDS
    engine.predict(10, ("xgb", "tft", "ensemble"))
    assert engine.judge(ABSENT).verdict is Outcome.VIOLATED


@pytest.mark.parametrize(
    ("status", "verdict"), [(503, Outcome.HOLDS), (200, Outcome.VIOLATED), (500, Outcome.VIOLATED)]
)
def test_without_any_model_the_answer_is_503(engine, status, verdict):
    """Neither a success nor a failure of the server."""
    for number, slot in enumerate(SLOTS):
        engine.disturb(4 + number / 10, slot, "remove")
    engine.ask(5, status=status, all="removed", ensemble="no_members")
    assert engine.judge(ABSENT).verdict is verdict


def test_with_a_model_the_answer_is_200(engine):
    """503 would hide what there is."""
    removed(engine, lgbm="removed", status=503)
    assert engine.judge(ABSENT).verdict is Outcome.VIOLATED


@pytest.mark.parametrize("leak", [f"cannot open /srv/{CANARY}", 'Traceback (most recent call last): File "x"'])
def test_no_text_of_an_exception_is_told(engine, leak):
    """Wherever in the answer it is."""
    removed(engine, lgbm="removed").ask(6, all=(2 / 3, 3), lgbm="removed", more={"debug": [{"why": leak}]})
    assert engine.judge(ABSENT).verdict is Outcome.VIOLATED


def test_a_model_that_was_never_away_shows_nothing(engine):
    """Then absence was not tried."""
    engine.ask(4, all=(2 / 3, 3))
    assert engine.judge(ABSENT).verdict is Outcome.INCONCLUSIVE


def test_true_ages_hold(engine):
    """By the harness's own record, though the engine's calendar is years ahead; one of them is past the limit."""
    engine.ask(4, all=(2 / 3, 3, 0.5)).ask(9, all=(2 / 3, 3, 5.5))
    assert outcome(engine.judge(FRESH)) == (Outcome.HOLDS, 8)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"stale": False, "status": "ok"}, "not called stale"),
        ({"status": "ok"}, "status 'ok' and stale True"),
        ({"age_s": 0.1}, "lies between its times"),
        ({"as_of": stamp(8.9), "age_s": 0.1, "stale": False, "status": "ok"}, "by its own word"),
        ({"as_of": None}, "does not say from when"),
        ({"as_of": "yesterday"}, "does not say from when"),
        ({"age_s": None}, "does not say from when"),
    ],
)
def test_untrue_ages_are_violated(engine, change, words):
    """Not called stale, dated later than it is, undated."""
    engine.ask(9, all=(2 / 3, 3, 5.5), tft=EngineRun.figure("tft", (2 / 3, 3, 5.5), 9) | change)
    result = engine.judge(FRESH)
    assert (result.verdict, result.observed) == (Outcome.VIOLATED, 1)
    assert words in result.finding.sentence


def test_a_fresh_figure_called_stale_is_violated(engine):
    """Crying wolf."""
    told = EngineRun.figure("tft", (2 / 3, 3, 0.5), 4) | {"stale": True, "status": "stale"}
    engine.ask(4, all=(2 / 3, 3, 0.5), tft=told).ask(9, all=(2 / 3, 3, 5.5))
    assert engine.judge(FRESH).verdict is Outcome.VIOLATED


def test_without_anything_old_staleness_was_not_tried(engine):
    """Ages that are true are not enough."""
    engine.ask(4, all=(2 / 3, 3, 0.5))
    assert engine.judge(FRESH).verdict is Outcome.INCONCLUSIVE


def test_an_answer_that_is_no_object_is_violated(engine):
    """HTML of a proxy, say: every figure is missing."""
    removed(engine, lgbm="removed")
    value = {"engine": "engine", "path": "/api/ml_metrics"}
    engine.run.call("metrics", 6, 6.1, "ok", value, {"status": 200, "body": "<html>"}, "dashboard")
    assert engine.judge(ABSENT).verdict is Outcome.VIOLATED
    assert engine.judge(CAUSAL).verdict is Outcome.HOLDS


def test_observations_and_unknown_engines_do_not_confuse(engine):
    """What another host was asked is none of this."""
    engine.run.events.append(Observation(seconds(4), "engine", 1, "stage", {"kind": "remove"}))
    value = {"engine": "elsewhere", "path": "/api/ml_metrics"}
    engine.run.call("metrics", 6, 6.1, "ok", value, {"status": 200, "body": {"models": {}}}, "dashboard")
    engine.ask(7, all=(2 / 3, 3))
    assert engine.judge(CAUSAL).verdict is Outcome.HOLDS
