"""Commands on consumer groups: XGROUP, XREADGROUP, XACK, XPENDING, XCLAIM, XAUTOCLAIM, XINFO."""

from dataclasses import dataclass
from typing import Final

from harness.dependencies.redis import resp
from harness.dependencies.redis.commands import (
    SYNTAX_ERROR,
    Command,
    parse_int,
    unknown_subcommand,
    wrong_arity,
)
from harness.dependencies.redis.keyspace import KeyDatabase, StreamValue
from harness.dependencies.redis.resp import ReplyError, text_of
from harness.dependencies.redis.session import Session
from harness.dependencies.redis.stream_commands import (
    ReadOptions,
    parse_range_end,
    parse_range_start,
    parse_read,
    read_reply,
    wait_for,
)
from harness.dependencies.redis.streams import ID_MAX, UNKNOWN, Consumer, Group, Pending, Stream, format_id, parse_id


_IN_READ: Final = " in XREADGROUP with GROUP option"


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
    """One client's XREADGROUP, checked and parsed; kept, since a consumer sends the same request over and over."""

    __slots__ = ("after", "argv", "db", "options", "session")

    def __init__(self, session: Session, argv: list[bytes]) -> None:
        self.session = session
        self.db = session.db
        self.argv = argv
        self.options = options = parse_read(argv, grouped=True)
        assert options.group is not None
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

    def _groups(self) -> list[tuple[StreamValue, Group]]:
        """Return the group at every key. Raises ReplyError when one is missing."""
        stream_at, group_name = self.db.stream, self.options.group
        assert group_name is not None
        found: list[tuple[StreamValue, Group]] = []
        for key in self.options.keys:
            stream = stream_at(key)
            group = stream.groups.get(group_name) if stream is not None else None
            if stream is None or group is None:
                raise _no_group(key, group_name, _IN_READ)
            found.append((stream, group))
        return found

    def attempt(self) -> bytes | None:
        """Deliver what is there and return the reply; None when there is nothing. Raises ReplyError."""
        db, options, session = self.db, self.options, self.session
        now_ms = session.engine.keyspace.now_ms
        name = options.consumer
        found: list[tuple[bytes, list[bytes]]] = []
        index = -1
        for stream, group in self._groups():  # all of them are there, or nothing is delivered
            index += 1
            consumer = group.consumers.get(name)
            if consumer is None:
                consumer = group.add_consumer(name, now_ms)
                db.note_change(options.keys[index])
            else:
                consumer.seen_ms = now_ms
            last_seen = self.after[index]
            if last_seen != UNKNOWN:
                entries = _history(session, stream, group, options, last_seen)
                found.append((options.keys[index], entries))
            elif stream.last_id > group.last_id:
                entries = stream.read_new(group, consumer, options.count, now_ms, keep_pending=options.keep_pending)
                if entries:
                    found.append((options.keys[index], entries))
                    db.note_change(options.keys[index])
        return read_reply(session, found) if found else None


def xreadgroup(session: Session, argv: list[bytes]) -> bytes:
    """XREADGROUP GROUP group consumer [COUNT count] [BLOCK ms] [NOACK] STREAMS key ... id ..."""
    read = session.group_read
    if read is None or read.argv != argv or read.db is not session.db:
        read = session.group_read = GroupRead(session, argv)
    return read.attempt() or wait_for(session, read.options, read.attempt)


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


def xpending(session: Session, argv: list[bytes]) -> bytes:  # noqa: C901 - a branch for each optional argument
    """XPENDING key group [[IDLE min-idle] start end count [consumer]]"""
    if len(argv) == 3:  # noqa: PLR2004 - the summary
        _, group = require_group(session.db, argv[1], argv[2])
        return _pending_summary(session, group)
    position = 3
    min_idle_ms = 0
    if argv[3].lower() == b"idle":
        if len(argv) == 4:  # noqa: PLR2004 - IDLE without its value
            raise ReplyError(SYNTAX_ERROR)
        min_idle_ms = parse_int(argv[4])
        if len(argv) < 8:  # noqa: PLR2004 - range and count must follow
            raise ReplyError(SYNTAX_ERROR)
        position = 5
    rest = argv[position:]
    if len(rest) < 3:  # noqa: PLR2004 - start end count [consumer]
        raise ReplyError(SYNTAX_ERROR)
    count = max(0, parse_int(rest[2]))
    start, end = parse_range_start(rest[0]), parse_range_end(rest[1])
    _, group = require_group(session.db, argv[1], argv[2])
    only = rest[3] if len(rest) > 3 else None  # noqa: PLR2004 - the consumer
    now_ms = session.engine.keyspace.now_ms
    rows: list[bytes] = []
    if only is not None and only not in group.consumers:
        return resp.EMPTY_ARRAY
    for entry_id, pending in group.pending_from(start, end):
        if len(rows) >= count:
            break
        if only is not None and pending.consumer.name != only:
            continue
        idle_ms = max(0, now_ms - pending.delivered_ms)
        if idle_ms < min_idle_ms:
            continue
        parts = (format_id(entry_id), pending.consumer.name, idle_ms, pending.deliveries)
        rows.append(resp.encode(parts, resp3=session.resp3))
    return resp.array(rows)


def _pending_summary(session: Session, group: Group) -> bytes:
    if not group.pending:
        return resp.array((resp.SMALL[0], session.null(), session.null(), session.null_array()))
    ids = [entry_id for entry_id, _ in group.pending_from(0)]
    holders = [
        resp.array((resp.bulk(name), resp.bulk(b"%d" % len(consumer.pending))))
        for name, consumer in sorted(group.consumers.items())
        if consumer.pending
    ]
    first, last = resp.bulk(format_id(ids[0])), resp.bulk(format_id(ids[-1]))
    return resp.array((resp.integer(len(ids)), first, last, resp.array(holders)))


@dataclass(slots=True)
class _ClaimOptions:
    delivered_ms: int
    deliveries: int | None = None
    force: bool = False
    just_id: bool = False
    last_id: int = 0


def xclaim(session: Session, argv: list[bytes]) -> bytes:  # noqa: C901 - one loop, one case after the other
    """XCLAIM key group consumer min-idle id ... [IDLE ms] [TIME ms] [RETRYCOUNT n] [FORCE] [JUSTID] [LASTID id]"""
    stream, group = require_group(session.db, argv[1], argv[2])
    min_idle_ms = max(0, parse_int(argv[4], "ERR Invalid min-idle-time argument for XCLAIM"))
    position = 5
    ids: list[int] = []
    while position < len(argv) and argv[position][:1].isdigit():
        ids.append(parse_id(argv[position]))
        position += 1
    now_ms = session.engine.keyspace.now_ms
    options = _parse_claim_options(argv, position, now_ms)
    changed = False
    if options.last_id > group.last_id:
        group.last_id = options.last_id
        changed = True
    created = argv[3] not in group.consumers
    consumer = group.consumer(argv[3], now_ms)
    replies: list[bytes] = []
    for entry_id in ids:
        pending = group.pending.get(entry_id)
        entry = stream.get(entry_id)
        if entry is None:
            changed |= group.drop(entry_id)
            continue
        if pending is None:
            if not options.force:
                continue
            pending = Pending(consumer, options.delivered_ms)
            group.put(entry_id, pending)
        elif min_idle_ms and now_ms - pending.delivered_ms < min_idle_ms:
            continue
        group.give(entry_id, pending, consumer)
        pending.delivered_ms = options.delivered_ms
        if options.deliveries is not None:
            pending.deliveries = options.deliveries
        elif not options.just_id:
            pending.deliveries += 1
        consumer.active_ms = now_ms
        changed = True
        replies.append(resp.bulk(format_id(entry_id)) if options.just_id else entry)
    if changed or created:
        session.db.note_change(argv[1])
    return resp.array(replies)


def _parse_claim_options(argv: list[bytes], position: int, now_ms: int) -> _ClaimOptions:
    options = _ClaimOptions(now_ms)
    while position < len(argv):
        option = argv[position].lower()
        more = position + 1 < len(argv)
        if option == b"force":
            options.force = True
        elif option == b"justid":
            options.just_id = True
        elif option == b"idle" and more:
            options.delivered_ms = now_ms - parse_int(argv[position + 1], "ERR Invalid IDLE option argument for XCLAIM")
            position += 1
        elif option == b"time" and more:
            options.delivered_ms = parse_int(argv[position + 1], "ERR Invalid TIME option argument for XCLAIM")
            position += 1
        elif option == b"retrycount" and more:
            options.deliveries = parse_int(argv[position + 1], "ERR Invalid RETRYCOUNT option argument for XCLAIM")
            if options.deliveries < 0:
                options.deliveries = None
            position += 1
        elif option == b"lastid" and more:
            options.last_id = parse_id(argv[position + 1])
            position += 1
        else:
            raise ReplyError(f"ERR Unrecognized XCLAIM option '{text_of(argv[position])}'")
        position += 1
    if not 0 <= options.delivered_ms <= now_ms:
        options.delivered_ms = now_ms
    return options


def xautoclaim(session: Session, argv: list[bytes]) -> bytes:  # noqa: C901 - one loop, one case after the other
    """XAUTOCLAIM key group consumer min-idle start [COUNT count] [JUSTID]"""
    min_idle_ms = max(0, parse_int(argv[4], "ERR Invalid min-idle-time argument for XAUTOCLAIM"))
    start = parse_range_start(argv[5])
    count, just_id = 100, False
    position = 6
    while position < len(argv):
        option = argv[position].lower()
        if option == b"count" and position + 1 < len(argv):
            count = parse_int(argv[position + 1], "ERR COUNT must be > 0")
            if not 0 < count <= (2**63 - 1) // 16:
                raise ReplyError("ERR COUNT must be > 0")
            position += 1
        elif option == b"justid":
            just_id = True
        else:
            raise ReplyError(SYNTAX_ERROR)
        position += 1
    stream, group = require_group(session.db, argv[1], argv[2])
    now_ms = session.engine.keyspace.now_ms
    created = argv[3] not in group.consumers
    consumer = group.consumer(argv[3], now_ms)
    replies: list[bytes] = []
    gone: list[int] = []
    cursor = 0
    attempts = count * 10
    for entry_id, pending in group.pending_from(start):
        if not attempts or len(replies) + len(gone) >= count:
            cursor = entry_id
            break
        attempts -= 1
        entry = stream.get(entry_id)
        if entry is None:
            gone.append(entry_id)
            continue
        if min_idle_ms and now_ms - pending.delivered_ms < min_idle_ms:
            continue
        group.give(entry_id, pending, consumer)
        pending.delivered_ms = now_ms
        if not just_id:
            pending.deliveries += 1
        consumer.active_ms = now_ms
        replies.append(resp.bulk(format_id(entry_id)) if just_id else entry)
    for entry_id in gone:
        group.drop(entry_id)
    if replies or gone or created:
        session.db.note_change(argv[1])
    deleted = resp.array([resp.bulk(format_id(entry_id)) for entry_id in gone])
    return resp.array((resp.bulk(format_id(cursor)), resp.array(replies), deleted))


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


def xinfo(session: Session, argv: list[bytes]) -> bytes:
    """XINFO STREAM key [FULL [COUNT count]] | GROUPS key | CONSUMERS key group"""
    subcommand = argv[1].lower()
    arity = {b"stream": -3, b"groups": 3, b"consumers": 4}.get(subcommand)
    if arity is None:
        raise unknown_subcommand("xinfo", argv[1])
    if len(argv) < abs(arity) or (arity > 0 and len(argv) != arity):
        raise wrong_arity(f"xinfo|{subcommand.decode()}")
    stream = session.db.stream(argv[2])
    if stream is None:
        raise ReplyError("ERR no such key")
    if subcommand == b"groups":
        return resp.array([_group_row(session, stream, name) for name in sorted(stream.groups)])
    if subcommand == b"consumers":
        group = stream.groups.get(argv[3])
        if group is None:
            raise ReplyError(f"NOGROUP No such consumer group '{text_of(argv[3])}' for key name '{text_of(argv[2])}'")
        return resp.array([_consumer_row(session, group.consumers[name]) for name in sorted(group.consumers)])
    return _xinfo_stream(session, argv, stream)


def _row(session: Session, **columns: bytes) -> bytes:
    parts: list[bytes] = []
    for name, value in columns.items():
        parts += (resp.bulk(name.replace("_", "-").encode()), value)
    return session.mapping(parts)


def _number(session: Session, value: int | None) -> bytes:
    return session.null() if value is None else resp.integer(value)


def _group_row(session: Session, stream: Stream, name: bytes) -> bytes:
    group = stream.groups[name]
    return _row(
        session,
        name=resp.bulk(name),
        consumers=resp.integer(len(group.consumers)),
        pending=resp.integer(len(group.pending)),
        last_delivered_id=resp.bulk(format_id(group.last_id)),
        entries_read=_number(session, None if group.entries_read == UNKNOWN else group.entries_read),
        lag=_number(session, stream.lag(group)),
    )


def _consumer_row(session: Session, consumer: Consumer) -> bytes:
    now_ms = session.engine.keyspace.now_ms
    inactive_ms = -1 if consumer.active_ms < 0 else max(0, now_ms - consumer.active_ms)
    return _row(
        session,
        name=resp.bulk(consumer.name),
        pending=resp.integer(len(consumer.pending)),
        idle=resp.integer(max(0, now_ms - consumer.seen_ms)),
        inactive=resp.integer(inactive_ms),
    )


def _xinfo_stream(session: Session, argv: list[bytes], stream: Stream) -> bytes:
    full, count = _parse_full(argv)
    common = {
        "length": resp.integer(len(stream)),
        "radix_tree_keys": resp.integer(stream.nodes),
        "radix_tree_nodes": resp.integer(stream.nodes + 1),
        "last_generated_id": resp.bulk(format_id(stream.last_id)),
        "max_deleted_entry_id": resp.bulk(format_id(stream.max_deleted_id)),
        "entries_added": resp.integer(stream.entries_added),
        "recorded_first_entry_id": resp.bulk(format_id(stream.first_id if len(stream) else 0)),
    }
    if not full:
        first = stream.between(0, ID_MAX, 1)
        last = stream.between(0, ID_MAX, 1, newest_first=True)
        return _row(
            session,
            **common,
            groups=resp.integer(len(stream.groups)),
            first_entry=first[0] if first else session.null(),
            last_entry=last[0] if last else session.null(),
        )
    groups = [_full_group(session, stream, name, count) for name in sorted(stream.groups)]
    entries = resp.array(stream.between(0, ID_MAX, count))
    return _row(session, **common, entries=entries, groups=resp.array(groups))


def _parse_full(argv: list[bytes]) -> tuple[bool, int | None]:
    rest = [argument.lower() for argument in argv[3:]]
    if not rest:
        return False, None
    if rest[0] != b"full" or len(rest) not in {1, 3} or (len(rest) == 3 and rest[1] != b"count"):  # noqa: PLR2004
        raise ReplyError("ERR unknown subcommand or wrong number of arguments for 'STREAM'. Try XINFO HELP.")
    count = parse_int(rest[2]) if len(rest) == 3 else 10  # noqa: PLR2004 - FULL COUNT n
    return True, (10 if count < 0 else count or None)


def _full_group(session: Session, stream: Stream, name: bytes, count: int | None) -> bytes:
    group = stream.groups[name]
    now_ms = session.engine.keyspace.now_ms
    pending = list(group.pending_from(0))
    rows = [
        resp.encode([format_id(entry_id), one.consumer.name, one.delivered_ms, one.deliveries], resp3=session.resp3)
        for entry_id, one in pending[:count]
    ]
    consumers = []
    for consumer_name in sorted(group.consumers):
        consumer = group.consumers[consumer_name]
        held = [
            resp.encode([format_id(entry_id), one.delivered_ms, one.deliveries], resp3=session.resp3)
            for entry_id, one in pending
            if one.consumer is consumer
        ][:count]
        consumers.append(
            _row(
                session,
                name=resp.bulk(consumer_name),
                seen_time=resp.integer(consumer.seen_ms),
                active_time=resp.integer(min(consumer.active_ms, now_ms)),
                pel_count=resp.integer(len(consumer.pending)),
                pending=resp.array(held),
            )
        )
    return _row(
        session,
        name=resp.bulk(name),
        last_delivered_id=resp.bulk(format_id(group.last_id)),
        entries_read=_number(session, None if group.entries_read == UNKNOWN else group.entries_read),
        lag=_number(session, stream.lag(group)),
        pel_count=resp.integer(len(group.pending)),
        pending=resp.array(rows),
        consumers=resp.array(consumers),
    )


COMMANDS = (
    Command("xreadgroup", -7, xreadgroup, writes=True),
    Command("xack", -4, xack, writes=True),
    Command("xpending", -3, xpending),
    Command("xclaim", -6, xclaim, writes=True),
    Command("xautoclaim", -6, xautoclaim, writes=True),
    Command("xgroup", -2, xgroup, writes=True),
    Command("xinfo", -2, xinfo),
)
