"""Chance that repeats: the dice of a toxic on a connection depend on nothing but names and numbers.

The n-th connection of a proxy gets the same draws for the same toxic whatever else goes on, so a run against a seeded
server repeats as long as its connections come in the same order.
"""

import random
from collections.abc import Callable

from harness.toxics.base import Dice


class SeededDice:
    """Implements `Dice` from a label. The generator (2.5 kB, some microseconds) is made at the first draw only."""

    __slots__ = ("_draw", "_label")

    def __init__(self, label: str) -> None:
        self._label = label
        self._draw: Callable[[], float] | None = None

    def below(self, bound: int) -> int:
        """Return an integer in `[0, bound)`; `bound` is at least 1 and at most 2**52."""
        if self._draw is None:
            self._draw = random.Random(self._label).random  # noqa: S311 - dice, not secrets
        return int(self._draw() * bound)


def dice_of(seed: int, proxy: str, connection: int) -> Callable[[str], Dice]:
    """Return what gives each toxic, by name, its dice for the n-th connection of a proxy."""
    return lambda toxic: SeededDice(f"{seed}/{proxy}/{connection}/{toxic}")
