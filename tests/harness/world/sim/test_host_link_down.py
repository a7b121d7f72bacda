"""The link from a host to a dependency, down: partitions, refusals, resets, deaths at either end."""

import asyncio
from collections.abc import Awaitable, Callable
from types import ModuleType
from typing import Any

import pytest

from harness.history.events import Observation
from harness.units import SECOND
from harness.world.sim.sink import MemorySink

Run = Callable[[Callable[[Any], Awaitable[Any]]], Any]


# --- partitions ------------------------------------------------------------------------------------------------------


def test_a_partition_holds_and_tells_how_much(run: Run, linked: ModuleType, sink: MemorySink) -> None:
    """Bytes stop and connects get no answer; healed, the bytes arrive and the connect succeeds. Bytes count once."""

    async def director(on: Any) -> None:
        peer = await on.connect()
        await on.link.cut(None)
        peer.writer.write(b"held\n")
        peer.writer.write(b"too\n")
        connecting = asyncio.ensure_future(on.connect())
        await asyncio.sleep(5)
        assert on.server.received == [b""]
        assert not connecting.done()
        await on.link.heal()
        assert await peer.reader.readline() == b"HELD\n"
        assert await peer.reader.readline() == b"TOO\n"
        assert await (await connecting).ask() == b"X\n"
        await on.link.heal()

    run(director)
    both = {"to": "server", "type": "partition"}
    assert linked.told(sink) == [
        both | {"toxic": "partition_upstream", "stream": "upstream", "held": 9, "lost": 3},
        both | {"toxic": "partition_downstream", "stream": "downstream", "held": 0, "lost": 0},
    ]


@pytest.mark.parametrize("stream", ["upstream", "downstream"])
def test_a_partition_may_be_one_way(run: Run, linked: ModuleType, sink: MemorySink, stream: str) -> None:
    """One way, requests are lost or replies are, and connecting fails either way."""

    async def director(on: Any) -> bytes:
        peer = await on.connect()
        await on.link.cut(stream)
        peer.writer.write(b"one\n")
        with pytest.raises(TimeoutError):
            await on.on(lambda: asyncio.wait_for(asyncio.open_connection("server", 7000), 4))
        heard = bytes(on.server.received[0])
        await on.link.heal()
        assert await peer.reader.readline() == b"ONE\n"
        return heard

    assert run(director) == (b"" if stream == "upstream" else b"one\n")
    [only] = linked.told(sink)
    assert (only["stream"], only["held"], only["lost"]) == (stream, 4, 3)


def test_a_second_cut_counts_what_the_first_still_holds(run: Run, linked: ModuleType, sink: MemorySink) -> None:
    """Healed before a retransmission and cut again: the same bytes are held by both."""

    async def director(on: Any) -> bytes:
        peer = await on.connect()
        await on.link.cut("upstream")
        peer.writer.write(b"12345\n")
        await asyncio.sleep(0.3)
        await on.link.heal()
        await on.link.cut("upstream")
        await asyncio.sleep(1)
        await on.link.heal()
        return await peer.reader.readline()

    assert run(director) == b"12345\n"
    assert [one["held"] for one in linked.told(sink)] == [6, 6]


def test_a_partition_stops_what_a_toxic_holds(run: Run, linked: ModuleType, sink: MemorySink) -> None:
    """A late reply that falls due during the cut stays away until it is healed, and keeps its place."""

    async def director(on: Any) -> float:
        peer = await on.connect()
        await on.add("latency", latency=500)
        begin = on.world.now_ns()
        peer.writer.write(b"one\n")
        await asyncio.sleep(0.3)
        await on.link.cut("downstream")
        peer.writer.write(b"two\n")
        await asyncio.sleep(3)
        assert not peer.reader._buffer
        await on.link.heal()
        assert await peer.reader.readline() == b"ONE\n"
        took = on.world.now_ns() - begin
        assert await peer.reader.readline() == b"TWO\n"
        await on.link.remove("t")
        await asyncio.sleep(0.1)
        assert peer.sock.peer.unread == 0
        return took / SECOND

    assert 3.3 < run(director) < 6.6
    assert linked.told(sink)[0]["held"] == 8


def test_the_toxic_called_partition_does_not_answer_connects(run: Run, linked: ModuleType, sink: MemorySink) -> None:
    """It is a partition too: bytes stop, SYNs get no answer and are counted, and all goes on when it is removed."""

    async def director(on: Any) -> None:
        peer = await on.connect()
        await on.add("partition", "upstream")
        peer.writer.write(b"one\n")
        connecting = asyncio.ensure_future(on.connect())
        await asyncio.sleep(2)
        assert not connecting.done()
        await on.link.remove("t")
        assert await peer.reader.readline() == b"ONE\n"
        assert await (await connecting).ask() == b"X\n"

    run(director)
    [only] = linked.told(sink)
    assert (only["type"], only["held"], only["lost"]) == ("partition", 4, 2)


# --- refusing and resetting ------------------------------------------------------------------------------------------


def test_refusing_concerns_one_host(run: Run) -> None:
    """Its connections end and new ones are refused; another host's go on; accepting ends it."""

    async def director(on: Any) -> None:
        await on.start("other")
        mine, others = await on.connect(), await on.connect("other")
        await mine.ask()
        await on.link.refuse()
        assert await mine.ending() == "end"
        with pytest.raises(ConnectionRefusedError):
            await on.connect()
        assert await others.ask() == b"X\n"
        assert await (await on.connect("other")).ask() == b"X\n"
        assert on.server.endings == ["end"]
        await on.link.accept()
        assert await (await on.connect()).ask() == b"X\n"

    run(director)


def test_writing_to_what_refusing_closed_is_answered_by_a_reset(run: Run) -> None:
    """A host that does not read cannot know; its next bytes are reset, as by a closed proxy."""

    async def director(on: Any) -> str:
        peer = await on.connect()
        sock = peer.sock
        peer.writer.transport.pause_reading()
        await on.link.refuse()
        peer.writer.write(b"still there?\n")
        await asyncio.sleep(0.1)
        assert sock.dead
        peer.writer.transport.resume_reading()
        return await peer.ending()

    assert run(director) == "BrokenPipeError"


def test_resetting_counts_connections(run: Run, linked: ModuleType, sink: MemorySink) -> None:
    """All three are reset at both ends, another host's is not; twice in a row there is nothing left."""

    async def director(on: Any) -> None:
        await on.start("other")
        others = await on.connect("other")
        peers = [await on.connect() for _ in range(3)]
        await asyncio.sleep(0.1)
        await on.link.reset()
        assert [await peer.ending() for peer in peers] == ["ConnectionResetError"] * 3
        assert await others.ask() == b"X\n"
        await on.link.reset()
        assert await (await on.connect()).ask() == b"X\n"
        assert on.server.endings == ["ConnectionResetError"] * 3

    run(director)
    same = {"to": "server", "toxic": "reset", "type": "reset", "stream": "both"}
    assert linked.told(sink) == [same | {"reset": 3}, same | {"reset": 0}]


# --- lives and deaths ------------------------------------------------------------------------------------------------


def test_a_killed_host_takes_its_conduits_with_it(run: Run, sink: MemorySink) -> None:
    """What a toxic held of a dead host's connection is never delivered; the next incarnation is told of the toxic."""

    async def director(on: Any) -> list[bytes]:
        await on.add("latency", "upstream", latency=1000)
        peer = await on.connect()
        peer.writer.write(b"last words\n")
        await asyncio.sleep(0.5)
        await on.world.kill_host("client")
        await asyncio.sleep(2)
        await on.start()
        again, took = await on.took_ms((await on.connect()).ask())
        assert again == b"X\n"
        assert took == pytest.approx(1001)
        await on.link.remove("t")
        return [bytes(got) for got in on.server.received]

    assert run(director) == [b"", b"x\n"]
    [told] = [event for event in sink.events if isinstance(event, Observation) and event.name == "toxic"]
    assert (told.actor, told.incarnation, told.value["connections"]) == ("client", 2, 2)


def test_a_frozen_host_receives_what_was_late(run: Run) -> None:
    """The conduit goes on while the dependency stands still; its kernel keeps the bytes for the thaw."""

    async def director(on: Any) -> bytes:
        peer = await on.connect()
        await on.add("latency", "upstream", latency=200)
        await on.world.freeze_host("server")
        peer.writer.write(b"one\n")
        await asyncio.sleep(1)
        assert peer.sock.peer.received_bytes == 4
        await on.world.thaw_host("server")
        return await peer.reader.readline()

    assert run(director) == b"ONE\n"


def test_a_dependency_without_power_resets_once_it_is_back(run: Run) -> None:
    """Bytes that were late for a machine that is off are tried again, and reset by the kernel that knows nothing."""

    async def director(on: Any) -> str:
        peer = await on.connect()
        await on.add("latency", "upstream", latency=200)
        peer.writer.write(b"one\n")
        await asyncio.sleep(0.05)
        await on.world.kill_host("server", silent=True)
        await asyncio.sleep(1)
        await on.restart_server()
        ending = await asyncio.wait_for(peer.ending(), 10)
        assert await (await on.connect()).ask() == b"X\n"
        return ending

    assert run(director) == "ConnectionResetError"


def test_a_dead_host_can_be_told_of(run: Run, linked: ModuleType, sink: MemorySink) -> None:
    """A toxic may be removed, and a partition healed, while the host is down."""

    async def director(on: Any) -> None:
        await on.add("latency", latency=1)
        await on.link.cut(None)
        await on.world.kill_host("client")
        await on.link.heal()
        await on.link.remove("t")

    run(director)
    assert [one["type"] for one in linked.told(sink)] == ["partition", "partition", "latency"]
