"""The ensemble, the strategy and the size follow from the models' answers and the records, and from nothing else."""

import pytest

from reference_impl._ai.decisions import (
    ENSEMBLE,
    META,
    REVERT,
    SIZES,
    SIZING,
    TREND,
    Member,
    arm_values,
    confidence_class,
    decide,
)
from reference_impl._ai.rolling import Prediction, Rolling

RISING = (1.0,) + (0.0,) * 7


def said(rolling, *members, made=1_000_000, row=RISING):
    return {one.source: one for one in decide(made, [Member(*one) for one in members], row, rolling)}


def recorded(rolling, key, outcomes, start=0, **fields):
    """Give a source a record: its predictions all say up."""
    for number, return_ppm in enumerate(outcomes):
        one = Prediction(
            id=f"{key[0]}-{start + number}",
            source=key[0],
            version=key[1],
            made=start + number,
            direction=1,
            **({"confidence": 0.6} | fields),
        )
        rolling.predicted(one)
        rolling.resolve(one.id, return_ppm, 1)


def test_without_a_model_there_is_no_ensemble():
    """Strategies that need none go on."""
    assert set(said(Rolling())) == {"strategy-trend", "strategy-revert", "meta-strategy", "rl-sizing"}


def test_the_ensemble_is_between_its_members_and_nearer_to_the_better_one():
    """Weighted by how much better than chance each one's record is."""
    rolling = Rolling()
    even = said(rolling, ("xgb", "1", 0.9), ("lgbm", "1", 0.4))["ensemble"]
    recorded(rolling, ("xgb", "1"), [1] * 30)
    better = said(rolling, ("xgb", "1", 0.9), ("lgbm", "1", 0.4))["ensemble"]
    assert 0.5 < even.confidence < better.confidence < 0.9
    assert even.direction == better.direction == 1


def test_a_member_alone_is_the_ensemble():
    """With its confidence, in either direction."""
    one = said(Rolling(), ("tft", "1", 0.2))
    assert (one["ensemble"].direction, one["ensemble"].confidence) == (-1, pytest.approx(0.8))
    assert (one["tft"].direction, one["tft"].confidence) == (-1, pytest.approx(0.8))


@pytest.mark.parametrize("chance", [0.0, 1.0])
def test_a_certain_member_breaks_nothing(chance):
    """Log-odds of 0 and 1 do not exist."""
    assert said(Rolling(), ("xgb", "1", chance), ("lgbm", "1", 0.5))["ensemble"].confidence > 0.9


@pytest.mark.parametrize(("best", "direction"), [(TREND, 1), (REVERT, -1), (ENSEMBLE, -1)])
def test_the_strategy_with_the_best_record_is_followed(best, direction):
    """Trend follows the last move, revert fades it."""
    rolling = Rolling()
    recorded(rolling, best, [1] * 20)
    answer = said(rolling, ("xgb", "1", 0.3))
    assert answer["meta-strategy"].direction == direction
    assert answer["rl-sizing"].direction == direction


def test_sizes_are_learnt():
    """Small where the move usually went the other way, large where it paid; seen over many candles."""
    rolling = Rolling()
    confidence = said(rolling, ("xgb", "1", 0.9))["rl-sizing"].confidence
    recorded(rolling, SIZING, [900, -500] * 20, size=100, confidence=confidence)
    recorded(rolling, SIZING, [900, -500] * 20, start=100, size=25, confidence=confidence)
    recorded(rolling, SIZING, [900, -500] * 20, start=200, size=50, confidence=confidence)
    good = [said(rolling, ("xgb", "1", 0.9), made=made)["rl-sizing"].size for made in range(1_000, 1_200)]
    losing = Rolling()
    for start, size in ((0, 100), (100, 25), (200, 50)):
        recorded(losing, SIZING, [-900, 500] * 20, start=start, size=size, confidence=confidence)
    bad = [said(losing, ("xgb", "1", 0.9), made=made)["rl-sizing"].size for made in range(1_000, 1_200)]
    assert good.count(100) > 150
    assert bad.count(25) > 150
    assert set(good) | set(bad) <= set(SIZES)


def test_risk_is_charged_for():
    """Of two arms with the same mean the calmer one is worth more."""
    rolling = Rolling()
    recorded(rolling, SIZING, [100] * 10, size=50, confidence=0.55)
    recorded(rolling, SIZING, [5_000, -4_900] * 5, start=50, size=100, confidence=0.95)
    values = arm_values(rolling.record(SIZING))
    assert values[(0, 50)] == (pytest.approx(50 - 50**2 / 40_000), 10)
    assert values[(3, 100)][0] < 0


def test_deciding_twice_decides_the_same():
    """Also the arm that is tried now and then: after a restart it is the same one."""
    rolling = Rolling()
    recorded(rolling, META, [1, -1])
    for made in range(50):
        assert said(rolling, ("xgb", "1", 0.6), made=made) == said(rolling, ("xgb", "1", 0.6), made=made)


@pytest.mark.parametrize(("confidence", "number"), [(0.5, 0), (0.624, 0), (0.625, 1), (0.99, 3), (1.0, 3)])
def test_classes_of_confidence(confidence, number):
    """Four of equal width from one half to one."""
    assert confidence_class(confidence) == number
