"""Links and their faults: cuts, heals, latency, refusals, resets, and what is observed of them."""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from harness.history.events import Observation
from harness.tape import Tape
from harness.units import SECOND, ms, seconds
from harness.world.sim.run import SimRun, run_sim
from harness.world.sim.sink import MemorySink
from harness.world.sim.world import SimWorld

PORT = 7000
Simulate = Callable[..., SimRun[Any]]


@pytest.fixture
def sink() -> MemorySink:
    return MemorySink()


@pytest.fixture
def simulate(tmp_path: Path, sink: MemorySink) -> Simulate:
    """Run a director in a world where `server` answers lines in capitals."""

    def run(director: Callable[[SimWorld], Awaitable[Any]], seed: int = 1) -> SimRun[Any]:
        async def with_server(world: SimWorld) -> Any:
            world.network.observer.dependencies.add("server")
            world.machines.boot("server", echo_server)
            await asyncio.sleep(0.1)
            return await director(world)

        done = run_sim(with_server, tape=Tape(seed), sink=sink, directory=tmp_path)
        assert done.escapes == ()
        assert done.unhandled == 0
        return done

    return run


async def echo_server() -> None:
    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while line := await reader.readline():
                writer.write(line.upper())
                await writer.drain()
        except OSError:
            pass
        finally:
            writer.close()

    await (await asyncio.start_server(echo, "0.0.0.0", PORT)).serve_forever()


def in_host(world: SimWorld, name: str, program: Callable[[], Awaitable[Any]]) -> "asyncio.Future[Any]":
    """Run a program on a host of its own, and return its result or error."""
    outcome: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

    async def body() -> None:
        try:
            outcome.set_result(await program())
        except Exception as error:  # noqa: BLE001 - handed over
            outcome.set_exception(error)

    world.machines.boot(name, body)
    return outcome


async def ask(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, line: bytes) -> bytes:
    writer.write(line + b"\n")
    return await reader.readline()


def outcomes(sink: MemorySink) -> list[tuple[str, str]]:
    return [
        (event.actor, event.value["outcome"])
        for event in sink.events
        if isinstance(event, Observation) and event.name == "link"
    ]


def test_connecting_costs_a_round_trip_and_asking_another(simulate: Simulate) -> None:
    """With 10 ms there and 30 ms back, each takes 40 ms."""

    async def director(world: SimWorld) -> tuple[int, int]:
        world.network.set_latency("harness", "server", ms(10), ms(10))
        world.network.set_latency("server", "harness", ms(30), ms(30))
        begin = world.now_ns()
        reader, writer = await asyncio.open_connection("server", PORT)
        connected = world.now_ns()
        await ask(reader, writer, b"x")
        writer.close()
        return connected - begin, world.now_ns() - connected

    assert simulate(director).result == (ms(40), ms(40))


def test_order_is_kept_however_latency_varies(simulate: Simulate) -> None:
    """Between 0 and 100 ms a segment; the stream stays in order."""

    async def director(world: SimWorld) -> list[bytes]:
        world.network.set_latency("harness", "server", 0, ms(100))
        world.network.set_latency("server", "harness", 0, ms(100))
        reader, writer = await asyncio.open_connection("server", PORT)
        for number in range(50):
            writer.write(b"%d\n" % number)
            await asyncio.sleep(0.001)
        lines = [await reader.readline() for _ in range(50)]
        writer.close()
        return lines

    assert simulate(director).result == [b"%d\n" % number for number in range(50)]


def test_a_cut_holds_and_the_next_retransmission_delivers(simulate: Simulate) -> None:
    """Sent 0.1 s into a cut: tried again 0.2, 0.6, 1.4, 3.0 s later; healed after 2 s, it arrives with the last."""

    async def director(world: SimWorld) -> float:
        reader, writer = await asyncio.open_connection("server", PORT)
        world.network.cut("harness", "server")
        sent = world.now_ns()
        writer.write(b"held\n")
        writer.write(b"and what follows\n")
        await asyncio.sleep(2)
        world.network.heal("harness", "server")
        assert await reader.readline() == b"HELD\n"
        took = world.now_ns() - sent
        assert await reader.readline() == b"AND WHAT FOLLOWS\n"
        writer.close()
        return took / SECOND

    assert simulate(director).result == pytest.approx(3.0, abs=0.01)


def test_a_cut_may_be_one_way(simulate: Simulate) -> None:
    """Requests arrive, answers do not; connecting needs both ways."""

    async def director(world: SimWorld) -> None:
        reader, writer = await asyncio.open_connection("server", PORT)
        world.network.cut("server", "harness", both_ways=False)
        writer.write(b"heard\n")
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(reader.readline(), 1)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asyncio.open_connection("server", PORT), 10)
        world.network.heal("server", "harness", both_ways=False)
        assert await reader.readline() == b"HEARD\n"
        writer.close()

    simulate(director)


def test_a_connect_survives_a_short_cut(simulate: Simulate) -> None:
    """SYNs go out at 0, 1, 3 and 7 s; healed after 5 s, the connection stands after 7."""

    async def director(world: SimWorld) -> float:
        world.network.cut("harness", "server")
        begin = world.now_ns()
        attempt = asyncio.ensure_future(asyncio.open_connection("server", PORT))
        await asyncio.sleep(5)
        world.network.heal("harness", "server")
        reader, writer = await attempt
        took = world.now_ns() - begin
        assert await ask(reader, writer, b"x") == b"X\n"
        writer.close()
        return took / SECOND

    assert simulate(director).result == pytest.approx(7.0, abs=0.01)


def test_acknowledgements_that_never_come_fail_the_connection(simulate: Simulate) -> None:
    """Only the way back is cut, for ever: the sender gives up after 15 to 17 minutes."""

    async def director(world: SimWorld) -> float:
        reader, writer = await asyncio.open_connection("server", PORT)
        world.network.cut("server", "harness", both_ways=False)
        begin = world.now_ns()
        writer.write(b"heard\n")
        with pytest.raises(TimeoutError, match="timed out"):
            await reader.readline()
        return (world.now_ns() - begin) / SECOND

    assert 15 * 60 < simulate(director).result < 17 * 60


def test_other_links_are_not_affected(simulate: Simulate) -> None:
    """A cut between two hosts leaves a third alone."""

    async def director(world: SimWorld) -> bytes:
        async def program() -> bytes:
            reader, writer = await asyncio.open_connection("server", PORT)
            line = await ask(reader, writer, b"me?")
            writer.close()
            return line

        world.network.cut("harness", "server")
        return await in_host(world, "other", program)

    assert simulate(director).result == b"ME?\n"


def test_refusing(simulate: Simulate) -> None:
    """New connections are refused, old ones go on unless reset; accepting again ends it."""

    async def director(world: SimWorld) -> None:
        reader, writer = await asyncio.open_connection("server", PORT)
        world.network.refuse("server")
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("server", PORT)
        assert await ask(reader, writer, b"still") == b"STILL\n"
        world.network.refuse("server", reset_existing=True)
        with pytest.raises(ConnectionResetError):
            await reader.readline()
        world.network.accept("server")
        _, writer = await asyncio.open_connection("server", PORT)
        writer.close()

    simulate(director)


def test_resetting(simulate: Simulate) -> None:
    """Both ends see it, and how many there were is told; the next connection works."""

    async def director(world: SimWorld) -> int:
        pairs = [await asyncio.open_connection("server", PORT) for _ in range(3)]
        await asyncio.sleep(0.1)
        count = world.network.reset("server", "harness")
        for reader, _ in pairs:
            with pytest.raises(ConnectionResetError):
                await reader.readline()
        reader, writer = await asyncio.open_connection("server", PORT)
        assert await ask(reader, writer, b"x") == b"X\n"
        writer.close()
        return count

    assert simulate(director).result == 3


def test_hosts_have_names_and_addresses(simulate: Simulate) -> None:
    """10.0.x.y by name, the name by address, 127.0.0.1 as one's own, and no more."""

    async def director(world: SimWorld) -> None:
        loop = asyncio.get_running_loop()
        [info] = await loop.getaddrinfo("server", PORT)
        address = info[4][0]
        assert address == world.network.address("server") == "10.0.0.2"
        assert await loop.getnameinfo((address, PORT)) == ("server", str(PORT))
        reader, writer = await asyncio.open_connection(address, PORT)
        assert writer.get_extra_info("peername") == (address, PORT)
        assert await ask(reader, writer, b"x") == b"X\n"
        writer.close()
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", PORT)
        with pytest.raises(socket.gaierror):
            await asyncio.open_connection("elsewhere", PORT)
        with pytest.raises(OSError, match=r"Connect call failed|unreachable"):
            await asyncio.open_connection("192.0.2.1", PORT)

    simulate(director)


def test_a_loopback_server_is_not_reachable_from_elsewhere(simulate: Simulate) -> None:
    """Bound to 127.0.0.1 it serves its own host only."""

    async def director(world: SimWorld) -> bytes:
        async def program() -> bytes:
            server = await asyncio.start_server(lambda r, w: w.close(), "127.0.0.1", 80)
            reader, writer = await asyncio.open_connection("127.0.0.1", 80)
            rest = await reader.read()
            writer.close()
            await asyncio.sleep(5)
            server.close()
            return rest

        outcome = in_host(world, "private", program)
        await asyncio.sleep(1)
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("private", 80)
        return await outcome

    assert simulate(director).result == b""


def test_links_towards_dependencies_are_observed(simulate: Simulate, sink: MemorySink) -> None:
    """Connected, closed, refused, unreachable, reset: in the client's name."""

    async def director(world: SimWorld) -> None:
        async def program() -> None:
            reader, writer = await asyncio.open_connection("server", PORT)
            writer.write_eof()
            await reader.read()
            writer.close()
            world.network.refuse("server")
            with pytest.raises(OSError, match=r"refused|failed"):
                await asyncio.open_connection("server", PORT)
            world.network.accept("server")
            world.network.cut("client", "server")
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(asyncio.open_connection("server", PORT), 2)
            world.network.heal("client", "server")
            reader, writer = await asyncio.open_connection("server", PORT)
            await asyncio.sleep(0.1)
            world.network.reset("client", "server")
            with pytest.raises(ConnectionResetError):
                await reader.read()

        await in_host(world, "client", program)

    simulate(director)
    assert outcomes(sink) == [
        ("client", outcome) for outcome in ("connected", "closed", "refused", "unreachable", "connected", "reset")
    ]


def test_observations_are_bounded(simulate: Simulate, sink: MemorySink) -> None:
    """Beyond 1,000 a run they are gathered: one record of each kind a second, with a count; none is lost."""

    async def director(world: SimWorld) -> None:
        world.network.refuse("server")
        for _ in range(1500):
            with pytest.raises(ConnectionRefusedError):
                await asyncio.open_connection("server", PORT)

    simulate(director)
    links = [event for event in sink.events if isinstance(event, Observation) and event.name == "link"]
    assert len(links) < 1003
    assert sum(event.value.get("count", 1) for event in links) == 1500
    assert {event.value["outcome"] for event in links} == {"refused"}


def test_a_thawed_dependency_tells_what_it_left_unanswered(simulate: Simulate, sink: MemorySink) -> None:
    """`unanswered` {connections, bytes}, just before the thaw."""

    async def director(world: SimWorld) -> None:
        _, writer = await asyncio.open_connection("server", PORT)
        await asyncio.sleep(0.1)
        await world.freeze_host("server")
        writer.write(b"anybody?\n")
        await world.sleep_until(world.now_ns() + seconds(5))
        await world.thaw_host("server")
        writer.close()

    simulate(director)
    [event] = [event for event in sink.events if isinstance(event, Observation) and event.name == "unanswered"]
    assert (event.actor, event.value) == ("server", {"connections": 1, "bytes": 9})
