"""Link observations: what happened is told, once, in bounded number, and the library notices nothing."""

import asyncio
import socket
import ssl
import struct
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from typing import Any

import host_programs
import pytest
import trustme
from hypothesis import given
from hypothesis import strategies as st

from harness.units import seconds
from harness.world.base import HostSpec
from harness.world.real.links import INDIVIDUALLY_MAX, AddressBook, LinkLog, ObservingEventLoop

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Recorder:
    """Collects observations, and what is to be done later."""

    def __init__(self) -> None:
        self.seen: list[dict[str, Any]] = []
        self.later: list[Callable[[], None]] = []

    def observe(self, **value: Any) -> None:
        self.seen.append(value)

    def log(self, already: int = 0) -> LinkLog:
        return LinkLog(self.observe, already=already, later=lambda _s, action: self.later.append(action))


@given(
    st.integers(0, INDIVIDUALLY_MAX + 5),
    st.lists(st.tuples(st.sampled_from(["redis", "binance", None]), st.integers(1, 700)), max_size=12),
)
def test_observations_are_bounded_and_their_counts_are_exact(already: int, steps: list[tuple[str | None, int]]) -> None:
    """Whatever comes (None: a second passes), every sighting is counted once, and few lines are written."""
    recorder = Recorder()
    log = recorder.log(already)
    expected: Counter[str] = Counter()
    for name, count in steps:
        if name is None:
            for action in recorder.later:
                action()
            recorder.later.clear()
            continue
        expected[name] += count
        for _ in range(count):
            log.saw(name, "refused")
        assert len(recorder.later) <= 1, "one timer at a time"
    log.flush()
    told: Counter[str] = Counter()
    for value in recorder.seen:
        told[value["to"]] += value.get("count", 1)
    assert told == expected
    singly = [value for value in recorder.seen if "count" not in value]
    assert len(singly) == min(max(INDIVIDUALLY_MAX - already, 0), expected.total())
    assert len(recorder.seen) - len(singly) <= 2 * (steps.count((None, 1)) + len(steps) + 1)


def test_addresses_are_found_by_url_and_default_port() -> None:
    """An endpoint is known by its numeric address; a port that the URL leaves out is the scheme's."""
    book = AddressBook({"redis": "redis://u:p@127.0.0.1/0", "binance": "wss://127.0.0.1:9443/ws", "odd": "file:///x"})
    assert book.name(("127.0.0.1", 6379)) == "redis"
    assert book.name(("127.0.0.1", 9443)) == "binance"
    assert book.name(("127.0.0.1", 80)) is None
    assert book.name("/a/unix/socket") is None
    assert AddressBook({"six": "http://[::1]:81"}).name(("::1", 81, 0, 0)) == "six"
    assert AddressBook({"local": "http://localhost:81"}).name(("127.0.0.1", 81)) == "local"


def observed(port: int, use: Callable[[], Awaitable[None]]) -> list[str]:
    """Run `use` on an observing loop that knows the port as `redis`; return the outcomes."""
    recorder = Recorder()

    def make_loop() -> ObservingEventLoop:
        loop = ObservingEventLoop({"redis": f"redis://127.0.0.1:{port}"})
        loop.links = recorder.log()
        return loop

    async def main() -> None:
        await use()

    with asyncio.Runner(loop_factory=make_loop) as runner:
        runner.run(main())
    assert {value["to"] for value in recorder.seen} <= {"redis"}
    return [value["outcome"] for value in recorder.seen]


@pytest.fixture
def listening() -> Iterator[socket.socket]:
    """Return a listening socket on a port of its own."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server


def serving(server: socket.socket, handle: Handler, use: Callable[[int], Awaitable[None]], **options: Any) -> list[str]:
    """Return the outcomes of `use(port)` against a server on the same loop."""
    port = server.getsockname()[1]

    async def main() -> None:
        async with await asyncio.start_server(handle, sock=server, **options):
            await use(port)

    return observed(port, main)


async def hang_up(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"bye")
    writer.close()


async def reset(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read(1)
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(1 << 16):
        writer.write(data)
    writer.close()


def test_a_refused_connection(listening: socket.socket) -> None:
    """Nobody listens: `refused`, and the library gets its error."""
    port = listening.getsockname()[1]
    listening.close()

    async def use() -> None:
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", port)

    assert observed(port, use) == ["refused"]


def test_an_unanswered_connection() -> None:
    """A SYN that nobody answers until the caller gives up: `unreachable`."""
    with socket.socket() as full, socket.socket() as filler:
        full.bind(("127.0.0.1", 0))
        full.listen(0)  # room for one connection that nobody accepts; the kernel drops the next SYN
        filler.connect(full.getsockname())
        port = full.getsockname()[1]

        async def use() -> None:
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(asyncio.open_connection("127.0.0.1", port), 0.2)

        assert observed(port, use) == ["unreachable"]


def test_a_connection_closed_by_the_peer(listening: socket.socket) -> None:
    """End of file from the peer: `connected`, then `closed`, once, though we close our side as well."""

    async def use(port: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        assert await reader.read() == b"bye"
        writer.close()
        await writer.wait_closed()

    assert serving(listening, hang_up, use) == ["connected", "closed"]


def test_a_connection_reset_by_the_peer(listening: socket.socket) -> None:
    """RST from the peer: `connected`, then `reset`, and the library gets its error."""

    async def use(port: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"x")
        with pytest.raises(ConnectionResetError):
            await reader.read()
        writer.close()
        with suppress(ConnectionResetError):
            await writer.wait_closed()

    assert serving(listening, reset, use) == ["connected", "reset"]


def test_a_connection_that_we_close_is_nobodys_fault(listening: socket.socket) -> None:
    """Our own close is no observation; data passes unchanged; the transport keeps the library's protocol."""
    protocols: list[asyncio.Protocol] = []

    class Client(asyncio.Protocol):
        def __init__(self) -> None:
            self.got = b""
            self.complete = asyncio.Event()
            self.lost = asyncio.get_running_loop().create_future()

        def data_received(self, data: bytes) -> None:
            self.got += data
            if len(self.got) == 100_000:
                self.complete.set()

        def connection_lost(self, exc: Exception | None) -> None:
            self.lost.set_result(exc)

    async def use(port: int) -> None:
        loop = asyncio.get_running_loop()
        transport, protocol = await loop.create_connection(Client, "127.0.0.1", port)
        assert transport.get_protocol() is protocol
        transport.write(b"x" * 100_000)
        await asyncio.wait_for(protocol.complete.wait(), 5)
        transport.close()
        assert await protocol.lost is None
        protocols.append(protocol)

    assert serving(listening, echo, use) == ["connected"]
    assert len(protocols) == 1


def test_other_addresses_are_not_observed(listening: socket.socket) -> None:
    """Only endpoints of the run are observed, not whatever else the target connects to."""

    async def use(port: int) -> None:
        other = await asyncio.start_server(hang_up, "127.0.0.1", 0)
        async with other:
            reader, writer = await asyncio.open_connection(*other.sockets[0].getsockname())
            await reader.read()
            writer.close()
            await writer.wait_closed()

    assert serving(listening, hang_up, use) == []


def test_tls_connections_are_observed_below_the_encryption(listening: socket.socket) -> None:
    """A TLS connection that the peer closes is told like any other."""
    authority = trustme.CA()
    server, client = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    authority.issue_cert("127.0.0.1").configure_cert(server)
    authority.configure_trust(client)

    async def use(port: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=client)
        assert await reader.read() == b"bye"
        writer.close()
        await writer.wait_closed()

    assert serving(listening, hang_up, use, ssl=server) == ["connected", "closed"]


@pytest.mark.real
async def test_a_host_process_tells_of_its_links(make_world, sink, listener_kind) -> None:
    """In a host process: connected and closed at one dependency, refused at another, in the host's name."""
    async with make_world(kinds={"closing": listener_kind(hang_up), "down": listener_kind(hang_up)}) as world:
        await world.start_dependency("redis", "closing", {})
        await world.start_dependency("binance", "down", {})
        await world.doors("binance").shut()
        await world.start_host(HostSpec(name="a", program=host_programs.connects))
        await sink.until(lambda: bool(sink.named("error")))
        await world.stop_host("a", timeout_ns=seconds(5))
    assert [(event.actor, event.value) for event in sink.named("link")] == [
        ("a", {"to": "redis", "outcome": "connected"}),
        ("a", {"to": "redis", "outcome": "closed"}),
        ("a", {"to": "binance", "outcome": "refused"}),
    ]
