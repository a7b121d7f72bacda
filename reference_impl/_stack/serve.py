"""One service as a process: `python -m reference_impl._stack.serve`, with what it is told on standard input.

The first line is JSON: `service`, `directory`, `settings`, and `socket`, the number of an inherited file that listens.
Secrets come this way, so that neither arguments nor the environment show them. The process ends in good order when it
is told to (SIGTERM, SIGINT), and when the other end of standard input is gone.
"""

import asyncio
import contextlib
import json
import logging
import signal
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import uvicorn
from starlette.types import ASGIApp

from reference_impl.stack import Service, make

_FRAME_BYTES_MAX: Final = 65_536
_GRACE_S: Final = 2


class _Server(uvicorn.Server):
    """uvicorn without its own handling of signals: the service is closed first, and then the server."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave them alone."""
        yield


def server_of(app: ASGIApp) -> uvicorn.Server:
    """Return a server for the application."""
    return _Server(
        uvicorn.Config(
            app,
            ws="websockets-sansio",
            ws_max_size=_FRAME_BYTES_MAX,
            ws_per_message_deflate=False,  # 64 KiB and more for each client
            access_log=False,
            log_level="warning",
            server_header=False,
            timeout_graceful_shutdown=_GRACE_S,
        )
    )


async def run(service: Service, sock: socket.socket, over: asyncio.Event) -> None:
    """Serve until it is over."""
    await service.start()
    server = server_of(service.app())
    serving = asyncio.create_task(server.serve([sock]), name="server")
    ending = asyncio.create_task(over.wait())
    try:
        await asyncio.wait({serving, ending}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        ending.cancel()
        await service.close()
        server.should_exit = True
        await serving


async def _main(told: dict[str, Any]) -> None:
    over = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, over.set)

    def hung_up() -> None:
        loop.remove_reader(sys.stdin.fileno())
        over.set()

    # Nothing more is said on standard input: what comes is its end.
    loop.add_reader(sys.stdin.fileno(), hung_up)
    directory = Path(told["directory"])
    await asyncio.to_thread(directory.mkdir, parents=True, exist_ok=True)
    service = make(service=told["service"], directory=directory, settings=told["settings"])
    await run(service, socket.socket(fileno=told["socket"]), over)


def main() -> None:
    """Run the service that standard input names."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)  # it would log every call, with its URL
    asyncio.run(_main(json.loads(sys.stdin.readline())))


if __name__ == "__main__":
    main()
