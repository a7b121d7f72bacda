"""The toxic `latency`: every chunk leaves a while after it arrived.

The delay counts from a chunk's arrival, so pipelined requests are late by one latency, not by one each. Jitter is
drawn per chunk and never changes the order: a chunk that drew less waits for the one before it. The end of a direction
is not delayed, but stays behind the bytes before it. New attributes count for the chunks that are waiting, too, again
from their arrival (the original lets the one in its hand go at once).
"""

from collections import Counter, deque
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

from harness.toxics.attributes import DAY_MS, check, whole
from harness.toxics.base import Dice, Item, Signal, Stage, Toxic
from harness.units import MILLISECOND


@dataclass(frozen=True, slots=True, kw_only=True)
class Latency(Toxic):
    """Delay by `latency` ms, more or less by up to `jitter` ms, never below 0."""

    type: ClassVar[str] = "latency"
    latency: int = whole(most=DAY_MS)
    jitter: int = whole(most=DAY_MS)

    def __post_init__(self) -> None:
        check(self)

    def stage(self, dice: Dice, effects: Counter[str]) -> Stage:
        """Return its stage for one new connection."""
        return _Delaying(self, dice, effects)

    def draw_ns(self, dice: Dice) -> int:
        """Draw the delay of one chunk."""
        delay_ns, jitter_ns = self.latency * MILLISECOND, self.jitter * MILLISECOND
        if jitter_ns:
            delay_ns += dice.below(2 * jitter_ns + 1) - jitter_ns
        return max(0, delay_ns)


class _Waiting(NamedTuple):
    due_ns: int
    arrived_ns: int
    data: bytes
    spared: bool


class _Delaying(Stage):
    __slots__ = ("_dice", "_end", "_toxic", "_waiting")

    def __init__(self, toxic: Latency, dice: Dice, effects: Counter[str]) -> None:
        super().__init__(effects)
        self._toxic = toxic
        self._dice = dice
        self._waiting: deque[_Waiting] = deque()
        self._end: Signal | None = None

    def feed(self, now_ns: int, data: bytes, out: list[Item]) -> None:
        due_ns = self._wait(now_ns, data, spared=False)
        if due_ns > now_ns:
            self.effects["bytes"] += len(data)
        self._release(now_ns, out)

    def pass_by(self, now_ns: int, data: bytes, out: list[Item]) -> None:
        self._wait(now_ns, data, spared=True)
        self._release(now_ns, out)

    def finish(self, now_ns: int, signal: Signal, out: list[Item]) -> None:
        self._end = signal
        self._release(now_ns, out)

    def wake(self, now_ns: int, out: list[Item]) -> None:
        self._release(now_ns, out)

    def change(self, now_ns: int, toxic: Toxic, out: list[Item]) -> None:
        assert isinstance(toxic, Latency)
        self._toxic = toxic
        waiting, self._waiting, self.held = self._waiting, deque(), 0
        for chunk in waiting:
            self._wait(chunk.arrived_ns, chunk.data, spared=chunk.spared)
        self._release(now_ns, out)

    def leave(self, now_ns: int, out: list[Item]) -> None:
        while self._waiting:
            self._pass_first(out)
        self._release(now_ns, out)

    def _wait(self, arrived_ns: int, data: bytes, *, spared: bool) -> int:
        """Queue a chunk; return when it is due."""
        due_ns = arrived_ns + (0 if spared else self._toxic.draw_ns(self._dice))
        if self._waiting:
            due_ns = max(due_ns, self._waiting[-1].due_ns)
        self._waiting.append(_Waiting(due_ns, arrived_ns, data, spared))
        self.held += len(data)
        return due_ns

    def _release(self, now_ns: int, out: list[Item]) -> None:
        while self._waiting and self._waiting[0].due_ns <= now_ns:
            self._pass_first(out)
        self.due_ns = self._waiting[0].due_ns if self._waiting else None
        if self._end is not None and not self._waiting:
            out.append(self._end)
            self._end = None

    def _pass_first(self, out: list[Item]) -> None:
        data = self._waiting.popleft().data
        self.held -= len(data)
        out.append(data)
