"""The host of those who have no business on the feed: one after the other tries, in its own way.

Each is an operation `intrude` {client, kind} with the result {code, status, events, lasted_ns}: the close code that it
got, or the HTTP status instead of an upgrade, the events that it was sent, and how long it was there after it had done
what it should not. Those that are `ADMITTED` show the right token first; floods go on until they are thrown out.
"""

import asyncio
from typing import Any, Final

import msgspec

from harness.history.recorder import OperationLog
from harness.units import as_seconds, ms
from harness.world.base import Host, HostSpec
from scenarios.dashboard_hosts import DASHBOARD, TOKEN
from scenarios.feed_client import Batch, FeedClient, FeedError, Snapshot, read
from scenarios.feed_connection import FeedConnection

OUTSIDE: Final = (
    "wrong_token",
    "no_token",
    "late_hello",
    "not_a_hello",
    "malformed_hello",
    "oversized_hello",
)
ADMITTED: Final = ("malformed", "binary", "oversized", "flood")
KINDS: Final = tuple(kind for pair in zip(OUTSIDE, (*ADMITTED, "flood", "flood"), strict=True) for kind in pair)
_PATIENCE_S: Final = 6.0
_BIG: Final = 100_000
_FLOOD_EVERY_S: Final = 0.005
_FLOOD_MESSAGES: Final = 2
_PING: Final = b'{"type":"ping","id":1}'


def intruders(*, gap_ns: int = ms(300), at_once: int = 2) -> HostSpec:
    """Return the host; each `gap_ns`, so many of one kind try."""
    return HostSpec(name="intruders", program=intrude, params={"gap_ns": gap_ns, "at_once": at_once})


async def intrude(host: Host) -> None:
    """Go through all kinds, again and again, until asked to stop."""
    stopping = asyncio.ensure_future(host.stopping())
    tries: set[asyncio.Task[None]] = set()
    number = 0
    while not stopping.done():
        for _ in range(host.params["at_once"]):
            kind = KINDS[number // host.params["at_once"] % len(KINDS)]
            intruder = _Intruder(host.endpoints[DASHBOARD], f"{host.name}-{number:03d}", kind)
            task = asyncio.create_task(intruder.run(host.log), name=intruder.name)
            tries.add(task)
            task.add_done_callback(tries.discard)
            number += 1
        await asyncio.wait({stopping}, timeout=as_seconds(host.params["gap_ns"]))
    for task in tries:
        task.cancel()
    await asyncio.gather(*tries, return_exceptions=True)


class _Intruder:
    def __init__(self, url: str, name: str, kind: str) -> None:
        self.name = name
        self._kind = kind
        self._events = 0
        self._welcomed = asyncio.Event()
        self._connection = FeedConnection(f"{url.replace('http', 'ws', 1)}/ws", name=f"{name}/1", on_text=self._heard)

    async def run(self, log: OperationLog) -> None:
        """Try, and record what became of it."""
        connection = self._connection
        with log.operation("intrude", refused=(OSError,), client=self.name, kind=self._kind) as operation:
            try:
                async with asyncio.timeout(_PATIENCE_S):
                    began_ns = log.now_ns()
                    if await connection.connect():
                        began_ns = await self._misbehave(log)
                    end = await connection.ended
                if not connection.open.done() and end.status is None:
                    raise ConnectionResetError("a proxy answered, and nobody behind it")
                operation.result = {"code": end.code, "status": end.status}
            except TimeoutError:
                operation.result = {"code": None, "status": None}
            finally:
                connection.abort()
            operation.result |= {"events": self._events, "lasted_ns": log.now_ns() - began_ns}

    async def _misbehave(self, log: OperationLog) -> int:
        """Do it; return since when one could know."""
        kind, connection = self._kind, self._connection
        if kind in ADMITTED:
            connection.send(FeedClient(TOKEN).hello())
            await _either(self._welcomed.wait(), connection.ended)
        began_ns = log.now_ns()
        if kind == "flood":
            while connection.end is None:
                for _ in range(_FLOOD_MESSAGES):
                    connection.send(_PING)
                await asyncio.wait({connection.ended}, timeout=_FLOOD_EVERY_S)
        elif kind == "binary":
            connection.send(b"\x00\xff", binary=True)
        elif kind != "late_hello":
            connection.send(_SAYS[kind])
        return began_ns

    def _heard(self, text: bytes) -> None:
        try:
            frame = read(text).frame
        except FeedError:
            return
        self._events += len(frame.events) if isinstance(frame, Batch) else 0
        self._events += len(frame.state) if isinstance(frame, Snapshot) else 0
        self._welcomed.set()


def _hello(**fields: Any) -> bytes:
    return msgspec.json.encode({"type": "hello", "epoch": None, "last_seq": None, "critical_seq": None} | fields)


_SAYS: Final = {
    "wrong_token": _hello(token=TOKEN[:-1] + "x"),
    "no_token": _hello(),
    "not_a_hello": _PING,
    "malformed_hello": b'{"type":"hello","token":',
    "oversized_hello": _hello(token=TOKEN, epoch="x" * _BIG),
    "malformed": b'{"type":"ping"',
    "oversized": msgspec.json.encode({"type": "ping", "id": "x" * _BIG}),
}


async def _either(first: Any, second: asyncio.Future[Any]) -> None:
    task = asyncio.ensure_future(first)
    waited: set[asyncio.Future[Any]] = {task, second}
    await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)
    task.cancel()
