"""How much checks delay each other: 200 services of which 20 hang, each checked once a second.

A check is late by how much more than the interval its service waited for it, as the service sees it. The services share
the processor, and the event loop, with the monitor. Next to it the same without any that hangs, which is what the
machine itself adds, and with one check after the other, as the plan has it.

A check costs about 1.5 ms, service included: on a machine that has less than half a core to give, all are late.
"""

import asyncio
import time
from itertools import pairwise
from pathlib import Path

import pytest

from reference_impl.flawed import health_service as flawed
from reference_impl.health_service import make

pytestmark = pytest.mark.benchmark

SERVICES = 200
HUNG_EVERY = 10
INTERVAL_S = 1.0
TIMEOUT_S = 0.5
WATCHED_S = 10.0
LATE_S_MAX = 0.1
ANSWER = b'HTTP/1.1 200 OK\r\nContent-Length: 21\r\nConnection: close\r\n\r\n{"status": "healthy"}'


class Asked(asyncio.Protocol):
    """One service: notes when it is asked, and answers unless it hangs."""

    def __init__(self, times: list[float], *, hangs: bool) -> None:
        self._times = times
        self._hangs = hangs

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._times.append(time.perf_counter())
        if not self._hangs:
            self._transport.write(ANSWER)
            self._transport.close()


async def lateness(factory, directory: Path, watched_s: float, hung_every: int = HUNG_EVERY) -> list[float]:
    """Return by how much each check of a service that answers was late, in s, in order of size."""
    loop = asyncio.get_running_loop()
    servers, times, services = [], [], []
    for number in range(SERVICES):
        times.append([])
        hangs = number % hung_every == 0
        server = await loop.create_server(lambda n=number, h=hangs: Asked(times[n], hangs=h), "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        servers.append(server)
        services.append({"name": f"s{number}", "url": f"http://127.0.0.1:{port}/health"})
    monitor = factory(services=services, directory=directory, name="m", interval=INTERVAL_S, timeout=TIMEOUT_S)
    began = time.process_time(), time.perf_counter()
    await monitor.start()
    await asyncio.sleep(watched_s)
    ended = time.perf_counter()
    used = (time.process_time() - began[0]) / (ended - began[1])
    await monitor.close()
    for server in servers:
        server.close()
    print(f"  processor: {used:.0%} of a core, services included")
    answering = [[began[1], *asked, ended] for number, asked in enumerate(times) if number % hung_every]
    return sorted(after - before - INTERVAL_S for asked in answering for before, after in pairwise(asked))


async def test_no_check_is_delayed_by_another(tmp_path: Path) -> None:
    """Where one after the other takes at least ten times as long."""
    alone = await lateness(make, tmp_path, WATCHED_S, hung_every=SERVICES)
    tell("none hangs", alone)
    late = await lateness(make, tmp_path, WATCHED_S)
    tell("reference", late)
    # a round of the sequential one takes 20 timeouts and an interval
    rounds_s = 2.5 * (SERVICES / HUNG_EVERY * TIMEOUT_S + INTERVAL_S)
    slow = await lateness(flawed.sequential_polling, tmp_path, rounds_s)
    tell("sequential", slow)
    delay = late[-1] - alone[-1]
    print(f"  delayed by those that hang: {1_000 * delay:.1f} ms (at most {1_000 * LATE_S_MAX:.0f} wanted)")
    print(f"  sequential to reference, the worst: {slow[-1] / max(late[-1], 1e-3):,.0f}")
    assert slow[-1] >= 10 * late[-1]


def tell(name: str, late: list[float]) -> None:
    """Print the figures of one run."""
    median, high, worst = (1_000 * late[round(share * (len(late) - 1))] for share in (0.5, 0.99, 1.0))
    print(f"  {name}: {len(late)} checks, late by {median:.1f} ms (median), {high:.1f} (p99), {worst:.1f} at worst")
