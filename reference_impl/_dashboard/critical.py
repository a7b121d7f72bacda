"""The critical events, in the order of their numbers: one log for all clients, and each has a place in it. Pure.

A place is an index that counts from the beginning of time (of this process), so it stays right when the oldest events
are trimmed.
"""

from bisect import bisect_right
from collections.abc import Iterable

from reference_impl._dashboard.model import Event


class CriticalLog:
    """Holds the newest `retained` events, and up to a quarter more: trimming one by one would cost a move of all."""

    def __init__(self, retained: int, floor: int, events: Iterable[Event]) -> None:
        self._retained = retained
        self.floor = floor
        """The number of the last event that was trimmed; 0 if none was."""
        self._events = list(events)
        self._seqs = [event.seq for event in self._events]
        self.begin = 0
        """The place of the oldest event."""

    @property
    def end(self) -> int:
        """The place behind the newest event."""
        return self.begin + len(self._events)

    @property
    def last_seq(self) -> int:
        """The number of the newest event."""
        return self._seqs[-1] if self._seqs else self.floor

    def append(self, event: Event) -> None:
        """Add the newest event."""
        self._events.append(event)
        self._seqs.append(event.seq)
        excess = len(self._events) - self._retained
        if excess > self._retained // 4:
            self.floor = self._seqs[excess - 1]
            del self._events[:excess], self._seqs[:excess]
            self.begin += excess

    def place_after(self, seq: int) -> int:
        """Return the place of the first event with a higher number; that must not be a trimmed one's."""
        return self.begin + bisect_right(self._seqs, seq)

    def seq_at(self, place: int) -> int:
        """Return the number of the event at a place that is before the end."""
        return self._seqs[place - self.begin]

    def read(self, place: int, count: int) -> list[Event]:
        """Return at most so many events from a place on."""
        offset = place - self.begin
        return self._events[offset : offset + count]

    def seqs_between(self, low: int, high: int) -> list[int]:
        """Return the numbers in (low, high]."""
        return self._seqs[bisect_right(self._seqs, low) : bisect_right(self._seqs, high)]
