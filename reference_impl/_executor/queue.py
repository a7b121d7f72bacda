"""Which signals are live, and which of them goes first, goes last, or has gone stale. Pure; every step is O(log n).

Of entries, the most confident goes first, of equals the oldest; the last of this order is what is given up. Exits go
before all entries, in the order in which they were asked for, and are never given up. An exit that supersedes an older
one for the same symbol and side takes its place in that order too: a model that says again and again that a position
must be left would otherwise be sent to the end of the line each time.
"""

import heapq
from collections import OrderedDict
from collections.abc import Iterator
from typing import Final, TypeAlias

import msgspec

from reference_impl._executor.signals import Key, Signal

_Ranked: TypeAlias = tuple[float, int, "Entry"]
"""Rank, what decides between equals (unique, so that entries are never compared), entry."""

_SPARE: Final = 64


class Entry(msgspec.Struct, eq=False):
    """A signal in the queue. `number` grows with each offer; `deadline` is monotonic nanoseconds."""

    signal: Signal
    number: int
    deadline: int
    live: bool = True


class _Heap:
    """A heap in which the dead stay until they come to the top, or are more than the living."""

    __slots__ = ("_ranked",)

    def __init__(self) -> None:
        self._ranked: list[_Ranked] = []

    def push(self, rank: float, then: int, entry: Entry, living: int) -> None:
        """Add it; `living` are in the queue now."""
        if len(self._ranked) > 2 * living + _SPARE:
            self._ranked = [each for each in self._ranked if each[2].live]
            heapq.heapify(self._ranked)
        heapq.heappush(self._ranked, (rank, then, entry))

    def first(self) -> Entry | None:
        """Return the living one of the lowest rank."""
        ranked = self._ranked
        while ranked:
            if ranked[0][2].live:
                return ranked[0][2]
            heapq.heappop(ranked)
        return None


class SignalQueue:
    """The live signals, at most one for each symbol and side."""

    __slots__ = ("_best", "_deadlines", "_entries", "_exits", "_worst")

    def __init__(self) -> None:
        self._entries: dict[Key, Entry] = {}
        self._exits: OrderedDict[Key, Entry] = OrderedDict()
        self._best = _Heap()
        self._worst = _Heap()
        self._deadlines = _Heap()

    def __len__(self) -> int:
        return len(self._entries) + len(self._exits)

    def __iter__(self) -> Iterator[Entry]:
        """Iterate over all, exits first."""
        yield from tuple(self._exits.values())
        yield from tuple(self._entries.values())

    def live(self, key: Key) -> Entry | None:
        """Return the live one for that symbol and side."""
        return self._exits.get(key) or self._entries.get(key)

    def put(self, entry: Entry) -> None:
        """Add one. A live one for its symbol and side goes; an exit inherits the place of an exit."""
        key, living = entry.signal.key, len(self)
        rival = self.live(key)
        if entry.signal.exit:
            if rival is not None and not rival.signal.exit:
                del self._entries[key]
            self._exits[key] = entry  # keeps the place of what was there
        else:
            self._entries[key] = entry
            confidence, number = entry.signal.confidence, entry.number
            self._best.push(-confidence, number, entry, living)
            self._worst.push(confidence, -number, entry, living)
        if rival is not None:
            rival.live = False
        self._deadlines.push(entry.deadline, entry.number, entry, living)

    def remove(self, entry: Entry) -> None:
        """Take one out."""
        entry.live = False
        del (self._exits if entry.signal.exit else self._entries)[entry.signal.key]

    def first_exit(self) -> Entry | None:
        """Return the exit that goes first."""
        return next(iter(self._exits.values()), None)

    def best(self) -> Entry | None:
        """Return the entry that goes first."""
        return self._best.first()

    def worst(self) -> Entry | None:
        """Return the entry that is given up first."""
        return self._worst.first()

    def soonest(self) -> Entry | None:
        """Return the one that goes stale first."""
        return self._deadlines.first()
