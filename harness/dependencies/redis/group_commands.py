"""Commands of consumer groups and their members: XREADGROUP, XACK, XGROUP."""

from typing import Final

from harness.dependencies.redis import resp
from harness.dependencies.redis.commands import Command, parse_int, unknown_subcommand
from harness.dependencies.redis.groups import UNKNOWN, Consumer, Group
from harness.dependencies.redis.keyspace import KeyDatabase, StreamValue
from harness.dependencies.redis.resp import ReplyError, text_of
from harness.dependencies.redis.session import Blocked, Session
from harness.dependencies.redis.stream_ids import format_id, parse_id
from harness.dependencies.redis.stream_reads import ReadOptions, parse_range_start, parse_read, read_reply
from harness.dependencies.redis.streams import Stream

_IN_READ: Final = " in XREADGROUP with GROUP option"
_READS_KEPT: Final = 4
"""As many as a client takes turns with: a consumer has one, the replay of a log one for each consumer."""


def _no_group(key: bytes, group: bytes, where: str = "") -> ReplyError:
    return ReplyError(f"NOGROUP No such key '{text_of(key)}' or consumer group '{text_of(group)}'{where}")


def require_group(db: KeyDatabase, key: bytes, name: bytes, where: str = "") -> tuple[StreamValue, Group]:
    """Return the stream at a key and its group of that name. Raises ReplyError when either is missing."""
    stream = db.stream(key)
    group = stream.groups.get(name) if stream is not None else None
    if stream is None or group is None:
        raise _no_group(key, name, where)
    return stream, group


class GroupRead:
    """One client's XREADGROUP, checked and parsed; kept, since a consumer sends the same request over and over.

    So is its `argv`, for the log: what every repetition brings along itself would stay in memory with it.
    """

    __slots__ = ("_members", "_structure", "after", "argv", "blocked", "db", "options", "session")

    def __init__(self, session: Session, argv: list[bytes]) -> None:
        self.session = session
        self.db = session.db
        self.argv = argv
        self._members: list[tuple[bytes, StreamValue, Group, Consumer, int]] = []
        self._structure = -1  # of the keyspace, when `_members` was found; -1 if that may not be kept
        self.options = options = parse_read(argv, grouped=True)
        assert options.group is not None
        self.blocked = Blocked(session.db, tuple(options.keys), self.attempt, session.null_array, argv)
        self.after: list[int] = []  # UNKNOWN stands for `>`, others ask for the consumer's own pending entries
        for key, text in zip(options.keys, options.ids, strict=True):
            require_group(session.db, key, options.group, _IN_READ)
            if text == b">":
                self.after.append(UNKNOWN)
            elif text == b"$":
                raise ReplyError(
                    "ERR The $ ID is meaningless in the context of XREADGROUP: you want to read the history of this"
                    " consumer by specifying a proper ID, or use the > ID to get new messages. The $ ID would just"
                    " return an empty result set."
                )
            else:
                self.after.append(parse_id(text))

    def _find_members(self) -> None:
        """Find the group at every key, and this consumer of it. Raises ReplyError when a group is missing."""
        self._structure = -1
        db, name = self.db, self.options.group
        assert name is not None
        keys = self.options.keys
        found = [(key, *require_group(db, key, name, _IN_READ)) for key in keys]
        self._members = [
            (key, stream, group, self._consumer(key, group), last_seen)
            for (key, stream, group), last_seen in zip(found, self.after, strict=True)
        ]
        if not any(map(db.expires, keys)):
            self._structure = self.session.engine.keyspace.structure

    def _consumer(self, key: bytes, group: Group) -> Consumer:
        consumer = group.consumers.get(self.options.consumer)
        if consumer is None:
            consumer = group.add_consumer(self.options.consumer, self.session.engine.keyspace.now_ms)
            self.db.note_change(key)
        return consumer

    def attempt(self) -> bytes | None:
        """Deliver what is there and return the reply; None when there is nothing. Raises ReplyError."""
        options, session = self.options, self.session
        keyspace = session.engine.keyspace
        if self._structure != keyspace.structure:
            self._find_members()  # all of them are there, or nothing is delivered
        now_ms = keyspace.now_ms
        found: list[tuple[bytes, list[bytes]]] = []
        for key, stream, group, consumer, last_seen in self._members:
            consumer.seen_ms = now_ms
            if last_seen != UNKNOWN:
                found.append((key, _history(session, stream, group, options, last_seen)))
            elif group.last_id < stream.last_id:
                entries = stream.read_new(group, consumer, options.count, now_ms, keep_pending=options.keep_pending)
                if entries:
                    found.append((key, entries))
                    self.db.note_change(key)
        return read_reply(session, found) if found else None


def xreadgroup(session: Session, argv: list[bytes]) -> bytes:
    """XREADGROUP GROUP group consumer [COUNT count] [BLOCK ms] [NOACK] STREAMS key ... id ..."""
    for read in session.group_reads:
        if read.argv == argv and read.db is session.db:
            session.running = read.argv
            break
    else:
        read = GroupRead(session, argv)
        session.group_reads = [read, *session.group_reads[: _READS_KEPT - 1]]
    reply = read.attempt()
    if reply is not None:
        return reply
    block_ms = read.options.block_ms
    if block_ms is None or not session.may_block:
        return session.null_array()
    session.wait(read.blocked, block_ms * 1_000_000)
    return b""


def _history(session: Session, stream: Stream, group: Group, options: ReadOptions, last_seen: int) -> list[bytes]:
    """Return what the consumer holds and did not acknowledge; each counts as delivered once more.

    As on a real server this counting is not written to the log: after a crash it is as it was before.
    """
    consumer = group.consumers[options.consumer]
    now_ms = session.engine.keyspace.now_ms
    entries: list[bytes] = []
    for entry_id in sorted(entry_id for entry_id in consumer.pending if entry_id > last_seen)[: options.count]:
        entry = stream.get(entry_id)
        if entry is None:
            entry = b"*2\r\n%b%b" % (resp.bulk(format_id(entry_id)), session.null_array())
        else:
            pending = group.pending[entry_id]
            pending.delivered_ms = now_ms
            pending.deliveries += 1
        entries.append(entry)
    return entries


def xack(session: Session, argv: list[bytes]) -> bytes:
    """XACK key group id ..."""
    stream = session.db.stream(argv[1])
    group = stream.groups.get(argv[2]) if stream is not None else None
    if group is None:
        return resp.SMALL[0]
    acked = group.drop_all([parse_id(text) for text in argv[3:]])
    if acked:
        session.db.note_change(argv[1])
    return resp.integer(acked)


_XGROUP_ARITY = {b"create": -5, b"setid": -5, b"destroy": 4, b"createconsumer": 5, b"delconsumer": 5}


def xgroup(session: Session, argv: list[bytes]) -> bytes:
    """XGROUP CREATE | SETID | DESTROY | CREATECONSUMER | DELCONSUMER key group ..."""
    subcommand = argv[1].lower()
    arity = _XGROUP_ARITY.get(subcommand)
    if arity is None:
        raise unknown_subcommand("xgroup", argv[1])
    Command(f"xgroup|{subcommand.decode()}", arity, xgroup).check_arity(argv)
    if subcommand in {b"create", b"setid"}:
        return _xgroup_position(session, argv, subcommand)
    key, name = argv[2], argv[3]
    stream = session.db.stream(key)
    if stream is None:
        raise ReplyError(
            "ERR The XGROUP subcommand requires the key to exist. Note that for CREATE you may want to use the MKSTREAM"
            " option to create an empty stream automatically."
        )
    group = stream.groups.get(name)
    if subcommand == b"destroy":
        if group is None:
            return resp.SMALL[0]
        del stream.groups[name]
        session.db.notify_watch(key)  # wakes those who wait as members of it, so that they learn of its end
        return resp.SMALL[1]
    if group is None:
        raise ReplyError(f"NOGROUP No such consumer group '{text_of(name)}' for key name '{text_of(key)}'")
    if subcommand == b"createconsumer":
        if argv[4] in group.consumers:
            return resp.SMALL[0]
        group.consumer(argv[4], session.engine.keyspace.now_ms)
        session.db.note_change(key)
        return resp.SMALL[1]
    dropped = group.remove_consumer(argv[4])
    if dropped is not None:
        session.engine.keyspace.structure += 1
        session.db.note_change(key)
    return resp.integer(dropped or 0)


def _xgroup_position(  # noqa: C901, PLR0912 - a branch for each option and error
    session: Session, argv: list[bytes], subcommand: bytes
) -> bytes:
    """CREATE and SETID: both say where the group stands."""
    create = subcommand == b"create"
    make_stream = False
    entries_read = UNKNOWN
    position = 5
    while position < len(argv):
        option = argv[position].lower()
        if create and option == b"mkstream":
            make_stream = True
        elif option == b"entriesread" and position + 1 < len(argv):
            entries_read = parse_int(argv[position + 1])
            if entries_read < UNKNOWN:
                raise ReplyError("ERR value for ENTRIESREAD must be positive or -1")
            position += 1
        else:
            raise ReplyError(
                f"ERR unknown subcommand or wrong number of arguments for '{text_of(argv[1])}'. Try XGROUP HELP."
            )
        position += 1
    key, name = argv[2], argv[3]
    stream = session.db.stream(key)
    if stream is None and not make_stream:
        raise ReplyError(
            "ERR The XGROUP subcommand requires the key to exist. Note that for CREATE you may want to use the MKSTREAM"
            " option to create an empty stream automatically."
        )
    if argv[4] == b"$":
        last_id = stream.last_id if stream is not None else 0
    else:
        last_id = parse_range_start(argv[4]) if argv[4] == b"-" else parse_id(argv[4])
    if stream is None:
        stream = session.db.create_stream(key, StreamValue())
    if create:
        if name in stream.groups:
            raise ReplyError("BUSYGROUP Consumer Group name already exists")
        stream.groups[name] = Group(last_id, entries_read)
    else:
        group = stream.groups.get(name)
        if group is None:
            raise ReplyError(f"NOGROUP No such consumer group '{text_of(name)}' for key name '{text_of(key)}'")
        group.last_id = last_id
        group.entries_read = entries_read
    session.db.note_change(key)
    return resp.OK


COMMANDS = (
    Command("xreadgroup", -7, xreadgroup),
    Command("xack", -4, xack),
    Command("xgroup", -2, xgroup),
)
