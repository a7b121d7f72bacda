"""Commands that change streams: XADD, XTRIM, XDEL, XSETID."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from harness.dependencies.redis import resp
from harness.dependencies.redis.commands import SYNTAX_ERROR, Command, parse_int, wrong_arity
from harness.dependencies.redis.keyspace import StreamValue
from harness.dependencies.redis.listpack import NODE_ENTRIES_MAX
from harness.dependencies.redis.resp import ReplyError
from harness.dependencies.redis.session import Session
from harness.dependencies.redis.stream_ids import SEQ_BITS, SEQ_MAX, make_id, parse_id
from harness.dependencies.redis.streams import Stream

_ID_WITHIN: Final = 10
"""Behind all its options, the id of an XADD stands within so many words."""
_SMALL_ID: Final = "ERR The ID specified in XADD is equal or smaller than the target stream top item"


@dataclass(slots=True)
class Trim:
    """How far to trim: to a length, or below an id."""

    maxlen: int | None = None
    min_id: int | None = None
    approximate: bool = False
    limit: int | None = None

    def apply(self, stream: Stream) -> int:
        """Trim; return how many entries went."""
        limit = self.limit
        if limit is None:
            limit = 100 * NODE_ENTRIES_MAX if self.approximate else 0
        if self.maxlen is not None:
            return stream.trim_to_length(self.maxlen, approximate=self.approximate, limit=limit)
        assert self.min_id is not None
        return stream.trim_below(self.min_id, approximate=self.approximate, limit=limit)


def _parse_trim(argv: Sequence[bytes], position: int, trim: Trim | None) -> tuple[int, Trim]:
    """Parse `MAXLEN|MINID [=|~] threshold` at that position; return the position behind it."""
    if trim is not None and (trim.maxlen is not None or trim.min_id is not None):
        raise ReplyError("ERR syntax error, MAXLEN and MINID options at the same time are not compatible")
    trim = trim or Trim()
    by_length = argv[position].lower() == b"maxlen"
    position += 1
    if position < len(argv) - 1 and argv[position] in {b"~", b"="}:
        trim.approximate = argv[position] == b"~"
        position += 1
    if position >= len(argv):
        raise ReplyError(SYNTAX_ERROR)
    if by_length:
        trim.maxlen = parse_int(argv[position])
        if trim.maxlen < 0:
            raise ReplyError("ERR The MAXLEN argument must be >= 0.")
    else:
        trim.min_id = parse_id(argv[position])
    return position + 1, trim


def _parse_limit(argv: Sequence[bytes], position: int, trim: Trim | None) -> tuple[int, Trim]:
    if position + 1 >= len(argv):
        raise ReplyError(SYNTAX_ERROR)
    trim = trim or Trim()
    trim.limit = parse_int(argv[position + 1])
    if trim.limit < 0:
        raise ReplyError("ERR The LIMIT argument must be >= 0.")
    return position + 2, trim


def _check_trim(trim: Trim) -> None:
    if trim.limit is not None and trim.maxlen is None and trim.min_id is None:
        raise ReplyError("ERR syntax error, LIMIT cannot be used without specifying a trimming strategy")
    if trim.limit is not None and not trim.approximate:
        raise ReplyError("ERR syntax error, LIMIT cannot be used without the special ~ option")


def _add_options(argv: list[bytes]) -> tuple[int, Trim | None, bool]:
    """Parse XADD's options; return where the id stands, how to trim, and whether to create the stream."""
    try:
        star = argv.index(b"*", 2, _ID_WITHIN)
    except ValueError:
        position, trim, create = _parse_add_options(argv[2:])
    else:
        position, trim, create = _known_add_options(tuple(argv[2 : star + 1]))
    return position + 2, trim, create


def _parse_add_options(words: Sequence[bytes]) -> tuple[int, Trim | None, bool]:
    position = 0
    trim: Trim | None = None
    create = True
    while words[position] != b"*":
        option = words[position].lower()
        if option in {b"maxlen", b"minid"}:
            position, trim = _parse_trim(words, position, trim)
        elif option == b"limit":
            position, trim = _parse_limit(words, position, trim)
        elif option == b"nomkstream":
            create = False
            position += 1
        else:
            break
        if position >= len(words):
            raise wrong_arity("xadd")
    return position, trim, create


_known_add_options = lru_cache(maxsize=64)(_parse_add_options)  # a producer sends the same ones over and over


def xadd(session: Session, argv: list[bytes]) -> bytes:
    """XADD key [NOMKSTREAM] [MAXLEN|MINID [=|~] threshold [LIMIT count]] *|id field value ..."""
    position, trim, create = _add_options(argv)
    id_text = argv[position]
    wanted = None if id_text == b"*" else _parse_new_id(id_text)
    fields = len(argv) - position - 1
    if fields < 2 or fields % 2:  # noqa: PLR2004 - at least one field and its value
        raise wrong_arity("xadd")
    if trim is not None:
        _check_trim(trim)
    key = argv[1]
    db = session.db
    stream = db.stream(key)
    if stream is None and not create:
        return session.null()
    target = stream or StreamValue()
    entry_id = target.next_id(session.engine.keyspace.now_ms) if wanted is None else _choose_id(target, wanted)
    text = target.append(entry_id, argv[position + 1 :])
    if stream is None:
        db.create_stream(key, target)
    if trim is not None:
        trim.apply(target)
    db.note_entry(key)
    argv[position] = text  # for the log
    return b"$%d\r\n%b\r\n" % (len(text), text)


def _parse_new_id(text: bytes) -> tuple[int, int | None]:
    """Return (ms, seq) of an explicit id; seq is None for `ms-*`."""
    if text.endswith(b"-*") and text[:-2].isdigit() and int(text[:-2]) <= SEQ_MAX:
        return int(text[:-2]), None
    entry_id = parse_id(text)
    if entry_id == 0:
        raise ReplyError("ERR The ID specified in XADD must be greater than 0-0")
    return entry_id >> SEQ_BITS, entry_id & SEQ_MAX


def _choose_id(stream: Stream, wanted: tuple[int, int | None]) -> int:
    stream.require_room()
    ms, seq = wanted
    if seq is not None:
        return make_id(ms, seq)
    last_ms = stream.last_id >> SEQ_BITS
    if ms > last_ms:
        return make_id(ms, 0)
    if ms < last_ms or stream.last_id & SEQ_MAX == SEQ_MAX:
        raise ReplyError(_SMALL_ID)
    return stream.last_id + 1


def xtrim(session: Session, argv: list[bytes]) -> bytes:
    """XTRIM key MAXLEN|MINID [=|~] threshold [LIMIT count]"""
    position = 2
    trim: Trim | None = None
    while position < len(argv):
        option = argv[position].lower()
        if option in {b"maxlen", b"minid"} and position + 1 < len(argv):
            position, trim = _parse_trim(argv, position, trim)
        elif option == b"limit":
            position, trim = _parse_limit(argv, position, trim)
        else:
            raise ReplyError(SYNTAX_ERROR)
    if trim is None:
        raise ReplyError("ERR syntax error, XTRIM must be called with a trimming strategy")
    _check_trim(trim)
    stream = session.db.stream(argv[1])
    if stream is None:
        return resp.SMALL[0]
    removed = trim.apply(stream)
    if removed:
        session.db.note_change(argv[1])
    return resp.integer(removed)


def xdel(session: Session, argv: list[bytes]) -> bytes:
    """XDEL key id ..."""
    stream = session.db.stream(argv[1])
    if stream is None:
        return resp.SMALL[0]
    deleted = sum([stream.delete(entry_id) for entry_id in [parse_id(text) for text in argv[2:]]])
    if deleted:
        session.db.note_change(argv[1])
    return resp.integer(deleted)


def xsetid(session: Session, argv: list[bytes]) -> bytes:  # noqa: C901, PLR0912 - a branch for each refusal
    """XSETID key last-id [ENTRIESADDED n] [MAXDELETEDID id]"""
    last_id = parse_id(argv[2])
    added: int | None = None
    max_deleted: int | None = None
    position = 3
    while position < len(argv):
        option = argv[position].lower()
        if position + 1 >= len(argv):
            raise ReplyError(SYNTAX_ERROR)
        if option == b"entriesadded":
            added = parse_int(argv[position + 1])
            if added < 0:
                raise ReplyError("ERR entries_added must be positive")
        elif option == b"maxdeletedid":
            max_deleted = parse_id(argv[position + 1])
            if last_id < max_deleted:
                raise ReplyError("ERR The ID specified in XSETID is smaller than the provided max_deleted_entry_id")
        else:
            raise ReplyError(SYNTAX_ERROR)
        position += 2
    stream = session.db.stream(argv[1])
    if stream is None:
        raise ReplyError("ERR no such key")
    if last_id < stream.max_deleted_id:
        raise ReplyError("ERR The ID specified in XSETID is smaller than current max_deleted_entry_id")
    if len(stream):
        if last_id < stream.top_id:
            raise ReplyError("ERR The ID specified in XSETID is smaller than the target stream top item")
        if added is not None and added < len(stream):
            raise ReplyError("ERR The entries_added specified in XSETID is smaller than the target stream length")
    stream.last_id = last_id
    if added is not None:
        stream.entries_added = added
    if max_deleted:
        stream.max_deleted_id = max_deleted
    session.db.note_change(argv[1])
    return resp.OK


COMMANDS = (
    Command("xadd", -5, xadd),
    Command("xtrim", -4, xtrim),
    Command("xdel", -3, xdel),
    Command("xsetid", -3, xsetid),
)
