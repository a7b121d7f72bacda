"""Conversations with Redis: read the document, or change it by compare-and-set, each with a deadline.

A conversation that does not end well ends its connection: after an unanswered request nobody can say which reply
belongs to whom. An error reply counts as Redis being away, but for WRONGTYPE, which tells that something that is no
document lies under the key.
"""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final

from redis.asyncio.connection import AbstractConnection, ConnectionPool
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError, ResponseError

from reference_impl._policy.errors import PolicyUnreachableError

WRONG_TYPE: Final = b""
"""What `read` returns for a key that holds no string; empty, so no document."""


class Talk:
    """One conversation. Requests of one call go out together."""

    def __init__(self, connection: AbstractConnection, key: str, channel: str) -> None:
        self._connection = connection
        self._key = key
        self._channel = channel
        self.sent = False
        """A write was sent, and its outcome is not known (yet)."""

    async def read(self) -> bytes | None:
        """Return what lies under the key."""
        return _content((await self._ask(("GET", self._key)))[0])

    async def watch(self) -> bytes | None:
        """Return what lies under the key, and have a later `write` fail if that has changed meanwhile."""
        return _content((await self._ask(("WATCH", self._key), ("GET", self._key)))[1])

    async def write(self, content: bytes, note: str) -> bool:
        """Replace what was watched, and publish the note; False if somebody else was faster."""
        self.sent = True
        *queued, done = await self._ask(
            ("MULTI",), ("SET", self._key, content), ("PUBLISH", self._channel, note), ("EXEC",)
        )
        self.sent = False
        refused = [reply for reply in (*queued, done) if isinstance(reply, ResponseError)]
        if refused:
            raise PolicyUnreachableError(f"Redis refuses: {refused[0]}")
        return done is not None

    async def _ask(self, *requests: Sequence[Any]) -> list[Any]:
        connection = self._connection
        await connection.send_packed_command(connection.pack_commands(requests), check_health=False)
        replies = []
        for _ in requests:
            try:
                replies.append(await connection.read_response())
            except ResponseError as error:
                replies.append(error)
        return replies


def _content(reply: Any) -> bytes | None:
    if isinstance(reply, ResponseError):
        if str(reply).startswith("WRONGTYPE"):
            return WRONG_TYPE
        raise PolicyUnreachableError(f"Redis refuses: {reply}")
    assert reply is None or isinstance(reply, bytes), reply
    return reply


class Line:
    """The way to Redis of one store. Connections are made when they are needed; `timeout` (s) is of a conversation."""

    def __init__(self, url: str, *, key: str, channel: str, timeout: float) -> None:
        self._pool: Any = ConnectionPool.from_url(
            url,
            protocol=2,
            decode_responses=False,
            driver_info=None,
            socket_timeout=None,
            socket_connect_timeout=None,
            retry=Retry(NoBackoff(), 0),
        )
        self._key = key
        self._channel = channel
        self._timeout = timeout
        self._idle: list[AbstractConnection] = []

    @asynccontextmanager
    async def talk(self) -> AsyncIterator[Talk]:
        """Hold a conversation.

        Raises:
            PolicyUnreachableError: Redis is away, refuses, or did not answer in time.

        """
        connection: AbstractConnection = self._idle.pop() if self._idle else self._pool.make_connection()
        ended_well = False
        try:
            async with asyncio.timeout(self._timeout):
                await connection.connect()  # type: ignore[no-untyped-call]
                yield Talk(connection, self._key, self._channel)
            ended_well = True
        except (RedisError, OSError, TimeoutError) as error:
            text = " ".join(str(error).split()) or type(error).__name__
            raise PolicyUnreachableError(f"Redis does not answer: {text}") from error
        finally:
            if not ended_well:
                await _drop(connection)
            self._idle.append(connection)  # it connects again when it is needed

    async def notes(self) -> AsyncGenerator[bytes, None]:
        """Yield what is published on the channel, and an empty note once subscribed; ends when the connection does."""
        connection = self._pool.make_connection()
        try:
            async with asyncio.timeout(self._timeout):
                await connection.connect()
                await connection.send_command("SUBSCRIBE", self._channel, check_health=False)
                await connection.read_response()
            yield b""
            while True:
                yield (await connection.read_response())[2]
        except (RedisError, OSError, TimeoutError):
            return
        finally:
            await _drop(connection)

    async def close(self) -> None:
        """End every connection that is not in use."""
        while self._idle:
            await _drop(self._idle.pop())


async def _drop(connection: AbstractConnection) -> None:
    with contextlib.suppress(RedisError, OSError):
        await connection.disconnect(nowait=True)
