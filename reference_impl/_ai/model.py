"""What a model is to the engine, and why there may be none."""

import math
from collections.abc import Callable, Sequence
from typing import Protocol, TypeAlias

from reference_impl._ai.features import Row, Table


class Model(Protocol):
    """Says how likely the price is to rise. Methods run on a worker thread, one at a time."""

    @property
    def version(self) -> str:
        """What it is, in a few words. Models of another version have a record of hits of their own."""

    def fit(self, table: Table) -> None:
        """Learn from the table; takes as long as it takes. Raises whatever it likes."""

    def predict(self, rows: Sequence[Row]) -> float:
        """Return the probability of a rise after the last of these rows, which are in the order of time."""


Factory: TypeAlias = Callable[[], Model]
"""Makes a model that has learnt nothing yet. Raises `UnavailableError` when it cannot be had here."""


class UnavailableError(Exception):
    """There is no prediction, for a reason that is a short code: all that anybody outside is told."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class EngineError(Exception):
    """The engine could not do what was asked; `reason` is a short code."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def squash(score: float) -> float:
    """Return the logistic function of a score, without overflow."""
    if score >= 0:
        return 1.0 / (1.0 + math.exp(-score))
    grown = math.exp(score)
    return grown / (1.0 + grown)
