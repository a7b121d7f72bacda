"""XINFO: what a stream, its groups and their consumers look like from outside."""

from harness.dependencies.redis import resp
from harness.dependencies.redis.commands import Command, parse_int, unknown_subcommand, wrong_arity
from harness.dependencies.redis.groups import UNKNOWN, Consumer
from harness.dependencies.redis.resp import ReplyError, text_of
from harness.dependencies.redis.session import Session
from harness.dependencies.redis.stream_ids import ID_MAX, format_id
from harness.dependencies.redis.streams import Stream


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


COMMANDS = (Command("xinfo", -2, xinfo),)
