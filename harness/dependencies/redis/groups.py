"""Consumer groups of a stream: how far each has read, who its members are and what they hold. Pure, time passed in."""

from collections.abc import Iterator, Sequence
from typing import Final

from harness.dependencies.redis.stream_ids import ID_MAX

UNKNOWN: Final = -1
"""How many entries a group has read, when deletions hide it."""


class Pending:
    """One delivered and not yet acknowledged entry."""

    __slots__ = ("consumer", "delivered_ms", "deliveries")

    def __init__(self, consumer: "Consumer", delivered_ms: int, deliveries: int = 1) -> None:
        self.consumer = consumer
        self.delivered_ms = delivered_ms
        self.deliveries = deliveries


class Consumer:
    """A member of a group. `active_ms` is -1 until it first got an entry."""

    __slots__ = ("active_ms", "name", "pending", "seen_ms")

    def __init__(self, name: bytes, seen_ms: int) -> None:
        self.name = name
        self.seen_ms = seen_ms
        self.active_ms = -1
        self.pending: set[int] = set()


class Group:
    """A consumer group: how far it has read, and who holds what."""

    __slots__ = ("_ordered", "consumers", "entries_read", "last_id", "pending")

    def __init__(self, last_id: int, entries_read: int = UNKNOWN) -> None:
        self.last_id = last_id
        self.entries_read = entries_read
        self.consumers: dict[bytes, Consumer] = {}
        self.pending: dict[int, Pending] = {}
        self._ordered = True

    def put(self, entry_id: int, pending: Pending) -> None:
        """Hold an entry as pending for `pending.consumer`."""
        held = self.pending
        if self._ordered and held and entry_id < next(reversed(held)):
            self._ordered = False
        held[entry_id] = pending
        pending.consumer.pending.add(entry_id)

    def deliver(self, delivered: Sequence[int], consumer: Consumer, now_ms: int) -> None:
        """Hold entries, in order of id, as delivered to that consumer for the first time."""
        held = self.pending
        if self._ordered and (not held or delivered[0] > next(reversed(held))):
            for entry_id in delivered:
                held[entry_id] = Pending(consumer, now_ms)
            consumer.pending.update(delivered)
            return
        for entry_id in delivered:
            pending = held.get(entry_id)
            if pending is None:
                self.put(entry_id, Pending(consumer, now_ms))
            else:  # the group was set back, so an entry may be pending already
                self.give(entry_id, pending, consumer)
                pending.delivered_ms = now_ms
                pending.deliveries = 1

    def drop(self, entry_id: int) -> bool:
        """Forget a pending entry; tell whether there was one."""
        pending = self.pending.pop(entry_id, None)
        if pending is None:
            return False
        pending.consumer.pending.discard(entry_id)
        return True

    def drop_all(self, entry_ids: Sequence[int]) -> int:
        """Forget pending entries; return how many of them there were."""
        held = self.pending
        dropped = 0
        for entry_id in entry_ids:
            pending = held.pop(entry_id, None)
            if pending is not None:
                pending.consumer.pending.discard(entry_id)
                dropped += 1
        return dropped

    def give(self, entry_id: int, pending: Pending, consumer: Consumer) -> None:
        """Move a pending entry to another consumer."""
        pending.consumer.pending.discard(entry_id)
        pending.consumer = consumer
        consumer.pending.add(entry_id)

    def pending_from(self, start: int, end: int = ID_MAX) -> Iterator[tuple[int, Pending]]:
        """Yield the pending entries with start <= id <= end, in order of id. The group must not change meanwhile."""
        if not self._ordered:
            self.pending = dict(sorted(self.pending.items()))
            self._ordered = True
        for entry_id, pending in self.pending.items():
            if entry_id > end:
                return
            if entry_id >= start:
                yield entry_id, pending

    def consumer(self, name: bytes, now_ms: int) -> Consumer:
        """Return the consumer of that name, a new one if need be; it is seen now."""
        consumer = self.consumers.get(name)
        if consumer is None:
            return self.add_consumer(name, now_ms)
        consumer.seen_ms = now_ms
        return consumer

    def add_consumer(self, name: bytes, now_ms: int) -> Consumer:
        """Return a new consumer, in place of one of that name."""
        consumer = self.consumers[name] = Consumer(name, now_ms)
        return consumer

    def remove_consumer(self, name: bytes) -> int | None:
        """Remove a consumer and what it holds; return how many entries that were, or None if it was unknown."""
        consumer = self.consumers.pop(name, None)
        if consumer is None:
            return None
        for entry_id in consumer.pending:
            del self.pending[entry_id]
        return len(consumer.pending)
