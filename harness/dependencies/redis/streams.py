"""Streams: the append-only log with consumer groups that a trading stack's event bus is built on. Pure, time passed in.

Written for speed and for equality with a real server: an entry id is one integer (`ms << 64 | seq`), ids are kept in a
sorted list, and an entry is kept as the RESP bytes that each of its readers is sent, encoded once when it is added.
Nodes mirror the listpacks of a real server, because approximate trimming (`MAXLEN ~`) removes whole nodes only.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from typing import Final

import hiredis

from harness.dependencies.redis.resp import ReplyError, bulks

SEQ_BITS: Final = 64
SEQ_MAX: Final = (1 << 64) - 1
ID_MAX: Final = (1 << 128) - 1
NODE_ENTRIES_MAX: Final = 100
NODE_BYTES_MAX: Final = 4096
_LISTPACK_EMPTY_BYTES: Final = 7
_HEAD_SLACK: Final = 512
UNKNOWN: Final = -1


def make_id(ms: int, seq: int) -> int:
    """Return the id of an entry from its two parts."""
    return ms << SEQ_BITS | seq


def format_id(entry_id: int) -> bytes:
    """Return an id as clients see it, `ms-seq`."""
    return b"%d-%d" % (entry_id >> SEQ_BITS, entry_id & SEQ_MAX)


def parse_id(text: bytes, seq_missing: int = 0) -> int:
    """Return the id that a client wrote, `ms` or `ms-seq`. Raises ReplyError."""
    ms, dash, seq = text.partition(b"-")
    if ms.isdigit() and (not dash or seq.isdigit()):
        ms_number = int(ms)
        seq_number = int(seq) if dash else seq_missing
        if ms_number <= SEQ_MAX and seq_number <= SEQ_MAX:
            return ms_number << SEQ_BITS | seq_number
    raise ReplyError("ERR Invalid stream ID specified as stream command argument")


class Node:
    """What one listpack of a real server would hold: the unit of approximate trimming."""

    __slots__ = ("fields", "last_id", "live", "size", "total")

    def __init__(self, fields: Sequence[bytes]) -> None:
        self.fields = tuple(fields)
        self.last_id = 0
        self.live = 0
        self.total = 0
        self.size = _LISTPACK_EMPTY_BYTES + 8 + sum(map(_listpack_bytes, fields))


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


class Stream:
    """A stream. Ids are `ms << 64 | seq`; entries are the RESP bytes of `[id, [field, value, ...]]`."""

    __slots__ = (
        "_accounted",
        "_entries",
        "_head",
        "_ids",
        "_nodes",
        "entries_added",
        "groups",
        "last_id",
        "max_deleted_id",
    )

    def __init__(self) -> None:
        self._ids: list[int] = []
        self._entries: list[bytes] = []
        self._head = 0  # entries before it are trimmed, and cut off now and then
        self._nodes: list[Node] = []
        self._accounted = 0  # entries before that index are in a node
        self.last_id = 0
        self.entries_added = 0
        self.max_deleted_id = 0
        self.groups: dict[bytes, Group] = {}

    def __len__(self) -> int:
        return len(self._ids) - self._head

    def __bool__(self) -> bool:
        return True  # an empty stream is a value, not an absence

    @property
    def first_id(self) -> int:
        """Id of the oldest entry; the highest possible id when there is none."""
        ids, head = self._ids, self._head
        return ids[head] if head < len(ids) else ID_MAX

    @property
    def top_id(self) -> int:
        """Id of the newest entry; 0 when there is none."""
        return self._ids[-1] if len(self) else 0

    @property
    def nodes(self) -> int:
        """How many nodes hold the entries."""
        return len(self._accounted_nodes())

    def next_id(self, now_ms: int) -> int:
        """Return the id that `*` stands for. Raises ReplyError when ids are exhausted."""
        entry_id = now_ms << SEQ_BITS
        if entry_id > self.last_id:
            return entry_id
        self.require_room()
        return self.last_id + 1

    def require_room(self) -> None:
        """Raise ReplyError when ids are exhausted."""
        if self.last_id == ID_MAX:
            raise ReplyError("ERR The stream has exhausted the last possible ID, unable to add more items")

    def append(self, entry_id: int, fields: Sequence[bytes]) -> bytes:
        """Add an entry (field, value, field, value, ...) and return its id as text. Raises ReplyError."""
        if entry_id <= self.last_id:
            raise ReplyError("ERR The ID specified in XADD is equal or smaller than the target stream top item")
        text = b"%d-%d" % (entry_id >> SEQ_BITS, entry_id & SEQ_MAX)
        self._ids.append(entry_id)
        self._entries.append(b"*2\r\n$%d\r\n%b\r\n%b" % (len(text), text, bulks(fields)))
        self.last_id = entry_id
        self.entries_added += 1
        return text

    def _accounted_nodes(self) -> list[Node]:
        """Return the nodes with every entry in one: they matter so rarely that they are made up only when asked for."""
        missing = range(self._accounted, len(self._ids))
        if missing:
            reader = hiredis.Reader()
            for index in missing:
                reader.feed(self._entries[index])
                self._account(self._ids[index], reader.gets()[1])
            self._accounted = len(self._ids)
        return self._nodes

    def _account(self, entry_id: int, fields: Sequence[bytes]) -> None:
        """Put the entry into the newest node, or into a new one, by the rules of a real server."""
        nodes = self._nodes
        node = nodes[-1] if nodes else None
        names = fields[::2]
        if node is None or node.total >= NODE_ENTRIES_MAX or node.size + sum(map(len, fields)) >= NODE_BYTES_MAX:
            node = Node(names)
            nodes.append(node)
        same_fields = len(names) == len(node.fields) and tuple(names) == node.fields
        # Flags, two id differences and the element count; a plain guess of two bytes each suits all but odd clocks.
        node.size += 9 + sum(map(_listpack_bytes, fields[1::2] if same_fields else fields))
        node.live += 1
        node.total += 1
        node.last_id = entry_id

    def trim_to_length(self, length: int, *, approximate: bool, limit: int = 0) -> int:
        """Drop the oldest entries beyond `length`; return how many. Approximate: whole nodes only, at most `limit`."""
        if len(self._ids) - self._head <= length:
            return 0
        removed = 0
        nodes = self._accounted_nodes()
        while nodes and len(self) - removed > length:
            live = nodes[0].live
            if limit and removed + live > limit:
                break
            if len(self) - removed - live < length:
                if not approximate:
                    excess = len(self) - removed - length
                    nodes[0].live -= excess
                    removed += excess
                break
            del nodes[0]
            removed += live
        self._cut(removed)
        return removed

    def trim_below(self, min_id: int, *, approximate: bool, limit: int = 0) -> int:
        """Drop entries with an id below `min_id`; return how many."""
        if self.first_id >= min_id:
            return 0
        removed = 0
        nodes = self._accounted_nodes()
        while nodes:
            live = nodes[0].live
            if limit and removed + live > limit:
                break
            if nodes[0].last_id >= min_id:
                if not approximate:
                    excess = bisect_left(self._ids, min_id, self._head) - self._head - removed
                    nodes[0].live -= excess
                    removed += excess
                break
            del nodes[0]
            removed += live
        self._cut(removed)
        return removed

    def _cut(self, count: int) -> None:
        self._head += count
        if self._head > _HEAD_SLACK and self._head * 2 > len(self._ids):
            del self._ids[: self._head]
            del self._entries[: self._head]
            self._accounted -= self._head
            self._head = 0
        elif count:
            start = self._head - count
            self._entries[start : self._head] = [b""] * count  # give the memory back before the list is cut

    def _index(self, entry_id: int) -> int:
        """Return where an entry is, or -1."""
        ids = self._ids
        index = bisect_left(ids, entry_id, self._head)
        return index if index < len(ids) and ids[index] == entry_id else -1

    def get(self, entry_id: int) -> bytes | None:
        """Return an entry, or None if it was deleted or trimmed."""
        index = self._index(entry_id)
        return None if index < 0 else self._entries[index]

    def delete(self, entry_id: int) -> bool:
        """Delete an entry; tell whether it was there."""
        index = self._index(entry_id)
        if index < 0:
            return False
        nodes = self._accounted_nodes()
        del self._ids[index]
        del self._entries[index]
        self._accounted -= 1
        self.max_deleted_id = max(self.max_deleted_id, entry_id)
        where = bisect_left(nodes, entry_id, key=lambda node: node.last_id)
        nodes[where].live -= 1
        if not nodes[where].live:
            del nodes[where]
        return True

    def between(self, start: int, end: int, count: int | None = None, *, newest_first: bool = False) -> list[bytes]:
        """Return the entries with start <= id <= end, at most `count`."""
        low = bisect_left(self._ids, start, self._head)
        high = bisect_right(self._ids, end, self._head)
        if low >= high:
            return []
        if newest_first:
            found = self._entries[low:high] if count is None else self._entries[max(low, high - count) : high]
            return found[::-1]
        return self._entries[low : high if count is None else min(high, low + count)]

    def read_new(
        self, group: Group, consumer: Consumer, count: int | None, now_ms: int, *, keep_pending: bool
    ) -> list[bytes]:
        """Deliver the entries that the group has not seen yet to that consumer, at most `count`."""
        if self.last_id <= group.last_id:
            return []
        ids = self._ids
        start = bisect_right(ids, group.last_id, self._head)
        end = len(ids) if count is None else min(len(ids), start + count)
        if start >= end:
            return []
        delivered = ids[start:end]
        self._advance(group, delivered[0])
        if self.max_deleted_id or group.entries_read == UNKNOWN:
            for entry_id in delivered[1:]:
                self._advance(group, entry_id)
        else:  # nothing hides how many they are
            group.entries_read += len(delivered) - 1
            group.last_id = delivered[-1]
        if keep_pending:
            group.deliver(delivered, consumer, now_ms)
        consumer.active_ms = now_ms
        return self._entries[start:end]

    def _advance(self, group: Group, entry_id: int) -> None:
        if (
            group.entries_read != UNKNOWN
            and group.last_id >= self.first_id
            and not (self.max_deleted_id and self.has_tombstone_from(group.last_id))
        ):
            group.entries_read += 1
        elif self.entries_added:
            group.entries_read = self.distance(entry_id)
        group.last_id = entry_id

    def has_tombstone_from(self, start: int) -> bool:
        """Tell whether an entry with an id >= start was deleted by name."""
        return bool(len(self)) and self.max_deleted_id != 0 and start <= self.max_deleted_id

    def distance(self, entry_id: int) -> int:  # noqa: PLR0911 - the cases of a real server, in its order
        """Return how many entries were ever added up to that id, or UNKNOWN when deletions hide it."""
        if not self.entries_added:
            return 0
        if not len(self) and entry_id <= self.last_id:
            return self.entries_added
        if entry_id and entry_id < self.max_deleted_id:
            return UNKNOWN
        if entry_id == self.last_id:
            return self.entries_added
        if entry_id > self.last_id:
            return UNKNOWN
        if not self.max_deleted_id or self.max_deleted_id < self.first_id:
            if entry_id < self.first_id:
                return self.entries_added - len(self)
            if entry_id == self.first_id:
                return self.entries_added - len(self) + 1
        return UNKNOWN

    def lag(self, group: Group) -> int | None:
        """Return how many entries the group has yet to read, or None when deletions hide it."""
        if not self.entries_added:
            return 0
        if group.entries_read != UNKNOWN and not self.has_tombstone_from(group.last_id):
            return self.entries_added - group.entries_read
        read = self.distance(group.last_id)
        return None if read == UNKNOWN else self.entries_added - read

    def describe(self) -> tuple[object, ...]:
        """Return everything that a client could find out, as plain comparable values; idle times are left out."""
        groups = [
            (
                name,
                group.last_id,
                group.entries_read,
                sorted(group.consumers),
                [
                    (entry_id, pending.consumer.name, pending.delivered_ms, pending.deliveries)
                    for entry_id, pending in group.pending_from(0)
                ],
            )
            for name, group in sorted(self.groups.items())
        ]
        entries = list(zip(self._ids[self._head :], self._entries[self._head :], strict=True))
        nodes = [(node.last_id, node.live, node.total, node.size) for node in self._accounted_nodes()]
        return self.last_id, self.entries_added, self.max_deleted_id, entries, nodes, groups


def _listpack_bytes(element: bytes) -> int:
    """Return what an element takes in a listpack: integers are packed, strings carry their length twice."""
    size = len(element)
    if size < 20 and element.isdigit() and (size == 1 or element[0] != 48):  # noqa: PLR2004 - 64 bits, ord("0")
        number = int(element)
        for limit, packed in ((127, 2), (4095, 3), (32767, 4), (8388607, 5), (2147483647, 6)):
            if number <= limit:
                return packed
        return 10
    encoded = size + (1 if size < 64 else 2 if size < 4096 else 5)  # noqa: PLR2004 - listpack's string headers
    return encoded + (1 if encoded < 128 else 2 if encoded < 16384 else 3)  # noqa: PLR2004 - its back lengths
