"""Machines and connections against models, over drawn courses of events."""

import asyncio
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.errors import WorldError
from harness.history.events import HostChanged
from harness.tape import Tape
from harness.units import ms
from harness.world.sim.run import run_sim
from harness.world.sim.sink import MemorySink
from harness.world.sim.world import SimWorld

PORT = 7000
ALLOWED = {
    "boot": {"off": "running"},
    "kill": {"running": "gone", "frozen": "gone"},
    "power_off": {"running": "off", "frozen": "off"},
    "freeze": {"running": "frozen", "frozen": "frozen"},
    "thaw": {"frozen": "running", "running": "running"},
}
ALLOWED["boot"]["gone"] = "running"
ANSWERS = {"running": "echo", "frozen": "silence", "gone": "refused", "off": "no route"}


async def echo_server() -> None:
    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while line := await reader.readline():
                writer.write(line)
                await writer.drain()
        except OSError:
            pass
        finally:
            writer.close()

    await (await asyncio.start_server(echo, None, PORT)).serve_forever()


async def knock() -> str:
    """Try to talk to the server within a second."""
    try:
        async with asyncio.timeout(0.9):
            reader, writer = await asyncio.open_connection("server", PORT)
    except ConnectionRefusedError:
        return "refused"
    except TimeoutError:
        return "no route"
    try:
        writer.write(b"x\n")
        async with asyncio.timeout(0.5):
            return "echo" if await reader.readline() == b"x\n" else "closed"
    except TimeoutError:
        return "silence"
    finally:
        writer.close()


@settings(max_examples=60, deadline=None)
@given(steps=st.lists(st.sampled_from(sorted(ALLOWED)), max_size=15), seed=st.integers(0, 2**32))
def test_a_machines_life(tmp_path_factory: pytest.TempPathFactory, steps: list[str], seed: int) -> None:
    """Whatever the order of boots, kills, power cuts, freezes and thaws: it answers as its state says it must."""
    sink = MemorySink()

    async def director(world: SimWorld) -> None:
        state, lives = "off", 0
        world.machines.declare("server")
        for step in steps:
            after = ALLOWED[step].get(state)
            act = getattr(world.machines, step)
            arguments: tuple[Any, ...] = ("server", echo_server) if step == "boot" else ("server",)
            if after is None:
                with pytest.raises(WorldError):
                    act(*arguments)
            else:
                act(*arguments)
                lives += step == "boot"
                state = after
            await asyncio.sleep(0.01)
            assert world.machines.is_running("server") == (state in ("running", "frozen"))
            assert await knock() == ANSWERS[state]
        started = [e.incarnation for e in sink.events if isinstance(e, HostChanged) and e.change == "started"]
        assert started == list(range(1, lives + 1))

    done = run_sim(director, tape=Tape(seed), sink=sink, directory=tmp_path_factory.mktemp("disks"))
    assert (done.escapes, done.unhandled, done.failures) == ((), 0, {})


EVENTS = st.one_of(
    st.tuples(st.just("write"), st.integers(1, 400_000)),
    st.tuples(st.just("wait"), st.integers(1, 3000)),
    st.tuples(st.sampled_from(["cut", "heal", "cut there", "cut back"]), st.just(0)),
    st.tuples(st.sampled_from(["pause", "resume", "freeze", "thaw"]), st.just(0)),
    st.tuples(st.just("latency"), st.integers(0, 500)),
)


class Collector(asyncio.Protocol):
    """Collects bytes; keeps its transport."""

    def __init__(self) -> None:
        self.data = bytearray()
        self.transport: Any = None
        self.ended = False

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.data += data

    def eof_received(self) -> None:
        self.ended = True


def befall(world: SimWorld, collector: Collector, event: str, amount: int) -> None:
    """Let one of EVENTS happen to the connection from `harness` to `server`."""
    there, back = ("harness", "server"), ("server", "harness")
    {
        "cut": lambda: world.network.cut(*there),
        "heal": lambda: world.network.heal(*there),
        "cut there": lambda: world.network.cut(*there, both_ways=False),
        "cut back": lambda: world.network.cut(*back, both_ways=False),
        "latency": lambda: world.network.set_latency(*there, 0, ms(amount)),
        "pause": collector.transport.pause_reading,
        "resume": collector.transport.resume_reading,
        "freeze": lambda: world.machines.freeze("server"),
        "thaw": lambda: world.machines.thaw("server"),
    }[event]()


@settings(max_examples=80, deadline=None)
@given(events=st.lists(EVENTS, max_size=20), seed=st.integers(0, 2**32))
def test_a_stream_is_a_stream(
    tmp_path_factory: pytest.TempPathFactory, events: list[tuple[str, int]], seed: int
) -> None:
    """Through cuts, pauses, freezes and latency, what arrives is a prefix of what was sent, in the end all."""

    async def director(world: SimWorld) -> None:
        network, machines = world.network, world.machines
        collector = Collector()

        async def serve() -> None:
            server = await asyncio.get_running_loop().create_server(lambda: collector, None, PORT)
            await server.serve_forever()

        machines.boot("server", serve)
        await asyncio.sleep(0.1)
        transport, _ = await asyncio.get_running_loop().create_connection(asyncio.Protocol, "server", PORT)
        await asyncio.sleep(0.1)
        sent = bytearray()
        for event, amount in events:
            if event == "write":
                chunk = bytes((len(sent) + index) % 251 for index in range(amount))
                sent += chunk
                transport.write(chunk)
            elif event == "wait":
                await asyncio.sleep(amount / 1000)
            else:
                befall(world, collector, event, amount)
            assert sent.startswith(collector.data)
            assert machines.unread("server")[1] <= 256 * 1024
        machines.thaw("server")
        network.heal("harness", "server")
        collector.transport.resume_reading()
        transport.close()
        await asyncio.sleep(300)
        assert collector.data == sent
        assert collector.ended

    done = run_sim(director, tape=Tape(seed), sink=MemorySink(), directory=tmp_path_factory.mktemp("disks"))
    assert (done.escapes, done.unhandled, done.failures) == ((), 0, {})
