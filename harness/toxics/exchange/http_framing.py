"""How HTTP/1.1 says where heads and bodies end (RFC 9112), without touching a byte.

A parser such as h11 cannot stand here: it gives events, not positions, and what it read cannot be written again byte
for byte. A proxy that only follows needs far less than a parser: the first line, three headers, and lengths.
"""

import re
from enum import Enum
from typing import Final

from harness.toxics.exchange.shapes import LINE_BYTES_MAX, Unfollowable

_HEAD_END: Final = re.compile(rb"\n\r?\n")
_FRAMING: Final = re.compile(rb"\n(content-length|transfer-encoding)[ \t]*:[ \t]*([^\r\n]*)", re.IGNORECASE)
_CHUNK_SIZE: Final = re.compile(rb"([0-9A-Fa-f]{1,15})[ \t]*(?:;[^\n]*)?\r?\n")
_DIGITS_MAX: Final = 18


def head_end(data: bytes, position: int) -> int:
    """Return where the head that begins there ends; -1 if it is not all there. Raises `Unfollowable` if too long."""
    found = _HEAD_END.search(data, position)
    if found is None:
        if len(data) - position > LINE_BYTES_MAX:
            raise Unfollowable
        return -1
    return found.end()


class Framing(Enum):
    """What tells the end of a body, where it is not its length."""

    CHUNKED = 1
    CLOSE = 2
    """The end of the connection."""


def framing(head: bytes) -> int | Framing | None:
    """Return the length of the body or what else tells its end, None if the head does not say."""
    lengths: set[bytes] = set()
    coding = None
    for name, value in _FRAMING.findall(head):
        if name.lower() == b"content-length":
            lengths.update(each.strip() for each in value.split(b","))
        else:
            coding = value.rsplit(b",", 1)[-1].strip().lower()
    if coding is not None:
        return Framing.CHUNKED if coding == b"chunked" else Framing.CLOSE
    if not lengths:
        return None
    length = lengths.pop()
    if lengths or not length.isdigit() or len(length) > _DIGITS_MAX:
        raise Unfollowable
    return int(length)


class Body:
    """Finds the end of one body."""

    __slots__ = ("_framing", "_in_trailer", "_left")

    def __init__(self, framing: int | Framing) -> None:
        self._framing = framing
        self._left = framing if isinstance(framing, int) else 0
        self._in_trailer = False

    def take(self, data: bytes, position: int, *, behind_head: bool) -> tuple[int, bool]:
        """Return how far the body goes from there, and whether it ends. No progress means an unfinished line.

        Raises `Unfollowable` if what is there is no chunk; what comes before that, or the head, is taken first.
        """
        if self._framing is Framing.CLOSE:
            return len(data), False
        if self._framing is Framing.CHUNKED:
            return self._take_chunks(data, position, -1 if behind_head else position)
        end = min(len(data), position + self._left)
        self._left -= end - position
        return end, not self._left

    def _take_chunks(self, data: bytes, position: int, start: int) -> tuple[int, bool]:
        size = len(data)
        while True:
            if self._left > size - position:
                self._left -= size - position
                return size, False
            position += self._left
            self._left = 0
            line = data.find(b"\n", position) + 1
            if not line:
                if size - position > LINE_BYTES_MAX and position == start:
                    raise Unfollowable
                return position, False
            if self._in_trailer:
                if line - position <= len(b"\r\n"):
                    return line, True
            elif not self._take_size(data[position:line]):
                if position == start:
                    raise Unfollowable
                return position, False
            position = line

    def _take_size(self, line: bytes) -> bool:
        """Take the line before a chunk's data; False if it is none. The last chunk has no data but a trailer."""
        size = _CHUNK_SIZE.fullmatch(line)
        if size is None:
            return False
        length = int(size[1], 16)
        if length:
            self._left = length + 2
        else:
            self._in_trailer = True
        return True
