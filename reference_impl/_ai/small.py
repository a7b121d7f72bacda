"""Three small models in plain Python: what works where no library is installed, and says so in its version.

They are no stand-ins that pretend to be XGBoost, LightGBM or a transformer: each names itself. They learn in
milliseconds, do the same on every machine, and are what the scenarios run on by default.
"""

import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from reference_impl._ai.features import WIDTH, Row, Table
from reference_impl._ai.model import UnavailableError, squash

_BINS: Final = 12
_MARGIN_MAX: Final = 4.0


@dataclass(slots=True)
class Logistic:
    """Logistic regression, by full-batch gradient descent with an L2 penalty."""

    rounds: int = 16
    rate: float = 1.0
    penalty: float = 0.01
    _weights: list[float] = field(default_factory=list)

    @property
    def version(self) -> str:
        """Its name and what it was set to."""
        return f"logistic-regression/{self.rounds}"

    def fit(self, table: Table) -> None:
        """Descend; the last weight is the intercept, which is not penalised."""
        _check(table)
        weights = [0.0] * (WIDTH + 1)
        step = self.rate / len(table.rows)
        for _ in range(self.rounds):
            slope = [0.0] * (WIDTH + 1)
            for row, label in zip(table.rows, table.labels, strict=True):
                error = squash(_score(weights, row)) - label
                for at, value in enumerate(row):
                    slope[at] += error * value
                slope[WIDTH] += error
            shrunk = [weight * (1 - self.rate * self.penalty) for weight in weights[:WIDTH]]
            weights = [weight - step * by for weight, by in zip([*shrunk, weights[WIDTH]], slope, strict=True)]
        self._weights = weights

    def predict(self, rows: Sequence[Row]) -> float:
        """Return the probability for the last row."""
        if not self._weights:
            raise UnavailableError("not_trained")
        return squash(_score(self._weights, rows[-1]))


@dataclass(frozen=True, slots=True)
class _Stump:
    feature: int
    threshold: float
    below: float
    above: float


@dataclass(slots=True)
class BoostedStumps:
    """Gradient-boosted trees of depth one with Newton steps, over quantile bins: the idea of XGBoost, in little."""

    rounds: int = 24
    rate: float = 0.3
    penalty: float = 5.0
    _stumps: list[_Stump] = field(default_factory=list)

    @property
    def version(self) -> str:
        """Its name and what it was set to."""
        return f"boosted-stumps/{self.rounds}"

    def fit(self, table: Table) -> None:
        """Add one stump a round: the split that lowers the loss most."""
        _check(table)
        cuts = [_quantiles([row[feature] for row in table.rows]) for feature in range(WIDTH)]
        binned = [[bisect_right(cuts[at], row[at]) for row in table.rows] for at in range(WIDTH)]
        scores = [0.0] * len(table.rows)
        stumps: list[_Stump] = []
        for _ in range(self.rounds):
            chances = [squash(score) for score in scores]
            slopes = [chance - label for chance, label in zip(chances, table.labels, strict=True)]
            curves = [chance * (1 - chance) for chance in chances]
            best = max(
                (self._best_split(feature, cuts[feature], binned[feature], slopes, curves) for feature in range(WIDTH)),
                key=lambda split: split[0],
            )[1]
            stumps.append(best)
            scores = [
                score + (best.above if row[best.feature] >= best.threshold else best.below)
                for score, row in zip(scores, table.rows, strict=True)
            ]
        self._stumps = stumps

    def predict(self, rows: Sequence[Row]) -> float:
        """Return the probability for the last row."""
        if not self._stumps:
            raise UnavailableError("not_trained")
        row = rows[-1]
        return squash(sum(one.above if row[one.feature] >= one.threshold else one.below for one in self._stumps))

    def _best_split(
        self, feature: int, cuts: Sequence[float], bins: Sequence[int], slopes: Sequence[float], curves: Sequence[float]
    ) -> tuple[float, _Stump]:
        slope = [0.0] * (len(cuts) + 1)
        curve = [0.0] * (len(cuts) + 1)
        for at, by, bend in zip(bins, slopes, curves, strict=True):
            slope[at] += by
            curve[at] += bend
        whole, bent = sum(slope), sum(curve)
        left, left_bent = 0.0, 0.0
        best = (-1.0, _Stump(feature, 0.0, 0.0, 0.0))
        for at, cut in enumerate(cuts):
            left += slope[at]
            left_bent += curve[at]
            right, right_bent = whole - left, bent - left_bent
            gain = left * left / (left_bent + self.penalty) + right * right / (right_bent + self.penalty)
            if gain > best[0]:
                below = -self.rate * left / (left_bent + self.penalty)
                above = -self.rate * right / (right_bent + self.penalty)
                best = gain, _Stump(feature, cut, below, above)
        return best


@dataclass(slots=True)
class NearestPaths:
    """Weighted vote of the most similar stretches of the past: what came after rows like the last two."""

    neighbours: int = 25
    kept: int = 400
    _paths: list[tuple[Row, int]] = field(default_factory=list)

    @property
    def version(self) -> str:
        """Its name and what it was set to."""
        return f"nearest-paths/{self.neighbours}"

    def fit(self, table: Table) -> None:
        """Remember the newest stretches."""
        _check(table)
        paths = [(_path(table.rows[at - 1 : at + 1]), table.labels[at]) for at in range(1, len(table.rows))]
        self._paths = paths[-self.kept :]

    def predict(self, rows: Sequence[Row]) -> float:
        """Return the neighbours' vote, the nearer the weightier; between them one vote for each side."""
        if not self._paths:
            raise UnavailableError("not_trained")
        here = _path(rows[-2:])
        near = sorted((math.dist(here, path), label) for path, label in self._paths)[: self.neighbours]
        weights = [(1.0 / (0.1 + distance), label) for distance, label in near]
        whole = sum(weight for weight, _ in weights)
        mean = whole / len(weights)
        return (mean + sum(weight for weight, label in weights if label)) / (2 * mean + whole)


def _path(rows: Sequence[Row]) -> Row:
    """Return what makes two stretches alike: the last moves, the market's memory, and how they go together."""
    before, now = rows[0], rows[-1]
    return (now[0], now[4], 3 * now[5], now[2], before[0])


def _score(weights: Sequence[float], row: Row) -> float:
    score = weights[WIDTH] + sum(weight * value for weight, value in zip(weights, row, strict=False))
    return max(-_MARGIN_MAX, min(_MARGIN_MAX, score))


def _quantiles(values: Sequence[float]) -> list[float]:
    ordered = sorted(values)
    return sorted({ordered[len(ordered) * part // _BINS] for part in range(1, _BINS)})


def _check(table: Table) -> None:
    if len(set(table.labels)) < 2:  # noqa: PLR2004 - rises and falls
        raise UnavailableError("too_little_data")
