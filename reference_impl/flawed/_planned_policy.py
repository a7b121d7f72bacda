"""The policy store as the plan sketches it, known holes included.

Redis through a plain client with its default timeouts. A refresh is begun by every read that finds the policy older
than `max_age`, going by the wall clock, and by every notification. An update reads, changes and writes the whole
policy, unless Redis is away: then only the snapshot, written in place, has it. The version is the time of the update.
Without any source the profile is NORMAL.
"""

import asyncio
import contextlib
import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import redis.asyncio as redis
from redis.exceptions import RedisError

from reference_impl._policy.freshness import PolicyView
from reference_impl._policy.profiles import Policy

_KEY = "policy"
_CHANNEL = "policy.updated"


class PlannedPolicyStore:
    """The plan's PolicyStore; options other than `max_age` are accepted and ignored."""

    def __init__(self, redis_url: str, snapshot_path: str | Path, *, max_age: float = 600.0, **_: Any) -> None:
        self._client: redis.Redis = redis.Redis.from_url(redis_url)
        self._path = Path(snapshot_path)
        self._max_age = max_age
        self._fields: dict[str, Any] = {"profile": "NORMAL"}
        self._version = 0
        self._read_at = 0.0
        self._source = "none"
        self._tasks: set[asyncio.Task[None]] = set()
        self._callbacks: list[Callable[[PolicyView], None]] = []

    async def start(self) -> None:
        """Load the snapshot, ask Redis, and listen."""
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            self._take(json.loads(self._path.read_text()), "snapshot")
        await self._ask()
        self._begin(self._listen())

    def get(self) -> PolicyView:
        """Return what is known; begin a refresh if that is old."""
        if time.time() - self._read_at > self._max_age and self._tasks:
            self._begin(self._ask())
        tightened = {
            name: self._fields[name]
            for name in ("risk_bps", "drawdown_bps", "leverage")
            if self._fields.get(name) is not None
        }
        caps = {name[4:]: value for name, value in self._fields.items() if name.startswith("cap:")}
        policy = Policy(profile=str(self._fields["profile"]), tightened=tightened, caps=caps)
        source: Any = self._source
        return PolicyView(policy=policy, version=self._version, age=None, stale=False, defensive=False, source=source)

    async def refresh(self) -> PolicyView:
        """Ask Redis now."""
        await self._ask()
        return self.get()

    async def update(self, sets: Mapping[str, Any], *, adds: Mapping[str, int] | None = None) -> PolicyView:
        """Read, change, write."""
        await self._ask()
        self._fields = {**self._fields, **sets}
        for name, by in (adds or {}).items():
            self._fields[name] = self._fields.get(name, 0) + by
        self._version = int(time.time() * 1_000)
        text = json.dumps({"version": self._version, "fields": self._fields})
        self._path.write_text(text)
        with contextlib.suppress(RedisError, OSError):
            await self._client.set(_KEY, text)
            await self._client.publish(_CHANNEL, str(self._version))
        return self.get()

    def on_update(self, callback: Callable[[PolicyView], None]) -> None:
        """Have `callback` told of each new version."""
        self._callbacks.append(callback)

    async def close(self) -> None:
        """Stop the tasks and the client."""
        while pending := [task for task in self._tasks if not task.done()]:
            for task in pending:  # again and again: redis-py can swallow a cancellation
                task.cancel()
            await asyncio.wait(pending, timeout=0.1)
        await self._client.aclose()

    def _begin(self, work: Any) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _ask(self) -> None:
        with contextlib.suppress(RedisError, OSError, ValueError, KeyError, TypeError):
            text: Any = await self._client.get(_KEY)
            if text is not None:
                self._take(json.loads(text), "redis")
                self._path.write_bytes(bytes(text))

    def _take(self, found: Any, source: str) -> None:
        new = found["version"] != self._version
        self._version, self._fields = int(found["version"]), dict(found["fields"])
        self._read_at = time.time()
        self._source = source
        if new:
            for callback in self._callbacks:
                callback(self.get())

    async def _listen(self) -> None:
        while True:
            try:
                async with self._client.pubsub() as channel:
                    await channel.subscribe(_CHANNEL)
                    async for _ in channel.listen():
                        await self._ask()
            except (RedisError, OSError):
                await asyncio.sleep(1)
