"""The server: the API and all proxies on one event loop, until it is told to end."""

import asyncio
import contextlib
import os
import resource
import signal
import socket
from collections.abc import Callable, Iterator, Sequence
from typing import Final

import uvicorn

from harness.errors import UsageError
from harness.toxiproxy.addresses import SocketAddress, resolve, show
from harness.toxiproxy.api import application
from harness.toxiproxy.errors import ApiError
from harness.toxiproxy.proxy import ProxySpec
from harness.toxiproxy.registry import Registry

DEFAULT_PORT: Final = 8474

_BACKLOG: Final = 128
_KEEP_ALIVE_S: Final = 60
_GRACE_S: Final = 1


class _Http(uvicorn.Server):
    """uvicorn, leaving signals to us: by its own handling, ending politely would look like a crash."""

    def end(self) -> None:
        """Answer no more; `serve` then returns."""
        self.should_exit = True

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def serve(
    host: str, port: int, *, seed: int, proxies: Sequence[ProxySpec] = (), ready: Callable[[SocketAddress], None]
) -> None:
    """Serve until SIGINT or SIGTERM. `ready` is called with the API's address once everything answers.

    Raises `UsageError` if the API's or a given proxy's address cannot be had.
    """
    allow_many_descriptors()
    registry = Registry(seed)
    sock = await _api_socket(host, port)
    try:
        await _populate(registry, proxies)
        config = uvicorn.Config(
            application(registry),
            http="h11",
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            backlog=_BACKLOG,
            timeout_keep_alive=_KEEP_ALIVE_S,
            timeout_graceful_shutdown=_GRACE_S,
        )
        server = _Http(config)
        loop = asyncio.get_running_loop()
        serving = loop.create_task(server.serve([sock]))
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, server.end)
        name = sock.getsockname()
        ready((name[0], name[1]))  # the socket listens already; what comes now waits for a moment
        await serving
    finally:
        registry.close()
        sock.close()


def allow_many_descriptors() -> None:
    """Raise the soft limit of open files to the hard one: a connection takes two."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):  # macOS says unlimited, and does not mean it
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


async def _api_socket(host: str, port: int) -> socket.socket:
    try:
        address = await resolve(f"[{host}]:{port}" if ":" in host else f"{host}:{port}")
    except ApiError as problem:
        raise UsageError(problem.text) from None
    # Protocol named, as asyncio sets TCP_NODELAY only then: an answer of two writes would wait 40 ms for an ACK.
    family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(address)
        sock.listen(_BACKLOG)
        sock.settimeout(0)
    except OSError as problem:
        sock.close()
        raise UsageError(f"cannot listen on {show(address)}: {os.strerror(problem.errno or 0).lower()}") from None
    return sock


async def _populate(registry: Registry, proxies: Sequence[ProxySpec]) -> None:
    try:
        await registry.populate(proxies, [])
    except ApiError as problem:
        raise UsageError(f"a proxy cannot start: {problem.text}") from None
