"""Which ready callback runs next.

asyncio promises first come, first served. Between hosts there is no such promise, and between tasks of one host no
program should rely on it. So a drawn share of the batches of ready callbacks is merged anew from *strands*: the plain
callbacks of one host are a strand, and so are the steps of each task; order within a strand is kept. Every draw is an
index into the strands, sorted by their oldest callback: 0 is always the order that asyncio would have taken.
"""

import asyncio
from collections import deque
from typing import Final

from harness.tape import Stream
from harness.world.sim.incarnation import HOST

DEFAULT_ONE_IN: Final = 4
"""Every how many batches, on average, one is merged anew."""


class Schedule:
    """The order of ready callbacks, drawn from the tape. `one_in` = 0 leaves asyncio's order alone."""

    __slots__ = ("_draws", "_one_in")

    def __init__(self, draws: Stream, *, one_in: int = DEFAULT_ONE_IN) -> None:
        self._draws = draws
        self._one_in = one_in

    def merge(self, ready: deque[asyncio.Handle]) -> None:
        """Bring a batch of at least two ready callbacks into the order in which they run."""
        one_in = self._one_in
        if not one_in or self._draws.below(one_in) != one_in - 1:
            return
        strands: dict[object, deque[asyncio.Handle]] = {}
        for handle in ready:
            if not handle._cancelled:  # type: ignore[attr-defined]  # the flag itself: this is a hot path
                strands.setdefault(strand_of(handle), deque()).append(handle)
        if len(strands) < 2:  # noqa: PLR2004 - one strand has one order
            return
        ready.clear()
        left = list(strands.values())
        while len(left) > 1:
            index = self._draws.below(len(left))
            strand = left[index]
            ready.append(strand.popleft())
            if not strand:
                del left[index]
        ready.extend(left[0])


def strand_of(handle: asyncio.Handle) -> object:
    """Return what the callback belongs to: its task, or else its host."""
    owner = getattr(handle._callback, "__self__", None)  # type: ignore[attr-defined]
    if isinstance(owner, asyncio.Task):
        return owner
    return handle._context.get(HOST)  # type: ignore[attr-defined]
