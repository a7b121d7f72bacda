"""What comes later than it could: replies that are delayed, and all that is behind them."""

from collections import deque

from harness.toxics.base import Item


class Late:
    """A line in which items wait for their time. Order is kept: nothing overtakes."""

    __slots__ = ("_items", "_until_ns", "held")

    def __init__(self) -> None:
        self._items: deque[tuple[int, Item]] = deque()
        self._until_ns = 0
        self.held = 0

    @property
    def due_ns(self) -> int | None:
        """When the first item may go."""
        return self._items[0][0] if self._items else None

    def delay(self, until_ns: int) -> None:
        """Let nothing that comes from now on go before that."""
        self._until_ns = max(self._until_ns, until_ns)

    def push(self, now_ns: int, item: Item, out: list[Item]) -> None:
        """Let an item go, or wait."""
        if not self._items and self._until_ns <= now_ns:
            out.append(item)
            return
        self._items.append((self._until_ns, item))
        self.held += len(item) if isinstance(item, bytes) else 0

    def pop(self, now_ns: int, out: list[Item]) -> None:
        """Let everything go whose time has come."""
        while self._items and self._items[0][0] <= now_ns:
            _, item = self._items.popleft()
            self.held -= len(item) if isinstance(item, bytes) else 0
            out.append(item)

    def release(self, out: list[Item]) -> None:
        """Let everything go now."""
        out.extend(item for _, item in self._items)
        self._items.clear()
        self.held = self._until_ns = 0
