"""RESP, the wire format of Redis: strict parsing of requests and tight encoding of replies. Pure, no I/O.

Requests are parsed by hiredis (C) as long as they look like what every client sends: arrays of bulk strings. As soon
as anything else appears - an inline command, a malformed header - the same bytes go through `parse_strictly`, which
follows the server's own rules and words its errors, so that the fast path never has to. Replies are built as bytes
right where they arise: a stream entry is encoded once, when it is added, and never again.
"""

import re
from collections import deque
from collections.abc import Sequence
from typing import Any, Final

import hiredis

REQUEST_BYTES_MAX: Final = 64 * 1024 * 1024
"""The most bytes of one unfinished request that are held; real servers allow 512 MiB per argument."""

_INLINE_BYTES_MAX: Final = 64 * 1024
_ARGUMENTS_MAX: Final = 2**31 - 1

OK: Final = b"+OK\r\n"
PONG: Final = b"+PONG\r\n"
QUEUED: Final = b"+QUEUED\r\n"
NULL_BULK: Final = b"$-1\r\n"
NULL_ARRAY: Final = b"*-1\r\n"
NULL: Final = b"_\r\n"
EMPTY_ARRAY: Final = b"*0\r\n"
SMALL: Final = tuple(b":%d\r\n" % number for number in range(1024))


class ReplyError(Exception):
    """An error reply; the text begins with its code, as in `ERR syntax error`."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text


class ProtocolError(Exception):
    """The peer does not speak RESP; answered by `-ERR Protocol error: ...` and a closed connection."""


def integer(number: int) -> bytes:
    """Return an integer reply."""
    return SMALL[number] if 0 <= number < 1024 else b":%d\r\n" % number  # noqa: PLR2004 - the length of SMALL


def bulk(value: bytes) -> bytes:
    """Return a bulk string reply."""
    return b"$%d\r\n%b\r\n" % (len(value), value)


def bulks(values: Sequence[bytes]) -> bytes:
    """Return an array of bulk strings, which is what a request is too."""
    packed: bytes = hiredis.pack_command(tuple(values))  # type: ignore[arg-type] # its stub knows one-tuples only
    return packed


def array(parts: Sequence[bytes]) -> bytes:
    """Return an array of replies that are encoded already."""
    return b"*%d\r\n%b" % (len(parts), b"".join(parts))


def mapping(parts: Sequence[bytes], *, resp3: bool) -> bytes:
    """Return a map of alternating encoded keys and values: a flat array in RESP2."""
    if resp3:
        return b"%%%d\r\n%b" % (len(parts) // 2, b"".join(parts))
    return array(parts)


def null(*, resp3: bool) -> bytes:
    """Return the absent value."""
    return NULL if resp3 else NULL_BULK


def null_array(*, resp3: bool) -> bytes:
    """Return the absent array."""
    return NULL if resp3 else NULL_ARRAY


def error(text: str) -> bytes:
    """Return an error reply; line ends inside the text become spaces, as real servers make them."""
    return b"-%b\r\n" % text.replace("\r", " ").replace("\n", " ").encode(errors="surrogateescape")


def text_of(value: bytes) -> str:
    """Return bytes of a client as text that encodes back to the same bytes."""
    return value.decode(errors="surrogateescape")


def double(value: float) -> bytes:
    """Return the shortest text of a float that reads back the same, as Redis prints doubles."""
    if value != value or value in (float("inf"), float("-inf")):  # noqa: PLR0124 - the only test for NaN without a call
        return b"nan" if value != value else (b"inf" if value > 0 else b"-inf")  # noqa: PLR0124
    if value == int(value) and abs(value) < 1e17:  # noqa: PLR2004 - Redis prints such doubles as integers
        return b"%d" % int(value)
    return repr(value).encode()


class RequestParser:
    """Splits what a client sends into requests (argument lists).

    `requests` are those that are complete and that nobody has taken yet, oldest first; `problem` is what was wrong with
    what came behind them: nothing more is read then.
    """

    __slots__ = ("_held", "_held_bytes", "_reader", "_served", "_strict", "_tail", "problem", "requests")

    def __init__(self) -> None:
        self.requests: deque[list[bytes]] = deque()
        self.problem: ProtocolError | None = None
        self._reader = hiredis.Reader()
        self._held: list[bytes] = []  # what arrived since the reader last stood at a boundary, to be parsed again
        self._held_bytes = 0
        self._served = 0  # requests already taken out of those chunks
        self._tail = b""  # the end of those chunks, for patterns that lie across two
        self._strict = False

    def feed(self, data: bytes) -> None:
        """Take in what arrived, and take out the requests that are complete now."""
        if self.problem is not None:
            return
        held = self._held
        if not self._strict:
            # hiredis takes simple strings for bulk strings, and makes room for as many arguments as are announced.
            seam = self._tail + data if held else data
            if (b"+" in seam and b"\r\n+" in seam) or _HUGE_COUNT.search(seam) or not (held or data[:1] == b"*"):
                self._strict = True
            elif self._read(data):
                return
            else:
                self._tail = seam[-_SEAM_BYTES:]
        held.append(data)
        self._held_bytes += len(data)
        if self._strict or self._held_bytes <= _PARSED_AGAIN_BYTES_MAX:
            try:
                self._parse_strictly()  # what is unfinished and small too: it may be wrong already
            except ProtocolError as problem:
                self.problem = problem
                return
        if self._held_bytes > REQUEST_BYTES_MAX:
            self.problem = ProtocolError("too big request")

    def _read(self, data: bytes) -> bool:
        """Have hiredis read requests; tell whether they are whole, with nothing behind them."""
        reader, requests = self._reader, self.requests
        try:
            reader.feed(data)
            while True:
                request = reader.gets()
                if type(request) is not list or not request:
                    self._strict = request is not False  # False: unfinished, or a boolean that is looked at again
                    return False
                b"".join(request)  # the quickest proof that all of them are bytes: else a TypeError
                requests.append(request)
                if not reader.has_data():  # at a boundary; only here, since it may also have eaten half a header
                    break
                self._served += 1
        except (hiredis.ProtocolError, TypeError, ValueError, MemoryError, RecursionError):
            self._strict = True  # not a request: hiredis builds replies, dicts with lists as keys among them
            return False
        if self._held or self._served:
            self._held.clear()
            self._held_bytes = self._served = 0
        return True

    def _parse_strictly(self) -> None:
        self._strict = True
        buffer = b"".join(self._held)
        position = 0
        for _ in range(self._served):
            position, _request = _parse_one(buffer, position)
        self._served = 0
        while True:
            position, request = _parse_one(buffer, position)
            if request is None:
                break
            if request:  # empty requests are skipped without an answer
                self.requests.append(request)
        self._held = [buffer[position:]] if position < len(buffer) else []
        self._held_bytes = len(buffer) - position
        if not self._held:  # at a boundary, the fast path is open again
            self._reader = hiredis.Reader()
            self._strict = False


_SEAM_BYTES: Final = 16
_PARSED_AGAIN_BYTES_MAX: Final = 64 * 1024
_HUGE_COUNT: Final = re.compile(rb"\*\d{7}")


def _parse_one(  # noqa: C901, PLR0911, PLR0912 - the server's checks, in its order
    buffer: bytes, position: int
) -> tuple[int, list[bytes] | None]:
    """Return (where the next request begins, this request); (position, None) when it is not complete."""
    end = buffer.find(b"\n", position)
    if buffer[position : position + 1] != b"*":
        if end < 0:
            if len(buffer) - position > _INLINE_BYTES_MAX:
                raise ProtocolError("too big inline request")
            return position, None
        return end + 1, _split_inline(buffer[position:end].rstrip(b"\r"))
    end = buffer.find(b"\r\n", position)
    if end < 0:
        if len(buffer) - position > _INLINE_BYTES_MAX:
            raise ProtocolError("too big mbulk count string")
        return position, None
    count = _length(buffer[position + 1 : end])
    if count is None or count > _ARGUMENTS_MAX:
        raise ProtocolError("invalid multibulk length")
    cursor = end + 2
    arguments: list[bytes] = []
    for _ in range(count):
        if cursor >= len(buffer):
            return position, None
        if buffer[cursor : cursor + 1] != b"$":
            raise ProtocolError(f"expected '$', got '{chr(buffer[cursor])}'")
        end = buffer.find(b"\r\n", cursor)
        if end < 0:
            if len(buffer) - cursor > _INLINE_BYTES_MAX:
                raise ProtocolError("too big bulk count string")
            return position, None
        size = _length(buffer[cursor + 1 : end])
        if size is None or size < 0 or size > REQUEST_BYTES_MAX:
            raise ProtocolError("invalid bulk length")
        if len(buffer) < end + 2 + size + 2:
            return position, None
        arguments.append(buffer[end + 2 : end + 2 + size])
        cursor = end + 2 + size + 2
    return cursor, arguments


def _length(digits: bytes) -> int | None:
    bare = digits[1:] if digits[:1] == b"-" else digits
    return int(digits) if bare.isdigit() and len(bare) < 20 else None  # noqa: PLR2004 - 64 bits have 19 digits


_ESCAPES: Final = {ord("n"): 10, ord("r"): 13, ord("t"): 9, ord("b"): 8, ord("a"): 7}


def _split_inline(line: bytes) -> list[bytes]:  # noqa: C901, PLR0912 - a state machine over characters
    """Split an inline command as a shell would, quotes included."""
    words: list[bytes] = []
    position = 0
    while True:
        while position < len(line) and line[position : position + 1].isspace():
            position += 1
        if position >= len(line):
            return words
        word = bytearray()
        quote = 0
        while position < len(line) or quote:
            if position >= len(line):
                raise ProtocolError("unbalanced quotes in request")
            byte = line[position]
            if quote:
                if byte == quote:
                    following = line[position + 1 : position + 2]
                    if following and not following.isspace():
                        raise ProtocolError("unbalanced quotes in request")
                    position += 1
                    break
                if byte == ord("\\") and quote == ord('"') and position + 1 < len(line):
                    position += 1
                    escaped = line[position]
                    digits = line[position + 1 : position + 3]
                    if escaped == ord("x") and len(digits) == 2 and _is_hex(digits):  # noqa: PLR2004 - \xHH
                        word.append(int(digits, 16))
                        position += 2
                    else:
                        word.append(_ESCAPES.get(escaped, escaped))
                else:
                    word.append(byte)
            elif bytes((byte,)).isspace():
                break
            elif byte in b"\"'":
                quote = byte
            else:
                word.append(byte)
            position += 1
        words.append(bytes(word))


def _is_hex(digits: bytes) -> bool:
    return all(digit in b"0123456789abcdefABCDEF" for digit in digits)


def encode(value: Any, *, resp3: bool) -> bytes:  # noqa: PLR0911 - one return for each type
    """Encode a plain Python value: bytes and str are bulk strings, dict is a map, None is null, float a double."""
    kind = type(value)
    if kind is bytes:
        return bulk(value)
    if kind is int:
        return integer(value)
    if value is None:
        return null(resp3=resp3)
    if kind is list or kind is tuple:
        return array([encode(item, resp3=resp3) for item in value])
    if kind is str:
        return bulk(value.encode())
    if kind is float:
        return b",%b\r\n" % double(value) if resp3 else bulk(double(value))
    if kind is bool:
        return (b"#t\r\n" if value else b"#f\r\n") if resp3 else integer(int(value))
    if kind is dict:
        flat = [encode(item, resp3=resp3) for pair in value.items() for item in pair]
        return mapping(flat, resp3=resp3)
    if kind is set:
        members = sorted(encode(item, resp3=resp3) for item in value)
        return b"~%d\r\n%b" % (len(members), b"".join(members)) if resp3 else array(members)
    raise TypeError(f"no RESP encoding for {kind.__name__}")
