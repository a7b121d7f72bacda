"""The fixture `sim_world`: an async function in a sim world, with hosts, a Redis and a Binance beside it.

    def test_it_reconnects(sim_world):
        async def test(sim):
            redis = await sim.redis()

            async def app(host):
                client = Client(host.endpoints["redis"])   # your code, as it is
                ...

            running = await sim.start("app", app)
            await asyncio.sleep(10)
            await redis.crash()
            ...
            assert await running == "reconnected"

        sim_world.run(test)

`run` returns what the function returns, and raises what it, or a host, raises. An escape from the sim world is an error
even if the code under test has swallowed it.
"""

import asyncio
from collections.abc import Awaitable, Callable, Generator, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar, cast

from harness.dependencies.binance.control import BinanceControl
from harness.dependencies.binance.sim import start_sim as start_binance
from harness.dependencies.redis.control import RedisControl
from harness.dependencies.redis.sim import start_sim as start_redis
from harness.errors import EscapeError, WorldError
from harness.history.events import Event
from harness.tape import Tape
from harness.units import as_seconds
from harness.world.base import Host, HostSpec, Link
from harness.world.sim.disks import disks
from harness.world.sim.run import run_sim
from harness.world.sim.sink import MemorySink
from harness.world.sim.world import SimWorld

T = TypeVar("T")


class Running(Generic[T]):
    """A host's program; awaiting it returns what the program returned, or raises what it raised."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._ended: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._awaited = False

    def __await__(self) -> Generator[Any, None, T]:
        """Wait for its end."""
        self._awaited = True
        return self._ended.__await__()

    async def program(self, program: Callable[[Host], Awaitable[T]], host: Host) -> None:
        """Run it, and keep what comes of it."""
        try:
            result = await program(host)
        except Exception as error:  # noqa: BLE001 - it is the test's
            if not self._ended.done():
                self._ended.set_exception(error)
        else:
            if not self._ended.done():
                self._ended.set_result(result)

    def unseen(self) -> BaseException | None:
        """Return what it raised, if it has, and nobody waited for it."""
        raised = self._ended.done() and not self._ended.cancelled()
        return self._ended.exception() if raised and not self._awaited else None


class Sim:
    """The sim world, as a test sees it; `world` is all of it (`harness.world.base.World`)."""

    def __init__(self, world: SimWorld) -> None:
        self.world = world
        self.hosts: list[Running[Any]] = []

    async def redis(self, name: str = "redis", **options: Any) -> RedisControl:
        """Start a Redis; hosts that are started later find it in `endpoints[name]`."""
        return cast("RedisControl", await self.world.start_dependency(name, "redis", options))

    async def binance(self, name: str = "binance", **options: Any) -> BinanceControl:
        """Start an emulated Binance."""
        return cast("BinanceControl", await self.world.start_dependency(name, "binance", options))

    async def start(
        self, name: str, program: Callable[[Host], Awaitable[T]], params: Mapping[str, Any] | None = None
    ) -> Running[T]:
        """Start a host that runs this; again, after it was killed. Its disk stays."""
        running: Running[T] = Running(name)
        self.hosts.append(running)

        async def run(host: Host) -> None:
            await running.program(program, host)

        await self.world.start_host(HostSpec(name=name, program=run, params=params or {}))
        return running

    async def kill(self, name: str) -> None:
        """SIGKILL: no `finally` block runs, peers see a reset."""
        await self.world.kill_host(name)

    def link(self, host: str, dependency: str) -> Link:
        """Return the way between the two, to cut, slow and garble."""
        return self.world.link(host, dependency)

    @property
    def now_s(self) -> float:
        """Simulated seconds since the start."""
        return as_seconds(self.world.now_ns())


@dataclass(slots=True)
class SimWorldRunner:
    """The fixture. `events` is the history of the last run: links, lives of hosts, what programs recorded."""

    events: list[Event] = field(default_factory=list)

    def run(self, test: Callable[[Sim], Awaitable[T]], *, seed: int = 1, seeds: int = 1) -> T:
        """Run the test in a new sim world, with each of so many seeds; return what it returned with the last."""
        if seeds < 1:
            raise ValueError("at least one seed")
        results = [self._once(test, number) for number in range(seed, seed + seeds)]
        return results[-1]

    def _once(self, test: Callable[[Sim], Awaitable[T]], seed: int) -> T:
        sink = MemorySink()
        self.events = sink.events
        hosts: list[Running[Any]] = []

        async def director(world: SimWorld) -> T:
            sim = Sim(world)
            sim.hosts = hosts
            return await test(sim)

        try:
            with disks() as directory:
                ended = run_sim(
                    director,
                    tape=Tape(seed),
                    sink=sink,
                    directory=directory,
                    dependency_kinds={"binance": start_binance, "redis": start_redis},
                )
        except Exception as error:
            error.add_note(f"in the sim world, seed {seed}")
            raise
        if ended.escapes:
            raise EscapeError("; ".join(ended.escapes))
        for host in hosts:
            unseen = host.unseen()
            if unseen is not None:
                raise unseen
        if ended.failures:
            raise WorldError("; ".join(f"host {name} failed: {text}" for name, text in ended.failures.items()))
        return ended.result
