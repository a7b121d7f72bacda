"""Intervals: against figures that others published or that can be counted by hand, and for what they promise."""

import random
from itertools import product
from statistics import median

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.intervals import _rank_sum_cut, _signed_rank_cut, paired, pairs_needed, unpaired, wilson

FIGURES = st.lists(st.integers(-50, 50).map(float), min_size=6, max_size=12)


@pytest.mark.parametrize(
    ("passed", "runs", "low", "high"),
    [
        (0, 10, 0.0, 0.2775),  # Brown, Cai and DasGupta, Statistical Science 16 (2001): Wilson at 95 %
        (10, 10, 0.7225, 1.0),
        (81, 263, 0.2553, 0.3662),  # Newcombe, Statistics in Medicine 17 (1998), table I, method 3
        (15, 148, 0.0624, 0.1605),
        (1, 29, 0.0061, 0.1718),
        (200, 200, 0.9812, 1.0),
    ],
)
def test_wilson_gives_the_published_intervals(passed, runs, low, high):
    """Newcombe's worked examples to four decimals, and both ends."""
    assert wilson(passed, runs) == (pytest.approx(low, abs=6e-5), pytest.approx(high, abs=6e-5))


@given(st.integers(0, 500), st.integers(0, 500))
def test_wilson_holds_the_rate_and_mirrors(one, other):
    """The rate is within it, it is within [0, 1], and failures are the mirror image of passes."""
    passed, runs = min(one, other), max(one, other)
    low, high = wilson(passed, runs)
    assert 0 <= low <= (passed / runs if runs else 0.5) <= high <= 1
    mirrored = wilson(runs - passed, runs)
    assert (1 - high, 1 - low) == (pytest.approx(mirrored[0]), pytest.approx(mirrored[1]))


def test_a_rate_that_is_none_is_refused():
    """More passes than runs is somebody's mistake."""
    with pytest.raises(ValueError, match="3 of 2 is no rate"):
        wilson(3, 2)


@pytest.mark.parametrize("size", range(1, 9))
@pytest.mark.parametrize("tail", [0.3, 0.05, 0.01])
def test_the_signed_rank_cut_is_the_greatest_that_may_be(size, tail):
    """Counted out over every way in which signs can fall."""
    sums = [sum(rank for rank, up in enumerate(signs, 1) if up) for signs in product((0, 1), repeat=size)]
    allowed = [cut for cut in range(max(sums) + 1) if sum(one <= cut for one in sums) <= tail * len(sums)]
    assert _signed_rank_cut(size, tail) == max(allowed, default=None)


@pytest.mark.parametrize(("first", "second"), [(1, 1), (2, 3), (4, 4), (5, 3)])
@pytest.mark.parametrize("tail", [0.3, 0.05, 0.01])
def test_the_rank_sum_cut_is_the_greatest_that_may_be(first, second, tail):
    """Counted out over every order of the two samples."""
    orders = [order for order in product((0, 1), repeat=first + second) if sum(order) == second]
    counts = [sum(order[:at].count(0) for at, one in enumerate(order) if one) for order in orders]
    allowed = [cut for cut in range(max(counts) + 1) if sum(one <= cut for one in counts) <= tail * len(counts)]
    assert _rank_sum_cut(first, second, tail) == max(allowed, default=None)


@pytest.mark.parametrize("size", [40, 60])
def test_many_samples_go_on_where_few_end(size, monkeypatch):
    """The normal approximation and the exact count are 2 % apart where the one takes over, on the careful side."""
    exact = _signed_rank_cut.__wrapped__(size, 0.005), _rank_sum_cut.__wrapped__(30, 30, 0.005)
    monkeypatch.setattr("harness.intervals._EXACT_MAX", 0)
    rough = _signed_rank_cut.__wrapped__(size, 0.005), _rank_sum_cut.__wrapped__(30, 30, 0.005)
    assert all(0.98 * one <= other <= one for one, other in zip(exact, rough, strict=True))


@given(FIGURES, st.data())
def test_shifts_are_antisymmetric(before, data):
    """Whoever compares the other way round sees the same shift with the other sign."""
    after = data.draw(st.lists(st.integers(-50, 50).map(float), min_size=len(before), max_size=len(before)))
    for compare in (paired, unpaired):
        there, back = compare(before, after, 0.05), compare(after, before, 0.05)
        assert there is not None
        assert back is not None
        assert (there.estimate, there.low, there.high) == (-back.estimate, -back.high, -back.low)
        assert there.low <= there.estimate <= there.high


@given(FIGURES, st.integers(-20, 20))
def test_an_even_shift_is_found_exactly_in_pairs(before, by):
    """Each seed worse by the same is a shift of just that, without any doubt; no change is no shift."""
    shift = paired(before, [one + by for one in before], 0.05)
    assert shift is not None
    assert (shift.low, shift.estimate, shift.high) == (by, by, by)


def test_too_few_samples_have_no_interval():
    """One seed says nothing of the spread; how many it takes is known beforehand."""
    assert paired([1.0], [9.0], 0.05) is None
    assert unpaired([1.0], [9.0], 0.05) is None
    assert unpaired([], [1.0], 0.05) is None
    for tail in (0.05, 0.01, 0.001):
        few, enough = pairs_needed(tail) - 1, pairs_needed(tail)
        assert paired([0.0] * few, [1.0] * few, tail) is None
        assert paired([0.0] * enough, [1.0] * enough, tail) is not None


def test_pairs_that_are_none_are_refused():
    """Two samples of different size belong to different seeds."""
    with pytest.raises(ValueError, match="1 and 2 are no pairs"):
        paired([1.0], [1.0, 2.0], 0.05)


@pytest.mark.parametrize("compare", [paired, unpaired])
def test_the_interval_is_wrong_no_more_often_than_it_says(compare):
    """2,000 comparisons of the same heavy-tailed thing with itself: a shift is claimed in at most 5 % each way."""
    dice = random.Random(1)
    wrong = 0
    for _ in range(2_000):
        before, after = ([dice.lognormvariate(0, 1.5) for _ in range(8)] for _ in range(2))
        shift = compare(before, after, 0.05)
        assert shift is not None
        wrong += shift.low > 0
    assert wrong / 2_000 <= 0.05 + 3 * (0.05 * 0.95 / 2_000) ** 0.5


def test_one_freak_run_moves_nothing():
    """A run a thousand times slower than the rest does not make a regression."""
    before = [float(value) for value in range(12)]
    freak = [*before[:-1], 1e6]
    shift = paired(before, freak, 0.05)
    assert shift is not None
    assert (shift.low, shift.estimate) == (0, 0)
    assert abs(shift.estimate) <= abs(median(freak) - median(before)) + 1
