"""Where HTTP/1.1 replies begin and end."""

import re
from typing import Final

from harness.toxics.exchange.http_framing import Body, Framing, framing, head_end
from harness.toxics.exchange.shapes import Begins, ReplySpan, Unfollowable

_STATUS_LINE: Final = re.compile(rb"HTTP/1\.[01] ([1-9][0-9]{2})(?: [^\n]*)?\r?\n")
_VERSION: Final = b"HTTP/1."
_SWITCHING_PROTOCOLS: Final = 101
_OK: Final = 200
_REDIRECTS: Final = 300
_BODILESS: Final = frozenset({204, 304})


class HttpReplies:
    """A scanner of what an HTTP server sends. Interim replies (100, 103) are asides: they answer nothing."""

    __slots__ = ("_body",)

    def __init__(self) -> None:
        self._body: Body | None = None

    def next(self, data: bytes, position: int, tag: str | None) -> ReplySpan | None:
        """Return the next span. An upgraded connection cannot be followed, nor a tunnel."""
        if self._body is not None:
            return self._continue(data, position, position, None)
        if tag is None or not _VERSION.startswith(data[position : position + len(_VERSION)]):
            raise Unfollowable
        end = head_end(data, position)
        if end < 0:
            return None
        first = _STATUS_LINE.match(data, position)
        if first is None:
            raise Unfollowable
        status = int(first[1])
        if status < _OK and status != _SWITCHING_PROTOCOLS:
            return ReplySpan(end, Begins.ASIDE, ends=True)
        leaves = status == _SWITCHING_PROTOCOLS or (tag == "CONNECT" and status < _REDIRECTS)
        if leaves or tag == "HEAD" or status in _BODILESS:
            return ReplySpan(end, Begins.REPLY, ends=True, leaves=leaves)
        length = framing(data[position:end])
        self._body = Body(Framing.CLOSE if length is None else length)
        return self._continue(data, position, end, Begins.REPLY)

    def skip(self, data: bytes, position: int, limit: int) -> tuple[int, int]:
        """Skip nothing: a head has to be read for its length anyway."""
        del data, limit
        return position, 0

    def _continue(self, data: bytes, position: int, end: int, begins: Begins | None) -> ReplySpan | None:
        assert self._body is not None
        end, ends = self._body.take(data, end, behind_head=begins is not None)
        if ends:
            self._body = None
        return ReplySpan(end, begins, ends) if end > position else None
