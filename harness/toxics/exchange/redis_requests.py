"""Where Redis requests begin and end: arrays of bulk strings, and inline commands."""

import re
from collections.abc import Sequence
from typing import Final, TypeAlias

from harness.toxics.exchange.shapes import LINE_BYTES_MAX, Request, RequestSpan, Unfollowable

SUBSCRIPTIONS: Final = frozenset(
    {b"SUBSCRIBE", b"UNSUBSCRIBE", b"PSUBSCRIBE", b"PUNSUBSCRIBE", b"SSUBSCRIBE", b"SUNSUBSCRIBE"}
)
"""Commands that RESP3 confirms by pushes instead of replies. Their tag is the kind of that push."""
MONITOR_TAG: Final = "MONITOR"

_HEADER_BYTES_MAX: Final = 32
_WORD_BYTES_MAX: Final = LINE_BYTES_MAX // 2
_STREAMS: Final = -1

_KEY_INDEX: Final[dict[bytes, int]] = {
    **dict.fromkeys(
        b"ACL ASKING AUTH BGREWRITEAOF BGSAVE CLIENT CLUSTER COMMAND CONFIG DBSIZE DISCARD ECHO EXEC FAILOVER FLUSHALL "
        b"FLUSHDB FUNCTION HELLO INFO KEYS LASTSAVE LATENCY LOLWUT MODULE MONITOR MULTI PING PSYNC PUBLISH PUBSUB QUIT "
        b"RANDOMKEY READONLY READWRITE REPLICAOF RESET ROLE SAVE SCAN SCRIPT SELECT SHUTDOWN SLAVEOF SLOWLOG SPUBLISH "
        b"SWAPDB SYNC TIME UNWATCH WAIT WAITAOF".split(),
        0,
    ),
    **dict.fromkeys(SUBSCRIPTIONS, 0),
    **dict.fromkeys(
        b"BITOP LMPOP MEMORY OBJECT SINTERCARD XGROUP XINFO ZDIFF ZINTER ZINTERCARD ZMPOP ZUNION".split(), 2
    ),
    **dict.fromkeys(b"BLMPOP BZMPOP EVAL EVALSHA EVALSHA_RO EVAL_RO FCALL FCALL_RO MIGRATE".split(), 3),
    **dict.fromkeys(b"XREAD XREADGROUP".split(), _STREAMS),
}
"""Which argument is the first key, where it is not the one behind the command; 0 for commands without keys."""


_UNUSUAL: Final = SUBSCRIPTIONS | {b"MONITOR", b"SYNC", b"PSYNC", b"CLIENT"}
_USUAL_HEAD: Final = re.compile(rb"\*([1-9][0-9]{0,3})\r\n\$([0-9]{1,2})\r\n([A-Za-z]{1,32})\r\n")

_KEYED_HEAD: Final = re.compile(_USUAL_HEAD.pattern + rb"\$([0-9]{1,4})\r\n")


class RedisRequests:
    """A scanner of what a Redis client sends.

    Empty requests are spans without a request, since the server answers nothing to them. `CLIENT REPLY` and
    replication end what can be followed. A line of bytes that no inline command consists of (TLS) does so at once.
    """

    __slots__ = ("_arguments", "_inside", "_skip")

    def __init__(self) -> None:
        self._inside = False
        self._arguments = 0  # how many of the current request are still to come
        self._skip = 0  # how many bytes of its current argument are

    def next(self, data: bytes, position: int) -> RequestSpan | None:
        """Return the next span."""
        if self._inside:
            end = self._skip_arguments(data, position, may_fail=True)
            return RequestSpan(end, None, not self._inside) if end > position else None
        if data[position] != b"*"[0]:
            return _inline(data, position)
        head = _usual_head(data, position) or _head(data, position)
        if head is None:
            return None
        request, self._arguments, end = head
        self._skip = 0
        self._inside = True
        end = self._skip_arguments(data, end, may_fail=False)
        return RequestSpan(end, request, not self._inside)

    def skip(self, data: bytes, position: int) -> tuple[int, int]:
        """Skip whole requests that are arrays and begin with a usual command."""
        count = 0
        size = len(data)
        while not self._inside and (head := _USUAL_HEAD.match(data, position)) is not None:
            arguments, length, verb = head.groups()
            if int(length) != len(verb) or verb.upper() in _UNUSUAL:
                break
            end = head.end()
            for _ in range(int(arguments) - 1):
                line = data.find(b"\r\n", end, end + _HEADER_BYTES_MAX)
                digits = data[end + 1 : line]
                if line < 0 or data[end] != b"$"[0] or not digits.isdigit():
                    return position, count
                end = line + int(digits) + 4
            if end > size:
                break
            position = end
            count += 1
        return position, count

    def _skip_arguments(self, data: bytes, position: int, *, may_fail: bool) -> int:
        """Return how far the current request goes in these bytes. Garbage behind `position` is left for next time."""
        size = len(data)
        start = position
        arguments, skip = self._arguments, self._skip
        while True:
            if skip:
                if skip > size - position:
                    self._arguments, self._skip = arguments, skip - (size - position)
                    return size
                position += skip
                skip = 0
            if not arguments:
                self._inside = False
                break
            line = data.find(b"\r\n", position, position + _HEADER_BYTES_MAX)
            digits = data[position + 1 : line]
            if line < 0 or data[position] != b"$"[0] or not digits.isdigit():
                unfinished = (
                    line < 0 and size - position < _HEADER_BYTES_MAX and data[position : position + 1] in (b"", b"$")
                )
                if may_fail and position == start and not unfinished:
                    raise Unfollowable
                break
            skip = int(digits) + 2
            arguments -= 1
            position = line + 2
        self._arguments, self._skip = arguments, skip
        return position


_Head: TypeAlias = tuple[Request | None, int, int]
"""A request (None for an empty one), how many more arguments it has, and where these begin."""


def _usual_head(data: bytes, position: int) -> _Head | None:
    """Return the head of a request whose first argument is its first key, if it is there; the short way."""
    found = _KEYED_HEAD.match(data, position)
    if found is None:
        return None
    arguments, length, verb, key_length = found.groups()
    verb = verb.upper()
    key = found.end()
    end = key + int(key_length)
    if int(length) != len(verb) or verb in _KEY_INDEX or end + 2 > len(data) or arguments == b"1":
        return None
    return Request(verb, data[key:end]), int(arguments) - 2, end + 2


def _head(data: bytes, position: int) -> _Head | None:
    """Return the head of any request that is an array, None if it is not there yet."""
    line = _line_end(data, position)
    if line < 0:
        return None
    digits = data[position + 1 : line]
    if digits[:1] == b"-" and digits[1:].isdigit():
        digits = b"0"
    if not digits.isdigit():
        raise Unfollowable
    count = int(digits)
    if count == 0:
        return None, 0, line + 2
    words = _words(data, line + 2, count)
    if words is None:
        return None
    return _request(words[0]), count - len(words[0]), words[1]


def _line_end(data: bytes, position: int) -> int:
    """Return where a header line ends, -1 if not yet. Raises `Unfollowable` if it is no header."""
    line = data.find(b"\r\n", position, position + _HEADER_BYTES_MAX)
    if line < 0 and len(data) - position >= _HEADER_BYTES_MAX:
        raise Unfollowable
    return line


def _words(data: bytes, position: int, count: int) -> tuple[list[bytes], int] | None:
    """Return the command and its arguments up to the first key, and where they end; None if they are not all there."""
    words: list[bytes] = []
    wanted = 1
    while len(words) < wanted:
        line = _line_end(data, position)
        if line < 0:
            return None
        digits = data[position + 1 : line]
        if data[position] != b"$"[0] or not digits.isdigit():
            raise Unfollowable
        length = int(digits)
        if length > _WORD_BYTES_MAX or line + length > position + LINE_BYTES_MAX:
            break  # too long to be looked at; it is skipped like the rest
        if len(data) < line + 2 + length + 2:
            return None
        words.append(data[line + 2 : line + 2 + length])
        position = line + 2 + length + 2
        wanted = min(_wanted(words), count)
    return words, position


def _wanted(words: Sequence[bytes]) -> int:
    """Return how many words have to be seen to know the request."""
    verb = words[0].upper()
    index = _KEY_INDEX.get(verb, 1)
    if index == _STREAMS:
        return _after_streams(words) or len(words) + 1
    return 2 if verb == b"CLIENT" else index + 1


def _after_streams(words: Sequence[bytes]) -> int:
    """Return how many words there are up to the first stream's name; 0 as long as the keyword has not come."""
    for index, word in enumerate(words):
        if index and word.upper() == b"STREAMS":
            return index + 2
    return 0


def _request(words: Sequence[bytes]) -> Request:
    if not words:
        return Request(b"", None)
    verb = words[0].upper()
    index = _KEY_INDEX.get(verb)
    if index is None:
        return Request(verb, words[1] if len(words) > 1 else None)
    tag = ""
    if verb in SUBSCRIPTIONS:
        tag = verb.decode().lower()
    elif verb == b"MONITOR":
        tag = MONITOR_TAG
    elif verb in (b"SYNC", b"PSYNC") or (verb == b"CLIENT" and len(words) > 1 and words[1].upper() == b"REPLY"):
        raise Unfollowable
    if index == _STREAMS:
        index = _after_streams(words) - 1
    return Request(verb, words[index] if 0 < index < len(words) else None, tag)


_NEVER_INLINE: Final = re.compile(rb"[^\t\r -~\x80-\xff]")


def _inline(data: bytes, position: int) -> RequestSpan | None:
    """Scan a line of words, as typed into telnet. Quotes matter to the server, not to where the line ends."""
    line = data.find(b"\n", position)
    end = len(data) if line < 0 else line
    if _NEVER_INLINE.search(data, position, end) or end - position > LINE_BYTES_MAX:
        raise Unfollowable
    if line < 0:
        return None
    words = [word.strip(b"\"'") for word in data[position:line].split()]
    return RequestSpan(line + 1, _request(words) if words else None, ends=True)
