"""What a consumer has already handled: one watermark per (group, producer, event type).

First occurrences in a stream are in publish order (see `lane`), so an event whose `(epoch, seq)` is not above the
watermark is a repetition. One number replaces a set of all ids ever seen.

Marks are written once per batch, after the handlers ran and before the entries are acknowledged to Redis. The file has
a slot for each mark, and a mark that rises is written over its slot: 20 bytes into the page cache, as a line of a log
is, so it is done on the spot, without a thread and without a wait in which a SIGKILL could fall. It survives the death
of the process. The file is not synced: a power cut may take back the last marks, and their events may then be handled a
second time.

A slot is `length and CRC of the key | key | mark | mark`, a mark `epoch | seq | CRC`, the key `[group, producer, event
type]` in JSON. The two marks are written in turn, so that one is whole even if power fails while the other is written.
"""

import json
import logging
import os
import struct
import zlib
from collections.abc import Iterator, Sequence
from io import FileIO
from pathlib import Path
from typing import Final, NamedTuple, TypeAlias

from reference_impl._event_bus.encoding import EventKey

log = logging.getLogger(__name__)

_NOTHING = (-1, -1)  # below any (epoch, seq)
_HEAD: Final = struct.Struct("<II")  # length and CRC of the key
_REACHED: Final = struct.Struct("<QQ")  # epoch and seq
_MARK: Final = struct.Struct("<QQI")  # the same and their CRC
_Key: TypeAlias = tuple[str, str, str]


class Mark(NamedTuple):
    """How far a group has come with the events of one type of one producer."""

    group: str
    producer: str
    event_type: str
    epoch: int
    seq: int


class _Slot:
    """Where a mark is written next, where the time after, and what it is now."""

    __slots__ = ("following", "place", "reached")

    def __init__(self, place: int, following: int, reached: tuple[int, int]) -> None:
        self.place = place
        self.following = following
        self.reached = reached


class WatermarkFile:
    """The file behind all subscriptions of one bus, opened at the first use. Its methods raise `OSError`."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: FileIO | None = None
        self._slots: dict[_Key, _Slot] = {}
        self._end = 0

    def load(self, group: str) -> Sequence[Mark]:
        """Return the marks of a group."""
        self._open()
        return [Mark(*key, *slot.reached) for key, slot in self._slots.items() if key[0] == group]

    def save(self, marks: Sequence[Mark]) -> None:
        """Write marks; when this returns, they survive the death of the process."""
        file = (self._file or self._open()).fileno()
        for group, producer, event_type, epoch, seq in marks:
            written = _MARK.pack(epoch, seq, zlib.crc32(_REACHED.pack(epoch, seq)))
            slot = self._slots.get((group, producer, event_type))
            if slot is None:
                self._add(file, (group, producer, event_type), (epoch, seq), written)
            else:
                _write(file, written, slot.place)
                slot.place, slot.following = slot.following, slot.place
                slot.reached = epoch, seq

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _add(self, file: int, key: _Key, reached: tuple[int, int], written: bytes) -> None:
        text = json.dumps(key).encode()
        start = self._end + _HEAD.size + len(text)
        _write(file, _HEAD.pack(len(text), zlib.crc32(text)) + text + written + bytes(_MARK.size), self._end)
        self._slots[key] = _Slot(start + _MARK.size, start, reached)
        self._end = start + 2 * _MARK.size

    def _open(self) -> FileIO:
        if self._file is None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            # Open for writing only: what is there is read once, and a full disk then refuses writes, not the opening.
            file = FileIO(os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o644), "w")
            try:
                content = self._path.read_bytes()
                self._slots = {}
                self._end = 0
                for key, slot, self._end in _slots_in(content):
                    self._slots[key] = slot
                if self._end < len(content):
                    log.warning("event bus: cut %d damaged bytes off %s", len(content) - self._end, self._path)
                    file.truncate(self._end)
            except BaseException:
                file.close()
                raise
            self._file = file
        return self._file


def _write(file: int, data: bytes, place: int) -> None:
    if os.pwrite(file, data, place) != len(data):
        raise OSError("the watermarks could be written only in part: is the disk full?")


def _slots_in(content: bytes) -> Iterator[tuple[_Key, _Slot, int]]:
    """Yield the key of each slot, the slot, and where it ends; stop at a damaged key, as its length means nothing."""
    start = 0
    while start + _HEAD.size <= len(content):
        length, crc = _HEAD.unpack_from(content, start)
        text = content[start + _HEAD.size : start + _HEAD.size + length]
        first = start + _HEAD.size + length
        second = first + _MARK.size
        if not length or len(text) < length or zlib.crc32(text) != crc or second + _MARK.size > len(content):
            return
        marks = {place: _reached_at(content, place) for place in (first, second)}
        newest = max(marks, key=lambda place: marks[place])
        oldest = first + second - newest
        group, producer, event_type = json.loads(text)
        if marks[newest] != _NOTHING:
            yield (group, producer, event_type), _Slot(oldest, newest, marks[newest]), second + _MARK.size
        start = second + _MARK.size


def _reached_at(content: bytes, place: int) -> tuple[int, int]:
    epoch, seq, crc = _MARK.unpack_from(content, place)
    return (epoch, seq) if zlib.crc32(_REACHED.pack(epoch, seq)) == crc else _NOTHING


class Watermarks:
    """The marks of one group in memory. Pure; what changed is collected for the next commit."""

    def __init__(self, group: str, saved: Sequence[Mark] = ()) -> None:
        self._group = group
        self._marks = {(mark.producer, mark.event_type): (mark.epoch, mark.seq) for mark in saved}
        self._changed: dict[tuple[str, str], None] = {}

    def is_duplicate(self, key: EventKey, event_type: str) -> bool:
        """Whether this event was handled before."""
        return key[1:] <= self._marks.get((key[0], event_type), _NOTHING)

    def handled(self, key: EventKey, event_type: str) -> None:
        """Raise the mark to this event."""
        place, reached = (key[0], event_type), key[1:]
        if reached > self._marks.get(place, _NOTHING):
            self._marks[place] = reached
            self._changed[place] = None

    def changed(self) -> Sequence[Mark]:
        """Return the marks raised since the last `saved`."""
        group, marks = self._group, self._marks
        return [tuple.__new__(Mark, (group, *place, *marks[place])) for place in self._changed]

    def saved(self) -> None:
        """The changed marks are committed."""
        self._changed.clear()
