"""Bytes in waiting: the chunks that a stage has taken and not yet passed on, in order, and the end behind them."""

from collections import deque
from typing import NamedTuple

from harness.toxics.base import Item, Signal


class Chunk(NamedTuple):
    """Bytes as they arrived. Those that were `spared` by the dice wait only for what is before them."""

    arrived_ns: int
    data: bytes
    spared: bool


class Backlog:
    """A queue of chunks that can be taken piece by piece. `size` is in bytes, `end` what comes behind the last one."""

    __slots__ = ("_chunks", "_taken", "end", "size")

    def __init__(self) -> None:
        self._chunks: deque[Chunk] = deque()
        self._taken = 0
        self.size = 0
        self.end: Signal | None = None

    @property
    def head(self) -> Chunk | None:
        """The oldest chunk, as it arrived."""
        return self._chunks[0] if self._chunks else None

    @property
    def head_size(self) -> int:
        """How many bytes of the oldest chunk have not been taken. There must be one."""
        return len(self._chunks[0].data) - self._taken

    def push(self, arrived_ns: int, data: bytes, *, spared: bool = False) -> None:
        """Append a chunk."""
        if data:
            self._chunks.append(Chunk(arrived_ns, data, spared))
            self.size += len(data)

    def take(self, size: int) -> bytes:
        """Take that many bytes, at least 1 and at most `head_size`, off the oldest chunk."""
        data = self._chunks[0].data
        piece = data[self._taken : self._taken + size]
        self._taken += size
        self.size -= size
        if self._taken == len(data):
            self._chunks.popleft()
            self._taken = 0
        return piece

    def pass_end(self, out: list[Item]) -> None:
        """Pass on the end, if it has arrived and nothing is before it any more."""
        if self.end is not None and not self._chunks:
            out.append(self.end)
            self.end = None

    def drain(self, out: list[Item]) -> None:
        """Pass on everything."""
        while self._chunks:
            out.append(self.take(self.head_size))
        self.pass_end(out)
