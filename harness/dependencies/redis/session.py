"""One client as the engine sees it: what it selected, queued, watches, subscribed to and waits for. No I/O."""

import asyncio
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from harness.dependencies.redis import resp
from harness.dependencies.redis.keyspace import KeyDatabase

if TYPE_CHECKING:
    from harness.dependencies.redis.commands import Command
    from harness.dependencies.redis.engine import Engine
    from harness.dependencies.redis.group_commands import GroupRead


class Outlet(Protocol):
    """The way back to the client."""

    def send(self, data: bytes) -> None:
        """Send bytes; never blocks."""

    def resume(self) -> None:
        """Go on with what the client has sent meanwhile."""

    def close(self) -> None:
        """Close once what was sent is out."""

    def abort(self) -> None:
        """Reset the connection."""


class NoOutlet:
    """The outlet of a session without a client, such as the one that replays a log."""

    def send(self, data: bytes) -> None:
        """Nobody listens."""

    def resume(self) -> None:
        """Nothing waits."""

    def close(self) -> None:
        """Nothing to close."""

    def abort(self) -> None:
        """Nothing to reset."""


@dataclass(slots=True)
class Blocked:
    """What a blocked client waits for: `attempt` is made when one of the keys was written. May be used again."""

    db: KeyDatabase
    keys: tuple[bytes, ...]  # none stands for any
    attempt: Callable[[], bytes | None]
    empty: Callable[[], bytes]
    argv: list[bytes]
    deadline: float = math.inf  # in the loop's seconds; infinite if it waits for ever


class Session:
    """The state of one client."""

    __slots__ = (
        "address",
        "alarm",
        "alarm_at",
        "blocked",
        "channels",
        "client_id",
        "closing",
        "created_ms",
        "db",
        "engine",
        "group_reads",
        "library",
        "local_address",
        "loop",
        "may_block",
        "name",
        "outlet",
        "patterns",
        "queue",
        "queue_failed",
        "resp3",
        "running",
        "signed_in",
        "watch_broken",
        "watched",
    )

    def __init__(self, engine: "Engine", client_id: int, outlet: Outlet) -> None:
        self.engine = engine
        self.client_id = client_id
        self.outlet = outlet
        self.address = ""
        self.local_address = ""
        self.created_ms = engine.keyspace.now_ms
        self.db: KeyDatabase = engine.keyspace.dbs[0]
        self.resp3 = False
        self.name = b""
        self.library = (b"", b"")
        self.signed_in = not engine.password
        self.queue: list[tuple[Command, list[bytes]]] | None = None
        self.queue_failed = False
        self.watched: list[tuple[KeyDatabase, bytes]] = []
        self.watch_broken = False
        self.channels: dict[bytes, None] = {}
        self.patterns: dict[bytes, None] = {}
        self.blocked: Blocked | None = None
        self.loop: asyncio.AbstractEventLoop | None = None  # known once it has waited with a timeout
        self.alarm: asyncio.TimerHandle | None = None
        self.alarm_at = math.inf
        self.group_reads: list[GroupRead] = []  # the last few
        self.may_block = True
        self.closing = False
        self.running: list[bytes] = []

    def null(self) -> bytes:
        """Return the absent value in this client's protocol."""
        return resp.NULL if self.resp3 else resp.NULL_BULK

    def null_array(self) -> bytes:
        """Return the absent array in this client's protocol."""
        return resp.NULL if self.resp3 else resp.NULL_ARRAY

    def mapping(self, parts: Sequence[bytes]) -> bytes:
        """Return a map in this client's protocol."""
        return resp.mapping(parts, resp3=self.resp3)

    def watch(self, key: bytes) -> None:
        """Fail the next EXEC if that key is written before it."""
        if (self.db, key) not in self.watched:
            self.watched.append((self.db, key))
            self.db.watchers.setdefault(key, {})[self] = None

    def unwatch(self) -> None:
        """Forget every watched key."""
        for db, key in self.watched:
            watchers = db.watchers.get(key)
            if watchers is not None:
                watchers.pop(self, None)
                if not watchers:
                    del db.watchers[key]
        self.watched.clear()
        self.watch_broken = False

    def block(
        self, keys: tuple[bytes, ...], attempt: Callable[[], bytes | None], empty: Callable[[], bytes], timeout_ns: int
    ) -> None:
        """Wait until a write to one of the keys (none: to any) lets `attempt` return a reply; 0 ns waits for ever."""
        self.wait(Blocked(self.db, keys, attempt, empty, self.running), timeout_ns)

    def wait(self, blocked: Blocked, timeout_ns: int) -> None:
        """Wait for what may have been waited for before; 0 ns waits for ever."""
        blocked.deadline = math.inf
        if timeout_ns:
            loop = self.loop
            if loop is None:
                loop = self.loop = asyncio.get_running_loop()
            blocked.deadline = deadline = loop.time() + timeout_ns / 1e9
            if self.alarm_at > deadline:
                self._ring_at(loop, deadline)
        self.blocked = blocked.db.waiters[self] = blocked

    def _ring_at(self, loop: asyncio.AbstractEventLoop, deadline: float) -> None:
        """Have the alarm ring at the deadline.

        Nearly every wait ends long before its timeout, so one timer per second instead of one per command will do: one
        that is set already is only moved if it is too late.
        """
        if self.alarm is not None:
            self.alarm.cancel()
        self.alarm = loop.call_at(deadline, self._ring)
        self.alarm_at = deadline

    def _ring(self) -> None:
        rang_at, self.alarm, self.alarm_at = self.alarm_at, None, math.inf
        blocked = self.blocked
        if blocked is None or blocked.deadline == math.inf:
            return
        if blocked.deadline <= rang_at:
            self.time_out()
        else:
            self._ring_at(asyncio.get_running_loop(), blocked.deadline)

    def unblock(self) -> None:
        """Stop waiting."""
        blocked = self.blocked
        if blocked is not None:
            self.blocked = None
            del blocked.db.waiters[self]

    def time_out(self) -> None:
        """Answer as a server does when nothing came in time."""
        blocked = self.blocked
        if blocked is not None:
            self.answer_blocked(blocked.empty())

    def answer_blocked(self, reply: bytes) -> None:
        """Answer the blocked command and go on with the client's next one."""
        self.unblock()
        self.outlet.send(reply)
        self.outlet.resume()

    def forget(self) -> None:
        """Leave no trace in the server: the client is gone."""
        self.closing = True
        self.unblock()
        if self.alarm is not None:
            self.alarm.cancel()
            self.alarm, self.alarm_at = None, math.inf
        self.unwatch()
        self.engine.pubsub.leave(self)
        self.engine.sessions.pop(self.client_id, None)
