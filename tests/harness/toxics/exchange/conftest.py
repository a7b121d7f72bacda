"""Two ends of a conduit, with what each has heard."""

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from harness.toxics.base import Active, Dice, Direction, Signal, Toxic
from harness.toxics.conduit import Conduit


class FixedDice:
    """Dice that fall as told, over and over."""

    def __init__(self, *falls: int) -> None:
        self._falls = falls or (0,)
        self._next = 0

    def below(self, bound: int) -> int:
        fall = self._falls[self._next % len(self._falls)]
        self._next += 1
        return min(fall, bound - 1)


class Talk:
    """A connection through a conduit: bytes in, and all that came out at either end, in order."""

    def __init__(self, *actives: Active, follow: Any = "redis", dice: Callable[[str], Dice] | None = None) -> None:
        self.now_ns = 0
        self.conduit = Conduit(actives, dice or (lambda _name: FixedDice()), follow=follow)
        self.heard: dict[Direction, bytes] = {"upstream": b"", "downstream": b""}
        self.signals: list[tuple[Direction, Signal]] = []

    def _take(self, output: Sequence[tuple[Direction, bytes | Signal]]) -> None:
        for direction, item in output:
            if isinstance(item, bytes):
                self.heard[direction] += item
            else:
                self.signals.append((direction, item))

    def ask(self, *chunks: bytes) -> "Talk":
        """The client sends."""
        for chunk in chunks:
            self._take(self.conduit.feed("upstream", self.now_ns, chunk))
        return self

    def reply(self, *chunks: bytes) -> "Talk":
        """The server sends."""
        for chunk in chunks:
            self._take(self.conduit.feed("downstream", self.now_ns, chunk))
        return self

    def finish(self, direction: Direction) -> "Talk":
        self._take(self.conduit.finish(direction, self.now_ns))
        return self

    def remove(self, active: Active) -> "Talk":
        self._take(self.conduit.remove(active, self.now_ns))
        return self

    def wake(self) -> "Talk":
        """Let time jump to when the conduit wants to be woken."""
        assert self.conduit.due_ns is not None
        self.now_ns = self.conduit.due_ns
        self._take(self.conduit.wake(self.now_ns))
        return self

    @property
    def server(self) -> bytes:
        return self.heard["upstream"]

    @property
    def client(self) -> bytes:
        return self.heard["downstream"]


def active_of(toxic: Toxic, *, name: str = "m", toxicity: float = 1.0, per_message: bool = False) -> Active:
    return Active(
        name=name, stream="upstream", toxic=toxic, toxicity=toxicity, per_message=per_message, effects=Counter()
    )


@pytest.fixture(name="talk", scope="session")
def _talk() -> type[Talk]:
    return Talk


@pytest.fixture(name="active", scope="session")
def _active() -> Callable[..., Active]:
    return active_of


@pytest.fixture(name="fixed_dice", scope="session")
def _fixed_dice() -> type[FixedDice]:
    return FixedDice
