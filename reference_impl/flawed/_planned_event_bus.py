"""The event bus as the plan sketches it, known holes included.

Redis through a plain client with its default timeouts; on an exception a row is inserted into a file opened, trimmed
with `DELETE ... NOT IN` and closed again for each event, on the event loop; every 5 s a background task replays the
rows in id order, while live events go directly, and deletes all of them even if the replay stopped half-way. Overflow
is not counted. Consumers do not recognise repetitions.
"""

import asyncio
import contextlib
import json
import sqlite3
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import redis.asyncio as redis
from redis.exceptions import RedisError, ResponseError

from reference_impl._event_bus.encoding import decode_entry
from reference_impl._event_bus.model import Handler

_CAPACITY = 10_000
_POLL = 5.0  # seconds
_INSERT = "INSERT INTO event_buffer (event_id, event_type, payload, timestamp) VALUES (?, ?, ?, ?)"
_TRIM = "DELETE FROM event_buffer WHERE id NOT IN (SELECT id FROM event_buffer ORDER BY id DESC LIMIT ?)"
_SCHEMA = """CREATE TABLE IF NOT EXISTS event_buffer (id INTEGER PRIMARY KEY AUTOINCREMENT,
event_id TEXT, event_type TEXT, payload TEXT, timestamp REAL)"""


@dataclass(frozen=True, slots=True)
class PlannedStats:
    """The figures of the planned bus; `dropped` is never counted."""

    mode: Literal["direct", "fallback"]
    buffered: int
    dropped: int = 0


class PlannedEventBus:
    """The plan's EventBusV2; options are accepted and ignored."""

    def __init__(self, redis_url: str, fallback_db_path: str | Path, *, name: str = "bus", **_: Any) -> None:
        self._client: redis.Redis = redis.Redis.from_url(redis_url)
        self._path = Path(fallback_db_path)
        self._name = name
        self._using_fallback = False
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Create the file and begin polling."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._execute(_SCHEMA)
        self._tasks.append(asyncio.create_task(self._poll()))

    async def publish_event(self, event_type: str, payload: Mapping[str, Any]) -> str:
        """Publish to Redis, or on an exception into the file."""
        event = (uuid.uuid4().hex, event_type, json.dumps(payload), time.time())
        try:
            await self._xadd(*event)
        except (RedisError, OSError):
            self._using_fallback = True
            self._execute(_INSERT, *event)
            self._execute(_TRIM, _CAPACITY)
        return event[0]

    async def resync_from_fallback(self) -> int:
        """Replay the rows in id order, then delete them all."""
        rows = self._execute("SELECT event_id, event_type, payload, timestamp FROM event_buffer ORDER BY id")
        sent = 0
        with contextlib.suppress(RedisError, OSError):
            for row in rows:
                await self._xadd(*row)
                sent += 1
        self._execute("DELETE FROM event_buffer")
        self._using_fallback = False
        return sent

    async def subscribe(self, group: str, event_types: Sequence[str], handler: Handler) -> None:
        """Deliver events of these types."""
        self._tasks.append(asyncio.create_task(self._consume(group, list(event_types), handler)))

    def on_overflow(self, callback: Callable[[Sequence[str]], None]) -> None:
        """Accept a callback that nobody calls."""

    def stats(self) -> PlannedStats:
        """Return the present figures."""
        ((rows,),) = self._execute("SELECT COUNT(*) FROM event_buffer")
        return PlannedStats("fallback" if self._using_fallback else "direct", rows)

    async def close(self) -> None:
        """Stop the tasks and the client."""
        while pending := [task for task in self._tasks if not task.done()]:
            for task in pending:  # again and again: asyncio.wait_for inside redis-py can swallow a cancellation
                task.cancel()
            await asyncio.wait(pending, timeout=0.1)
        await self._client.aclose()

    def _execute(self, statement: str, *values: Any) -> list[Any]:
        with contextlib.closing(sqlite3.connect(self._path)) as db, db:
            return db.execute(statement, values).fetchall()

    async def _xadd(self, event_id: str, event_type: str, payload: str, timestamp: float) -> None:
        fields: dict[Any, Any] = {"event_id": event_id, "payload": payload, "timestamp": timestamp}
        await self._client.xadd(f"events:{event_type}", fields, maxlen=100_000)

    async def _poll(self) -> None:
        while True:
            await asyncio.sleep(_POLL)
            if self._using_fallback:
                with contextlib.suppress(RedisError, OSError):
                    await self._client.ping()
                    await self.resync_from_fallback()

    async def _consume(self, group: str, event_types: Sequence[str], handler: Handler) -> None:
        streams = {f"events:{event_type}": ">" for event_type in event_types}
        while True:
            try:
                for stream in streams:
                    with contextlib.suppress(ResponseError):  # BUSYGROUP
                        await self._client.xgroup_create(stream, group, "0", mkstream=True)
                while True:
                    await self._deliver(group, streams, handler)
            except (RedisError, OSError):
                await asyncio.sleep(1)

    async def _deliver(self, group: str, streams: Mapping[str, str], handler: Handler) -> None:
        wanted: dict[Any, Any] = dict(streams)
        found: Any = await self._client.xreadgroup(group, self._name, wanted, count=100, block=1000)
        batches = found.items() if isinstance(found, dict) else found or ()
        for stream, entries in batches:
            for entry_id, fields in entries:
                pairs = [item for pair in fields.items() for item in pair]
                await handler(decode_entry(stream.decode(), pairs))
                await self._client.xack(stream, group, entry_id)
