"""MULTI, EXEC, DISCARD, WATCH, UNWATCH."""

from harness.dependencies.redis import resp
from harness.dependencies.redis.commands import Command
from harness.dependencies.redis.resp import ReplyError
from harness.dependencies.redis.session import Session


def multi(session: Session, _argv: list[bytes]) -> bytes:
    """MULTI: queue what follows."""
    session.queue = []
    session.queue_failed = False
    return resp.OK


def leave_transaction(session: Session) -> None:
    """Forget the queue and the watched keys."""
    session.queue = None
    session.queue_failed = False
    session.unwatch()


def discard(session: Session, _argv: list[bytes]) -> bytes:
    """DISCARD: forget the queue."""
    if session.queue is None:
        raise ReplyError("ERR DISCARD without MULTI")
    leave_transaction(session)
    return resp.OK


def execute(session: Session, _argv: list[bytes]) -> bytes:
    """EXEC: run the queue as one step in time."""
    queue = session.queue
    if queue is None:
        raise ReplyError("ERR EXEC without MULTI")
    failed, broken = session.queue_failed, session.watch_broken
    leave_transaction(session)
    if failed:
        raise ReplyError("EXECABORT Transaction discarded because of previous errors.")
    if broken:
        return session.null_array()
    engine = session.engine
    may_block, session.may_block = session.may_block, False
    now_ns = engine.keyspace.now_ns
    try:
        return resp.array([engine.run(session, command, argv, now_ns) for command, argv in queue])
    finally:
        session.may_block = may_block


def watch(session: Session, argv: list[bytes]) -> bytes:
    """WATCH key ...: fail the next EXEC if one of them is written before it."""
    for key in argv[1:]:
        session.watch(key)
    return resp.OK


def unwatch(session: Session, _argv: list[bytes]) -> bytes:
    """UNWATCH: forget the watched keys."""
    session.unwatch()
    return resp.OK


COMMANDS = (
    Command("multi", 1, multi, queued=False),
    Command("exec", 1, execute, queued=False),
    Command("discard", 1, discard, queued=False),
    Command("watch", -2, watch, queued=False),
    Command("unwatch", 1, unwatch),
)
