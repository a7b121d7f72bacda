"""Streams, one suite for both worlds: what a program sees on a real loopback, it sees in the sim world.

Each test is a program that runs once on asyncio's own loop over real sockets of 127.0.0.1, once on the sim loop.
"""

import asyncio
import contextlib
import errno
import inspect
import socket
import ssl
import struct
import sys
from asyncio import selector_events
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, cast

import pytest
import trustme

from harness.tape import Tape
from harness.world.sim.run import run_sim
from harness.world.sim.sink import MemorySink

Run = Callable[[Callable[[], Awaitable[Any]]], Any]
LOCAL = "127.0.0.1"
BIG = 4 * 1024 * 1024


@pytest.fixture(params=["real", "sim"])
def run(request: pytest.FixtureRequest, tmp_path: Path) -> Run:
    """Run a program on a real loop, and on the sim loop."""

    def real(program: Callable[[], Awaitable[Any]]) -> Any:
        async def main() -> Any:
            return await asyncio.wait_for(program(), 20)

        return asyncio.run(main())

    def sim(program: Callable[[], Awaitable[Any]]) -> Any:
        done = run_sim(lambda _: program(), tape=Tape(7), sink=MemorySink(), directory=tmp_path)
        assert done.escapes == ()
        return done.result

    return real if request.param == "real" else sim


class Recorder(asyncio.Protocol):
    """Writes down what its transport tells it."""

    def __init__(self, *, keep_open: bool = False) -> None:
        self.calls: list[Any] = []
        self.transport: Any = None
        self.lost: asyncio.Future[BaseException | None] = asyncio.get_running_loop().create_future()
        self.made: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._keep_open = keep_open

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self.calls.append("made")
        self.made.set_result(None)

    def data_received(self, data: bytes) -> None:
        if self.calls and isinstance(self.calls[-1], bytes):
            self.calls[-1] += data
        else:
            self.calls.append(data)

    def eof_received(self) -> bool:
        self.calls.append("eof")
        self.ended.set_result(None)
        return self._keep_open

    def pause_writing(self) -> None:
        self.calls.append("pause")

    def resume_writing(self) -> None:
        self.calls.append("resume")

    def connection_lost(self, exc: BaseException | None) -> None:
        self.calls.append("lost")
        self.lost.set_result(exc)


class Pair:
    """Two connected recorders and the server between them."""

    def __init__(self, client: Recorder, server: Recorder, listener: asyncio.Server) -> None:
        self.client = client
        self.server = server
        self.listener = listener

    async def close(self) -> None:
        self.listener.close()
        for end in (self.client, self.server):
            end.transport.abort()
            await end.lost


async def connected(*, client_keeps: bool = False, server_keeps: bool = False) -> Pair:
    loop = asyncio.get_running_loop()
    accepted: asyncio.Future[Recorder] = loop.create_future()

    def accept() -> Recorder:
        recorder = Recorder(keep_open=server_keeps)
        accepted.set_result(recorder)
        return recorder

    listener = await loop.create_server(accept, LOCAL, 0)
    _, client = await loop.create_connection(
        lambda: Recorder(keep_open=client_keeps), LOCAL, listener.sockets[0].getsockname()[1]
    )
    server = await accepted
    await server.made
    return Pair(client, server, listener)


async def free_port() -> int:
    """Return a port on which nobody listens any more."""
    listener = await asyncio.get_running_loop().create_server(asyncio.Protocol, LOCAL, 0)
    port: int = listener.sockets[0].getsockname()[1]
    listener.close()
    await listener.wait_closed()
    return port


async def until(condition: Callable[[], Any]) -> None:
    """Let the loop turn until the condition holds; the fixture's time limit ends it otherwise."""
    while not condition():  # noqa: ASYNC110 - there is no event to wait for: a kernel is watched
        await asyncio.sleep(0.001)


def kind_of(error: BaseException | None) -> tuple[str, int | None]:
    return type(error).__name__, getattr(error, "errno", None)


def test_a_refused_connection_reads_as_asyncio_words_it(run: Run) -> None:
    """Errno 111 with asyncio's text."""

    async def program() -> tuple[int, OSError]:
        port = await free_port()
        with pytest.raises(ConnectionRefusedError) as caught:
            await asyncio.open_connection(LOCAL, port)
        return port, caught.value

    port, error = run(program)
    assert error.errno == errno.ECONNREFUSED
    assert str(error) == f"[Errno 111] Connect call failed ('127.0.0.1', {port})"


def test_addresses_agree_at_both_ends(run: Run) -> None:
    """Port 0 picks one; sockname here is peername there."""

    async def program() -> None:
        pair = await connected()
        here, there = pair.client.transport.get_extra_info, pair.server.transport.get_extra_info
        assert here("sockname") == there("peername")
        assert here("peername") == there("sockname") == pair.listener.sockets[0].getsockname()
        assert here("socket").getpeername() == here("peername")
        assert here("socket").family == socket.AF_INET
        assert here("socket").type == socket.SOCK_STREAM
        assert here("sslcontext") is None
        assert here("no such thing", 7) == 7
        await pair.close()

    run(program)


@pytest.mark.parametrize("host", ["0.0.0.0", "", None, "127.0.0.1", "localhost"])
def test_a_server_is_reachable_however_its_address_is_written(run: Run, host: str | None) -> None:
    """The wildcard in each of its spellings, and loopback by name."""

    async def program() -> bytes:
        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(await reader.readline())
            writer.close()
            await writer.wait_closed()

        listener = await asyncio.start_server(answer, host, 0, family=socket.AF_INET)
        reader, writer = await asyncio.open_connection("localhost", listener.sockets[0].getsockname()[1])
        writer.write(b"hello\n")
        line = await reader.readline()
        assert await reader.read() == b""
        writer.close()
        await writer.wait_closed()
        listener.close()
        await listener.wait_closed()
        return line

    assert run(program) == b"hello\n"


def test_writing_to_a_lost_connection(run: Run) -> None:
    """`write` is silent and `drain` tells; `writelines` is the same, where asyncio does not trip (cpython#136234)."""

    async def program() -> list[str]:
        async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read()
            writer.close()

        server = await asyncio.start_server(handle, LOCAL, 0)
        seen = []
        for name, data in (("write", b"x"), ("writelines", [b"x", b"y"])):
            _, writer = await asyncio.open_connection(*server.sockets[0].getsockname()[:2])
            writer.transport.abort()
            await writer.wait_closed()
            try:
                getattr(writer, name)(data)
                await writer.drain()
            except (OSError, AttributeError) as error:
                seen.append(type(error).__name__)
        server.close()
        return seen

    source = inspect.getsource(cast("Any", selector_events)._SelectorSocketTransport.writelines)
    trips = "_write_ready" in source and "_conn_lost" not in source
    assert run(program) == ["ConnectionResetError", "AttributeError" if trips else "ConnectionResetError"]


def test_a_port_serves_once(run: Run) -> None:
    """EADDRINUSE with asyncio's text, and free again after close."""

    async def program() -> None:
        loop = asyncio.get_running_loop()
        first = await loop.create_server(asyncio.Protocol, LOCAL, 0)
        port = first.sockets[0].getsockname()[1]
        with pytest.raises(
            OSError, match=r"error while attempting to bind on address .*address already in use"
        ) as caught:
            await loop.create_server(asyncio.Protocol, LOCAL, port)
        assert caught.value.errno == errno.EADDRINUSE
        first.close()
        await first.wait_closed()
        second = await loop.create_server(asyncio.Protocol, LOCAL, port)
        second.close()

    run(program)


def test_an_address_that_is_not_ours_cannot_be_bound(run: Run) -> None:
    """EADDRNOTAVAIL; from 3.13 on asyncio passes over such an address, and says that none was left."""

    async def program() -> int | None:
        text = "could not bind on any address" if passed_over else "cannot assign requested address"
        with pytest.raises(OSError, match=text) as caught:
            await asyncio.get_running_loop().create_server(asyncio.Protocol, "192.0.2.1", 0)
        return caught.value.errno

    passed_over = sys.version_info >= (3, 13)
    assert run(program) == (None if passed_over else errno.EADDRNOTAVAIL)


def test_unknown_names_do_not_resolve(run: Run) -> None:
    """gaierror, EAI_NONAME where a resolver answers; an offline one says EAI_AGAIN."""

    async def program() -> int | None:
        with pytest.raises(socket.gaierror) as caught:
            await asyncio.open_connection("no-such-host.invalid", 80)
        return caught.value.errno

    assert run(program) in (socket.EAI_NONAME, socket.EAI_AGAIN)


def test_names_resolve_both_ways(run: Run) -> None:
    """Getaddrinfo and getnameinfo of loopback."""

    async def program() -> tuple[Any, Any]:
        loop = asyncio.get_running_loop()
        infos = await loop.getaddrinfo("localhost", 80, family=socket.AF_INET, type=socket.SOCK_STREAM)
        return infos, await loop.getnameinfo((LOCAL, 80), socket.NI_NUMERICHOST | socket.NI_NUMERICSERV)

    infos, name = run(program)
    assert infos == [(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (LOCAL, 80))]
    assert name == (LOCAL, "80")


def test_data_comes_before_the_end(run: Run) -> None:
    """Written and closed at once: data, end of file, lost without an error, in this order."""

    async def program() -> tuple[list[Any], BaseException | None]:
        pair = await connected()
        pair.client.transport.write(b"one")
        pair.client.transport.writelines([b"two", bytearray(b"three"), memoryview(b"four")])
        pair.client.transport.close()
        assert pair.client.transport.is_closing()
        lost = await pair.server.lost
        await pair.close()
        return pair.server.calls, lost

    calls, lost = run(program)
    assert calls == ["made", b"onetwothreefour", "eof", "lost"]
    assert lost is None


def test_half_close(run: Run) -> None:
    """After write_eof the other direction goes on, if the protocol keeps it open."""

    async def program() -> tuple[list[Any], list[Any]]:
        pair = await connected(server_keeps=True)
        pair.client.transport.write(b"question")
        assert pair.client.transport.can_write_eof()
        pair.client.transport.write_eof()
        with pytest.raises(RuntimeError, match="Cannot call write"):
            pair.client.transport.write(b"more")
        await pair.server.ended
        pair.server.transport.write(b"answer")
        pair.server.transport.close()
        await pair.client.lost
        await pair.server.lost
        pair.listener.close()
        return pair.client.calls, pair.server.calls

    client, server = run(program)
    assert server == ["made", b"question", "eof", "lost"]
    assert client == ["made", b"answer", "eof", "lost"]


def test_writing_to_a_peer_that_has_closed(run: Run) -> None:
    """The first write is lost in silence and answered by a reset; a later one is a broken pipe."""

    async def program() -> tuple[str, int | None]:
        pair = await connected(client_keeps=True)
        pair.server.transport.close()
        await pair.client.ended
        while not pair.client.lost.done():
            pair.client.transport.write(b"anybody there?")
            await asyncio.sleep(0.01)
        pair.listener.close()
        return kind_of(await pair.client.lost)

    assert run(program) == ("BrokenPipeError", errno.EPIPE)


def test_closing_with_unread_data_resets(run: Run) -> None:
    """A reset reaches a reader as ConnectionResetError, errno 104."""

    async def program() -> tuple[list[Any], tuple[str, int | None]]:
        pair = await connected()
        pair.server.transport.pause_reading()
        pair.client.transport.write(b"never read")
        await asyncio.sleep(0.05)
        pair.server.transport.close()
        lost = await pair.client.lost
        pair.listener.close()
        return pair.client.calls, kind_of(lost)

    calls, lost = run(program)
    assert calls == ["made", "lost"]
    assert lost == ("ConnectionResetError", errno.ECONNRESET)


def test_lingering_for_no_time_resets(run: Run) -> None:
    """SO_LINGER with a time of zero turns close into a reset, and what arrived before it is still read."""

    async def program() -> tuple[list[Any], tuple[str, int | None]]:
        pair = await connected()
        pair.server.transport.write(b"last words")
        await until(lambda: len(pair.client.calls) == 2)
        sock = pair.server.transport.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        pair.server.transport.close()
        lost = await pair.client.lost
        pair.listener.close()
        return pair.client.calls, kind_of(lost)

    calls, lost = run(program)
    assert calls == ["made", b"last words", "lost"]
    assert lost == ("ConnectionResetError", errno.ECONNRESET)


def test_a_stream_reader_raises_the_reset(run: Run) -> None:
    """Both the reader and drain() raise what happened to the connection."""

    async def program() -> list[tuple[str, int | None]]:
        async def reset(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            linger = struct.pack("ii", 1, 0)
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            writer.close()

        listener = await asyncio.start_server(reset, LOCAL, 0)
        reader, writer = await asyncio.open_connection(LOCAL, listener.sockets[0].getsockname()[1])
        errors = []
        with pytest.raises(OSError, match="reset") as caught:
            await reader.read()
        errors.append(kind_of(caught.value))
        writer.write(b"x")
        with pytest.raises(OSError, match="reset") as caught:
            await writer.drain()
        errors.append(kind_of(caught.value))
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
        listener.close()
        return errors

    assert run(program) == [("ConnectionResetError", errno.ECONNRESET)] * 2


def test_abort_drops_what_is_buffered(run: Run) -> None:
    """The peer sees an end, nobody sees an error, and lost is told once."""

    async def program() -> tuple[list[Any], Any, Any]:
        pair = await connected()
        pair.client.transport.abort()
        pair.client.transport.abort()
        pair.client.transport.close()
        mine, theirs = await pair.client.lost, await pair.server.lost
        pair.client.transport.write(b"ignored")
        pair.listener.close()
        return pair.client.calls, mine, theirs

    assert run(program) == (["made", "lost"], None, None)


def test_a_slow_reader_stops_the_writer(run: Run) -> None:
    """Past the high mark the writer is paused; it goes on when the reader does; nothing is lost on the way."""

    async def program() -> tuple[list[Any], int]:
        pair = await connected()
        pair.server.transport.pause_reading()
        assert not pair.server.transport.is_reading()
        pair.client.transport.set_write_buffer_limits(high=1000)
        assert pair.client.transport.get_write_buffer_limits() == (250, 1000)
        data = bytes(range(256)) * (4 * BIG // 256)
        pair.client.transport.write(data)
        await asyncio.sleep(0.05)
        assert pair.client.calls == ["made", "pause"]
        assert pair.client.transport.get_write_buffer_size() > 1000
        assert pair.server.calls == ["made"]
        pair.server.transport.resume_reading()
        assert pair.server.transport.is_reading()
        await until(lambda: len(pair.server.calls) == 2 and len(pair.server.calls[1]) == len(data))
        assert pair.server.calls[1] == data
        size = pair.client.transport.get_write_buffer_size()
        await pair.close()
        return pair.client.calls, size

    calls, size = run(program)
    assert calls[:3] == ["made", "pause", "resume"]
    assert size == 0


def test_closing_flushes(run: Run) -> None:
    """Close with a full buffer: everything arrives before the end."""

    async def program() -> int:
        received = 0
        done = asyncio.get_running_loop().create_future()

        async def count(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            nonlocal received
            while data := await reader.read(100_000):
                received += len(data)
            writer.close()
            done.set_result(None)

        listener = await asyncio.start_server(count, LOCAL, 0)
        _, writer = await asyncio.open_connection(LOCAL, listener.sockets[0].getsockname()[1])
        writer.write(b"x" * BIG)
        writer.close()
        await writer.wait_closed()
        await done
        listener.close()
        return received

    assert run(program) == BIG


def test_paused_data_arrives_on_resume(run: Run) -> None:
    """Pause_reading keeps the data in the kernel."""

    async def program() -> list[Any]:
        pair = await connected()
        pair.server.transport.pause_reading()
        pair.client.transport.write(b"later")
        await asyncio.sleep(0.05)
        pair.server.calls.append("resuming")
        pair.server.transport.resume_reading()
        await until(lambda: len(pair.server.calls) == 3)
        await pair.close()
        return pair.server.calls

    assert run(program) == ["made", "resuming", b"later", "lost"]


class Buffered(asyncio.BufferedProtocol):
    """Receives into a buffer of seven bytes."""

    def __init__(self) -> None:
        self.buffer = bytearray(7)
        self.parts: list[bytes] = []

    def get_buffer(self, sizehint: int) -> bytearray:
        return self.buffer

    def buffer_updated(self, nbytes: int) -> None:
        self.parts.append(bytes(self.buffer[:nbytes]))


def test_buffered_protocols_and_set_protocol(run: Run) -> None:
    """A buffered protocol, put in place of another one, gets the rest in pieces of its buffer's size."""

    async def program() -> list[bytes]:
        pair = await connected()
        buffered = Buffered()
        pair.client.transport.set_protocol(buffered)
        assert pair.client.transport.get_protocol() is buffered
        pair.server.transport.write(b"0123456789abcdef")
        await until(lambda: sum(map(len, buffered.parts)) == 16)
        pair.client.transport.set_protocol(pair.client)
        await pair.close()
        return buffered.parts

    assert run(program) == [b"0123456", b"789abcd", b"ef"]


def test_a_server_may_start_later(run: Run) -> None:
    """Bound but not serving refuses; start_serving and serve_forever accept; cancelling the latter closes."""

    async def program() -> list[Any]:
        loop = asyncio.get_running_loop()
        listener = await loop.create_server(asyncio.Protocol, LOCAL, 0, start_serving=False)
        port = listener.sockets[0].getsockname()[1]
        seen: list[Any] = [listener.is_serving()]
        with pytest.raises(ConnectionRefusedError):
            await loop.create_connection(asyncio.Protocol, LOCAL, port)
        forever = asyncio.ensure_future(listener.serve_forever())
        await asyncio.sleep(0.01)
        seen.append(listener.is_serving())
        transport, _ = await loop.create_connection(asyncio.Protocol, LOCAL, port)
        transport.close()
        await asyncio.sleep(0.05)
        forever.cancel()
        with pytest.raises(asyncio.CancelledError):
            await forever
        seen.extend((listener.is_serving(), listener.sockets))
        return seen

    assert run(program) == [False, True, False, ()]


def test_closing_a_server_leaves_its_connections(run: Run) -> None:
    """New connections are refused, old ones go on."""

    async def program() -> list[Any]:
        pair = await connected()
        port = pair.listener.sockets[0].getsockname()[1]
        pair.listener.close()
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection(LOCAL, port)
        pair.client.transport.write(b"still here")
        await until(lambda: len(pair.server.calls) == 2)
        await pair.close()
        return pair.server.calls[:2]

    assert run(program) == ["made", b"still here"]


@pytest.mark.skipif(sys.version_info < (3, 13), reason="Server.abort_clients is new in 3.13")
def test_a_server_aborts_its_clients(run: Run) -> None:
    """Server.abort_clients ends the connections it accepted."""

    async def program() -> list[Any]:
        pair = await connected()
        pair.listener.abort_clients()
        await pair.client.lost
        await pair.server.lost
        pair.listener.close()
        return pair.server.calls

    assert run(program) == ["made", "lost"]


def test_connecting_a_socket_by_hand(run: Run) -> None:
    """Sock_connect, then create_connection(sock=...): how aiohttp connects."""

    async def program() -> list[Any]:
        loop = asyncio.get_running_loop()
        pair = await connected()
        address = pair.listener.sockets[0].getsockname()
        accepted: list[Recorder] = []
        listener = await loop.create_server(lambda: accepted.append(Recorder()) or accepted[-1], LOCAL, 0)
        address = listener.sockets[0].getsockname()
        sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        sock.setblocking(False)
        await loop.sock_connect(sock, address)
        transport, _ = await loop.create_connection(asyncio.Protocol, sock=sock)
        assert transport.get_extra_info("peername") == address
        transport.write(b"by hand")
        await until(lambda: accepted and len(accepted[0].calls) == 2)
        transport.close()
        await accepted[0].lost
        listener.close()
        await pair.close()
        return accepted[0].calls

    assert run(program) == ["made", b"by hand", "eof", "lost"]


def test_a_socket_that_fails_to_connect_by_hand(run: Run) -> None:
    """The refusal reaches sock_connect, and the socket is the caller's to close."""

    async def program() -> int | None:
        port = await free_port()
        sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        sock.setblocking(False)
        try:
            with pytest.raises(ConnectionRefusedError) as caught:
                await asyncio.get_running_loop().sock_connect(sock, (LOCAL, port))
            return caught.value.errno
        finally:
            sock.close()

    assert run(program) == errno.ECONNREFUSED


def test_local_address_and_happy_eyeballs(run: Run) -> None:
    """Local_addr is obeyed, happy eyeballs' arguments are accepted."""

    async def program() -> tuple[str, int]:
        loop = asyncio.get_running_loop()
        pair = await connected()
        address = pair.listener.sockets[0].getsockname()
        pair.listener.close()
        listener = await loop.create_server(asyncio.Protocol, LOCAL, 0)
        address = listener.sockets[0].getsockname()
        port = await free_port()
        transport, _ = await loop.create_connection(
            asyncio.Protocol, *address, local_addr=(LOCAL, port), happy_eyeballs_delay=0.25, interleave=1
        )
        assert transport.get_extra_info("sockname") == (LOCAL, port)
        transport.abort()
        await asyncio.sleep(0.05)
        listener.close()
        await pair.close()
        return address

    assert run(program)[0] == LOCAL


def test_giving_up_on_a_read(run: Run) -> None:
    """A timeout around a read leaves the connection usable."""

    async def program() -> bytes:
        pair = await connected()
        reader, writer = await asyncio.open_connection(LOCAL, await echo_port())
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await reader.readline()
        writer.write(b"after all\n")
        line = await reader.readline()
        writer.close()
        await writer.wait_closed()
        await pair.close()
        return line

    async def echo_port() -> int:
        async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            while line := await reader.readline():
                writer.write(line)
            writer.close()
            listener.close()

        listener = await asyncio.start_server(echo, LOCAL, 0)
        port: int = listener.sockets[0].getsockname()[1]
        return port

    assert run(program) == b"after all\n"


def test_many_clients_at_once(run: Run) -> None:
    """Two hundred connections, more than a backlog, each with its own conversation."""

    async def program() -> list[bytes]:
        async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write((await reader.readline()).upper())
            writer.close()
            await writer.wait_closed()

        async def ask(number: int) -> bytes:
            reader, writer = await asyncio.open_connection(LOCAL, port)
            writer.write(b"client %d\n" % number)
            answer = await reader.read()
            writer.close()
            await writer.wait_closed()
            return answer

        listener = await asyncio.start_server(echo, LOCAL, 0)
        port = listener.sockets[0].getsockname()[1]
        answers = await asyncio.gather(*map(ask, range(200)))
        listener.close()
        return answers

    assert run(program) == [b"CLIENT %d\n" % number for number in range(200)]


def contexts() -> tuple[ssl.SSLContext, ssl.SSLContext]:
    authority = trustme.CA()
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(server)
    client = ssl.create_default_context()
    authority.configure_trust(client)
    return client, server


async def shout(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError, ssl.SSLError):
        writer.write((await reader.readline()).upper())
        await writer.drain()
        writer.close()
        await writer.wait_closed()


def test_tls_on_both_sides(run: Run) -> None:
    """A handshake, data both ways, an orderly end."""
    client, server = contexts()

    async def program() -> tuple[bytes, str, bytes]:
        listener = await asyncio.start_server(shout, LOCAL, 0, ssl=server)
        port = listener.sockets[0].getsockname()[1]
        reader, writer = await asyncio.open_connection("localhost", port, ssl=client, family=socket.AF_INET)
        writer.write(b"secret\n")
        line, rest = await reader.readline(), await reader.read()
        version = writer.get_extra_info("ssl_object").version()
        assert writer.get_extra_info("sslcontext") is client
        writer.close()
        await writer.wait_closed()
        listener.close()
        return line, version, rest

    assert run(program) == (b"SECRET\n", "TLSv1.3", b"")


def test_a_certificate_that_is_not_trusted(run: Run) -> None:
    """The handshake's error reaches the caller of open_connection."""
    _, server = contexts()

    async def program() -> str:
        listener = await asyncio.start_server(shout, LOCAL, 0, ssl=server)
        port = listener.sockets[0].getsockname()[1]
        with pytest.raises(ssl.SSLCertVerificationError) as caught:
            await asyncio.open_connection("localhost", port, ssl=ssl.create_default_context(), family=socket.AF_INET)
        listener.close()
        await asyncio.sleep(0.05)
        return caught.value.reason

    assert run(program) == "CERTIFICATE_VERIFY_FAILED"


def test_upgrading_to_tls(run: Run) -> None:
    """Start_tls in the midst of a conversation, on both sides."""
    client, server = contexts()

    async def program() -> bytes:
        async def upgrade(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            assert await reader.readline() == b"starttls\n"
            writer.write(b"go\n")
            await writer.start_tls(server)
            await shout(reader, writer)

        listener = await asyncio.start_server(upgrade, LOCAL, 0)
        reader, writer = await asyncio.open_connection(LOCAL, listener.sockets[0].getsockname()[1])
        writer.write(b"starttls\n")
        assert await reader.readline() == b"go\n"
        await writer.start_tls(client, server_hostname="localhost")
        writer.write(b"now secret\n")
        line = await reader.readline()
        writer.close()
        await writer.wait_closed()
        listener.close()
        return line

    assert run(program) == b"NOW SECRET\n"
