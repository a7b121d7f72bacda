"""All that the server decides: what gets which number, who gets what, and when. Pure: `now` is a monotonic time in ns.

An event of a state topic becomes the latest value of its key; those who follow learn at the next `merge` that there is
something to wait for, so that the events of a tenth of a second share a frame. A critical event is `staged` until the
store has it, or for `store_patience` if it does not take it, and then goes into the log.

Who joins is told the latest values up to the first event that is still staged, and waits for what is newer, exactly as
one does who was there all the time. Who comes back waits for what is newer than what it has, unless that is not known
any more, or too much.
"""

import json
import re
from bisect import bisect_right
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from reference_impl._dashboard.critical import CriticalLog
from reference_impl._dashboard.errors import KeysFullError, PublishError
from reference_impl._dashboard.model import SECOND_NS, Batch, Event, Key, Options, Restored, is_critical
from reference_impl._dashboard.position import Position
from reference_impl._dashboard.window import RateWindow

KEY_CHARS_MAX: Final = 200
_TOPIC: Final = re.compile(r"[a-z0-9_]+(\.[a-z0-9_]+)+")
_TOPIC_CHARS_MAX: Final = 100
_MS: Final = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Had:
    """What a client says it has: of which epoch, everything through a number, and critical events up to another."""

    epoch: str | None = None
    last_seq: int | None = None
    critical_seq: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Joined:
    """A client's position; a snapshot unless it is resumed. Critical events up to `critical_from` will not come."""

    position: Position
    snapshot: tuple[Event, ...] | None
    critical_from: int


class Feed:
    """The feed of one server."""

    log_type: type[CriticalLog] = CriticalLog
    position_type: type[Position] = Position
    window_type: type[RateWindow] = RateWindow

    values: Mapping[Key, Event]
    """What those who wait for a key get."""

    def __init__(self, options: Options, restored: Restored) -> None:
        self._options = options
        self.epoch = restored.epoch
        self.seq = restored.seq
        self.resume_floor = restored.resume_floor
        self.log = self.log_type(options.critical_retained, restored.critical_floor, restored.critical)
        self.latest: dict[Key, Event] = {}
        """Of each key, in the order of their numbers: of state topics."""
        self.values = self.latest
        self.latest_critical: dict[Key, Event] = {}
        """The same of critical ones; the oldest give way to new keys, as the log has them."""
        for event in restored.latest:
            self._remember(event)
        self.staged: deque[tuple[Event, int]] = deque()
        self.positions: dict[Position, None] = {}
        self._fresh: dict[Key, int] = {}
        self._waiting = 0
        self._waiting_since = 0

    @property
    def horizon(self) -> int:
        """The number up to which all events are in the log, or waited for by all who lack them."""
        return min(self._settled, next(iter(self._fresh.values())) - 1) if self._fresh else self._settled

    @property
    def _settled(self) -> int:
        """The number up to which no critical event waits for the store."""
        return self.staged[0][0].seq - 1 if self.staged else self.seq

    def publish(self, topic: str, key: str, value: Any, at: int, now: int) -> Event:
        """Give an event its number. A critical one is staged: `settle` it.

        Raises:
            PublishError: It cannot be carried.
            KeysFullError: Its key would be one too many.

        """
        place, encoded = (topic, key), self._encode(topic, key, value)
        if not is_critical(topic) and place not in self.latest and len(self.latest) >= self._options.keys_max:
            raise KeysFullError(f"{self._options.keys_max} keys are in use; {topic} cannot have one more")
        self.seq += 1
        event = make_event(self.seq, topic, key, at, encoded)
        if is_critical(topic):
            self.staged.append((event, now))
            return event
        self._remember(event)
        self._refresh(event)
        self._count(now)
        return event

    def settle(self, seq: int, now: int) -> None:
        """Let critical events up to that number be seen: the store has them."""
        while self.staged and self.staged[0][0].seq <= seq:
            event, _ = self.staged.popleft()
            self.log.append(event)
            self._remember(event)
            self._count(now)

    def due(self) -> int | None:
        """When `merge` must be called next; may have passed."""
        merge = None
        if self._waiting >= self._options.batch_events:
            merge = 0
        elif self._waiting:
            merge = self._waiting_since + self._options.batch_ms * _MS
        if not self.staged:
            return merge
        patience = self.staged[0][1] + int(self._options.store_patience * SECOND_NS)
        return patience if merge is None else min(merge, patience)

    def merge(self, now: int) -> bool:
        """Tell all who follow what is new, if it is time; return whether it was."""
        patience = int(self._options.store_patience * SECOND_NS)
        while self.staged and self.staged[0][1] + patience <= now:
            self.settle(self.staged[0][0].seq, now)
        due = self.due()
        if not self._waiting or due is None or due > now:
            return False
        self._spread()
        return True

    def join(self, had: Had) -> Joined:
        """Take in a client. What is fresh is left to the next merge, as for everybody, unless the snapshot has it."""
        horizon, log = self._settled, self.log
        knows = had.epoch == self.epoch
        critical_seq = had.critical_seq
        if not knows or critical_seq is None or critical_seq > self.seq:
            critical_seq = horizon
        critical_seq = max(critical_seq, log.floor)
        base = had.last_seq if knows and self._can_resume(had, horizon) else None
        snapshot = None
        if base is None:
            base, snapshot = horizon, self._snapshot(horizon)
        position = self.position_type(
            self._options,
            self.window_type(self._options.events_per_second),
            base,
            log.place_after(critical_seq),
        )
        position.backlog = self.behind(position)
        position.has_already(log.seqs_between(base, critical_seq))
        position.wait_for({key: base + 1 for key in self._newer(base) if key not in self._fresh})
        self.positions[position] = None
        return Joined(position=position, snapshot=snapshot, critical_from=critical_seq)

    def leave(self, position: Position) -> None:
        """Forget a client."""
        self.positions.pop(position, None)

    def take(self, position: Position, now: int) -> Batch | None:
        """Return what goes to the client now, if anything does."""
        return position.take(self.log, self.values, self.horizon, now)

    def behind(self, position: Position) -> int:
        """Return how many critical events the client has not been sent."""
        return self.log.end - position.place

    def fell_behind(self, position: Position) -> bool:
        """Say whether the client is too slow for the critical events, or its next one was trimmed."""
        return self.behind(position) > position.backlog + self._options.queue_max or position.place < self.log.begin

    def _can_resume(self, had: Had, horizon: int) -> bool:
        """Say whether all that the client lacks is known, and little enough to be sent one by one."""
        last_seq, critical_seq = had.last_seq, had.critical_seq
        if last_seq is None or critical_seq is None:
            return False
        if not self.resume_floor <= last_seq <= horizon or critical_seq > self.seq:
            return False
        if min(last_seq, critical_seq) < self.log.floor:
            return False
        return len(self._newer(last_seq)) <= self._options.resume_keys_max

    def _newer(self, seq: int) -> list[Key]:
        """Return the keys of state topics whose latest value is newer, the oldest first."""
        found = []
        for key, event in reversed(self.latest.items()):
            if event.seq <= seq:
                break
            found.append(key)
        return found[::-1]

    def _snapshot(self, horizon: int) -> tuple[Event, ...]:
        events = sorted([*self.latest.values(), *self.latest_critical.values()])
        return tuple(events[: bisect_right(events, horizon, key=lambda event: event.seq)])

    def _spread(self) -> None:
        fresh, values = self._fresh, self.values
        first = next(iter(fresh.values()), 0)
        for position in self.positions if fresh else ():
            base, early = position.base, position.early
            if base < first and not early:
                position.wait_for(fresh)
            else:  # has some of these: from its snapshot, or because the key was waited for already
                had = {key: max(base, early.get(key, 0)) for key in fresh}
                newer = {key: max(seq, had[key] + 1) for key, seq in fresh.items() if values[key].seq > had[key]}
                position.wait_for(dict(sorted(newer.items(), key=lambda one: one[1])))
                position.early = {}
        self._fresh = {}
        self._waiting = 0

    def _refresh(self, event: Event) -> None:
        """Have all who follow wait for the event's key."""
        self._fresh.setdefault((event.topic, event.key), event.seq)

    def _count(self, now: int) -> None:
        if not self._waiting:
            self._waiting_since = now
        self._waiting += 1

    def _remember(self, event: Event) -> None:
        critical = is_critical(event.topic)
        latest, place = self.latest_critical if critical else self.latest, (event.topic, event.key)
        latest.pop(place, None)
        latest[place] = event
        if critical and len(latest) > self._options.keys_max:
            del latest[next(iter(latest))]

    def _encode(self, topic: str, key: str, value: Any) -> str:
        if not isinstance(topic, str) or len(topic) > _TOPIC_CHARS_MAX or _TOPIC.fullmatch(topic) is None:
            raise PublishError("a topic is lower-case words with dots between them, such as portfolio.equity")
        if not isinstance(key, str) or len(key) > KEY_CHARS_MAX:
            raise PublishError(f"a key is a text of at most {KEY_CHARS_MAX} characters")
        try:
            encoded = json.dumps(value, allow_nan=False, separators=(",", ":"))
        except (TypeError, ValueError, RecursionError) as error:
            raise PublishError(f"the value of {topic} is not JSON ({type(error).__name__})") from error
        if len(encoded) > self._options.value_bytes_max:
            raise PublishError(f"the value of {topic} takes more than {self._options.value_bytes_max} bytes")
        return encoded


def make_event(seq: int, topic: str, key: str, at: int, value: str) -> Event:
    """Return an event, encoded as clients get it."""
    text = f'{{"seq":{seq},"topic":"{topic}","key":{json.dumps(key)},"at":{at},"value":{value}}}'
    return Event(seq, topic, key, at, value, text)
