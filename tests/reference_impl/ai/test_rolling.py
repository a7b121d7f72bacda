"""The rolling record: exact in every order of arrival, bounded, and once per prediction."""

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, multiple, rule

from reference_impl._ai.rolling import Prediction, Rolling

KEYS = [("a", "1"), ("a", "2"), ("b", "1")]


def prediction(made, key=KEYS[0], direction=1, size=100, id=None):  # noqa: A002
    return Prediction(
        id=id or f"{made}-{key[0]}-{key[1]}",
        source=key[0],
        version=key[1],
        made=made,
        direction=direction,
        confidence=0.6,
        size=size,
    )


class AgainstNaive(RuleBasedStateMachine):
    """Against a model that keeps everything for ever and counts from scratch."""

    WINDOW, PENDING = 5, 4
    waiting = Bundle("waiting")
    done = Bundle("done")

    def __init__(self):
        super().__init__()
        self.rolling = Rolling(window=self.WINDOW, pending=self.PENDING)
        self.made = 0
        self.predictions = {key: [] for key in KEYS}
        self.outcomes = {}
        self.times = {}
        self.gone = set()
        self.clock = 0

    def pending(self, key):
        """Those without an outcome that are kept."""
        return [one for one in self.predictions[key] if one.id not in self.outcomes and one.id not in self.gone]

    @rule(
        target=waiting, key=st.sampled_from(KEYS), direction=st.sampled_from([1, -1]), size=st.sampled_from([25, 100])
    )
    def predict(self, key, direction, size):
        self.made += 1
        one = prediction(self.made, key, direction, size)
        assert self.rolling.predicted(one)
        self.predictions[key].append(one)
        while len(self.pending(key)) > self.PENDING:
            self.gone.add(self.pending(key)[0].id)
        return one

    @rule(one=waiting)
    def predict_again(self, one):
        """The same, or an older one, changes nothing."""
        assert not self.rolling.predicted(one)

    @rule(target=done, one=consumes(waiting), value=st.integers(-3, 3))
    def resolve(self, one, value):
        """In any order, however late."""
        self.clock += 1
        counted = self.rolling.resolve(one.id, value, self.clock)
        assert counted == (one.id not in self.gone)
        if not counted:
            return multiple()
        self.outcomes[one.id] = value
        newer = [other for other in self.predictions[one.key] if other.id in self.outcomes and other.made > one.made]
        if len(newer) < self.WINDOW:
            self.times[one.key] = self.clock
        return one

    @rule(one=done, value=st.integers(-3, 3))
    def resolve_again(self, one, value):
        """Twice, the same or another outcome: the first counts."""
        assert not self.rolling.resolve(one.id, value, self.clock + 100)

    @invariant()
    def figures_agree(self):
        for key in KEYS:
            window = [one for one in self.predictions[key] if one.id in self.outcomes][-self.WINDOW :]
            record = self.rolling.record(key)
            assert record.samples == len(window)
            assert record.hits == sum(one.direction * self.outcomes[one.id] > 0 for one in window)
            assert record.reward == sum(one.size * one.direction * self.outcomes[one.id] for one in window)
            assert record.as_of_ms == self.times.get(key)
            assert record.newest == (self.predictions[key][-1] if self.predictions[key] else None)
            assert len(record.pending) <= self.PENDING
        assert len(self.rolling.waiting) <= len(KEYS) * self.PENDING


TestAgainstNaive = AgainstNaive.TestCase


def test_a_price_that_stays_is_no_hit():
    """For neither side."""
    rolling = Rolling()
    for made, direction in ((1, 1), (2, -1)):
        one = prediction(made, direction=direction)
        rolling.predicted(one)
        rolling.resolve(one.id, 0, 1)
    assert (rolling.record(KEYS[0]).hits, rolling.record(KEYS[0]).samples) == (0, 2)


def test_no_samples_is_no_accuracy():
    """Not 0.0; and odds of one half, to choose by."""
    record = Rolling().record(("nobody", "1"))
    assert (record.accuracy, record.samples, record.as_of_ms, record.odds) == (None, 0, None, 0.5)


def test_an_outcome_older_than_a_full_window_changes_nothing():
    """Its prediction would not be among the newest; it is counted as given up."""
    rolling = Rolling(window=2)
    for made in (1, 2, 3):
        rolling.predicted(prediction(made))
    for made in (2, 3):
        rolling.resolve(prediction(made).id, 5, made)
    assert rolling.resolve(prediction(1).id, -5, 9)
    record = rolling.record(KEYS[0])
    assert (record.hits, record.samples, record.as_of_ms, record.given_up) == (2, 2, 3, 1)


def test_records_are_bounded():
    """The one that was longest without a prediction goes, with what waits for it."""
    rolling = Rolling(records_max=2)
    for made, key in enumerate([KEYS[0], KEYS[1], KEYS[0], KEYS[2]]):
        rolling.predicted(prediction(made, key))
    assert list(rolling) == [KEYS[0], KEYS[2]]
    assert set(rolling.waiting.values()) == {KEYS[0], KEYS[2]}
    assert not rolling.resolve(prediction(1, KEYS[1]).id, 1, 1)


@pytest.mark.parametrize("name", ["window", "pending", "records_max"])
def test_bounds_must_be_positive(name):
    """Else nothing could ever be told."""
    with pytest.raises(ValueError, match="at least 1"):
        Rolling(**{name: 0})
