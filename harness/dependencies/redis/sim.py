"""Redis in the sim world: a machine of its own on the in-memory network.

The machine runs the engine; what it persisted (`RedisState`) plays the part of its disk, so it survives a crash, and
the next incarnation recovers from it. Refusing and freezing are conditions of the machine's kernel and process, which
the network and the machines provide. Conditions take hold at once in virtual time; only a start takes some, so it is
probed, from the machine itself, which leaves no trace among the links that prove a fault.
"""

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from harness.dependencies.redis import admission
from harness.dependencies.redis.engine import Engine
from harness.dependencies.redis.options import RedisOptions
from harness.dependencies.redis.protocol import listen
from harness.dependencies.redis.state import RedisState
from harness.errors import WorldError
from harness.history.events import Observation
from harness.units import SECOND

if TYPE_CHECKING:
    from harness.dependencies.redis.control import Keep, RedisControl, Refusal
    from harness.world.sim.world import SimWorld

PORT: Final = 6379
WINDOW_NS: Final = SECOND
"""What `appendfsync everysec` may lose when the power fails."""


class SimRedis:
    """Implements `RedisControl` in the sim world."""

    def __init__(self, world: "SimWorld", name: str, options: RedisOptions) -> None:
        self._world = world
        self._name = name
        self._persistence = options.persistence
        self._password = options.password
        self._refusal: Refusal | None = None
        self._errors_before = 0
        self._engine: Engine | None = None
        self._died_ns: int | None = None
        self.state = RedisState(now_ns=world.machines.wall_ns, identity=name, password=options.password)
        self.state.config[b"appendonly"] = b"yes" if options.persistence == "aof" else b"no"

    @property
    def name(self) -> str:
        """Its name in the scenario."""
        return self._name

    @property
    def url(self) -> str:
        """Where hosts reach it."""
        credentials = f":{self._password}@" if self._password else ""
        return f"redis://{credentials}{self._name}:{PORT}/0"

    async def start(self) -> None:
        """Boot the machine and return when the server answers. Raises WorldError."""
        await self._boot(None)

    async def _boot(self, keep: "Keep | None") -> None:
        ready = self._world.loop.create_future()
        program = self._world.machines.boot(self._name, self._serve, keep, ready)
        await asyncio.wait([ready, program], return_when=asyncio.FIRST_COMPLETED)
        if not ready.done():
            raise WorldError(f"{self._name} did not start: {self._world.machines.failures.get(self._name, 'it ended')}")

    async def _serve(self, keep: "Keep | None", ready: "asyncio.Future[None]") -> None:
        """What the machine runs: recover, listen, answer until killed."""
        if keep is not None:
            lose_ns = {"all": 0, "window": WINDOW_NS, "nothing": None}[keep]
            self.state.recover(lose_ns=None if self._persistence == "none" else lose_ns, died_ns=self._died_ns)
        engine = self._engine = Engine(self.state)
        engine.refusal = self._refusal
        server = await listen("0.0.0.0", PORT, engine)  # noqa: S104 - the machine's only address, in memory
        reader, writer = await asyncio.open_connection("127.0.0.1", PORT)
        writer.write(b"QUIT\r\n")
        await reader.readline()
        writer.close()
        ready.set_result(None)
        await server.server.serve_forever()

    async def refuse(self) -> None:
        """Close the port and reset every connection."""
        self._world.network.refuse(self._name, reset_existing=True)

    async def accept(self) -> None:
        """Open the port again."""
        self._world.network.accept(self._name)

    async def freeze(self) -> None:
        """SIGSTOP."""
        await self._world.freeze_host(self._name)

    async def thaw(self) -> None:
        """SIGCONT."""
        await self._world.thaw_host(self._name)

    async def crash(self) -> None:
        """SIGKILL."""
        self._refusal = None
        self._died_ns = self.state.now_ns()
        await self._world.kill_host(self._name)

    async def restart(self, *, keep: "Keep") -> None:
        """Start the crashed server again."""
        await self._boot(keep)

    async def refuse_commands(self, refusal: "Refusal") -> None:
        """Answer commands with that error from now on."""
        if self._refusal is not None:
            raise WorldError(f"{self._name} refuses commands already: {self._refusal}")
        engine = self._running()
        if refusal == "LOADING":
            await self.crash()
            self._refusal = refusal
            await self._boot("all")
            self._errors_before = 0
            return
        self._refusal = refusal
        self._errors_before = admission.errors_given(engine, refusal)
        admission.begin(engine, refusal)

    async def serve_commands(self) -> None:
        """Serve again, after observing the errors given."""
        refusal = self._refusal
        if refusal is None:
            return
        engine = self._running()
        given = admission.errors_given(engine, refusal)
        count = given - self._errors_before if given >= self._errors_before else given  # reset by CONFIG RESETSTAT
        self._world.history.record(
            Observation(
                self._world.now_ns(),
                self._name,
                self._world.machines.life(self._name).number,
                "refused_commands",
                {"refusal": refusal, "count": count},
            )
        )
        self._refusal = None
        admission.end(engine)

    def _running(self) -> Engine:
        if self._engine is None or not self._world.machines.is_running(self._name):
            raise WorldError(f"{self._name} is not running")
        if self._world.machines.life(self._name).parked is not None:
            raise WorldError(f"{self._name} does not answer: it is frozen")
        return self._engine

    async def stop(self) -> None:
        """End it for good."""
        if self._world.machines.is_running(self._name):
            await self._world.kill_host(self._name)


async def start_sim(world: "SimWorld", name: str, options: Mapping[str, Any]) -> "RedisControl":
    """Start a Redis server as the machine `name`. For the options see RedisOptions."""
    redis = SimRedis(world, name, RedisOptions.parse(options))
    await redis.start()
    return redis
