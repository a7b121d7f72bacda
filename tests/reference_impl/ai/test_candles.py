"""The generated market: repeatable, well formed, and predictable to the degree it claims."""

import itertools
import math

from hypothesis import given
from hypothesis import strategies as st

from reference_impl._ai.candles import generate, return_ppm


@given(st.integers(0, 2**32), st.integers(1, 60), st.integers(0, 60))
def test_a_longer_market_begins_as_a_shorter_one(seed, count, more):
    """So that a restarted feeder has the same candles."""
    assert generate(seed, count + more)[:count] == generate(seed, count)


@given(st.integers(0, 2**32))
def test_candles_are_well_formed(seed):
    """Each opens where the last closed, and its range holds both."""
    candles = generate(seed, 50, start_ms=1_000, interval_ms=500)
    for before, after in itertools.pairwise(candles):
        assert after.open == before.close
        assert after.open_ms == before.open_ms + 500
    for one in candles:
        assert 0 < one.low <= min(one.open, one.close) <= max(one.open, one.close) <= one.high
        assert one.volume > 0


def test_the_best_that_can_be_known_is_what_the_docstring_says():
    """Knowing the regime, the sign of the next move is right with 1/2 + asin(0.6)/pi in two of three, half in one."""
    hits = samples = 0
    for seed in range(30):
        candles = generate(seed, 400)
        moves = [math.log(b.close / a.close) for a, b in itertools.pairwise(candles)]
        for at in range(40, len(moves)):
            past = moves[at - 24 : at]
            memory = sum(a * b for a, b in itertools.pairwise(past))
            samples += 1
            hits += (moves[at - 1] * memory > 0) == (moves[at] > 0)
    assert 0.56 < hits / samples < 1 / 2 + 2 / 3 * math.asin(0.6) / math.pi


def test_returns_are_told_in_whole_millionths():
    """Rounded to the nearest, with its sign."""
    first, second = generate(1, 2)
    assert return_ppm(first, second) == round((second.close / first.close - 1) * 1e6)
    assert return_ppm(second, first) * return_ppm(first, second) < 0
