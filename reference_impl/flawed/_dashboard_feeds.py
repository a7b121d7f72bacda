"""What flawed feeds decide otherwise: each class is the reference's with one decision replaced."""

import asyncio
from collections import ChainMap
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from reference_impl._dashboard.critical import CriticalLog
from reference_impl._dashboard.feed import Feed, Had, Joined, make_event
from reference_impl._dashboard.model import Batch, Event, Key
from reference_impl._dashboard.position import Position
from reference_impl._dashboard.window import RateWindow

_SHARED_MESSAGES: Final = 100


class OneAtATime(Feed):
    """Holds what lets one session send at a time."""

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self.sending = asyncio.Lock()


class Queueing(Feed):
    """Has every client wait for every event."""

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self._every: dict[Key, Event] = {}
        self.values = ChainMap(self._every, self.latest)

    def _refresh(self, event: Event) -> None:
        place = (event.topic, f"{event.key} #{event.seq}")
        self._every[place] = event
        self._fresh[place] = event.seq


class Renumbering(Position):
    def _account(self, events: list[Event], through: int) -> Batch:
        """Number what is sent, so that there is never a gap."""
        after = self.through
        super()._account(events, through)
        self.through = after + len(events)
        texts = [make_event(after + n, *event[1:5]) for n, event in enumerate(events, 1)]
        return Batch(after, self.through, 0, tuple(texts))


class RenumberingFeed(Feed):
    position_type = Renumbering


class ConflatesCritical(Feed):
    def settle(self, seq: int, now: int) -> None:
        """Treat a critical event as the newest value of its key, and nothing else."""
        while self.staged and self.staged[0][0].seq <= seq:
            event, _ = self.staged.popleft()
            place = (event.topic, event.key)
            self.latest.pop(place, None)
            self.latest[place] = event
            self._refresh(event)
            self._count(now)


class ReversedLog(CriticalLog):
    def read(self, place: int, count: int) -> list[Event]:
        """Return the newest first."""
        return super().read(place, count)[::-1]


class OutOfOrder(Feed):
    log_type = ReversedLog


class StateFirst(Position):
    def _choose(self, log: CriticalLog, latest: Mapping[Key, Event], room: int, now: int) -> list[Event]:
        """Send critical events when no key waits."""
        if not self.pending:
            return super()._choose(log, latest, room, now)
        if now < self._paced_until:
            return []
        keys = list(self.pending)[:room]
        for key in keys:
            del self.pending[key]
        events = log.read(self.place, room - len(keys))
        self.place += len(events)
        return [*[latest[key] for key in keys], *events]


class StateFirstFeed(Feed):
    position_type = StateFirst


class NewestFirst(Position):
    def _choose(self, log: CriticalLog, latest: Mapping[Key, Event], room: int, now: int) -> list[Event]:
        """Send the key that began to wait last."""
        self.pending = dict(reversed(self.pending.items()))
        events = super()._choose(log, latest, room, now)
        self.pending = dict(reversed(self.pending.items()))
        return events


class NewestFirstFeed(Feed):
    position_type = NewestFirst


class NoWindow(RateWindow):
    def room(self, now: int) -> int:
        """Know of no other batch."""
        del now
        return self._most

    def add(self, now: int, count: int) -> None:
        """Forget it."""


class Unpaced(Position):
    def take(self, log: CriticalLog, latest: Mapping[Key, Event], horizon: int, now: int) -> Batch | None:
        """Send as soon as there is something."""
        self._paced_until = 0
        return super().take(log, latest, horizon, now)

    def due(self, log: CriticalLog) -> int | None:
        """Have it sent as soon as there is something."""
        self._paced_until = 0
        return super().due(log)


class RatePerBatch(Feed):
    window_type = NoWindow
    position_type = Unpaced


class LargeBatches(Position):
    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self._options = replace(self._options, batch_events=self._options.events_per_second)


class LargeBatchesFeed(Feed):
    position_type = LargeBatches


class OffByOne(Feed):
    def join(self, had: Had) -> Joined:
        """Begin behind the event after the last one that the client has."""
        joined = super().join(had)
        position = joined.position
        position.place = min(position.place + 1, self.log.end)
        return joined


class OffByOneBack(Feed):
    def join(self, had: Had) -> Joined:
        """Begin with the last event that the client has."""
        joined = super().join(had)
        position = joined.position
        if had.critical_seq and had.epoch == self.epoch and position.place > self.log.begin:
            position.place -= 1
        return joined


class SharedMessages(Feed):
    """Holds the one rate of messages for all clients."""

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self.messages = RateWindow(_SHARED_MESSAGES)
