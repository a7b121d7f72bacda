"""One direction of one connection, run in virtual time: what every test of a toxic needs."""

import random
from collections.abc import Mapping
from typing import Any

import pytest

from harness.toxics.base import Active, Item, Signal
from harness.toxics.catalog import merge, parse
from harness.toxics.pipe import Pipe
from harness.units import ms


class ScriptedDice:
    """Gives prepared numbers, then those of a seeded generator; remembers the bounds it was asked for."""

    def __init__(self, *numbers: int) -> None:
        self._numbers = list(numbers)
        self._random = random.Random(1)
        self.bounds: list[int] = []

    def below(self, bound: int, /) -> int:
        self.bounds.append(bound)
        number = self._numbers.pop(0) if self._numbers else self._random.randrange(bound)
        assert 0 <= number < bound
        return number


class Wire:
    """A pipe with a clock. `seen` is what left, with the millisecond (a float) at which it did."""

    def __init__(self, *numbers: int) -> None:
        self.dice = ScriptedDice(*numbers)
        self.pipe = Pipe(lambda _name: self.dice)
        self.now_ns = ms(1000)
        self.seen: list[tuple[float, Item]] = []

    def add(self, kind: str, attributes: Mapping[str, Any] | None = None, **options: Any) -> Active:
        """Add a toxic, and give it the turn that a shell gives at once to whatever is due."""
        active = Active(name=kind, stream="upstream", toxic=parse(kind, attributes or {}), **options)
        self.pipe.add(active)
        self.at(self.now_ms)
        return active

    @property
    def now_ms(self) -> float:
        """Milliseconds since the test began."""
        return (self.now_ns - ms(1000)) / 1e6

    def at(self, time_ms: float) -> "Wire":
        """Let time pass until then, waking whatever wants to be woken, exactly when it does."""
        end_ns = ms(1000) + round(time_ms * 1e6)
        while self.pipe.due_ns is not None and self.pipe.due_ns <= end_ns:
            self.now_ns = max(self.now_ns, self.pipe.due_ns)
            self._note(self.pipe.wake(self.now_ns))
        self.now_ns = end_ns
        return self

    def feed(self, data: bytes) -> None:
        """Bytes arrive now."""
        self._note(self.pipe.feed(self.now_ns, data))

    def finish(self) -> None:
        """The end arrives now."""
        self._note(self.pipe.finish(self.now_ns))

    def change(self, active: Active, **attributes: Any) -> None:
        """Give a toxic other attributes now."""
        active.toxic = merge(active.toxic, attributes)
        self._note(self.pipe.change(active, self.now_ns))

    def remove(self, active: Active) -> None:
        """Remove a toxic now."""
        self._note(self.pipe.remove(active, self.now_ns))

    @property
    def data(self) -> bytes:
        """All bytes that have left."""
        return b"".join(item for _, item in self.seen if isinstance(item, bytes))

    @property
    def signals(self) -> list[tuple[float, Signal]]:
        """The signals that have left, with their times."""
        return [(time_ms, item) for time_ms, item in self.seen if isinstance(item, Signal)]

    def _note(self, items: list[Item]) -> None:
        self.seen += [(self.now_ms, item) for item in items]


@pytest.fixture
def wire() -> Wire:
    """A wire whose dice are seeded."""
    return Wire()


@pytest.fixture
def wire_with_dice() -> type[Wire]:
    """Make a wire whose dice first give these numbers."""
    return Wire
