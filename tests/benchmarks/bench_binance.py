"""How many requests a second the emulated exchange serves: real sockets, one core, recording as in a run.

The server is a process as the real world starts it, its records are read and decoded while it serves; only its limits
are lifted. The client is this process: 32 connections, each with one request under way, answers looked at for no more
than their status and length. Machines are busy with others, so what is judged is the server's own CPU time a request;
wall-clock rates are shown beside it.
"""

import asyncio
import hmac
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlencode

import msgspec
import psutil
import pytest

from harness.dependencies.binance.server_process import Orders
from harness.dependencies.binance.settings import API_KEY, API_SECRET, Limit, Settings
from harness.history.events import Observation
from harness.world.real.pipes import LineSplitter, PipeReader

CONNECTIONS = 32
REQUESTS = 8_000
BOUNDLESS = 10**12
LIMITS = (
    Limit("REQUEST_WEIGHT", "MINUTE", 1, BOUNDLESS),
    Limit("ORDERS", "SECOND", 10, BOUNDLESS),
    Limit("ORDERS", "MINUTE", 1, BOUNDLESS),
)
ROOT = Path(__file__).parents[2]


def signed(method: str, path: str, **parameters: object) -> bytes:
    """Return a signed request."""
    query = urlencode({**parameters, "recvWindow": 60_000, "timestamp": time.time_ns() // 1_000_000})
    signature = hmac.digest(API_SECRET.encode(), query.encode(), "sha256").hex()
    return plain(method, f"{path}?{query}&signature={signature}")


def plain(method: str, target: str) -> bytes:
    """Return a request with the headers of a usual client."""
    return (
        f"{method} {target} HTTP/1.1\r\nHost: 127.0.0.1\r\nUser-Agent: bench\r\nAccept: */*\r\n"
        f"Accept-Encoding: gzip, deflate\r\nConnection: keep-alive\r\nX-MBX-APIKEY: {API_KEY}\r\n\r\n"
    ).encode()


def order(number: int) -> bytes:
    """A signed market order; sides alternate, so that the position stays small."""
    side = "BUY" if number % 2 else "SELL"
    return signed(
        "POST",
        "/fapi/v1/order",
        symbol="BTCUSDT",
        side=side,
        type="MARKET",
        quantity="0.002",
        newClientOrderId=f"bench-{number}",
        newOrderRespType="RESULT",
    )


def resting(number: int) -> bytes:
    """A signed limit order far from the market, and its cancel, in turns."""
    name = f"rest-{number // (2 * CONNECTIONS)}-{number % CONNECTIONS}"
    if number // CONNECTIONS % 2:
        return signed("DELETE", "/fapi/v1/order", symbol="BTCUSDT", origClientOrderId=name)
    return signed(
        "POST",
        "/fapi/v1/order",
        symbol="BTCUSDT",
        side="BUY",
        type="LIMIT",
        timeInForce="GTC",
        quantity="0.002",
        price="50000",
        newClientOrderId=name,
    )


def read(number: int) -> bytes:
    """Reads of several weights, signed and not."""
    match number % 4:
        case 0:
            return plain("GET", "/fapi/v1/depth?symbol=BTCUSDT&limit=100")
        case 1:
            return signed("GET", "/fapi/v1/openOrders", symbol="BTCUSDT")
        case 2:
            return plain("GET", "/fapi/v1/ticker/price?symbol=BTCUSDT")
        case _:
            return signed("GET", "/fapi/v2/positionRisk", symbol="BTCUSDT")


CASES: dict[str, tuple[Callable[[int], bytes], int]] = {
    "market orders": (order, 2_000),
    "limit orders and cancels": (resting, 2_000),
    "weighted reads": (read, 4_000),
    "time": (lambda _: plain("GET", "/fapi/v1/time"), 4_000),
}
"""What is sent, and how many a second one core must serve."""


class Client(asyncio.Protocol):
    """Sends the next request when the answer to the one before is complete."""

    def __init__(self, requests: Iterator[bytes], statuses: dict[bytes, int], done: Callable[[], None]) -> None:
        self._requests = requests
        self._statuses = statuses
        self._done = done
        self._data = b""
        self.transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self._next()

    def data_received(self, data: bytes) -> None:
        data = self._data + data if self._data else data
        end = data.find(b"\r\n\r\n")
        if end >= 0:
            start = data.find(b"Content-Length: ") + 16
            if len(data) >= end + 4 + int(data[start : data.find(b"\r", start)]):
                status = data[9:12]
                self._statuses[status] = self._statuses.get(status, 0) + 1
                self._data = b""
                self._next()
                return
        self._data = data

    def _next(self) -> None:
        request = next(self._requests, None)
        if request is None:
            self.transport.close()
            self._done()
        else:
            self.transport.write(request)


async def measure(make: Callable[[int], bytes]) -> tuple[float, float, int]:
    """Return (requests a second by the clock, CPU seconds a request, records)."""
    records = 0
    splitter, decode = LineSplitter(), msgspec.json.Decoder(Observation).decode

    def take(data: bytes) -> None:
        nonlocal records
        for line in splitter.feed(data):
            decode(line)
            records += 1

    loop = asyncio.get_running_loop()
    with ExitStack() as stack:
        history, heard = PipeReader(take), loop.create_future()
        ready = PipeReader(lambda data: heard.set_result(int(data)))
        argv = [sys.executable, "-m", "harness.dependencies.binance.server_process"]
        process = subprocess.Popen(  # noqa: ASYNC220 - returns at exec
            [*argv, str(history.write_end), str(ready.write_end)],
            stdin=subprocess.PIPE,
            pass_fds=(history.write_end, ready.write_end),
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
        stack.callback(process.wait)
        stack.callback(process.kill)
        history.release_write_end()
        ready.release_write_end()
        settings = Settings(futures_limits=LIMITS)
        orders = Orders(name="binance", settings=settings, seed=1, start_ns=time.monotonic_ns(), token="t")
        assert process.stdin is not None
        process.stdin.write(msgspec.json.encode(orders))
        process.stdin.close()
        port = await asyncio.wait_for(heard, 30)
        requests = [make(number) for number in range(REQUESTS)]
        statuses: dict[bytes, int] = {}
        over = asyncio.Event()
        left = CONNECTIONS

        def done() -> None:
            nonlocal left
            left -= 1
            if not left:
                over.set()

        running = psutil.Process(process.pid)
        before, begun = running.cpu_times(), time.perf_counter()
        source = iter(requests)
        for _ in range(CONNECTIONS):
            await loop.create_connection(lambda: Client(source, statuses, done), "127.0.0.1", port)
        await over.wait()
        took, after = time.perf_counter() - begun, running.cpu_times()
        history.drain()
        assert statuses == {b"200": REQUESTS}, statuses
        cpu = after.user + after.system - before.user - before.system
        process.terminate()
        assert process.wait(10) == 0
        history.close()
        ready.close()
    return REQUESTS / took, cpu / REQUESTS, records


@pytest.mark.benchmark
@pytest.mark.timeout(300)
@pytest.mark.parametrize("case", CASES)
def test_requests_a_second(case: str) -> None:
    """One core of the server is enough for what was promised, each request recorded."""
    make, least = CASES[case]
    rate, cpu_s, records = asyncio.run(measure(make))
    print(f"\n{case}: {rate:,.0f}/s by the clock, {cpu_s * 1e6:.0f} us of CPU each = {1 / cpu_s:,.0f}/s on one core")
    assert records >= REQUESTS
    assert 1 / cpu_s >= least
