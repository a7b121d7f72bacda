"""Streams: the append-only log with consumer groups that a trading stack's event bus is built on. Pure, time passed in.

Written for speed and for equality with a real server: an entry id is one integer (stream_ids.py), ids are kept in a
sorted list, and an entry is kept as the RESP bytes that each of its readers is sent, encoded once when it is added.
Nodes mirror the listpacks of a real server, because approximate trimming (`MAXLEN ~`) removes whole nodes only.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from typing import Final

import hiredis

from harness.dependencies.redis.groups import UNKNOWN, Consumer, Group
from harness.dependencies.redis.listpack import Node
from harness.dependencies.redis.resp import ReplyError, bulks
from harness.dependencies.redis.stream_ids import ID_MAX, SEQ_BITS, SEQ_MAX

_HEAD_SLACK: Final = 512


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
        nodes = self._nodes
        missing = range(self._accounted, len(self._ids))
        if missing:
            reader = hiredis.Reader()
            for index in missing:
                reader.feed(self._entries[index])
                fields = reader.gets()[1]
                if not nodes or not nodes[-1].takes(fields):
                    nodes.append(Node(fields[::2]))
                nodes[-1].add(self._ids[index], fields)
            self._accounted = len(self._ids)
        return nodes

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
        ids, head = self._ids, self._head
        newest = len(ids) - 1
        if newest > head and ids[newest - 1] <= group.last_id:
            start = newest if ids[newest] > group.last_id else newest + 1  # who waits for entries gets each by itself
        else:
            start = bisect_right(ids, group.last_id, head)
        delivered = ids[start:] if count is None else ids[start : start + count]
        if not delivered:
            return []
        if self.max_deleted_id or group.entries_read == UNKNOWN or group.last_id < ids[head]:
            for entry_id in delivered:
                self._advance(group, entry_id)
        else:  # nothing hides how many they are
            group.entries_read += len(delivered)
            group.last_id = delivered[-1]
        if keep_pending:
            group.deliver(delivered, consumer, now_ms)
        consumer.active_ms = now_ms
        return self._entries[start : start + len(delivered)]

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
