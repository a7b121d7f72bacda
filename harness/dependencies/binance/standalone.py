"""The exchange by itself, for `harness binance`: real sockets, this machine's clocks, and no history."""

import asyncio
import os
import signal
import socket
import time
from collections.abc import Callable
from typing import Any

from harness.dependencies.binance import assembly
from harness.dependencies.binance.control_api import ControlApi
from harness.dependencies.binance.core import Clock
from harness.dependencies.binance.server_process import settle_collector
from harness.dependencies.binance.settings import Settings
from harness.errors import UsageError
from harness.tape import Tape
from harness.units import MILLISECOND


class _Unrecorded:
    """Nobody keeps a history."""

    def record(self, time_ns: int, name: str, fields: dict[str, Any]) -> None:
        """Forget it."""

    def flush(self) -> None:
        """Nothing is kept back."""


async def serve(
    host: str, port: int, *, settings: Settings, seed: int, token: str, ready: Callable[[str, int], None]
) -> None:
    """Serve until SIGINT or SIGTERM. `ready` is called with the address once it listens.

    Each client counts as the address that it comes from. Raises `UsageError` if the address cannot be had.
    """
    loop = asyncio.get_running_loop()
    over = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, over.set)
    start_ns = time.monotonic_ns()
    clock = Clock(lambda: time.monotonic_ns() - start_ns, lambda: time.time_ns() // MILLISECOND)
    server = assembly.server(settings, Tape(seed).stream("exchange/binance"), clock, _Unrecorded())
    server.control = ControlApi(server, token=token)
    try:
        address = await server.listen(host, port)
    except OSError as problem:
        raise UsageError(f"cannot listen on {host}:{port}: {_reason(problem)}") from None
    settle_collector()
    ready(*address)
    await over.wait()
    server.close()
    await server.ended()


def _reason(problem: OSError) -> str:
    """Return why, in the system's words: asyncio's own repeat the address."""
    if isinstance(problem, socket.gaierror) or not problem.errno:
        return (problem.strerror or str(problem)).lower()
    return os.strerror(problem.errno).lower()
