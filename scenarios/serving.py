"""A host program that serves HTTP: its ASGI application behind uvicorn, at the address where other hosts reach it."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from typing import Any, Final

import uvicorn

from harness.world.base import Host

_GRACE_S: Final = 1


class _Server(uvicorn.Server):
    """uvicorn, leaving signals to the host, and telling when it listens."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listening = asyncio.Event()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[Any] | None = None) -> None:
        await super().startup(sockets)
        self.listening.set()


@contextlib.asynccontextmanager
async def serving(host: Host, app: Any) -> AsyncIterator[None]:
    """Serve the application to other hosts inside the block, which begins once it listens."""
    config = uvicorn.Config(
        app,
        ws="websockets-sansio",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=_GRACE_S,
    )
    server = _Server(config)
    sock = host.listen()
    task = asyncio.create_task(server.serve([sock]), name=f"HTTP server of {host.name}")
    listening = asyncio.create_task(server.listening.wait())
    try:
        await asyncio.wait({task, listening}, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            task.result()
        yield
    finally:
        listening.cancel()
        server.should_exit = True
        await task
        sock.close()
