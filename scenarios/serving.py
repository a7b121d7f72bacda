"""A host program that serves HTTP: its ASGI application behind uvicorn, to other hosts or to the host itself."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Iterator
from typing import Any, Final

import uvicorn

from harness.world.base import Host

_GRACE_S: Final = 1


class _InOrder(dict[Any, None]):
    """A set of connections in the order in which they were made: a plain one is gone through by address."""

    def add(self, connection: Any) -> None:
        self[connection] = None

    def discard(self, connection: Any) -> None:
        self.pop(connection, None)

    remove = dict.__delitem__


class _Server(uvicorn.Server):
    """uvicorn without signals, which are the host's, and without a tick each 0.1 s: nothing here needs one."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.server_state.connections = _InOrder()  # type: ignore[assignment] # all that uvicorn does with it
        self.listening = asyncio.Event()
        self.ending = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen."""
        await super().startup(sockets)
        self.listening.set()

    async def main_loop(self) -> None:
        """Serve until ended."""
        await self.ending.wait()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave them alone."""
        yield


@contextlib.asynccontextmanager
async def serving(host: Host, app: Any) -> AsyncIterator[None]:
    """Serve the application to other hosts inside the block, which begins once it listens."""
    sock = host.listen()
    try:
        async with _served(app, [sock]):
            yield
    finally:
        sock.close()


@contextlib.asynccontextmanager
async def serving_itself(app: Any) -> AsyncIterator[str]:
    """Serve the application on the host's loopback inside the block; the URL is what it is reached by."""
    async with _served(app, None) as server:
        port = server.servers[0].sockets[0].getsockname()[1]
        yield f"http://127.0.0.1:{port}"


@contextlib.asynccontextmanager
async def _served(app: Any, sockets: list[Any] | None) -> AsyncIterator[_Server]:
    config = uvicorn.Config(
        app,
        host="127.0.0.1",
        port=0,
        http="h11",
        ws="websockets-sansio",
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=_GRACE_S,
    )
    server = _Server(config)
    task = asyncio.create_task(server.serve(sockets), name="HTTP server")
    listening = asyncio.create_task(server.listening.wait())
    try:
        await asyncio.wait({task, listening}, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            task.result()
        yield server
    finally:
        listening.cancel()
        server.ending.set()
        await task
