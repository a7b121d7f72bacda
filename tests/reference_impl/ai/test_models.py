"""The small models, and the real ones where installed: better than chance, repeatable, honest when they cannot."""

import math

import pytest

from reference_impl._ai.candles import generate
from reference_impl._ai.features import Table, table
from reference_impl._ai.lineups import SLOTS, installed, lineup
from reference_impl._ai.model import UnavailableError, squash
from reference_impl._ai.small import BoostedStumps, Logistic, NearestPaths
from reference_impl._ai.walk_forward import evaluate

SMALL = [BoostedStumps, Logistic, NearestPaths]
HERE = [slot for slot, there in installed().items() if there]
KNOWABLE = 0.5 + 2 / 3 * math.asin(0.6) / math.pi
"""No model can be right more often than this for long (see candles.py)."""


def pooled(factory, seeds, count, folds):
    """The share of hits over several markets."""
    found = [evaluate(factory, table(generate(seed, count)), folds=folds) for seed in seeds]
    return sum(one.hits for one in found) / sum(one.samples for one in found)


@pytest.mark.parametrize("factory", SMALL)
def test_small_models_are_better_than_chance(factory):
    """Walk-forward, 1,460 forecasts: three standard deviations above one half, and no more than can be known."""
    share = pooled(factory, range(8), 400, 2)
    assert 0.5 + 3 * 0.5 / math.sqrt(8 * 182) < share < KNOWABLE + 0.04


@pytest.mark.parametrize("slot", HERE or [pytest.param("none", marks=pytest.mark.skip(reason="no extra installed"))])
def test_installed_models_are_better_than_chance(slot):
    """The same of XGBoost, LightGBM and the transformer, over 4 markets of 900 candles."""
    share = pooled(lineup("installed")[slot].usual, range(4), 900, 2)
    assert 0.5 + 3 * 0.5 / math.sqrt(4 * 433) < share < KNOWABLE + 0.04


@pytest.mark.parametrize("factory", [*SMALL, *(lineup("installed")[slot].usual for slot in HERE)])
def test_a_model_is_repeatable_and_says_what_it_is(factory):
    """Two fitted on the same data agree to the last bit; the answer is a probability."""
    data = table(generate(2, 300))
    first, second = factory(), factory()
    for model in (first, second):
        with pytest.raises(UnavailableError, match="not_trained"):
            model.predict(data.rows)
        model.fit(data)
    assert 0 < first.predict(data.rows) == second.predict(data.rows) < 1
    assert first.version == second.version != ""


@pytest.mark.parametrize("factory", [*SMALL, *(lineup("installed")[slot].usual for slot in HERE)])
def test_too_little_data_is_said(factory):
    """A market that only rises teaches nothing; nor does an empty one."""
    data = table(generate(2, 300))
    for labels in ((), (1,) * 40):
        with pytest.raises(UnavailableError, match="too_little_data"):
            factory().fit(Table(data.rows[: len(labels)], labels))


@pytest.mark.parametrize("slot", [slot for slot in SLOTS if slot not in HERE])
def test_what_is_not_installed_says_so(slot):
    """Making it is what fails, with the code that is reported."""
    for factory in (lineup("installed")[slot].usual, lineup("installed")[slot].other):
        with pytest.raises(UnavailableError, match="not_installed"):
            factory()


@pytest.mark.parametrize("name", ["installed", "small"])
def test_each_place_has_an_alternative_of_another_version(name):
    """Else a swap would go on with the old record."""
    for slot, choice in lineup(name).items():
        if name == "small" or slot in HERE:
            assert choice.usual().version != choice.other().version


def test_an_unknown_line_up_is_refused():
    """By name."""
    with pytest.raises(ValueError, match="'magic'"):
        lineup("magic")


@pytest.mark.parametrize(("score", "chance"), [(0, 0.5), (1e9, 1.0), (-1e9, 0.0)])
def test_squash_does_not_overflow(score, chance):
    """At either end."""
    assert squash(score) == chance


def test_the_transformer_can_be_read():
    """Its weights over inputs, and over time, sum to one."""
    pytest.importorskip("torch")
    model = lineup("installed")["tft"].usual()
    data = table(generate(2, 300))
    model.fit(data)
    model.predict(data.rows)
    assert sum(model.selection) == pytest.approx(1)
    assert sum(model.attention) == pytest.approx(1)
