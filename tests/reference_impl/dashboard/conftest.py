"""A server behind uvicorn and clients of it, in virtual time over the loopback of the sim world."""

import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from harness.tape import Tape
from harness.world.sim.run import run_sim
from harness.world.sim.sink import MemorySink
from harness.world.sim.world import SimWorld
from reference_impl.dashboard_ws import DashboardServer, make
from scenarios.serving import serving_itself

TOKEN = "a-token-that-is-long-enough"


async def say(connection: ClientConnection, **frame: Any) -> None:
    """Send a frame."""
    await connection.send(json.dumps(frame))


async def hear(connection: ClientConnection, *kinds: str) -> dict[str, Any]:
    """Return the next frame, of these kinds if any are named."""
    while True:
        frame: dict[str, Any] = json.loads(await connection.recv())
        if not kinds or frame["type"] in kinds:
            return frame


async def end_of(connection: ClientConnection) -> tuple[int | None, str, list[dict[str, Any]]]:
    """Return how the server closed it, and what it said before."""
    frames = []
    with contextlib.suppress(ConnectionClosed):
        while True:
            frames.append(json.loads(await connection.recv()))
    return connection.close_code, connection.close_reason or "", frames


class Lab:
    """Servers one after another on one store, and clients."""

    token = TOKEN
    say = staticmethod(say)
    hear = staticmethod(hear)
    end_of = staticmethod(end_of)

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.url = ""

    @contextlib.asynccontextmanager
    async def serving(self, factory: Callable[..., Any] = make, **options: Any) -> AsyncIterator[DashboardServer]:
        """A server, closed in good order at the end of the block."""
        server = factory(directory=self.directory, name="feed", token=TOKEN, **options)
        await server.start()
        async with serving_itself(server.app()) as self.url:
            yield server
            await server.close()

    def dial(self, **how: Any) -> connect:
        """A connection to it, without a hello."""
        return connect(f"{self.url.replace('http', 'ws')}/ws", compression=None, **how)

    @contextlib.asynccontextmanager
    async def client(self, **hello: Any) -> AsyncIterator[ClientConnection]:
        """A connection that has said hello."""
        async with self.dial() as connection:
            await say(connection, type="hello", **{"token": TOKEN, **hello})
            yield connection


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    """Nothing is served yet."""
    return Lab(tmp_path / "disk")


@pytest.fixture
def simulate(tmp_path: Path) -> Callable[[Callable[[], Awaitable[Any]]], Any]:
    """Run a coroutine function in virtual time; return its result."""

    def run(program: Callable[[], Awaitable[Any]]) -> Any:
        async def director(_: SimWorld) -> Any:
            return await program()

        return run_sim(director, tape=Tape(1), sink=MemorySink(), directory=tmp_path).result

    return run
