"""How fast the sim world is: timers, echo round trips, and what a segment costs. Prints; fails only far off."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from harness.tape import Tape
from harness.world.sim.clockwork import Budget
from harness.world.sim.run import SimRun, run_sim
from harness.world.sim.sink import MemorySink
from harness.world.sim.world import SimWorld

pytestmark = pytest.mark.benchmark

_clock = time.perf_counter  # bound before a run, and read outside of one


def measured(director: Callable[[SimWorld], Awaitable[Any]], directory: Path) -> tuple[SimRun[Any], float]:
    begin = _clock()
    done = run_sim(
        director, tape=Tape(1), sink=MemorySink(), directory=directory, budget=Budget(turns_at_one_instant=10**7)
    )
    return done, _clock() - begin


def test_timers(tmp_path: Path) -> None:
    """A chain of call_later in 100 strands: timer callbacks per second of wall time."""
    count = 300_000

    async def director(_: SimWorld) -> None:
        loop = asyncio.get_running_loop()
        done = loop.create_future()
        left = count

        def tick(delay: float) -> None:
            nonlocal left
            left -= 1
            if left > 0:
                loop.call_later(delay, tick, delay)
            elif not done.done():
                done.set_result(None)

        for strand in range(100):
            tick(0.001 + strand * 0.000013)
        await done

    done, wall = measured(director, tmp_path)
    print(f"\ntimers: {count / wall:,.0f}/s ({done.steps:,} steps in {wall:.2f} s)")
    assert count / wall > 50_000


def test_sleeping_tasks(tmp_path: Path) -> None:
    """asyncio.sleep in 100 tasks: sleeps per second of wall time."""
    count = 100_000

    async def director(_: SimWorld) -> None:
        async def sleeper(delay: float) -> None:
            for _ in range(count // 100):
                await asyncio.sleep(delay)

        await asyncio.gather(*(sleeper(0.001 + number * 0.000013) for number in range(100)))

    done, wall = measured(director, tmp_path)
    print(f"\nsleeps: {count / wall:,.0f}/s ({done.steps:,} steps in {wall:.2f} s)")
    assert count / wall > 10_000


class _Echo(asyncio.Protocol):
    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.transport.write(data)


class _Asker(_Echo):
    def __init__(self, rounds: int) -> None:
        self.left = rounds
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def data_received(self, data: bytes) -> None:
        self.left -= 1
        if self.left:
            self.transport.write(data)
        elif not self.done.done():
            self.done.set_result(None)


def test_protocol_echo(tmp_path: Path) -> None:
    """Ten connections of bare protocols between two hosts: round trips per second of wall time."""
    rounds = 10_000

    async def serve() -> None:
        await (await asyncio.get_running_loop().create_server(_Echo, None, 7)).serve_forever()

    async def director(world: SimWorld) -> None:
        world.machines.boot("server", serve)
        await asyncio.sleep(0.1)

        async def ask() -> None:
            transport, asker = await asyncio.get_running_loop().create_connection(
                lambda: _Asker(rounds // 10), "server", 7
            )
            transport.write(b"x" * 100)
            await asker.done

        await asyncio.gather(*(ask() for _ in range(10)))

    done, wall = measured(director, tmp_path)
    print(f"\nprotocol echo: {rounds / wall:,.0f} round trips/s, {wall / done.segments * 1e6:.1f} us/segment")
    assert rounds / wall > 2_000


def test_stream_echo(tmp_path: Path) -> None:
    """The same over asyncio streams, with readline and drain."""
    rounds = 10_000

    async def serve() -> None:
        async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            while line := await reader.readline():
                writer.write(line)
                await writer.drain()
            writer.close()

        await (await asyncio.start_server(echo, None, 7)).serve_forever()

    async def director(world: SimWorld) -> None:
        world.machines.boot("server", serve)
        await asyncio.sleep(0.1)

        async def ask() -> None:
            reader, writer = await asyncio.open_connection("server", 7)
            for _ in range(rounds // 10):
                writer.write(b"x" * 99 + b"\n")
                await writer.drain()
                await reader.readline()
            writer.close()

        await asyncio.gather(*(ask() for _ in range(10)))

    done, wall = measured(director, tmp_path)
    print(f"\nstream echo: {rounds / wall:,.0f} round trips/s ({done.steps:,} steps, {wall:.2f} s)")
    assert rounds / wall > 1_000


def test_small_runs(tmp_path: Path) -> None:
    """Set-up and teardown: empty runs per second."""

    async def director(world: SimWorld) -> None:
        await world.sleep_until(1_000_000)

    begin = _clock()
    for _ in range(50):
        run_sim(director, tape=Tape(1), sink=MemorySink(), directory=tmp_path)
    print(f"\nempty runs: {50 / (_clock() - begin):,.0f}/s")
