"""Evaluation without look-ahead: no forecast changes with what came after it."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reference_impl._ai.candles import generate
from reference_impl._ai.features import HORIZON, Table, table
from reference_impl._ai.small import BoostedStumps, Logistic, NearestPaths
from reference_impl._ai.walk_forward import evaluate, walk_forward

DATA = table(generate(4, 140))
COUNT = len(DATA.rows)


class Spy:
    """Records what it is fitted on and asked about."""

    version = "spy"
    seen: list

    def __init__(self, seen):
        self.seen = seen

    def fit(self, data):
        self.seen.append(("fit", len(data.rows)))

    def predict(self, rows):
        self.seen.append(("predict", len(rows) - 1))
        return 0.7


@pytest.mark.parametrize("factory", [lambda: BoostedStumps(rounds=4), lambda: Logistic(rounds=4), NearestPaths])
@given(now=st.integers(41, COUNT - 1), step=st.integers(5, 40), seed=st.integers(0, 1_000))
@settings(max_examples=10, deadline=None)
def test_changing_the_future_changes_no_past_forecast(factory, now, step, seed):
    """From `now` on, rows and labels are another market's; the outcome of `now` itself lies ahead as well."""
    other = table(generate(seed, 140))
    changed = Table(DATA.rows[: now + 1] + other.rows[now + 1 :], DATA.labels[:now] + other.labels[now:])
    past = [one for one in walk_forward(factory, DATA, first=40, step=step) if one.at <= now]
    again = [one for one in walk_forward(factory, changed, first=40, step=step) if one.at <= now]
    assert [(one.at, one.chance) for one in again] == [(one.at, one.chance) for one in past]
    assert past[-1].at == now


def test_a_fold_is_fitted_on_outcomes_that_were_known():
    """The label of the row just before the first forecast tells of a price that lies ahead."""
    seen = []
    forecasts = list(walk_forward(lambda: Spy(seen), DATA, first=50, step=30))
    fits = [count for kind, count in seen if kind == "fit"]
    assert fits == [start - HORIZON for start in range(50, COUNT, 30)]
    assert [one.at for one in forecasts] == [at for kind, at in seen if kind == "predict"] == list(range(50, COUNT))


def test_hits_are_counted():
    """A forecaster that always says up is right as often as it rose."""
    found = evaluate(lambda: Spy([]), DATA, folds=3)
    second_half = DATA.labels[COUNT // 2 :]
    assert (found.hits, found.samples, found.folds) == (sum(second_half), len(second_half), 3)
    assert found.accuracy == sum(second_half) / len(second_half)


@pytest.mark.parametrize("count", [0, 1, 2, 3])
def test_a_table_too_short_to_evaluate(count):
    """There is no figure, rather than one of nothing."""
    assert evaluate(Logistic, Table(DATA.rows[:count], DATA.labels[:count])) is None


@pytest.mark.parametrize(("first", "step"), [(HORIZON, 5), (10, 0)])
def test_nothing_to_learn_from_is_refused(first, step):
    """Instead of forecasts of an unfitted model."""
    with pytest.raises(ValueError, match="nothing to learn from"):
        list(walk_forward(Logistic, DATA, first=first, step=step))
