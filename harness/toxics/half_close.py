"""Our extension `half_close`: the end of one direction stays that. The original ends the whole connection."""

from collections import Counter
from dataclasses import dataclass
from typing import ClassVar

from harness.toxics.base import Dice, Item, Signal, Stage, Toxic


@dataclass(frozen=True, slots=True, kw_only=True)
class HalfClose(Toxic):
    """Pass the end of this direction on as a half-close; the other direction goes on. The shell sees to it."""

    type: ClassVar[str] = "half_close"
    keeps_half_close: ClassVar[bool] = True

    def stage(self, dice: Dice, effects: Counter[str]) -> Stage:
        """Return its stage for one new connection."""
        del dice
        return _Counting(effects)


class _Counting(Stage):
    """Passes everything on."""

    __slots__ = ()

    def finish(self, now_ns: int, signal: Signal, out: list[Item]) -> None:
        del now_ns
        if signal is Signal.END:
            self.effects["ends"] += 1
        out.append(signal)

    def change(self, now_ns: int, toxic: Toxic, out: list[Item]) -> None:
        """It has no attributes."""
