"""Links of real hosts, broken at their proxies: what a client then meets, and what the history says of it."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit

import host_programs
import pytest
from embedded_server import embedded

from harness.errors import WorldError
from harness.toxics.bandwidth import Bandwidth
from harness.toxics.latency import Latency
from harness.toxics.losing import HalfOpen
from harness.world.base import HostSpec
from harness.world.real import foreign_proxy, socket_counts
from harness.world.real.host_link import HostLink
from harness.world.real.world import RealWorld

pytestmark = pytest.mark.real


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Send back what comes, to the end."""
    try:
        while data := await reader.read(65_536):
            writer.write(data)
    except ConnectionError:
        pass
    writer.close()


class Client:
    """A connection by the way that the host would take."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def ask(self, text: bytes) -> bytes:
        """Send, and return as much as was sent."""
        self.writer.write(text)
        async with asyncio.timeout(10):
            return await self.reader.readexactly(len(text))

    async def end(self) -> str:
        """Return how the connection ended."""
        try:
            async with asyncio.timeout(10):
                return "closed" if await self.reader.read() == b"" else "more data"
        except ConnectionResetError:
            return "reset"
        finally:
            self.writer.close()


@dataclass(frozen=True)
class Bench:
    """A world with a host `a` and an echo dependency `redis`."""

    world: RealWorld
    link: HostLink
    port: int

    async def connect(self) -> Client:
        """Connect as the host would."""
        return Client(*await asyncio.open_connection("127.0.0.1", self.port))


@pytest.fixture
def bench(make_world: Callable[..., RealWorld], listener_kind):
    """Return a context manager that sets a world up; with a place, on the proxy server there."""

    @asynccontextmanager
    async def make(place=None) -> AsyncIterator[Bench]:
        world = make_world(kinds={"echo": listener_kind(echo)})
        world._toxiproxy = place
        async with world:
            await world.start_dependency("redis", "echo", {})
            await world.start_host(HostSpec(name="a", program=host_programs.until_stopped))
            url = (await world._proxies.endpoints("a"))["redis"]
            yield Bench(world, world.link("a", "redis"), urlsplit(url).port)

    return make


async def test_a_toxic_acts_on_one_link_and_tells_of_it(bench, sink) -> None:
    """Latency slows this host's connection and nobody else's, until it is removed; then its effects are on record."""
    async with bench() as one:
        await one.world.start_host(HostSpec(name="b", program=host_programs.until_stopped))
        spared_port = urlsplit((await one.world._proxies.endpoints("b"))["redis"]).port
        client = await one.connect()
        spared = Client(*await asyncio.open_connection("127.0.0.1", spared_port))
        await one.link.add("slow", Latency(latency=300), stream="downstream")
        began = time.monotonic()
        assert await spared.ask(b"quick") == b"quick"
        answered = time.monotonic()
        assert await client.ask(b"late") == b"late"
        assert time.monotonic() - began >= 0.29
        assert answered - began < 0.29
        await one.link.remove("slow")
        client.writer.close()
        spared.writer.close()
    (toxic,) = sink.named("toxic")
    assert (toxic.actor, toxic.incarnation) == ("a", 1)
    assert toxic.value == {
        "to": "redis",
        "toxic": "slow",
        "type": "latency",
        "stream": "downstream",
        "connections": 1,
        "bytes": 4,
    }


async def test_a_partition_holds_bytes_and_leaves_connecting_unanswered(bench, sink) -> None:
    """Nothing arrives and nobody is told while it lasts; afterwards all of it does, on the same connection."""
    async with bench() as one:
        client = await one.connect()
        assert await client.ask(b"before") == b"before"
        await one.link.cut(None)
        client.writer.write(b"held")
        connecting = asyncio.create_task(one.connect())
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(client.reader.read(1), 0.5)
        assert not connecting.done()
        await one.link.heal()
        assert await asyncio.wait_for(client.reader.readexactly(4), 10) == b"held"
        late = await asyncio.wait_for(connecting, 20)
        assert await late.ask(b"hello") == b"hello"
        late.writer.close()
        client.writer.close()
    upstream, downstream = (event.value for event in sink.named("toxic"))
    assert (upstream["type"], upstream["stream"], upstream["held"]) == ("partition", "upstream", 4)
    assert (downstream["type"], downstream["stream"]) == ("partition", "downstream")
    assert upstream["lost"] + downstream["lost"] > 0


async def test_refuse_ends_and_refuses_and_the_port_stays(bench) -> None:
    """Connections end, new ones are refused, and `accept` brings the same address back."""
    async with bench() as one:
        client = await one.connect()
        await client.ask(b"x")
        await one.link.refuse()
        assert await client.end() in {"closed", "reset"}
        with pytest.raises(ConnectionRefusedError):
            await one.connect()
        await one.link.accept()
        again = await one.connect()
        assert await again.ask(b"again") == b"again"
        again.writer.close()


async def test_reset_hits_every_connection_there_is(bench, sink) -> None:
    """Each is reset, not closed; the next one works; the observation counts them."""
    async with bench() as one:
        clients = [await one.connect() for _ in range(3)]
        for client in clients:
            await client.ask(b"x")
        await one.link.reset()
        assert [await client.end() for client in clients] == ["reset"] * 3
        again = await one.connect()
        assert await again.ask(b"again") == b"again"
        again.writer.close()
    (toxic,) = sink.named("toxic")
    assert toxic.value == {"to": "redis", "toxic": "reset", "type": "reset", "stream": "both", "reset": 3}


async def test_a_restarted_host_finds_url_and_toxics_as_they_were(bench) -> None:
    """The proxy belongs to the link, not to an incarnation of the host."""
    async with bench() as one:
        await one.link.add("slow", Latency(latency=200), stream="upstream")
        await one.world.kill_host("a")
        await one.world.start_host(HostSpec(name="a", program=host_programs.until_stopped))
        assert urlsplit((await one.world._proxies.endpoints("a"))["redis"]).port == one.port
        client = await one.connect()
        began = time.monotonic()
        assert await client.ask(b"late") == b"late"
        assert time.monotonic() - began >= 0.19
        client.writer.close()


async def test_shut_doors_look_like_a_closed_port(bench) -> None:
    """What lives is reset, what comes is refused (never accepted and sent away), until the doors open."""
    async with bench() as one:
        client = await one.connect()
        await client.ask(b"x")
        await one.world.doors("redis").shut()
        assert await client.end() == "reset"
        with pytest.raises(ConnectionRefusedError):
            await one.connect()
        await one.world.doors("redis").open()
        again = await one.connect()
        assert await again.ask(b"again") == b"again"
        again.writer.close()


async def test_the_death_of_the_proxy_process_is_a_failure_on_record(bench, sink) -> None:
    """A run whose proxies are gone proves nothing: `failed` is what ends it, and what judges it an error."""
    async with bench() as one:
        (proxy,) = [child for child in one.world.run._children.values() if child.name == "toxiproxy"]
        proxy.kill()
        await sink.until(lambda: sink.changes("toxiproxy") == ["failed"])
        with pytest.raises(WorldError, match="did not"):
            await one.link.refuse()


async def test_an_unknown_link_is_named(bench) -> None:
    """Neither host nor dependency is guessed."""
    async with bench() as one:
        with pytest.raises(WorldError, match="host 'b'"):
            one.world.link("b", "redis")
        with pytest.raises(WorldError, match="dependency 'reds'; did you mean 'redis'"):
            one.world.link("a", "reds")


async def names_at(place) -> list[str]:
    """Return the proxies that a server has."""
    api = foreign_proxy.ProxyApi(place)
    try:
        return list(await api.get("/proxies"))
    finally:
        await api.close()


async def test_a_foreign_server_is_driven_and_left_as_it_was(bench, sink) -> None:
    """Proxies bear the run's id while it lasts and are gone afterwards, others stay; classic toxics work and count."""
    with embedded() as place:
        theirs = foreign_proxy.ProxyApi(place)
        await theirs.create("theirs", listen="127.0.0.1:0", upstream="127.0.0.1:1")
        async with bench(place) as one:
            assert set(await names_at(place)) == {"theirs", f"harness-{one.world.run.id}-a.redis"}
            client = await one.connect()
            await client.ask(b"before")
            await one.link.add("slow", Latency(latency=200), stream="downstream")
            began = time.monotonic()
            assert await client.ask(b"late") == b"late"
            assert time.monotonic() - began >= 0.19
            await one.link.remove("slow")
            await one.link.cut("upstream")
            client.writer.write(b"held")
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(client.reader.read(1), 0.3)
            await one.link.heal()
            assert await asyncio.wait_for(client.reader.readexactly(4), 10) == b"held"
            await one.link.reset()
            assert await client.end() in {"closed", "reset"}
            await one.link.refuse()
            with pytest.raises(ConnectionRefusedError):
                await one.connect()
        assert await names_at(place) == ["theirs"]
        await theirs.close()
    told = [(event.value["type"], event.value.get("bytes"), event.value.get("held")) for event in sink.named("toxic")]
    assert told == [("latency", 4, None), ("partition", None, 4), ("reset", None, None)]


async def test_a_foreign_server_is_not_asked_for_what_it_cannot_do(bench) -> None:
    """Our extensions are refused by name, before the server would answer `invalid toxic type`."""
    with embedded() as place:
        async with bench(place) as one:
            with pytest.raises(WorldError, match="does not know half_open"):
                await one.link.add("gone", HalfOpen(), stream="upstream")
            with pytest.raises(WorldError, match="for connections, not for messages"):
                await one.link.add("some", Latency(latency=1), stream="upstream", toxicity=0.5, per_message=True)


async def test_without_the_kernels_word_a_foreign_toxic_proves_nothing(bench, sink, monkeypatch) -> None:
    """Where the kernel does not tell, and for a toxic that takes only a share, there are no effects to prove it."""
    with embedded() as place:
        async with bench(place) as one:
            client = await one.connect()
            await one.link.add("some", Bandwidth(rate=100), stream="upstream", toxicity=0.5)
            assert await client.ask(b"x" * 100) == b"x" * 100
            await one.link.remove("some")
            monkeypatch.setattr(socket_counts, "read", lambda _port: None)
            await one.link.add("all", Bandwidth(rate=100), stream="upstream")
            assert await client.ask(b"x" * 100) == b"x" * 100
            await one.link.remove("all")
            client.writer.close()
    assert [set(event.value) for event in sink.named("toxic")] == [{"to", "toxic", "type", "stream"}] * 2


async def test_a_foreign_server_that_is_not_there_is_one_line(bench) -> None:
    """Starting a host says what is missing."""
    with pytest.raises(WorldError, match=r"http://127\.0\.0\.1:1 did not GET /version: connection refused"):
        async with bench(foreign_proxy.parse_place("http://127.0.0.1:1")):
            pass
