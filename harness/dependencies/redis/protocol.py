"""The server as a plain `asyncio.Protocol`: the only part that touches a transport. Runs on any event loop."""

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any, Final

from harness.dependencies.redis import resp
from harness.dependencies.redis.engine import Engine

if TYPE_CHECKING:
    from harness.dependencies.redis.session import Session
    from harness.dependencies.redis.state import RedisState

UNREAD_BYTES_MAX: Final = 32 * 1024 * 1024
"""A client that lets this much pile up unread is cut off, as pub/sub clients of a real server are."""


class RedisProtocol(asyncio.Protocol):
    """One client's connection."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._parser = resp.RequestParser()
        self._transport: asyncio.Transport | None = None
        self._session: Session | None = None
        self._out: list[bytes] | None = None  # a list while requests are being worked off

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin a session."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.set_write_buffer_limits(high=UNREAD_BYTES_MAX)
        self._session = session = self._engine.connect(self)
        session.address = _address(transport.get_extra_info("peername"))
        session.local_address = _address(transport.get_extra_info("sockname"))

    def data_received(self, data: bytes) -> None:
        """Answer every complete request in what arrived."""
        self._parser.feed(data)
        self._work_off()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the client, what it waited for included."""
        del exc
        session, self._session, self._transport = self._session, None, None
        if session is not None:
            session.forget()

    def pause_writing(self) -> None:
        """Cut off a client that does not read."""
        self.abort()

    def resume(self) -> None:
        """Go on with what a client sent while it was blocked, once the present command is done."""
        if self._parser.requests or self._parser.problem is not None:
            asyncio.get_running_loop().call_soon(self._work_off)

    def send(self, data: bytes) -> None:
        """Send bytes, after the replies that are being put together."""
        if self._out is not None:
            self._out.append(data)
        elif self._transport is not None:
            self._transport.write(data)

    def close(self) -> None:
        """Close once what was sent is out."""
        if self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        """Reset the connection."""
        if self._transport is not None:
            self._transport.abort()

    def _work_off(self) -> None:
        session = self._session
        if session is None or session.closing:
            return
        execute = self._engine.execute
        parser = self._parser
        requests = parser.requests
        self._out = out = []
        while requests and session.blocked is None and not session.closing:
            out.append(execute(session, requests.popleft()))
        if parser.problem is not None and not (requests or session.blocked or session.closing):
            out.append(self._engine.error(f"ERR Protocol error: {parser.problem}"))
            session.closing = True
        self._out = None
        reply = out[0] if len(out) == 1 else b"".join(out)
        if reply and self._transport is not None:
            self._transport.write(reply)
        if session.closing:
            self.close()


class RedisServer:
    """A listening server: one incarnation of the process, from its start to its death."""

    def __init__(self, engine: Engine, server: asyncio.Server) -> None:
        self.engine = engine
        self.server = server

    @property
    def port(self) -> int:
        """The port it listens on."""
        return self.engine.port

    def disconnect_all(self) -> None:
        """Reset every connection."""
        for session in list(self.engine.sessions.values()):
            session.outlet.abort()

    async def close(self) -> None:
        """Stop listening and reset every connection."""
        self.server.close()
        self.disconnect_all()
        with contextlib.suppress(asyncio.CancelledError):
            await self.server.wait_closed()


async def serve(host: str, port: int, *, state: "RedisState") -> RedisServer:
    """Listen on host:port (0: any free port) and answer from that state. Works on any event loop."""
    return await listen(host, port, Engine(state))


async def listen(host: str, port: int, engine: Engine) -> RedisServer:
    """Listen with an engine that exists already, as after a time of refused connections."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: RedisProtocol(engine), host, port)
    engine.port = server.sockets[0].getsockname()[1]
    return RedisServer(engine, server)


def _address(name: Any) -> str:
    return f"{name[0]}:{name[1]}" if isinstance(name, tuple) else str(name or "")
