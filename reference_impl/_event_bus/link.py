"""One connection to Redis: requests out, replies in, every request with a deadline.

redis-py makes the connection (URL, TLS, AUTH, SELECT), then this protocol takes the transport over and hiredis parses
the replies. That buys what publishing needs: a reset is noticed while nothing is asked; neither a task nor a lock
stands between a publish and the socket; and an unanswered request drops the link for good, because after one of those
nobody can say which reply belongs to whom. A dropped link discards what it had not yet sent.
"""

import asyncio
import logging
import math
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeAlias

import hiredis
import msgspec
from redis.asyncio.connection import AbstractConnection, Connection, parse_url
from redis.exceptions import RedisError

from reference_impl._event_bus.encoding import Reply, pack

log = logging.getLogger(__name__)

OnReplies: TypeAlias = "Callable[[Sequence[Reply] | LinkError], None]"
_POOL_ONLY = frozenset({"max_connections", "timeout"})
_INCOMPLETE = object()
_HELLO = pack("PING") + pack("INFO", "server")


class LinkError(Exception):
    """The link is gone: refused, reset, timed out, or the server said something that makes it useless."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where Redis is. Holds the credentials of the URL; its text form does not show them."""

    _url: str = field(repr=False)
    _parsed: Mapping[str, Any] = field(init=False, repr=False, compare=False)
    _unused: list[AbstractConnection] = field(init=False, repr=False, compare=False, default_factory=list)

    def __post_init__(self) -> None:
        """Refuse a URL that redis-py cannot read.

        Raises:
            ValueError: The scheme is unknown, or a query argument is invalid.

        """
        object.__setattr__(self, "_parsed", {**parse_url(self._url)})

    def __str__(self) -> str:
        found = self._parsed
        return found.get("path") or f"{found.get('host', 'localhost')}:{found.get('port', 6379)}"

    def connection(self) -> AbstractConnection:
        """Return an unconnected connection of the right kind; RESP2 and no client info save round trips."""
        if self._unused:
            return self._unused.pop()
        kwargs: dict[str, Any] = {key: value for key, value in self._parsed.items() if key not in _POOL_ONLY}
        kind = kwargs.pop("connection_class", Connection)
        kwargs.update(protocol=2, driver_info=None, socket_timeout=None, socket_connect_timeout=None)
        made: AbstractConnection = kind(**kwargs)
        return made

    async def give_back(self, connection: AbstractConnection) -> None:
        """Take a connection that could not be made, for the next attempt: to make the object is a third of one."""
        await connection.disconnect(nowait=True)
        self._unused.append(connection)


class _Request(msgspec.Struct, eq=False):
    """What was asked: so many replies, until then. A struct, as one is made for every round trip."""

    count: int
    deadline: float
    done: OnReplies
    replies: list[Reply] = []


class Link(asyncio.Protocol):
    """An established connection. Replies arrive in request order; error replies are exception objects among them."""

    def __init__(self, connection: AbstractConnection) -> None:
        writer = connection._writer  # noqa: SLF001 - the one place where redis-py hands its connection over
        assert writer is not None, "not connected"
        self._connection = connection
        self._transport = writer.transport
        self._loop = asyncio.get_running_loop()
        self._parser = hiredis.Reader(notEnoughData=_INCOMPLETE)
        self._requests: deque[_Request] = deque()
        self._watch: asyncio.TimerHandle | None = None
        self._watch_at = math.inf
        self._cause: str | None = None
        self._gone: asyncio.Future[None] = self._loop.create_future()
        self.run_id: str | None = None
        self.on_lost: Callable[[], None] | None = None
        self._transport.set_protocol(self)

    @classmethod
    async def open(cls, address: Address, limit: float) -> "Link":
        """Connect, and make sure that the server answers; learn which process it is.

        Raises:
            LinkError: Refused, not answered within `limit` seconds, not authorised, or still loading.

        """
        connection = address.connection()
        try:
            async with asyncio.timeout(limit):
                await connection.connect()  # type: ignore[no-untyped-call]  # redis-py leaves it untyped
            if not _is_alive(connection):
                raise ConnectionResetError("closed as soon as it was made")  # noqa: TRY301 - a failure like the others
        except (RedisError, OSError, TimeoutError) as error:
            await address.give_back(connection)
            raise LinkError(f"cannot reach Redis at {address}: {type(error).__name__}") from error
        except BaseException:
            await connection.disconnect(nowait=True)
            raise
        link = cls(connection)
        try:
            pong, info = await link.ask(_HELLO, 2, limit)
        except BaseException:
            await link.aclose()
            raise
        if isinstance(pong, Exception):
            await link.aclose()
            raise LinkError(f"Redis at {address} refuses: {pong}")
        link.run_id = _run_id(info)
        return link

    @property
    def is_open(self) -> bool:
        """Whether requests can still be made."""
        return self._cause is None

    def request(self, packed: bytes, replies: int, limit: float, done: OnReplies) -> None:
        """Send commands that have so many replies; `done` is called once with all of them, or with the error,

        On a link that is already lost, `done` is called at once.
        """
        if self._cause is not None:
            done(LinkError(self._cause))
            return
        request = _Request(replies, self._loop.time() + limit, done)
        self._requests.append(request)
        if request.deadline < self._watch_at:
            self._watch_until(request.deadline)
        self._transport.write(packed)

    def ask(self, packed: bytes, replies: int, limit: float) -> "asyncio.Future[Sequence[Reply]]":
        """Send commands; the future has their replies, or a `LinkError` if the link was lost first."""
        answer: asyncio.Future[Sequence[Reply]] = self._loop.create_future()
        self.request(packed, replies, limit, partial(_settle, answer))
        return answer

    def abort(self, cause: str) -> None:
        """Drop the link now, unsent bytes and all; everything unanswered fails."""
        if self._cause is not None:
            return
        self._cause = cause
        self._watch_until(math.inf)
        self._transport.abort()
        unanswered, self._requests = self._requests, deque()
        for request in unanswered:
            request.done(LinkError(cause))
        if self.on_lost is not None:
            self.on_lost()

    async def aclose(self) -> None:
        """Drop the link and wait until nothing of it is left."""
        self.on_lost = None
        self.abort("closed")
        await self._gone
        await self._connection.disconnect(nowait=True)

    def data_received(self, data: bytes) -> None:
        """Hand out the replies in these bytes."""
        parser = self._parser
        try:
            parser.feed(data)
            while (reply := parser.gets()) is not _INCOMPLETE:
                requests = self._requests  # another one after an abort
                if not requests:
                    self.abort("a reply without a request")
                    return
                request = requests[0]
                request.replies.append(reply)
                if len(request.replies) == request.count:
                    requests.popleft()
                    request.done(request.replies)
        except hiredis.ProtocolError as error:
            self.abort(f"not a Redis server: {error}")

    def connection_lost(self, exc: Exception | None) -> None:
        """The peer or the network ended it, or `abort` did."""
        if not self._gone.done():
            self._gone.set_result(None)
        self.abort(f"{type(exc).__name__}: {exc}" if exc else "closed by the server")

    def _check_deadline(self) -> None:
        """Drop the link if a request is overdue; else look again when the next would be."""
        deadline = min((request.deadline for request in self._requests), default=math.inf)
        if deadline <= self._loop.time():
            self.abort("no reply in time")
        else:
            self._watch_until(deadline)

    def _watch_until(self, deadline: float) -> None:
        """Have the deadlines looked at then, and not before; never, if it is infinite."""
        if self._watch is not None:
            self._watch.cancel()
        self._watch_at = deadline
        self._watch = None if deadline == math.inf else self._loop.call_at(deadline, self._check_deadline)


def _settle(answer: "asyncio.Future[Sequence[Reply]]", result: Sequence[Reply] | LinkError) -> None:
    if answer.done():  # whoever asked was cancelled
        return
    if isinstance(result, LinkError):
        answer.set_exception(result)
    else:
        answer.set_result(result)


def _is_alive(connection: AbstractConnection) -> bool:
    """Whether the peer has not hung up yet. After the transport is taken over nobody would say so again."""
    reader, writer = connection._reader, connection._writer  # noqa: SLF001 - as in Link
    return reader is not None and writer is not None and not writer.is_closing() and not reader.at_eof()


def _run_id(info: Reply) -> str | None:
    """Find the identity of the server process in the reply to INFO; None if the server does not tell."""
    if isinstance(info, bytes):
        for line in info.splitlines():
            if line.startswith(b"run_id:"):
                return line.removeprefix(b"run_id:").strip().decode() or None
    log.warning("Redis does not tell its run id: a restart that loses events cannot be noticed")
    return None
