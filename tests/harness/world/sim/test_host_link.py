"""The link from a host to a dependency: every toxic, as both ends meet it."""

import asyncio
from collections.abc import Awaitable, Callable
from types import ModuleType
from typing import Any

import pytest

from harness.errors import WorldError
from harness.history.events import Observation
from harness.toxics.catalog import TYPES, parse
from harness.units import MILLISECOND, ms
from harness.world.sim.endpoint import WINDOW
from harness.world.sim.sink import MemorySink

Run = Callable[[Callable[[Any], Awaitable[Any]]], Any]

ROUND_TRIP_MS = 1
ATTRIBUTES: dict[str, dict[str, Any]] = {
    "latency": {"latency": 50, "jitter": 10},
    "bandwidth": {"rate": 1},
    "slow_close": {"delay": 100},
    "timeout": {"timeout": 100},
    "reset_peer": {"timeout": 20},
    "slicer": {"average_size": 3, "size_variation": 1, "delay": 10},
    "limit_data": {"bytes": 5},
    "discard_first": {"bytes": 3},
    "redis_match": {"action": "drop_reply"},
    "http_match": {"action": "drop_reply"},
}


# --- toxics on bytes -------------------------------------------------------------------------------------------------


def test_latency_takes_open_connections_and_new_ones(run: Run, linked: ModuleType, sink: MemorySink) -> None:
    """Replies are late by 100 ms on both, connecting is not, and all is as before once it is removed; told at last."""

    async def director(on: Any) -> list[float]:
        old = await on.connect()
        await old.ask()
        await on.add("latency", latency=100)
        new, connecting = await on.took_ms(on.connect())
        times = [connecting, (await on.took_ms(old.ask()))[1], (await on.took_ms(new.ask(b"12345")))[1]]
        await on.link.remove("t")
        third = await on.connect()
        times += [(await on.took_ms(peer.ask()))[1] for peer in (old, new, third)]
        assert third.sock.middlebox is None
        return times

    assert run(director) == pytest.approx([1, 101, 101, 1, 1, 1])
    effects = {"connections": 2, "bytes": len("X\n") + len("12345\n")}
    assert linked.told(sink) == [{"to": "server", "toxic": "t", "type": "latency", "stream": "downstream"} | effects]


def test_latency_does_not_serialise(run: Run) -> None:
    """Twenty lines sent 1 ms apart arrive 1 ms apart, in order, each 100 ms late."""

    async def director(on: Any) -> tuple[list[bytes], float]:
        peer = await on.connect()
        await on.add("latency", "upstream", latency=100)
        begin = on.world.now_ns()
        for number in range(20):
            peer.writer.write(b"%d\n" % number)
            await asyncio.sleep(0.001)
        lines = [await peer.reader.readline() for _ in range(20)]
        return lines, (on.world.now_ns() - begin) / MILLISECOND

    lines, took = run(director)
    assert lines == [b"%d\n" % number for number in range(20)]
    assert took == pytest.approx(19 + 100 + 1)


def test_bandwidth_holds_the_sender_back(run: Run) -> None:
    """A stalled link takes the window and no more; the rest waits at the sender, and all arrives once it is removed."""

    async def director(on: Any) -> None:
        peer = await on.connect()
        await on.add("bandwidth", "upstream", rate=0)
        text = b"y" * (3 * WINDOW) + b"\n"
        peer.writer.write(text)
        await asyncio.sleep(5)
        assert peer.sock.unread == WINDOW
        assert peer.writer.transport.get_write_buffer_size() == len(text) - WINDOW
        assert peer.sock.middlebox.inside("upstream") == WINDOW
        assert on.server.received == [b""]
        await on.link.remove("t")
        assert await peer.reader.readline() == text.upper()
        await asyncio.sleep(0.1)
        assert peer.sock.unread == peer.sock.peer.unread == 0

    run(director)


def test_bandwidth_has_its_rate(run: Run) -> None:
    """100 kB at 50 kB/s take 2 s."""

    async def director(on: Any) -> float:
        await on.add("bandwidth", rate=50)
        peer = await on.connect()
        return (await on.took_ms(peer.ask(b"z" * 99_999)))[1]

    assert run(director) == pytest.approx(2000, rel=0.01)


def test_a_sender_into_the_void_is_not_held_back(run: Run, linked: ModuleType, sink: MemorySink) -> None:
    """Half-open: megabytes are taken and gone, nothing ends, and the count is exact."""

    async def director(on: Any) -> None:
        peer = await on.connect()
        await on.add("half_open", "upstream")
        peer.writer.write(b"w" * (4 * WINDOW))
        await asyncio.wait_for(peer.writer.drain(), 10)
        await asyncio.sleep(1)
        assert peer.sock.unread == 0
        assert on.server.received == [b""]
        assert not peer.reader.at_eof()
        await on.link.remove("t")

    run(director)
    assert linked.told(sink)[0]["dropped"] == 4 * WINDOW


def test_a_slicer_cuts_up(run: Run) -> None:
    """A reply of 30 bytes arrives in at least 10 pieces, whole."""

    async def director(on: Any) -> int:
        await on.add("slicer", average_size=3, size_variation=1, delay=1000)
        peer = await on.connect()
        peer.writer.write(b"v" * 29 + b"\n")
        pieces = []
        while sum(map(len, pieces)) < 30:
            pieces.append(await peer.reader.read(100))
        assert b"".join(pieces) == b"V" * 29 + b"\n"
        return len(pieces)

    assert 8 <= run(director) <= 15


def test_only_the_share_of_connections_that_the_dice_say(run: Run) -> None:
    """Toxicity 0.5 over 60 connections: some are late and some are not, and each stays as it is."""

    async def director(on: Any) -> int:
        await on.add("latency", latency=100, toxicity=0.5)
        late = 0
        for _ in range(60):
            peer = await on.connect()
            first, second = [(await on.took_ms(peer.ask()))[1] > 50 for _ in range(2)]
            assert first == second
            late += first
        return late

    assert 15 < run(director) < 45


def test_toxics_chain_in_the_order_of_their_creation(run: Run) -> None:
    """Two latencies add up; the first 3 bytes are discarded before the limit of 5 counts."""

    async def director(on: Any) -> tuple[float, bytes]:
        peer = await on.connect()
        await on.add("latency", name="a", latency=30)
        await on.add("latency", name="b", latency=20)
        _, took = await on.took_ms(peer.ask())
        await on.add("discard_first", name="c", bytes=3)
        await on.add("limit_data", name="d", bytes=5)
        other = await on.connect()
        other.writer.write(b"0123456789\n")
        return took, await other.reader.read()

    took, rest = run(director)
    assert took == pytest.approx(51)
    assert rest == b"34567"


# --- how connections end ---------------------------------------------------------------------------------------------


def test_the_end_of_one_direction_ends_both(run: Run) -> None:
    """As through the real world's proxy: who closes its side gets no reply any more, and no error either."""

    async def director(on: Any) -> tuple[str, list[str]]:
        on.server.pause_s = 1
        peer = await on.connect()
        peer.writer.write(b"bye\n")
        peer.writer.write_eof()
        rest = await peer.reader.read()
        assert rest == b""
        await asyncio.sleep(2)
        return bytes(on.server.received[0]).decode(), on.server.endings

    assert run(director) == ("bye\n", ["end"])


def test_half_close_is_kept_on_demand(run: Run, linked: ModuleType, sink: MemorySink) -> None:
    """With the toxic `half_close` upstream the reply still comes, and then the end."""

    async def director(on: Any) -> tuple[bytes, list[str]]:
        on.server.pause_s = 1
        await on.add("half_close", "upstream")
        peer = await on.connect()
        peer.writer.write(b"bye\n")
        peer.writer.write_eof()
        rest = await peer.reader.read()
        await on.link.remove("t")
        return rest, on.server.endings

    assert run(director) == (b"BYE\n", ["end"])
    assert linked.told(sink)[0]["ends"] == 1


def test_slow_close_delays_the_end_alone(run: Run) -> None:
    """The server learns of the close 2 s late; its data was not late."""

    async def director(on: Any) -> tuple[list[str], list[str]]:
        await on.add("slow_close", "upstream", delay=2000)
        peer = await on.connect()
        assert (await on.took_ms(peer.ask()))[1] == pytest.approx(1)
        peer.close()
        await asyncio.sleep(1.9)
        before = list(on.server.endings)
        await asyncio.sleep(0.2)
        return before, on.server.endings

    assert run(director) == ([], ["end"])


def test_a_limit_closes_both_ends(run: Run, linked: ModuleType, sink: MemorySink) -> None:
    """Exactly the limit arrives, then the end, at the server as well."""

    async def director(on: Any) -> tuple[bytes, list[str]]:
        await on.add("limit_data", bytes=4)
        peer = await on.connect()
        peer.writer.write(b"abcdefgh\n")
        rest = await peer.reader.read()
        await asyncio.sleep(0.1)
        await on.link.remove("t")
        return rest, on.server.endings

    assert run(director) == (b"ABCD", ["end"])
    assert linked.told(sink)[0]["closed"] == 1


def test_a_timeout_drops_and_then_closes(run: Run) -> None:
    """Nothing comes for 300 ms, then the end."""

    async def director(on: Any) -> tuple[bytes, float]:
        await on.add("timeout", timeout=300)
        peer = await on.connect()
        begin = on.world.now_ns()
        peer.writer.write(b"a\n")
        return await peer.reader.read(), (on.world.now_ns() - begin) / MILLISECOND

    rest, took = run(director)
    assert rest == b""
    assert took == pytest.approx(300, abs=2)


def test_reset_peer_resets_both_ends(run: Run) -> None:
    """The client meets ECONNRESET 50 ms after the reply, and the server meets it too."""

    async def director(on: Any) -> tuple[str, float, list[str]]:
        await on.add("reset_peer", timeout=50)
        peer = await on.connect()
        peer.writer.write(b"a\n")
        ending, took = await on.took_ms(peer.ending())
        await asyncio.sleep(0.1)
        return ending, took, on.server.endings

    ending, took, endings = run(director)
    assert (ending, endings) == ("ConnectionResetError", ["ConnectionResetError"])
    assert took == pytest.approx(51)


def test_abort_resets_what_there_is_and_what_comes(run: Run, linked: ModuleType, sink: MemorySink) -> None:
    """The open connection at once, and each new one when it is accepted: connecting itself succeeds."""

    async def director(on: Any) -> list[str]:
        old = await on.connect()
        await on.add("abort")
        endings = [await old.ending()]
        new = await on.connect()
        endings.append(await new.ending())
        await on.link.remove("t")
        assert await (await on.connect()).ask() == b"X\n"
        return endings

    assert run(director) == ["ConnectionResetError"] * 2
    assert linked.told(sink)[0]["reset"] == 2


# --- all of them -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("stream", ["upstream", "downstream"])
@pytest.mark.parametrize("type_name", sorted(TYPES))
def test_after_any_toxic_the_link_is_whole(run: Run, type_name: str, stream: str) -> None:
    """Whatever it did to a talk in progress, a fresh connection works as ever once it is removed."""

    async def talk(peer: Any) -> None:
        try:
            await asyncio.wait_for(peer.ask(b"0123456789"), 3)
            peer.close()
        except (OSError, TimeoutError):
            peer.writer.transport.abort()

    async def director(on: Any) -> None:
        old = await on.connect()
        await on.add(type_name, stream, **ATTRIBUTES.get(type_name, {}))
        await talk(old)
        if not parse(type_name, ATTRIBUTES.get(type_name, {})).loses_connects:
            await talk(await on.connect())
        await on.link.remove("t")
        peer, connecting = await on.took_ms(on.connect())
        answer, took = await on.took_ms(peer.ask(b"well?"))
        assert (answer, connecting, took) == (b"WELL?\n", pytest.approx(1), pytest.approx(1))
        await asyncio.sleep(1)
        assert peer.sock.unread == peer.sock.peer.unread == 0

    run(director)


def test_what_cannot_be_asked_for(run: Run) -> None:
    """Unknown hosts and dependencies, a name that is taken and one that is not there: each is an error by name."""

    async def director(on: Any) -> None:
        for host, dependency in (("nobody", "server"), ("client", "nothing"), ("server", "server")):
            with pytest.raises(WorldError):
                on.world.link(host, dependency)
        await on.add("latency", latency=1)
        with pytest.raises(WorldError, match="'t' on client->server already"):
            await on.add("latency", latency=1)
        with pytest.raises(WorldError, match="no toxic 'u' on client->server"):
            await on.link.remove("u")
        assert on.world.link("client", "server") is on.link

    run(director)


def test_toxics_are_not_of_the_hosts_past(run: Run) -> None:
    """A restarted program sees what its earlier self recorded, not what was observed of its link."""

    async def director(on: Any) -> tuple[Any, ...]:
        await on.add("latency", latency=ms(0))
        await on.link.remove("t")
        return tuple(on.world.run_sink.past("client"))

    assert [event for event in run(director) if isinstance(event, Observation)] == []
