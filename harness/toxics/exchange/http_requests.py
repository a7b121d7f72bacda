"""Where HTTP/1.1 requests begin and end."""

import re
from typing import Final

from harness.toxics.exchange.http_framing import Body, Framing, framing, head_end
from harness.toxics.exchange.shapes import Request, RequestSpan, Unfollowable

REQUEST_TAGS: Final = frozenset({"HEAD", "CONNECT"})
"""Methods whose replies are framed in their own way."""

_REQUEST_LINE: Final = re.compile(rb"([A-Za-z][!#$%&'*+.^_`|~0-9A-Za-z-]*) ([^\s]+) HTTP/1\.[01]\r?\n")
_AUTHORITY: Final = re.compile(rb"[A-Za-z][A-Za-z0-9+.-]*://[^/?#]*")


class HttpRequests:
    """A scanner of what an HTTP client sends."""

    __slots__ = ("_body",)

    def __init__(self) -> None:
        self._body: Body | None = None

    def next(self, data: bytes, position: int) -> RequestSpan | None:
        """Return the next span. What is not HTTP/1.x cannot be followed: its later versions, TLS, garbage."""
        begins = None
        end = position
        if self._body is None:
            if data[position] in b"\r\n":  # empty lines before a request mean nothing
                return RequestSpan(position + 1, None, ends=True)
            head = _head(data, position)
            if head is None:
                return None
            begins, length, end = head
            self._body = Body(length)
        end, ends = self._body.take(data, end, behind_head=begins is not None)
        if ends:
            self._body = None
        return RequestSpan(end, begins, ends) if end > position else None

    def skip(self, data: bytes, position: int) -> tuple[int, int]:
        """Skip nothing: a head has to be read for its length anyway."""
        del data
        return position, 0


def _head(data: bytes, position: int) -> tuple[Request, int | Framing, int] | None:
    """Return the request, its body's framing, and where its head ends; None if that is not there yet."""
    line = data.find(b"\n", position)
    first = _REQUEST_LINE.match(data, position)
    if first is None and (line >= 0 or not data[position : position + 1].isalpha()):
        raise Unfollowable
    end = head_end(data, position)
    if first is None or end < 0:
        return None
    length = framing(data[position:end])
    if length is Framing.CLOSE:
        raise Unfollowable
    verb = first[1]
    tag = verb.decode()
    path = _AUTHORITY.sub(b"", first[2], count=1) if verb != b"CONNECT" else first[2]
    path = re.split(rb"[?#]", path, maxsplit=1)[0] or b"/"
    return Request(verb, path, tag if tag in REQUEST_TAGS else ""), length or 0, end
