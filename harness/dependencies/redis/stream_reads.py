"""Commands that read streams: XLEN, XRANGE, XREVRANGE, XREAD; what XREAD shares with XREADGROUP is public."""

from collections.abc import Sequence
from dataclasses import dataclass

from harness.dependencies.redis import resp
from harness.dependencies.redis.commands import SYNTAX_ERROR, Command, parse_int
from harness.dependencies.redis.keyspace import KeyDatabase
from harness.dependencies.redis.resp import ReplyError
from harness.dependencies.redis.session import Session
from harness.dependencies.redis.stream_ids import ID_MAX, SEQ_MAX, parse_id


def xlen(session: Session, argv: list[bytes]) -> bytes:
    """XLEN key"""
    stream = session.db.stream(argv[1])
    return resp.integer(len(stream) if stream is not None else 0)


def parse_range_start(text: bytes) -> int:
    """Return the first id of a range: `-`, an id, or `(id` to leave it out. Raises ReplyError."""
    if text == b"-":
        return 0
    if text == b"+":
        return ID_MAX
    if text[:1] != b"(":
        return parse_id(text)
    start = parse_id(text[1:])
    if start == ID_MAX:
        raise ReplyError("ERR invalid start ID for the interval")
    return start + 1


def parse_range_end(text: bytes) -> int:
    """Return the last id of a range: `+`, an id, or `(id` to leave it out. Raises ReplyError."""
    if text == b"+":
        return ID_MAX
    if text == b"-":
        return 0
    if text[:1] != b"(":
        return parse_id(text, SEQ_MAX)
    end = parse_id(text[1:], SEQ_MAX)
    if end == 0:
        raise ReplyError("ERR invalid end ID for the interval")
    return end - 1


def _range(session: Session, argv: list[bytes], start: bytes, end: bytes, *, newest_first: bool) -> bytes:
    low, high = parse_range_start(start), parse_range_end(end)
    count: int | None = None
    position = 4
    while position < len(argv):
        if argv[position].lower() != b"count" or position + 1 >= len(argv):
            raise ReplyError(SYNTAX_ERROR)
        count = max(0, parse_int(argv[position + 1]))
        position += 2
    stream = session.db.stream(argv[1])
    if stream is None:
        return resp.EMPTY_ARRAY
    if count == 0:
        return session.null_array()
    return resp.array(stream.between(low, high, count, newest_first=newest_first))


def xrange(session: Session, argv: list[bytes]) -> bytes:
    """XRANGE key start end [COUNT count]"""
    return _range(session, argv, argv[2], argv[3], newest_first=False)


def xrevrange(session: Session, argv: list[bytes]) -> bytes:
    """XREVRANGE key end start [COUNT count]"""
    return _range(session, argv, argv[3], argv[2], newest_first=True)


@dataclass(slots=True)
class ReadOptions:
    """The options that XREAD and XREADGROUP share. `block_ms` is None when the caller does not want to wait."""

    keys: list[bytes]
    ids: list[bytes]
    count: int | None = None
    block_ms: int | None = None
    group: bytes | None = None
    consumer: bytes = b""
    keep_pending: bool = True


def parse_read(argv: list[bytes], *, grouped: bool) -> ReadOptions:  # noqa: C901 - a branch for each option
    """Parse the arguments of XREAD or XREADGROUP. Raises ReplyError."""
    options = ReadOptions([], [])
    position = 1
    left = len(argv)
    while position < left:
        option = argv[position].lower()
        more = left - position - 1
        if option == b"streams" and more:
            _take_streams(options, argv[position + 1 :], grouped=grouped)
            break
        if option == b"block" and more:
            options.block_ms = _timeout(argv[position + 1])
            position += 2
        elif option == b"count" and more:
            options.count = max(0, parse_int(argv[position + 1])) or None
            position += 2
        elif option == b"group" and more > 1:
            if not grouped:
                raise ReplyError("ERR The GROUP option is only supported by XREADGROUP. You called XREAD instead.")
            options.group, options.consumer = argv[position + 1], argv[position + 2]
            position += 3
        elif option == b"noack":
            if not grouped:
                raise ReplyError("ERR The NOACK option is only supported by XREADGROUP. You called XREAD instead.")
            options.keep_pending = False
            position += 1
        else:
            raise ReplyError(SYNTAX_ERROR)
    if not options.keys:
        raise ReplyError(SYNTAX_ERROR)
    if grouped and options.group is None:
        raise ReplyError("ERR Missing GROUP option for XREADGROUP")
    return options


def _take_streams(options: ReadOptions, rest: list[bytes], *, grouped: bool) -> None:
    if len(rest) % 2:
        what = "an ID or '>'" if grouped else "an ID or '$'"
        name = "xreadgroup" if grouped else "xread"
        raise ReplyError(f"ERR Unbalanced '{name}' list of streams: for each stream key {what} must be specified.")
    half = len(rest) // 2
    options.keys, options.ids = rest[:half], rest[half:]


def _timeout(text: bytes) -> int:
    timeout_ms = parse_int(text, "ERR timeout is not an integer or out of range")
    if timeout_ms < 0:
        raise ReplyError("ERR timeout is negative")
    return timeout_ms


def read_reply(session: Session, found: Sequence[tuple[bytes, list[bytes]]]) -> bytes:
    """Return the entries found, by stream: a map in RESP3, an array of pairs in RESP2."""
    outer, inner = (b"%%%d\r\n", b"") if session.resp3 else (b"*%d\r\n", b"*2\r\n")
    parts = [outer % len(found)]
    for key, entries in found:
        parts.append(b"%b$%d\r\n%b\r\n*%d\r\n" % (inner, len(key), key, len(entries)))
        parts += entries
    return b"".join(parts)


def _starts(db: KeyDatabase, options: ReadOptions) -> list[int]:
    """Return the id behind which XREAD reads, for each of the keys. Raises ReplyError."""
    after: list[int] = []
    for key, text in zip(options.keys, options.ids, strict=True):
        stream = db.stream(key)
        if text == b"$":
            after.append(stream.last_id if stream is not None else 0)
        elif text == b"+":
            newest = stream is not None and len(stream)
            after.append(stream.top_id - 1 if stream is not None and newest else stream.last_id if stream else 0)
        elif text == b">":
            raise ReplyError(
                "ERR The > ID can be specified only when calling XREADGROUP using the GROUP <group> <consumer> option."
            )
        else:
            after.append(parse_id(text))
    return after


def xread(session: Session, argv: list[bytes]) -> bytes:
    """XREAD [COUNT count] [BLOCK ms] STREAMS key ... id ..."""
    options = parse_read(argv, grouped=False)
    db = session.db
    after = _starts(db, options)

    def attempt() -> bytes | None:
        found: list[tuple[bytes, list[bytes]]] = []
        for key, last_seen in zip(options.keys, after, strict=True):
            stream = db.stream_or_none(key)  # while it waits, a key of another type is a key without entries
            if stream is not None and stream.last_id > last_seen:
                entries = stream.between(last_seen + 1, ID_MAX, options.count)
                if entries:
                    found.append((key, entries))
        return read_reply(session, found) if found else None

    reply = attempt()
    if reply is not None:
        return reply
    if options.block_ms is None or not session.may_block:
        return session.null_array()
    session.block(tuple(options.keys), attempt, session.null_array, options.block_ms * 1_000_000)
    return b""


COMMANDS = (
    Command("xlen", 2, xlen),
    Command("xrange", -4, xrange),
    Command("xrevrange", -4, xrevrange),
    Command("xread", -4, xread),
)
