"""Where Redis replies begin and end: every type of RESP2 and RESP3."""

from typing import Final

from harness.toxics.exchange.redis_requests import MONITOR_TAG
from harness.toxics.exchange.shapes import LINE_BYTES_MAX, Begins, ReplySpan, Unfollowable

_LINES: Final = frozenset(b"+-:_,#(")
_BULKS: Final = frozenset(b"$!=")
_TYPES: Final = _LINES | _BULKS | frozenset(b"*~%|")
_PER_ENTRY: Final = {b"*"[0]: 1, b"~"[0]: 1, b"%"[0]: 2, b"|"[0]: 2}
_BULK: Final = b"$"[0]
_PUSH: Final = b">"[0]
_ATTRIBUTE: Final = b"|"[0]
_CHUNK: Final = b";"[0]
_END_OF_STREAM: Final = b"."[0]
_ENDLESS: Final = 2**62
_HEADER_BYTES_MAX: Final = 32


class RedisReplies:
    """A scanner of what a Redis server sends.

    Nesting needs no stack: an aggregate of n is n more values to come. Only streamed types, whose number of values is
    told by their end, remember what was to come around them.
    """

    __slots__ = ("_inside", "_leaves", "_left", "_skip", "_streams")

    def __init__(self) -> None:
        self._inside = False
        self._leaves = False  # behind the current message nothing can be followed
        self._left = 0  # values still to come of the current message
        self._skip = 0  # bytes still to come of the current bulk
        self._streams: list[int] = []  # what is left behind each streamed type that is open

    def next(self, data: bytes, position: int, tag: str | None) -> ReplySpan | None:
        """Return the next span. With the reply to a RESP2 subscription or MONITOR, what can be followed is left."""
        begins = None
        if not self._inside:
            begins = _classify(data, position, tag)
            if begins is None:
                return None
            self._leaves = begins is Begins.REPLY and _leaves(data[position], tag)
            self._left = 1
            self._inside = True
        end = self._skip_values(data, position, first=begins is not None)
        if end == position:
            self._inside = begins is None
            return None
        ends = not self._inside
        return ReplySpan(end, begins, ends, ends and self._leaves)

    def skip(self, data: bytes, position: int, limit: int) -> tuple[int, int]:
        """Skip whole strings, numbers and errors."""
        size = len(data)
        count = 0
        while count < limit and position < size and not self._inside:
            line = data.find(b"\r\n", position)
            kind = data[position]
            if line < 0:
                break
            if kind in _LINES:
                position = line + 2
            else:
                digits = data[position + 1 : line]
                if kind != _BULK or not digits.isdigit() or len(digits) > _HEADER_BYTES_MAX:
                    break
                end = line + int(digits) + 4
                if end > size:
                    break
                position = end
            count += 1
        return position, count

    def _skip_values(self, data: bytes, position: int, *, first: bool) -> int:
        """Return how far the current message goes. Garbage behind `position` is left for next time."""
        size = len(data)
        start = position
        left, skip = self._left, self._skip
        while True:
            if skip:
                if skip > size - position:
                    skip -= size - position
                    position = size
                    break
                position += skip
                skip = 0
            if not left:
                self._inside = False
                break
            line = data.find(b"\r\n", position)
            if line < 0:
                if size - position > LINE_BYTES_MAX and position == start:
                    raise Unfollowable
                break
            kind = data[position]
            if kind in _LINES:
                left -= 1
            else:
                try:
                    left, skip = self._header(kind, data[position + 1 : line], left, push=first and position == start)
                except Unfollowable:
                    if position == start:
                        raise
                    break
            position = line + 2
        self._left, self._skip = left, skip
        return position

    def _header(self, kind: int, digits: bytes, left: int, *, push: bool) -> tuple[int, int]:
        """Return how many values are left after this header, and how many bytes to skip first."""
        if not digits.isdigit() or len(digits) > _HEADER_BYTES_MAX:
            return self._special(kind, digits, left), 0
        number = int(digits)
        if kind in _BULKS:
            return left - 1, number + 2
        if kind == _CHUNK and self._streams:
            return (left, number + 2) if number else (self._streams.pop() - 1, 0)
        if kind == _PUSH and push:
            return left - 1 + number, 0
        if kind not in _PER_ENTRY:
            raise Unfollowable
        itself = 0 if kind == _ATTRIBUTE else 1  # an attribute is no value: the one that it is about follows
        return left - itself + number * _PER_ENTRY[kind], 0

    def _special(self, kind: int, text: bytes, left: int) -> int:
        """Return how many values are left after a header without a number: RESP2's nulls, and streamed types."""
        if text == b"-1" and kind in b"$*":
            return left - 1
        if text == b"?" and kind in b"$*~%":
            self._streams.append(left)
            return _ENDLESS
        if text == b"" and kind == _END_OF_STREAM and self._streams:
            return self._streams.pop() - 1
        raise Unfollowable


def _classify(data: bytes, position: int, tag: str | None) -> Begins | None:
    """Say what the message is that begins here; None if that takes more bytes."""
    kind = data[position]
    if kind == _PUSH:
        if not tag or tag == MONITOR_TAG:
            return Begins.ASIDE
        label = _label(data, position)
        if label is None:
            return None
        return Begins.CONFIRMATION if label == tag.encode() else Begins.ASIDE
    if tag is None or kind not in _TYPES:
        raise Unfollowable
    return Begins.REPLY


def _leaves(kind: int, tag: str | None) -> bool:
    """Say whether this is how a server begins to speak unasked: a list confirms a subscription, `OK` a MONITOR."""
    return bool(tag) and kind == (b"+" if tag == MONITOR_TAG else b"*")[0]


def _label(data: bytes, position: int) -> bytes | None:
    """Return the first element of a push, which says its kind; None if it is not there yet, empty if it is no text."""
    line = data.find(b"\r\n", position)
    header = data.find(b"\r\n", line + 2) if line >= 0 else -1
    if header < 0:
        return None if len(data) - position < 2 * _HEADER_BYTES_MAX else b""
    digits = data[line + 3 : header]
    if data[line + 2] != b"$"[0] or not digits.isdigit() or len(digits) > 2:  # noqa: PLR2004 - no kind has 100 letters
        return b""
    end = header + 2 + int(digits)
    return data[header + 2 : end] if len(data) >= end else None
