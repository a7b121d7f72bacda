"""An exchange that does as the request says, behind the real server on a real loop."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any
from urllib.parse import parse_qsl

import pytest

from harness.dependencies.binance.core import Clock
from harness.dependencies.binance.server import Server
from harness.dependencies.binance.wire import Answer, Reset, Silence
from harness.errors import WorldError

PATIENCE_S = 10.0
"""How long a test waits for what must come."""


class ScriptedCore:
    """Implements `Core`: answers with what it was sent; `?do=` asks for another reaction, `&delay_ms=` for a late one.

    `calls` is everything it was asked, in order.
    """

    def __init__(self, record, streams):
        self.record = record
        self.streams = streams
        self.calls = []
        self.armed = {}
        self.open = {}
        self.due = None
        self.woken = []
        record("exchange", {})

    def receive(self, request, now_ns, wall_ms):
        self.calls.append(request)
        asked = dict(parse_qsl(request.query.decode()))
        delay_ns = int(asked.get("delay_ms", 0)) * 1_000_000
        self.record("request", {"n": len(self.calls), "path": request.path})
        match asked.get("do"):
            case "fail":
                raise ZeroDivisionError("scripted")
            case "silence":
                return Silence()
            case "reset":
                return Reset(delay_ns)
            case "html":
                return Answer(status=403, body=b"<html>no</html>", content_type="text/html")
        told = {
            "method": request.method,
            "path": request.path,
            "query": request.query.decode(),
            "body": request.body.decode("latin-1"),
            "ip": request.ip,
            "n": len(self.calls),
        }
        body = json.dumps(told).encode() + b" " * int(asked.get("pad", 0))
        headers = {"X-MBX-USED-WEIGHT-1M": str(len(self.calls))}
        return Answer(status=int(asked.get("status", 200)), body=body, headers=headers, delay_ns=delay_ns)

    def arm(self, arm, now_ns, wall_ms):
        if "bad" in arm.options:
            raise WorldError("it does not take bad")
        self.armed[f"{arm.kind}-1"] = arm
        return f"{arm.kind}-1"

    def disarm(self, name, now_ns, wall_ms):
        if name not in self.armed:
            raise WorldError(f"nothing armed is named {name!r}")
        self.record("exchange_fault", {"fault": self.armed.pop(name).kind})

    def ledger(self):
        return {"requests": len(self.calls)}

    def refill(self, symbol, now_ns, wall_ms):
        self.calls.append(("refill", symbol))

    def set_price(self, symbol, price, now_ns, wall_ms):
        self.calls.append(("price", symbol, price))

    def stream_opened(self, session, path, query, now_ns, wall_ms):
        self.calls.append(("opened", path, query))
        if path == "/fail":
            raise ZeroDivisionError("scripted")
        if path != "/private/ws":
            return False
        self.open[session] = []
        return True

    def stream_said(self, session, text, now_ns, wall_ms):
        self.open[session].append(text)
        if text.startswith("echo"):
            self.streams.send(session, text)
        elif text.startswith("close"):
            self.streams.close(session, int(text.split()[1]))
        elif text.startswith("flood"):
            for _ in range(int(text.split()[1])):
                self.streams.send(session, "x" * 65_536)

    def stream_closed(self, session, now_ns, wall_ms):
        self.calls.append(("closed",))
        self.open.pop(session)

    def due_ns(self):
        return self.due

    def wake(self, now_ns, wall_ms):
        self.woken.append(now_ns)
        self.due = None


class KeptRecords:
    """A recorder that keeps what it gets, and what was flushed by when."""

    def __init__(self):
        self.pending = []
        self.flushed = []

    def record(self, time_ns, name, fields):
        self.pending.append((time_ns, name, fields))

    def flush(self):
        self.flushed += self.pending
        self.pending.clear()


class Wire:
    """One raw connection to the server."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    def send(self, data: bytes) -> None:
        self.writer.write(data)

    async def answer(self, *, head: bool = False) -> tuple[int, dict[str, str], bytes]:
        """Read one answer: status, headers, body."""
        async with asyncio.timeout(PATIENCE_S):
            lines = (await self.reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
            headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines[1:-2])}
            length = 0 if head else int(headers.get("content-length", 0))
            return int(lines[0].split()[1]), headers, await self.reader.readexactly(length)

    async def told(self) -> dict[str, Any]:
        """Read one answer and return its JSON."""
        return json.loads((await self.answer())[2])

    async def rest(self) -> bytes:
        """Read until the server closes."""
        async with asyncio.timeout(PATIENCE_S):
            return await self.reader.read()


class Served:
    """A server with a scripted core, and its clients."""

    def __init__(self, **options: Any) -> None:
        self.records = KeptRecords()
        self.clock = Clock(time.monotonic_ns, lambda: 1_700_000_000_123)
        self.server = Server(ScriptedCore, self.clock, self.records, **options)
        self.port = 0
        self._wires: list[Wire] = []

    @property
    def core(self) -> ScriptedCore:
        return self.server._core

    async def wire(self) -> Wire:
        """Connect."""
        wire = Wire(*await asyncio.open_connection("127.0.0.1", self.port))
        self._wires.append(wire)
        return wire

    async def until(self, holds: Callable[[], bool]) -> None:
        """Let the loop run until that holds."""
        async with asyncio.timeout(PATIENCE_S):
            while not holds():  # noqa: ASYNC110 - any of many things may come to hold
                await asyncio.sleep(0)

    async def end(self) -> None:
        self.server.close()
        for wire in self._wires:
            wire.writer.transport.abort()
        await self.until(lambda: self.server.counters.connections_open == 0)


@pytest.fixture
async def serve() -> AsyncIterator[Callable[..., Awaitable[Served]]]:
    """Start a server with a scripted core."""
    started: list[Served] = []

    async def start(**options: Any) -> Served:
        served = Served(**options)
        started.append(served)
        _, served.port = await served.server.listen("127.0.0.1", 0)
        return served

    yield start
    for served in started:
        await served.end()


@pytest.fixture
async def served(serve: Callable[..., Awaitable[Served]]) -> Served:
    """A server with a scripted core."""
    return await serve()


@pytest.fixture(scope="session")
def served_type() -> type[Served]:
    """The class of servers with a scripted core, for tests with loops of their own."""
    return Served
