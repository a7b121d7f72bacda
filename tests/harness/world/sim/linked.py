"""A world of one host and one dependency, `server`, for tests of the link between them.

`Linked` gives the director streams that belong to the host, so that it can play the host's part line by line.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness.history.events import Observation
from harness.tape import Tape
from harness.toxics.catalog import parse
from harness.units import MILLISECOND
from harness.world.base import Host, HostSpec
from harness.world.sim.run import SimRun, run_sim
from harness.world.sim.sink import MemorySink
from harness.world.sim.world import SimWorld

PORT = 7000
LATENCY_NS = 500_000


@dataclass
class Server:
    """The dependency: it answers each line in capitals, after `pause_s`, and keeps what it got and how that ended."""

    url: str = f"tcp://server:{PORT}"
    received: list[bytearray] = field(default_factory=list)
    endings: list[str] = field(default_factory=list)
    pause_s: float = 0.0
    reading: asyncio.Event = field(default_factory=asyncio.Event)

    async def run(self) -> None:
        self.reading.set()
        await (await asyncio.start_server(self.serve, "0.0.0.0", PORT, limit=1 << 24)).serve_forever()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        got = bytearray()
        self.received.append(got)
        try:
            await self.reading.wait()
            while line := await reader.readline():
                got += line
                await asyncio.sleep(self.pause_s)
                writer.write(line.upper())
                await writer.drain()
            self.endings.append("end")
        except OSError as error:
            self.endings.append(type(error).__name__)
        finally:
            writer.close()

    async def stop(self) -> None:
        """Nothing is to be ended."""


class Peer:
    """A connection of the host, as the director uses it."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    @property
    def sock(self) -> Any:
        """The simulated socket."""
        return self.writer.transport._sock

    async def ask(self, line: bytes = b"x") -> bytes:
        self.writer.write(line + b"\n")
        return await self.reader.readline()

    async def asks(self, *lines: bytes) -> bytes:
        for line in lines:
            self.writer.write(line + b"\n")
        return b"".join([await self.reader.readline() for _ in lines])

    async def ending(self) -> str:
        """Read to the end and say how it came: `end`, or the name of the error."""
        try:
            await self.reader.read()
        except OSError as error:
            return type(error).__name__
        return "end"

    def close(self) -> None:
        self.writer.close()


async def _program(host: Host) -> None:
    """Carry out what the director asks for, with whatever answer comes of it."""
    orders: asyncio.Queue[tuple[Callable[[], Awaitable[Any]], asyncio.Future[Any]]] = host.params["orders"]
    tasks = set()

    async def carry_out(order: Callable[[], Awaitable[Any]], answer: asyncio.Future[Any]) -> None:
        try:
            result = await order()
        except Exception as error:  # noqa: BLE001 - it is the director's
            if not answer.done():
                answer.set_exception(error)
        else:
            if not answer.done():
                answer.set_result(result)

    while True:
        order, answer = await orders.get()
        task = asyncio.ensure_future(carry_out(order, answer))
        tasks.add(task)
        task.add_done_callback(tasks.discard)


class Linked:
    """What a director gets: the world, the server, the link, and hands on the host."""

    def __init__(self, world: SimWorld, server: Server) -> None:
        self.world = world
        self.server = server
        self._orders: dict[str, asyncio.Queue[Any]] = {}
        self._peers: list[Peer] = []

    @property
    def link(self) -> Any:
        return self.world.link("client", "server")

    def hang_up(self) -> None:
        """Close every connection that the director opened."""
        for peer in self._peers:
            peer.close()

    async def start(self, name: str = "client") -> None:
        orders = self._orders[name] = asyncio.Queue()
        await self.world.start_host(HostSpec(name=name, program=_program, params={"orders": orders}))

    async def on(self, order: Callable[[], Awaitable[Any]], name: str = "client") -> Any:
        """Have the host do something, and return what comes of it."""
        answer = asyncio.get_running_loop().create_future()
        self._orders[name].put_nowait((order, answer))
        return await answer

    async def connect(self, name: str = "client") -> Peer:
        peer = Peer(*await self.on(lambda: asyncio.open_connection("server", PORT, limit=1 << 24), name))
        self._peers.append(peer)
        return peer

    async def add(self, type_name: str, stream: str = "downstream", name: str = "t", **attributes: Any) -> None:
        options = {key: attributes.pop(key) for key in ("toxicity", "per_message") if key in attributes}
        await self.link.add(name, parse(type_name, attributes), stream=stream, **options)

    async def took_ms(self, work: Awaitable[Any]) -> tuple[Any, float]:
        """Return what the work gives, and how many ms it took."""
        begin_ns = self.world.now_ns()
        result = await work
        return result, (self.world.now_ns() - begin_ns) / MILLISECOND

    async def restart_server(self) -> None:
        self.world.machines.boot("server", self.server.run)
        await asyncio.sleep(0.01)


def run_linked(
    director: Callable[[Linked], Awaitable[Any]],
    directory: Path,
    *,
    seed: int = 1,
    sink: MemorySink | None = None,
    server_type: Callable[[], Any] = Server,
) -> SimRun[Any]:
    """Run a director with a host `client` and a dependency `server`, every segment taking 0.5 ms."""

    async def kind(world: SimWorld, name: str, options: Mapping[str, Any]) -> Server:
        del options
        server = server_type()
        world.machines.boot(name, server.run)
        await asyncio.sleep(0.01)
        return server

    async def direct(world: SimWorld) -> Any:
        server: Any = await world.start_dependency("server", "lines", {})
        linked = Linked(world, server)
        world.network.set_latency("client", "server", LATENCY_NS, LATENCY_NS)
        world.network.set_latency("server", "client", LATENCY_NS, LATENCY_NS)
        await linked.start()
        try:
            return await director(linked)
        finally:
            linked.hang_up()

    done = run_sim(
        direct,
        tape=Tape(seed),
        sink=MemorySink() if sink is None else sink,
        directory=directory,
        dependency_kinds={"lines": kind},
    )
    assert done.escapes == ()
    assert done.unhandled == 0
    return done


def told(sink: MemorySink) -> list[dict[str, Any]]:
    """Return the `toxic` observations' fields."""
    return [dict(event.value) for event in sink.events if isinstance(event, Observation) and event.name == "toxic"]
