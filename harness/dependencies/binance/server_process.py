"""The exchange as a process: `python -m harness.dependencies.binance.server_process`, started by real.py.

Its orders come on stdin, one JSON document. What it records goes down a pipe as JSON lines, those of one request in one
`write(2)` before the answer to that request: a client never knows of anything that the pipe does not hold, and what a
pipe holds survives the process. If the harness is slow, the pipe (1 MiB) fills and the exchange waits: a history has no
holes. Once it listens it writes its port as a line to the ready pipe. SIGTERM ends it.
"""

import asyncio
import gc
import logging
import os
import signal
import sys
import time
from typing import Any, Final

import msgspec

from harness.dependencies.binance import assembly
from harness.dependencies.binance.control_api import ControlApi
from harness.dependencies.binance.core import Clock
from harness.dependencies.binance.settings import EGRESS_IP, Settings
from harness.history.events import Observation
from harness.tape import Tape
from harness.units import MILLISECOND

_GC_THRESHOLD: Final = 50_000
"""Requests leave no cycles; a young collection every few hundred objects only costs time."""


class Orders(msgspec.Struct, frozen=True, kw_only=True):
    """All that the process must know. `start_ns` is the run's beginning on CLOCK_MONOTONIC."""

    name: str
    settings: Settings
    seed: int
    start_ns: int
    token: str


class PipeRecorder:
    """Encodes observations as JSON lines, and writes them when told to flush."""

    def __init__(self, descriptor: int, actor: str) -> None:
        self._descriptor = descriptor
        self._actor = actor
        self._encode = msgspec.json.Encoder().encode
        self._lines: list[bytes] = []

    def record(self, time_ns: int, name: str, fields: dict[str, Any]) -> None:
        """Keep one."""
        self._lines.append(self._encode(Observation(time_ns, self._actor, 1, name, fields)))

    def flush(self) -> None:
        """Write what was kept. Ends the process if the harness no longer reads: nothing counts any more."""
        if not self._lines:
            return
        self._lines.append(b"")
        data = b"\n".join(self._lines)
        self._lines.clear()
        try:
            written = os.write(self._descriptor, data)
            while written < len(data):
                written += os.write(self._descriptor, data[written:])
        except BrokenPipeError:
            os._exit(1)


async def serve(orders: Orders, history: int, ready: int) -> None:
    """Serve until SIGTERM or SIGINT."""
    loop = asyncio.get_running_loop()
    over = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, over.set)
    clock = Clock(lambda: time.monotonic_ns() - orders.start_ns, lambda: time.time_ns() // MILLISECOND)
    dice = Tape(orders.seed).stream(f"exchange/{orders.name}")
    server = assembly.server(orders.settings, dice, clock, PipeRecorder(history, orders.name), ip=EGRESS_IP)
    server.control = ControlApi(server, token=orders.token)
    _, port = await server.listen("127.0.0.1", 0)
    settle_collector()
    os.write(ready, b"%d\n" % port)
    os.close(ready)
    await over.wait()
    server.close()
    await server.ended()


def settle_collector() -> None:
    """Keep the collector from looking again and again at what was imported."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(_GC_THRESHOLD)


def main(history: int, ready: int) -> None:
    """Carry out the orders on stdin. Takes two descriptors."""
    for descriptor in (history, ready):
        os.set_inheritable(descriptor, False)  # noqa: FBT003 - the os module's signature
    logging.basicConfig(level="INFO", format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    orders = msgspec.json.decode(sys.stdin.buffer.read(), type=Orders)
    asyncio.run(serve(orders, history, ready))


if __name__ == "__main__":
    main(*(int(argument) for argument in sys.argv[1:]))
