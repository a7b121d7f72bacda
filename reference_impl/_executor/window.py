"""The rate limit: no more than so many executions in any second, wherever that second begins. Pure."""

from collections import deque
from typing import Final

SECOND_NS: Final = 1_000_000_000


class SlidingWindow:
    """Remembers the last `most` starts: the next one is free a second after the oldest of them.

    The second is half open: of two starts exactly a second apart no window of 1 s holds both. What an earlier life of
    this program did cannot be known, so `now` counts as the time of `most` starts.
    """

    __slots__ = ("_starts",)

    def __init__(self, most: int, now: int) -> None:
        self._starts = deque([now] * most, maxlen=most)

    @property
    def free_at(self) -> int:
        """When the next start is allowed, in monotonic nanoseconds; may have passed."""
        return self._starts[0] + SECOND_NS

    def add(self, now: int) -> None:
        """Count a start, whatever becomes of it."""
        self._starts.append(now)
