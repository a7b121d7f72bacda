"""Intervals that hold whatever the figures are distributed like: for rates, and for the shift between two samples.

A rate of passes gets Wilson's score interval (Wilson, JASA 22, 1927): unlike the textbook's p +- z*s it stays within
[0, 1] and says something at 0 of n and n of n, which is where campaigns are. A shift gets the interval that belongs to
a rank test (Hodges and Lehmann, Ann. Math. Stat. 34, 1963): the signed-rank test where the same seeds were run twice,
the rank-sum test where they were not. Latencies have heavy tails, so nothing here assumes a normal distribution, and
one freak run moves no bound by more than its rank.

With few samples even the widest of these intervals, from the least difference to the greatest, does not reach the
confidence that was asked for. Then there is none: `paired` and `unpaired` return None.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate
from statistics import NormalDist, median
from typing import Final

CONFIDENCE: Final = 0.95
_EXACT_MAX: Final = 60
"""Up to so many samples the ranks' distribution is counted out; beyond, the normal one is close, in the tails wider."""


@dataclass(frozen=True, slots=True)
class Shift:
    """By how much the second sample is greater than the first; `low` to `high` is the interval."""

    estimate: float
    low: float
    high: float


def wilson(passed: int, runs: int, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """Return Wilson's score interval of a rate. Of no runs nothing is known: (0, 1)."""
    if not 0 <= passed <= runs:
        raise ValueError(f"{passed} of {runs} is no rate")
    if runs == 0:
        return 0.0, 1.0
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    rate, square = passed / runs, z * z / runs
    middle = (rate + square / 2) / (1 + square)
    half = z / (1 + square) * math.sqrt(rate * (1 - rate) / runs + square / (4 * runs))
    low = 0.0 if passed == 0 else max(0.0, middle - half)
    high = 1.0 if passed == runs else min(1.0, middle + half)
    return low, high


def paired(before: Sequence[float], after: Sequence[float], tail: float) -> Shift | None:
    """Return the shift of pairs, wrong in either direction with probability `tail` at most; None: too few pairs."""
    if len(before) != len(after):
        raise ValueError(f"{len(before)} and {len(after)} are no pairs")
    size = len(before)
    cut = _signed_rank_cut(size, tail)
    if cut is None:
        return None
    moved = [new - old for old, new in zip(before, after, strict=True)]
    walsh = sorted((moved[one] + moved[other]) / 2 for one in range(size) for other in range(one, size))
    return Shift(median(walsh), walsh[cut], walsh[-1 - cut])


def unpaired(before: Sequence[float], after: Sequence[float], tail: float) -> Shift | None:
    """Return the shift of independent samples, wrong in either direction with probability `tail`; None: too few."""
    cut = _rank_sum_cut(len(before), len(after), tail)
    if cut is None:
        return None
    moved = sorted(new - old for old in before for new in after)
    return Shift(median(moved), moved[cut], moved[-1 - cut])


def pairs_needed(tail: float) -> int:
    """Return how many pairs it takes for there to be an interval at all."""
    return max(1, math.ceil(-math.log2(tail)))


@lru_cache(maxsize=256)
def _signed_rank_cut(size: int, tail: float) -> int | None:
    """Return the greatest w with P(W <= w) <= tail, W the sum of the ranks of positive differences."""
    if size == 0:
        return None
    if size > _EXACT_MAX:
        middle, deviation = size * (size + 1) / 4, math.sqrt(size * (size + 1) * (2 * size + 1) / 24)
        return _normal_cut(middle, deviation, tail)
    ways = [1]
    for rank in range(1, size + 1):  # each rank is in the sum or not
        longer = ways + [0] * rank
        for total, count in enumerate(ways):
            longer[total + rank] += count
        ways = longer
    return _cut(ways, tail)


@lru_cache(maxsize=256)
def _rank_sum_cut(first: int, second: int, tail: float) -> int | None:
    """Return the greatest u with P(U <= u) <= tail, U the number of pairs in which the second is greater."""
    if first == 0 or second == 0:
        return None
    if max(first, second) > _EXACT_MAX // 2:
        middle, deviation = first * second / 2, math.sqrt(first * second * (first + second + 1) / 12)
        return _normal_cut(middle, deviation, tail)
    ways = [1]  # the Gaussian binomial coefficient: product of (1 - q^(second+i)) / (1 - q^i)
    for factor in range(1, first + 1):
        raised = ways + [0] * (second + factor)
        for total, count in enumerate(ways):
            raised[total + second + factor] -= count
        for total in range(factor, len(raised)):
            raised[total] += raised[total - factor]
        ways = raised[: factor * second + 1]
    return _cut(ways, tail)


def _cut(ways: Sequence[int], tail: float) -> int | None:
    allowed = tail * sum(ways)
    below = [count for count in accumulate(ways) if count <= allowed]
    return len(below) - 1 if below else None


def _normal_cut(middle: float, deviation: float, tail: float) -> int | None:
    cut = math.floor(middle - 0.5 + NormalDist().inv_cdf(tail) * deviation)
    return cut if cut >= 0 else None
