"""One connection against servers that misbehave on purpose."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from reference_impl._event_bus.encoding import pack
from reference_impl._event_bus.link import Address, Link, LinkError

INFO = b"# Server\r\nrun_id:abc\r\n"
GREETING = b"+PONG\r\n$%d\r\n%b\r\n" % (len(INFO), INFO)
Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
Serve = Callable[[Talk], Awaitable[Address]]


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    """Start a server that talks as the test says."""
    servers: list[asyncio.Server] = []
    writers: list[asyncio.StreamWriter] = []

    async def start(talk: Talk) -> Address:
        async def client(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writers.append(writer)
            await talk(reader, writer)

        server = await asyncio.start_server(client, "127.0.0.1", 0)
        servers.append(server)
        return Address(f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}")

    yield start
    for writer in writers:
        writer.close()
    for server in servers:
        server.close()
        await server.wait_closed()


async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"server\r\n")
    writer.write(GREETING)


async def test_replies_come_in_order_and_the_server_is_known(serve: Serve) -> None:
    """Replies are matched to requests in order, split packets included."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await greet(reader, writer)
        await reader.readuntil(b"second\r\n")
        writer.write(b":1\r\n:2")
        await writer.drain()
        await asyncio.sleep(0)
        writer.write(b"\r\n-ERR no\r\n")

    link = await Link.open(await serve(talk), 1.0)
    assert link.run_id == "abc"
    first, second = await asyncio.gather(link.ask(pack("first"), 1, 1.0), link.ask(pack("second"), 2, 1.0))
    assert first == [1]
    assert (second[0], str(second[1])) == (2, "ERR no")
    await link.aclose()


async def test_silence_drops_the_link(serve: Serve) -> None:
    """A request that is not answered in time fails, so do those behind it, and the link takes no more."""
    link = await Link.open(await serve(greet), 1.0)
    lost: list[None] = []
    link.on_lost = lambda: lost.append(None)
    loop = asyncio.get_running_loop()
    began = loop.time()
    outcomes = await asyncio.gather(
        link.ask(pack("GET", "a"), 1, 0.05), link.ask(pack("GET", "b"), 1, 30), return_exceptions=True
    )
    assert [LinkError, LinkError] == [type(outcome) for outcome in outcomes]
    assert 0.05 <= loop.time() - began < 0.5
    assert lost == [None]
    with pytest.raises(LinkError):
        await link.ask(pack("PING"), 1, 1.0)
    await link.aclose()


async def test_a_short_deadline_behind_a_long_one_holds(serve: Serve) -> None:
    """The watch is set to the earliest deadline, whichever request has it."""
    link = await Link.open(await serve(greet), 1.0)
    began = asyncio.get_running_loop().time()
    await asyncio.gather(link.ask(pack("GET", "a"), 1, 30), link.ask(pack("GET", "b"), 1, 0.05), return_exceptions=True)
    assert asyncio.get_running_loop().time() - began < 0.5
    await link.aclose()


async def test_a_reset_is_noticed_while_nothing_is_asked(serve: Serve) -> None:
    """An idle link tells at once that it was lost."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await greet(reader, writer)
        await writer.drain()
        writer.close()

    link = await Link.open(await serve(talk), 1.0)
    lost = asyncio.Event()
    link.on_lost = lost.set
    if link.is_open:
        await asyncio.wait_for(lost.wait(), 1.0)
    assert not link.is_open
    await link.aclose()


@pytest.mark.parametrize("bytes_", [b":1\r\n", b"HTTP/1.1 400 Bad Request\r\n"])
async def test_what_nobody_asked_for_drops_the_link(serve: Serve, bytes_: bytes) -> None:
    """A reply without a request, or something that is not RESP, means that replies can no longer be matched."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await greet(reader, writer)
        writer.write(bytes_)

    link = await Link.open(await serve(talk), 1.0)
    lost = asyncio.Event()
    link.on_lost = lost.set
    if link.is_open:
        await asyncio.wait_for(lost.wait(), 1.0)
    assert not link.is_open
    await link.aclose()


@pytest.mark.parametrize("greeting", [b"", b"-LOADING wait\r\n+x\r\n", b"-NOAUTH no\r\n-NOAUTH no\r\n"])
async def test_a_server_that_does_not_serve_is_not_reached(serve: Serve, greeting: bytes) -> None:
    """Silence, LOADING and NOAUTH are failures to connect, within the timeout."""

    async def talk(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(greeting)

    address = await serve(talk)
    began = asyncio.get_running_loop().time()
    with pytest.raises(LinkError):
        await Link.open(address, 0.1)
    assert asyncio.get_running_loop().time() - began < 1


async def test_a_refused_connection_is_a_link_error(serve: Serve) -> None:
    """Nobody listens: LinkError, at once."""
    with pytest.raises(LinkError):
        await Link.open(Address("redis://127.0.0.1:1"), 1.0)


async def test_a_server_without_a_run_id_is_usable(serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    """If INFO is forbidden the bus works without noticing restarts, and says so."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"server\r\n")
        writer.write(b"+PONG\r\n-NOPERM no\r\n")

    with caplog.at_level(logging.WARNING):
        link = await Link.open(await serve(talk), 1.0)
    assert link.run_id is None
    assert "run id" in caplog.text
    await link.aclose()


def test_credentials_are_never_shown() -> None:
    """Neither the text nor the repr of an address contains user or password."""
    address = Address("redis://trader:s3cret@example.org:7000/2")
    assert str(address) == "example.org:7000"
    assert "s3cret" not in repr(address)
    assert "trader" not in repr(address)


@pytest.mark.parametrize("url", ["http://x", "redis://x?db=notanumber"])
def test_a_bad_url_is_refused_at_once(url: str) -> None:
    """A URL that redis-py cannot read raises when the bus is made."""
    with pytest.raises(ValueError, match="URL"):
        Address(url)
