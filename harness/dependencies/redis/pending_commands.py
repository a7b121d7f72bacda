"""Commands on entries that were delivered and not acknowledged: XPENDING, XCLAIM, XAUTOCLAIM."""

from dataclasses import dataclass

from harness.dependencies.redis import resp
from harness.dependencies.redis.commands import SYNTAX_ERROR, Command, parse_int
from harness.dependencies.redis.group_commands import require_group
from harness.dependencies.redis.groups import Group, Pending
from harness.dependencies.redis.resp import ReplyError, text_of
from harness.dependencies.redis.session import Session
from harness.dependencies.redis.stream_ids import format_id, parse_id
from harness.dependencies.redis.stream_reads import parse_range_end, parse_range_start


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


COMMANDS = (
    Command("xpending", -3, xpending),
    Command("xclaim", -6, xclaim),
    Command("xautoclaim", -6, xautoclaim),
)
