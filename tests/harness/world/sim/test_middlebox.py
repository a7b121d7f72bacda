"""What a middlebox holds, stops and accounts for, to the byte and to the microsecond: toxics and cuts on one link."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from harness.history.events import Observation
from harness.units import MILLISECOND, SECOND
from harness.world.sim.sink import MemorySink

Run = Callable[[Callable[[Any], Awaitable[Any]]], Any]


async def since_ms(on: Any, begin_ns: int, work: Awaitable[Any]) -> float:
    """Return how many ms after `begin_ns` the work is done."""
    await work
    return (on.world.now_ns() - begin_ns) / MILLISECOND


def endings(sink: MemorySink) -> list[str]:
    """Return what the host's links came to, connecting left out."""
    seen = [dict(event.value) for event in sink.events if isinstance(event, Observation) and event.name == "link"]
    return [one["outcome"] for one in seen if one["outcome"] != "connected"]


# --- chance ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("type_name", "attributes"),
    [
        ("latency", {"latency": 50, "jitter": 49}),
        ("slicer", {"average_size": 100, "size_variation": 50, "delay": 100}),
        ("latency", {"latency": 50, "toxicity": 0.5, "per_message": True}),
    ],
)
def test_chance_is_the_seeds(linked: ModuleType, tmp_path: Path, type_name: str, attributes: dict[str, Any]) -> None:
    """What dice decide is the same for the same seed, and another for another."""

    async def director(on: Any) -> list[int]:
        await on.add(type_name, "upstream", **attributes)
        peers = [await on.connect() for _ in range(3)]
        times = []
        for peer in peers:
            for _ in range(5):
                await peer.ask(b"z" * 400)
                times.append(on.world.now_ns())
        return times

    first, again, other = [
        linked.run_linked(director, tmp_path / str(number), seed=seed) for number, seed in enumerate((1, 1, 2))
    ]
    assert (first.result, first.digest) == (again.result, again.digest)
    assert first.result != other.result


# --- order under a cut ----------------------------------------------------------------------------------------------


def test_the_end_waits_behind_what_a_cut_stopped(run: Run) -> None:
    """Bytes and then the end fall due during a cut: neither gets through, and after it both do, in their order."""

    async def director(on: Any) -> tuple[bytes, list[str], bytes, list[str]]:
        peer = await on.connect()
        await on.add("latency", "upstream", latency=100)
        peer.writer.write(b"last\n")
        peer.writer.write_eof()
        await asyncio.sleep(0.05)
        await on.link.cut("upstream")
        await asyncio.sleep(3)
        before = bytes(on.server.received[0]), list(on.server.endings)
        await on.link.heal()
        await asyncio.sleep(10)
        return *before, bytes(on.server.received[0]), on.server.endings

    assert run(director) == (b"", [], b"last\n", ["end"])


def test_an_end_alone_is_stopped_as_well(run: Run) -> None:
    """With nothing before it the end waits for the retransmission too."""

    async def director(on: Any) -> tuple[list[str], list[str]]:
        peer = await on.connect()
        await on.add("slow_close", "upstream", delay=100)
        peer.writer.write_eof()
        await asyncio.sleep(0.05)
        await on.link.cut("upstream")
        await asyncio.sleep(3)
        before = list(on.server.endings)
        await on.link.heal()
        await asyncio.sleep(10)
        return before, on.server.endings

    assert run(director) == ([], ["end"])


def test_nothing_overtakes_what_waits_for_its_retransmission(run: Run) -> None:
    """Healed, the first line still waits to be tried again, and the second, due meanwhile, behind it."""

    async def director(on: Any) -> tuple[bytes, bytes]:
        peer = await on.connect()
        await on.add("latency", "upstream", latency=100)
        peer.writer.write(b"one\n")
        await asyncio.sleep(0.045)
        peer.writer.write(b"two\n")
        await asyncio.sleep(0.005)
        await on.link.cut("upstream")
        await asyncio.sleep(0.070)
        await on.link.heal()
        await asyncio.sleep(0.100)
        waiting = bytes(on.server.received[0])
        await asyncio.sleep(1)
        return waiting, bytes(on.server.received[0])

    assert run(director) == (b"", b"one\ntwo\n")


def test_what_is_sent_meanwhile_keeps_its_place(run: Run) -> None:
    """The toxic is gone and the cut healed: a new line, on a way that is bare again, still comes after the old one."""

    async def director(on: Any) -> bytes:
        peer = await on.connect()
        await on.add("latency", "upstream", latency=100)
        peer.writer.write(b"old\n")
        await asyncio.sleep(0.05)
        await on.link.cut("upstream")
        await asyncio.sleep(0.1)
        await on.link.heal()
        await on.link.remove("t")
        peer.writer.write(b"new\n")
        await asyncio.sleep(2)
        return bytes(on.server.received[0])

    assert run(director) == b"old\nnew\n"


def test_retransmissions_back_off(run: Run) -> None:
    """Stopped at 100.5 ms and tried again 0.2, 0.6, 1.4, 3.0 and 6.2 s later: healed after 5 s, it comes at 6.3 s."""

    async def director(on: Any) -> float:
        peer = await on.connect()
        begin = on.world.now_ns()
        await on.add("latency", "upstream", latency=100)
        peer.writer.write(b"one\n")
        await asyncio.sleep(0.05)
        await on.link.cut("upstream")
        await asyncio.sleep(5)
        await on.link.heal()
        return await since_ms(on, begin, peer.reader.readline())

    assert run(director) == pytest.approx(6_200 + 100.5 + 0.5)


def test_a_toxics_reset_needs_no_way_through(run: Run) -> None:
    """A reset that falls due during a cut is met by both ends at once: they lose the connection, not a segment."""

    async def director(on: Any) -> tuple[float, list[str]]:
        peer = await on.connect()
        begin = on.world.now_ns()
        await on.add("reset_peer", "upstream", timeout=100)
        peer.writer.write(b"one\n")
        await asyncio.sleep(0.05)
        await on.link.cut(None)
        took = await since_ms(on, begin, peer.ending())
        await asyncio.sleep(0.1)
        return took, on.server.endings

    assert run(director) == (pytest.approx(100.5), ["ConnectionResetError"])


# --- cuts and the toxic `partition` at once -------------------------------------------------------------------------


@pytest.mark.parametrize("cut_ends_first", [True, False])
@pytest.mark.parametrize("cut_begins_first", [True, False])
@pytest.mark.parametrize("stream", ["upstream", "downstream"])
def test_a_cut_and_a_partition_at_once(
    run: Run, linked: ModuleType, sink: MemorySink, stream: str, *, cut_begins_first: bool, cut_ends_first: bool
) -> None:
    """Nothing arrives and nobody connects until both are over, and then every line does, once and in order."""

    async def director(on: Any) -> tuple[int, bool, bytes]:
        peer = await on.connect()
        begin, end = [on.link.cut(stream), on.add("partition", stream)], [on.link.heal, lambda: on.link.remove("t")]
        for act in begin if cut_begins_first else begin[::-1]:
            peer.writer.write(b"one\n")
            await asyncio.sleep(0.1)
            await act
        peer.writer.write(b"two\n")
        connecting = asyncio.ensure_future(on.connect())
        await asyncio.sleep(1)
        first, second = end if cut_ends_first else end[::-1]
        await first()
        peer.writer.write(b"three\n")
        await asyncio.sleep(10)
        sent, knocking = len(peer.reader._buffer), connecting.done()
        await second()
        answers = b"".join([await peer.reader.readline() for _ in range(4)])
        assert await (await connecting).ask() == b"X\n"
        await asyncio.sleep(1)
        assert peer.sock.unread == peer.sock.peer.unread == 0
        box = peer.sock.middlebox
        assert (box.inside("upstream"), box.inside("downstream")) == (0, 0)
        return sent, knocking, answers

    assert run(director) == (4, False, b"ONE\nONE\nTWO\nTHREE\n")
    told = {one["toxic"]: one for one in linked.told(sink)}
    cut, toxic = told[f"partition_{stream}"], told["t"]
    one, two, three = len(b"one\n"), len(b"two\n"), len(b"three\n")
    if cut_ends_first:  # whoever comes first stops a line; what the cut lets go, the toxic holds
        assert (cut["held"], toxic["held"]) == ((one if cut_begins_first else 0) + two, one + two + three)
    else:
        assert (cut["held"], toxic.get("held", 0)) == (one + two + three, 0 if cut_begins_first else one)
    assert cut["lost"] + toxic["lost"] >= 4, "a SYN after 0, 1, 3 and 7 s"


def test_a_cut_on_top_of_what_a_toxic_holds(run: Run, linked: ModuleType, sink: MemorySink) -> None:
    """A partition's bytes are let go into a cut: the cut holds and counts them, and its end delivers them first."""

    async def director(on: Any) -> tuple[bytes, int, bytes]:
        peer = await on.connect()
        await on.add("partition", "upstream")
        peer.writer.write(b"first\n")
        await asyncio.sleep(0.1)
        await on.link.cut("upstream")
        peer.writer.write(b"second\n")
        await asyncio.sleep(0.1)
        await on.link.remove("t")
        await asyncio.sleep(1)
        assert peer.sock.middlebox.inside("upstream") == len(b"first\n")
        assert peer.sock.unread == len(b"first\nsecond\n")
        heard = bytes(on.server.received[0])
        await on.link.heal()
        await asyncio.sleep(10)
        return heard, peer.sock.unread, bytes(on.server.received[0])

    assert run(director) == (b"", 0, b"first\nsecond\n")
    assert [one["held"] for one in linked.told(sink)] == [len(b"first\n"), len(b"first\nsecond\n")]


def test_a_second_cut_counts_what_waits_behind_the_toxics(run: Run, linked: ModuleType, sink: MemorySink) -> None:
    """Healed before the retransmission and cut again: what the middlebox has stopped is held by both cuts."""

    async def director(on: Any) -> bytes:
        peer = await on.connect()
        await on.add("latency", "upstream", latency=50)
        peer.writer.write(b"12345\n")
        await asyncio.sleep(0.02)
        await on.link.cut("upstream")
        await asyncio.sleep(0.1)
        await on.link.heal()
        await on.link.cut("upstream")
        await asyncio.sleep(1)
        await on.link.heal()
        return await peer.reader.readline()

    assert run(director) == b"12345\n"
    assert [one["held"] for one in linked.told(sink)] == [6, 6]


# --- time -----------------------------------------------------------------------------------------------------------


def test_an_earlier_time_moves_the_alarm(run: Run) -> None:
    """A reply waits for 5 s; a request that is to wait for 50 ms does not wait for it."""

    async def director(on: Any) -> bytes:
        peer = await on.connect()
        await on.add("latency", "downstream", "down", latency=5000)
        peer.writer.write(b"slow\n")
        await asyncio.sleep(0.1)
        await on.add("latency", "upstream", "up", latency=50)
        peer.writer.write(b"fast\n")
        await asyncio.sleep(0.0515)
        return bytes(on.server.received[0])

    assert run(director) == b"slow\nfast\n"


def test_some_toxics_begin_before_the_first_byte(run: Run) -> None:
    """A connection on which nobody says anything is closed when its timeout has passed."""

    async def director(on: Any) -> float:
        await on.add("timeout", timeout=300)
        peer = await on.connect()
        return await since_ms(on, on.world.now_ns(), peer.ending())

    assert run(director) == pytest.approx(300, abs=1)


def test_what_a_late_end_sets_off_has_its_own_time(run: Run) -> None:
    """An end that a cut stopped ends the other direction too, when it gets through; and that end is slow by 500 ms."""

    async def director(on: Any) -> float:
        peer = await on.connect()
        begin = on.world.now_ns()
        await on.add("slow_close", "upstream", "up", delay=100)
        await on.add("slow_close", "downstream", "down", delay=500)
        peer.writer.write_eof()
        await asyncio.sleep(0.05)
        await on.link.cut("upstream")
        await asyncio.sleep(0.1)
        await on.link.heal()
        return await asyncio.wait_for(since_ms(on, begin, peer.ending()), 5)

    assert run(director) == pytest.approx(0.5 + 100 + 200 + 500)


# --- ends -----------------------------------------------------------------------------------------------------------


def test_nobody_is_told_of_an_end_twice(run: Run, sink: MemorySink) -> None:
    """The server has half-closed; refusing ends the rest of the connection, and the host saw one close."""

    async def director(on: Any) -> list[str]:
        await on.add("half_close", "downstream")
        peer = await on.connect()
        peer.writer.transport.get_protocol().eof_received = lambda: True
        await peer.ask()
        peer.sock.peer.shutdown(1)
        await asyncio.sleep(0.1)
        await on.link.refuse()
        await asyncio.sleep(0.1)
        await on.link.accept()
        return on.server.endings

    assert run(director) == ["end"]
    assert endings(sink) == ["closed"]


def test_removed_is_over(run: Run, linked: ModuleType, sink: MemorySink) -> None:
    """What a removed toxic held comes at once; nothing after it is late or counted, on old connections either."""

    async def director(on: Any) -> float:
        peer = await on.connect()
        await on.add("latency", "upstream", latency=60_000)
        peer.writer.write(b"held\n")
        await asyncio.sleep(0.1)
        await on.link.remove("t")
        begin = on.world.now_ns()
        assert await peer.reader.readline() == b"HELD\n"
        await peer.ask()
        return (on.world.now_ns() - begin) / SECOND

    assert run(director) < 0.01
    [only] = linked.told(sink)
    assert (only["connections"], only["bytes"]) == (1, len(b"held\n"))


@pytest.mark.parametrize(("kept", "ending"), [(False, "ConnectionResetError"), (True, "end")])
def test_who_writes_to_a_side_that_is_gone(run: Run, *, kept: bool, ending: str) -> None:
    """A client that closed is answered for by a reset; where half-closing is kept, its bytes are taken, and lost."""

    async def director(on: Any) -> list[str]:
        on.server.pause_s = 1
        if kept:
            await on.add("half_close", "upstream")
            await on.add("latency", name="l", latency=1)
        peer = await on.connect()
        peer.writer.write(b"a\nb\n")
        await asyncio.sleep(0.05)
        peer.close()
        await asyncio.sleep(5)
        return on.server.endings

    assert run(director) == [ending]


def test_what_was_closed_answers_for_a_server_that_stands_still(run: Run) -> None:
    """The host's bytes after the close are reset, though the server's own kernel would have taken them."""

    async def director(on: Any) -> bool:
        peer = await on.connect()
        sock = peer.sock
        peer.writer.transport.pause_reading()
        await on.world.freeze_host("server")
        await on.link.refuse()
        peer.writer.write(b"still there?\n")
        await asyncio.sleep(0.1)
        dead: bool = sock.dead
        await on.world.thaw_host("server")
        return dead

    assert run(director) is True


def test_a_connection_is_reset_once(run: Run, linked: ModuleType, sink: MemorySink) -> None:
    """Neither end has noticed, so both sockets are still there; yet the second time there is nothing to reset."""

    async def director(on: Any) -> None:
        peer = await on.connect()
        await peer.ask()
        peer.writer.transport.pause_reading()
        await on.world.freeze_host("server")
        await on.link.reset()
        await on.link.reset()
        await on.world.thaw_host("server")

    run(director)
    assert [one["reset"] for one in linked.told(sink)] == [1, 0]


def test_what_was_held_is_lost_with_its_connection(run: Run) -> None:
    """A late reply of a connection that refusing closed: removing the toxic brings it to nobody."""

    async def director(on: Any) -> tuple[bytes, int]:
        peer = await on.connect()
        await on.add("latency", latency=60_000)
        peer.writer.write(b"late\n")
        await asyncio.sleep(0.1)
        await on.link.refuse()
        rest = await peer.reader.read()
        await on.link.remove("t")
        await asyncio.sleep(0.1)
        box = peer.sock.middlebox
        return rest, box.inside("downstream") + peer.sock.received_bytes

    assert run(director) == (b"", 0)
