"""The toxic `slicer`: every chunk leaves in pieces, one after the other, with a delay after each.

Pieces are cut when their turn comes, so a long chunk costs no more memory than it has bytes. New attributes count from
the next piece on.
"""

from collections import Counter
from dataclasses import dataclass
from typing import ClassVar, Final

from harness.toxics.attributes import DAY_MS, SIZE_MAX, BadToxic, check, whole
from harness.toxics.backlog import Backlog
from harness.toxics.base import Dice, Item, Signal, Stage, Toxic

_MICROSECOND: Final = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Slicer(Toxic):
    """Cut into `average_size` bytes, more or less by up to `size_variation`; pause for `delay` us after each piece."""

    type: ClassVar[str] = "slicer"
    average_size: int = whole(least=1, most=SIZE_MAX)
    size_variation: int = whole(most=SIZE_MAX)
    delay: int = whole(most=DAY_MS * 1000)

    def __post_init__(self) -> None:
        check(self)
        if self.size_variation > self.average_size:
            raise BadToxic(
                f"slicer: size_variation ({self.size_variation}) must be at most average_size ({self.average_size})"
            )

    def stage(self, dice: Dice, effects: Counter[str]) -> Stage:
        """Return its stage for one new connection."""
        return _Slicing(self, dice, effects)

    def draw_size(self, dice: Dice) -> int:
        """Draw the size of one piece, at least 1."""
        size = self.average_size
        if self.size_variation:
            size += dice.below(2 * self.size_variation + 1) - self.size_variation
        return max(1, size)


class _Slicing(Stage):
    """`_last_ns` is when the last piece was due; None before the first."""

    __slots__ = ("_backlog", "_dice", "_last_ns", "_toxic")

    def __init__(self, toxic: Slicer, dice: Dice, effects: Counter[str]) -> None:
        super().__init__(effects)
        self._toxic = toxic
        self._dice = dice
        self._backlog = Backlog()
        self._last_ns: int | None = None

    def feed(self, now_ns: int, data: bytes, out: list[Item]) -> None:
        before = len(out)
        self._backlog.push(now_ns, data)
        self._cut(now_ns, out)
        if self._backlog.size or len(out) - before > 1:
            self.effects["bytes"] += len(data)

    def pass_by(self, now_ns: int, data: bytes, out: list[Item]) -> None:
        self._backlog.push(now_ns, data, spared=True)
        self._cut(now_ns, out)

    def finish(self, now_ns: int, signal: Signal, out: list[Item]) -> None:
        self._backlog.end = signal
        self._cut(now_ns, out)

    def wake(self, now_ns: int, out: list[Item]) -> None:
        self._cut(now_ns, out)

    def change(self, now_ns: int, toxic: Toxic, out: list[Item]) -> None:
        assert isinstance(toxic, Slicer)
        self._toxic = toxic
        self._cut(now_ns, out)

    def leave(self, now_ns: int, out: list[Item]) -> None:
        del now_ns
        self._backlog.drain(out)
        self.held, self.due_ns = 0, None

    def _cut(self, now_ns: int, out: list[Item]) -> None:
        """Pass on every piece whose time has come."""
        self.due_ns = None
        while (head := self._backlog.head) is not None:
            if head.spared:
                out.append(self._backlog.take(self._backlog.head_size))
                continue
            due_ns = head.arrived_ns
            if self._last_ns is not None:
                due_ns = max(due_ns, self._last_ns + self._toxic.delay * _MICROSECOND)
            if due_ns > now_ns:
                self.due_ns = due_ns
                break
            self._last_ns = due_ns
            out.append(self._backlog.take(min(self._toxic.draw_size(self._dice), self._backlog.head_size)))
        self._backlog.pass_end(out)
        self.held = self._backlog.size
