"""The rate limit: no more than so many in any second, wherever that second begins. Pure."""

from collections import deque

from reference_impl._dashboard.model import SECOND_NS


class RateWindow:
    """Remembers what was sent in the last second, and when.

    The second is half open: of two frames exactly a second apart no window of 1 s holds both. It takes as many entries
    as frames can be in a second, so no more than `most`.
    """

    __slots__ = ("_most", "_sent", "_sum")

    def __init__(self, most: int) -> None:
        self._most = most
        self._sent: deque[tuple[int, int]] = deque()
        self._sum = 0

    def room(self, now: int) -> int:
        """Return how many may be sent now, a monotonic time in ns."""
        sent = self._sent
        while sent and sent[0][0] <= now - SECOND_NS:
            self._sum -= sent.popleft()[1]
        return self._most - self._sum

    @property
    def free_at(self) -> int:
        """When there is room, as far as is known without looking at a clock; may have passed."""
        return self._sent[0][0] + SECOND_NS if self._sum >= self._most else 0

    def add(self, now: int, count: int) -> None:
        """Count what is sent."""
        self._sent.append((now, count))
        self._sum += count
