"""Our extension `partition`: nothing gets through that way, and everything does once it is removed.

As in a network that TCP bridges: the sender keeps what is unacknowledged (here the shell stops reading from it when
the stage holds too much), and the retransmissions after the partition deliver it all.
"""

from collections import Counter
from dataclasses import dataclass
from typing import ClassVar

from harness.toxics.backlog import Backlog
from harness.toxics.base import Dice, Item, Signal, Stage, Toxic


@dataclass(frozen=True, slots=True, kw_only=True)
class Partition(Toxic):
    """Hold everything that way, the end too; new connections get no answer."""

    type: ClassVar[str] = "partition"
    loses_connects: ClassVar[bool] = True

    def stage(self, dice: Dice, effects: Counter[str]) -> Stage:
        """Return its stage for one new connection."""
        del dice
        return _Holding(effects)


class _Holding(Stage):
    __slots__ = ("_backlog",)

    def __init__(self, effects: Counter[str]) -> None:
        super().__init__(effects)
        self._backlog = Backlog()

    def feed(self, now_ns: int, data: bytes, out: list[Item]) -> None:
        del out
        self._backlog.push(now_ns, data)
        self.held += len(data)
        self.effects["held"] += len(data)

    def finish(self, now_ns: int, signal: Signal, out: list[Item]) -> None:
        del now_ns, out
        self._backlog.end = signal
        self.effects["ends"] += 1

    def change(self, now_ns: int, toxic: Toxic, out: list[Item]) -> None:
        """It has no attributes."""

    def leave(self, now_ns: int, out: list[Item]) -> None:
        del now_ns
        self._backlog.drain(out)
        self.held = 0
