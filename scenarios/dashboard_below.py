"""What a dashboard's server does on each connection, seen from below it: between its application and the sockets.

Whoever serves `Below` instead of the application sees the target do its work: it notes what is handed over for sending
(`handed`, in the columns of `feed_record.py`), when a connection is taken up, and when it is let go. `served` {client,
session, number, opened_ns, ended_ns, code, events, pending_max} tells of a connection at its end, or at the end of the
run (`ended_ns` is then null): `pending_max` is the most messages that waited in `send` at once.
"""

from collections.abc import Awaitable, Callable
from typing import Any, Final

from harness.units import SECOND
from harness.world.base import Host
from scenarios.feed_client import Batch, FeedError, read
from scenarios.feed_record import NAME_HEADER, Columns, client_of

_HEADER: Final = NAME_HEADER.lower().encode()


class Below:
    """An ASGI application around the target's, which is `app`; it may be another after a while."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self.app: Any = None
        self._open: dict[int, _Connection] = {}
        self._numbers = 0

    async def __call__(self, scope: Any, receive: Callable[[], Awaitable[Any]], send: Callable[[Any], Any]) -> None:
        """Serve, and note."""
        if scope["type"] != "websocket":
            await self.app(scope, receive, send)
            return
        self._numbers += 1
        connection = self._open[self._numbers] = _Connection(self._host, scope, self._numbers)

        async def noted(message: Any) -> None:
            await connection.send(message, send)

        noted.__wrapped__ = send  # type: ignore[attr-defined] # so that the target finds what it would find without this
        try:
            await self.app(scope, receive, noted)
        finally:
            if self._open.pop(connection.number, None) is not None:
                connection.end(self._host.now_ns())

    def finish(self) -> None:
        """Note what is still open: the run ends."""
        for connection in self._open.values():
            connection.end(None)
        self._open.clear()


class _Connection:
    def __init__(self, host: Host, scope: Any, number: int) -> None:
        self._host = host
        name = next((value.decode("latin-1") for field, value in scope["headers"] if field.lower() == _HEADER), "")
        client, session = client_of(name)
        self._columns = Columns(client, session, host.now_ns())
        self.number = number
        self._opened_ns = host.now_ns()
        self._code: int | None = None
        self._events = 0
        self._pending = self._pending_max = 0

    async def send(self, message: Any, send: Callable[[Any], Any]) -> None:
        kind = message["type"]
        if kind == "websocket.send":
            self._note(message)
        elif kind == "websocket.close" and self._code is None:
            self._code = message.get("code", 1000)
        self._pending += 1
        self._pending_max = max(self._pending_max, self._pending)
        try:
            await send(message)
        finally:
            self._pending -= 1

    def end(self, ended_ns: int | None) -> None:
        self._flush()
        self._host.log.observe(
            "served",
            client=self._columns.client,
            session=self._columns.session,
            number=self.number,
            opened_ns=self._opened_ns,
            ended_ns=ended_ns,
            code=self._code,
            events=self._events,
            pending_max=self._pending_max,
        )

    def _note(self, message: Any) -> None:
        text = message.get("text")
        data: bytes = message.get("bytes") or b"" if text is None else text.encode()
        try:
            reading = read(data)
        except FeedError:  # a flawed target's; the clients say so
            return
        if not isinstance(reading.frame, Batch):
            return
        now_ns = self._host.now_ns()
        self._events += len(reading.frame.events)
        self._columns.batch(now_ns, reading)
        if now_ns - self._columns.taken_ns >= SECOND:
            self._flush()

    def _flush(self) -> None:
        fields = self._columns.take(self._host.now_ns())
        if fields is not None:
            del fields["sums"]
            self._host.log.observe("handed", number=self.number, **fields)
