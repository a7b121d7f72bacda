"""Our extensions that lose bytes and tell nobody: `half_open`, `discard_first`."""

from collections import Counter
from dataclasses import dataclass
from typing import ClassVar

from harness.toxics.attributes import SIZE_MAX, check, whole
from harness.toxics.base import Dice, Item, Signal, Stage, Toxic


@dataclass(frozen=True, slots=True, kw_only=True)
class HalfOpen(Toxic):
    """Silently drop everything that way, the end too, and keep the connection: the far side seems to be there.

    A connection that has lost something stays dead that way when the toxic is removed, as one does of which a firewall
    has lost track: TCP never delivers a stream with a hole. One that has lost nothing goes on unharmed.
    """

    type: ClassVar[str] = "half_open"

    def stage(self, dice: Dice, effects: Counter[str]) -> Stage:
        """Return its stage for one new connection."""
        del dice
        return _Swallowing(effects)


class _Swallowing(Stage):
    __slots__ = ()

    def feed(self, now_ns: int, data: bytes, out: list[Item]) -> None:
        del now_ns, out
        self.stays = True
        self.effects["dropped"] += len(data)

    def pass_by(self, now_ns: int, data: bytes, out: list[Item]) -> None:
        """Once a message has been lost, none can follow it."""
        if self.stays:
            self.feed(now_ns, data, out)
        else:
            out.append(data)

    def finish(self, now_ns: int, signal: Signal, out: list[Item]) -> None:
        del now_ns, signal, out
        self.stays = True
        self.effects["ends"] += 1

    def change(self, now_ns: int, toxic: Toxic, out: list[Item]) -> None:
        """It has no attributes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DiscardFirst(Toxic):
    """Drop the first `bytes` bytes of a connection (of those still to come, on a live one), then pass on the rest."""

    type: ClassVar[str] = "discard_first"
    bytes: int = whole(most=SIZE_MAX)

    def __post_init__(self) -> None:
        check(self)

    def stage(self, dice: Dice, effects: Counter[str]) -> Stage:
        """Return its stage for one new connection."""
        del dice
        return _Discarding(self, effects)


class _Discarding(Stage):
    __slots__ = ("_first", "_seen")

    def __init__(self, toxic: DiscardFirst, effects: Counter[str]) -> None:
        super().__init__(effects)
        self._first = toxic.bytes
        self._seen = 0

    def feed(self, now_ns: int, data: bytes, out: list[Item]) -> None:
        del now_ns
        lost = min(len(data), max(0, self._first - self._seen))
        self._seen += len(data)
        self.effects["dropped"] += lost
        if lost < len(data):
            out.append(data[lost:])

    def change(self, now_ns: int, toxic: Toxic, out: list[Item]) -> None:
        del now_ns, out
        assert isinstance(toxic, DiscardFirst)
        self._first = toxic.bytes
