"""A Redis server that is not ours (`--redis redis://...`): the real world's hosts reach it, and it is left as it is.

It has no process that we could stop or kill, so faults happen at the proxies in front of it: *refuse* closes them,
*hang* lets them accept connections and bring the server nothing, *flapping* is refuse again and again. What takes the
server itself (crashes, its error replies) cannot be done: those modes are left out of a run's plan (`LEFT_OUT`).

What a run leaves in the database would make the next one's judgement worthless, and what was there before belongs to
somebody. So a run begins only in an empty database, unless it was told to empty it (`--redis-flush`).
"""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import redis.asyncio
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from harness.dependencies.redis.faults import REFUSALS
from harness.errors import UsageError, WorldError
from harness.history.events import Observation

if TYPE_CHECKING:
    from harness.dependencies.redis.control import Keep, RedisControl, Refusal
    from harness.world.real.proxies import Doors
    from harness.world.real.world import RealWorld

LEFT_OUT: Final = (
    "redis.outage/crash",
    "redis.outage/crash-lose-window",
    "redis.outage/crash-lose-all",
    *(f"redis.replies/{mode}" for mode in REFUSALS),
)
"""Faults, each with a mode, that cannot be done to it."""

_ANSWER_S_MAX: Final = 5.0


class ForeignRedis:
    """Implements `RedisControl` for a server that somebody else runs. Made by `start_foreign`."""

    def __init__(self, name: str, url: str, doors: "Doors", observe: Callable[[str, Mapping[str, int]], None]) -> None:
        self._name = name
        self._url = url
        self._doors = doors
        self._observe = observe

    @property
    def name(self) -> str:
        """Its name in the scenario."""
        return self._name

    @property
    def url(self) -> str:
        """Where the proxies lead to."""
        return self._url

    async def refuse(self) -> None:
        """Close the way to it: hosts are reset and refused."""
        await self._doors.shut()

    async def accept(self) -> None:
        """Open the way again."""
        await self._doors.open()

    async def freeze(self) -> None:
        """Let nothing reach it that hosts send; they can connect, and hear nothing."""
        await self._doors.stall()

    async def thaw(self) -> None:
        """Let it all arrive, and observe how much there was."""
        connections, count = await self._doors.flow()
        self._observe("unanswered", {"connections": connections, "bytes": count})

    async def crash(self) -> None:
        """Not possible. Raises WorldError."""
        raise self._not_ours("killed")

    async def restart(self, *, keep: "Keep") -> None:
        """Not possible. Raises WorldError."""
        del keep
        raise self._not_ours("started")

    async def refuse_commands(self, refusal: "Refusal") -> None:
        """Not possible. Raises WorldError."""
        raise self._not_ours(f"made to answer {refusal}")

    async def serve_commands(self) -> None:
        """Nothing is refused, so there is nothing to do."""

    async def stop(self) -> None:
        """It goes on: it was there before us."""

    def _not_ours(self, what: str) -> WorldError:
        return WorldError(f"{self._name} at {shown(self._url)} is not ours, so it cannot be {what}; leave out --redis")


async def start_foreign(world: "RealWorld", name: str, url: str, *, flush: bool) -> "RedisControl":
    """Use the server at that URL as the dependency `name`. Raises `UsageError` as `check` does."""
    await check(url, flush=flush)
    if flush:
        async with _client(url) as client:
            await client.flushdb()

    def observe(what: str, value: Mapping[str, int]) -> None:
        world.history.record(Observation(world.now_ns(), name, 1, what, dict(value)))

    return ForeignRedis(name, url, world.doors(name), observe)


async def check(url: str, *, flush: bool) -> None:
    """Raise `UsageError` unless a server answers at that URL, and its database is empty or may be emptied."""
    parts = urlsplit(url)
    try:
        well_formed = parts.scheme == "redis" and parts.hostname and (parts.port or True)
        database = int(parts.path.strip("/") or 0)
    except ValueError:
        well_formed = False
    if not well_formed:
        raise UsageError(f"--redis {shown(url)!r}: write redis://[[user]:password@]host[:port][/database], without TLS")
    try:
        async with _client(url) as client:
            keys = await client.dbsize()
    except (redis.RedisError, OSError) as error:
        reason = " ".join(str(error).split())
        raise UsageError(f"--redis {shown(url)}: no Redis server that lets us in there: {reason}") from None
    if keys and not flush:
        raise UsageError(
            f"--redis {shown(url)}: database {database} is not empty ({keys} keys); name one that is "
            "(redis://host:port/N), or let each run empty it first: --redis-flush"
        )


def shown(url: str) -> str:
    """Return the URL without credentials."""
    scheme, separator, rest = url.partition("://")
    return f"{scheme}{separator}{rest.rpartition('@')[2]}"


def _client(url: str) -> Any:
    """Return a client that neither tries again nor waits for long."""
    return redis.asyncio.Redis.from_url(
        url, socket_timeout=_ANSWER_S_MAX, socket_connect_timeout=_ANSWER_S_MAX, retry=Retry(NoBackoff(), 0)
    )
