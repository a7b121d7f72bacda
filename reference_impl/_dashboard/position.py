"""What one client has, and what it has not: a number, a place in the log, and the keys that it waits for. Pure.

A client waits for a key, not for events: however often the value changes, it takes one place in the client's memory and
one in its rate. The key that has waited longest goes first and takes its newest value along, so a key that changes all
the time neither starves the others nor is starved by them. Critical events go before all that; only one slot of a full
batch is left to keys, or they would wait for as long as critical events come faster than the rate.

`through`, the number up to which everything was delivered or superseded, ends before the first event that neither is.
Keys wait in the order of the first event they wait for, so that event is that of the first key, or the critical one
that is next. What was delivered beyond is counted once `through` passes it (`ahead`).
"""

from collections.abc import Mapping
from heapq import heappop, heappush
from itertools import islice
from typing import Final

from reference_impl._dashboard.critical import CriticalLog
from reference_impl._dashboard.model import SECOND_NS, Batch, Event, Key, Options
from reference_impl._dashboard.window import RateWindow

_LATE_NS: Final = 50_000_000
"""A turn of a client that comes late by no more than this does not put off the next."""


class Position:
    """One client's. `base` is where its accounting begins, `place` the next critical event's in the log."""

    __slots__ = (
        "_ahead",
        "_options",
        "_paced_until",
        "_window",
        "backlog",
        "base",
        "early",
        "pending",
        "place",
        "through",
    )

    def __init__(self, options: Options, window: RateWindow, base: int, place: int) -> None:
        self._options = options
        self._window = window
        self.base = self.through = base
        self.place = place
        self.backlog = 0
        """How many critical events it lacked when it came."""
        self.pending: dict[Key, int] = {}
        """The keys that are waited for, with the number of the first event of each that was not delivered."""
        self.early: dict[Key, int] = {}
        """Values that went along although nobody was told yet to wait for them, by the number of each."""
        self._ahead: list[int] = []
        self._paced_until = 0

    def has_already(self, seqs: list[int]) -> None:
        """Count these, in order, as delivered: before this connection."""
        self._ahead = seqs

    def wait_for(self, fresh: Mapping[Key, int]) -> None:
        """Wait for these, too. Whoever waits already keeps its turn."""
        self.pending = {**self.pending, **fresh, **self.pending} if self.pending else dict(fresh)

    def due(self, log: CriticalLog) -> int | None:
        """When the next batch can go, a monotonic time in ns that may have passed; None if there is nothing."""
        if log.end > self.place:
            return self._window.free_at
        return max(self._paced_until, self._window.free_at) if self.pending else None

    def take(self, log: CriticalLog, latest: Mapping[Key, Event], horizon: int, now: int) -> Batch | None:
        """Return what goes to the client now, if anything may; it counts as delivered.

        `horizon` is the number up to which every event is in the log, or its key waited for by those who lack it.
        """
        room = min(self._options.batch_events, self._window.room(now))
        if room <= 0:
            return None
        events = self._choose(log, latest, room, now)
        if not events:
            return None
        self._window.add(now, len(events))
        # evenly, as a burst would be followed by silence; a tick that came late is made up for, or 50/s would not be
        since = max(self._paced_until, now - _LATE_NS)
        self._paced_until = since + len(events) * SECOND_NS // self._options.events_per_second
        self.early |= {(one.topic, one.key): one.seq for one in events if one.seq > horizon}
        return self._account(events, self._reach(log, horizon))

    def _choose(self, log: CriticalLog, latest: Mapping[Key, Event], room: int, now: int) -> list[Event]:
        has_turn = bool(self.pending) and now >= self._paced_until
        events = log.read(self.place, room - 1 if has_turn and room > 1 else room)
        self.place += len(events)
        if has_turn:
            for key in list(islice(self.pending, room - len(events))):
                del self.pending[key]
                events.append(latest[key])
        return events

    def _reach(self, log: CriticalLog, horizon: int) -> int:
        if log.end > self.place:
            horizon = min(horizon, log.seq_at(self.place) - 1)
        if self.pending:
            horizon = min(horizon, next(iter(self.pending.values())) - 1)
        return max(self.through, horizon)

    def _account(self, events: list[Event], through: int) -> Batch:
        """Move `through`; what was passed and not delivered was conflated."""
        after, ahead, delivered = self.through, self._ahead, 0
        for event in events:
            if event.seq > self.base:
                heappush(ahead, event.seq)
        while ahead and ahead[0] <= through:
            heappop(ahead)
            delivered += 1
        self.through = through
        return Batch(after, through, through - after - delivered, tuple(events))
