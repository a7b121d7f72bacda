"""The tape: every choice of a run, drawn from one place, under a label.

A seed fills the tape. Each label has a stream of its own, so that editing one choice (a later fault, a faster reply)
leaves the others as they were; that is what makes a failing run shrinkable. Every draw is an integer in `[0, limit)`,
and by convention 0 is the simplest choice: no reordering, the least latency, the first of the alternatives. Replaying
is filling the tape from the same seed; editing is filling it with `edits` on top; calming a label is having all its
draws be 0 that are not edited.

Labels in use: `plan/...` (fault timing and modes), `schedule` (order of ready callbacks), `link/A->B` (latency),
`executor/H` (how long a thread's work takes), `entropy/H#n` (seeds of a host's own dice), `workload/H`.
"""

import random
from array import array
from collections.abc import Callable, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import TypeVar

T = TypeVar("T")

_FRACTION_STEPS = 1 << 32


class Stream:
    """One label's draws, in order. `values` holds what was drawn so far, one unsigned 64-bit integer a draw."""

    __slots__ = ("_edits", "_random", "below", "label", "values")

    below: Callable[[int], int]
    """Draw an integer in `[0, limit)`; `limit` is at least 1 and at most 2**52."""

    def __init__(self, label: str, seed: int, edits: Mapping[int, int], *, calm: bool = False) -> None:
        self.label = label
        self.values = array("Q")
        dice = random.Random(f"{seed}/{label}")  # noqa: S311 - dice, not secrets
        self._random = _simplest if calm else dice.random
        self._edits = edits
        self.below = self._below if edits else _drawing(self._random, self.values.append)

    def _below(self, limit: int) -> int:
        return self.given(int(self._random() * limit), limit)

    def given(self, value: int, limit: int) -> int:
        """Put a computed choice in `[0, limit)` on the tape, so that it can be edited like a drawn one."""
        if self._edits:
            value = self._edits.get(len(self.values), value) % limit
        self.values.append(value)
        return value

    def between(self, low: int, high: int) -> int:
        """Draw an integer in `[low, high]`."""
        return low + self.below(high - low + 1)

    def choice(self, options: Sequence[T]) -> T:
        """Draw one of `options`; the first is the simplest."""
        return options[self.below(len(options))]

    def fraction(self) -> float:
        """Draw a number in `[0, 1)`, in steps of 2**-32."""
        return self.below(_FRACTION_STEPS) / _FRACTION_STEPS

    def dice(self) -> random.Random:
        """Draw a seed and return dice of its own, for bulk use whose single throws need no editing."""
        return random.Random(f"{self.label}/{self.below(1 << 52)}")  # noqa: S311 - dice, not secrets


def _simplest() -> float:
    return 0.0


def _drawing(throw: Callable[[], float], note: Callable[[int], None]) -> Callable[[int], int]:
    """Return `Stream.below` without edits. A closure, as every segment and every batch of callbacks draws."""

    def below(limit: int) -> int:
        value = int(throw() * limit)
        note(value)
        return value

    return below


class Tape:
    """All the streams of one run. `edits` maps a label to {position: value} put in place of what the seed gives.

    `calm` are labels, or patterns (`link/*`), whose draws are 0, the simplest choice, unless they are edited.
    """

    __slots__ = ("_calm", "_edits", "_streams", "seed")

    def __init__(
        self, seed: int, edits: Mapping[str, Mapping[int, int]] | None = None, *, calm: Sequence[str] = ()
    ) -> None:
        self.seed = seed
        self._edits = dict(edits or {})
        self._calm = tuple(calm)
        self._streams: dict[str, Stream] = {}

    def stream(self, label: str) -> Stream:
        """Return the stream of that label, the same object each time."""
        stream = self._streams.get(label)
        if stream is None:
            calm = any(fnmatchcase(label, pattern) for pattern in self._calm)
            stream = self._streams[label] = Stream(label, self.seed, self._edits.get(label, {}), calm=calm)
        return stream

    def recorded(self) -> dict[str, list[int]]:
        """Return everything drawn so far: label -> values in order."""
        return {label: list(stream.values) for label, stream in sorted(self._streams.items())}
