"""The toxic `bandwidth`: a line that carries so many bytes a second, and one byte after the other.

A piece leaves when its last byte has been carried. Pieces are at most 10 ms of the line long, so that at any moment
what has left is within 10 ms of what a perfect line would have carried. The line's time is kept exactly (in millionths
of a byte, since a nanosecond at 1 kB/s carries one of them), and a shell that wakes a stage late slows nothing down:
the next piece begins when the line was free, or when it arrived, if that was later.
"""

from collections import Counter
from dataclasses import dataclass
from typing import ClassVar, Final

from harness.toxics.attributes import RATE_MAX, check, whole
from harness.toxics.backlog import Backlog
from harness.toxics.base import Dice, Item, Signal, Stage, Toxic

_BYTE: Final = 1_000_000
"""Nanoseconds times kB/s that carry one byte."""
_PIECE_MS: Final = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Bandwidth(Toxic):
    """Carry `rate` kB (1000 bytes) a second on each connection; 0 stalls."""

    type: ClassVar[str] = "bandwidth"
    rate: int = whole(most=RATE_MAX)

    def __post_init__(self) -> None:
        check(self)

    def stage(self, dice: Dice, effects: Counter[str]) -> Stage:
        """Return its stage for one new connection."""
        del dice
        return _Line(self, effects)


class _Line(Stage):
    """`_free_ns` is when the line was last free (or its rate changed), `_carried` what of the head it had done then."""

    __slots__ = ("_backlog", "_carried", "_free_ns", "_rate")

    def __init__(self, toxic: Bandwidth, effects: Counter[str]) -> None:
        super().__init__(effects)
        self._rate = toxic.rate
        self._backlog = Backlog()
        self._free_ns = 0
        self._carried = 0

    def feed(self, now_ns: int, data: bytes, out: list[Item]) -> None:
        self._backlog.push(now_ns, data)
        self.effects["bytes"] += len(data)
        self._carry(now_ns, out)

    def pass_by(self, now_ns: int, data: bytes, out: list[Item]) -> None:
        self._backlog.push(now_ns, data, spared=True)
        self._carry(now_ns, out)

    def finish(self, now_ns: int, signal: Signal, out: list[Item]) -> None:
        self._backlog.end = signal
        self._carry(now_ns, out)

    def wake(self, now_ns: int, out: list[Item]) -> None:
        self._carry(now_ns, out)

    def change(self, now_ns: int, toxic: Toxic, out: list[Item]) -> None:
        """What has been carried at the old rate leaves; the rest goes on at the new one."""
        assert isinstance(toxic, Bandwidth)
        self._carry(now_ns, out)
        head = self._backlog.head
        if head is not None:
            self._begin(head.arrived_ns)
            self._carried += (now_ns - self._free_ns) * self._rate
            self._free_ns = now_ns
            if self._carried >= _BYTE:
                out.append(self._backlog.take(self._carried // _BYTE))
                self._carried %= _BYTE
        self._rate = toxic.rate
        self._carry(now_ns, out)

    def leave(self, now_ns: int, out: list[Item]) -> None:
        del now_ns
        self._backlog.drain(out)
        self.held, self.due_ns = 0, None

    def _begin(self, arrived_ns: int) -> None:
        """Start on a chunk: the line cannot have carried any of it before it arrived."""
        if arrived_ns > self._free_ns:
            self._free_ns, self._carried = arrived_ns, 0

    def _carry(self, now_ns: int, out: list[Item]) -> None:
        """Pass on every piece that the line has carried by now."""
        self.due_ns = None
        while (head := self._backlog.head) is not None:
            self._begin(head.arrived_ns)
            if head.spared:
                out.append(self._backlog.take(self._backlog.head_size))
                continue
            if not self._rate:
                break
            size = min(self._backlog.head_size, self._rate * _PIECE_MS)
            missing = size * _BYTE - self._carried
            done_ns = self._free_ns + -(-missing // self._rate)
            if done_ns > now_ns:
                self.due_ns = done_ns
                break
            self._carried += (done_ns - self._free_ns) * self._rate - size * _BYTE
            self._free_ns = done_ns
            out.append(self._backlog.take(size))
        self._backlog.pass_end(out)
        self.held = self._backlog.size
