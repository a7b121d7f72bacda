"""Binance in the sim world: a machine of its own, whose program is the server; virtual time is the exchange's clock.

The control surface calls the server directly, in the machine's own context: what it starts (timers, writes) is the
machine's and dies with it. Nothing goes over the network for it, so control leaves no trace among the links.
"""

import asyncio
import contextvars
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final, TypeVar

from harness.dependencies.binance import assembly
from harness.dependencies.binance.core import Clock
from harness.dependencies.binance.settings import EGRESS_IP, Settings
from harness.errors import WorldError
from harness.history.events import Observation
from harness.units import MILLISECOND
from harness.world.sim.machine import EPOCH_NS

if TYPE_CHECKING:
    from harness.dependencies.binance.arms import Arm
    from harness.dependencies.binance.control import BinanceControl
    from harness.dependencies.binance.server import Server
    from harness.history.recorder import Sink
    from harness.world.sim.world import SimWorld

T = TypeVar("T")

PORT: Final = 80


class _HistoryRecorder:
    """Records at once: in this world nothing is faster than the history."""

    def __init__(self, sink: "Sink", name: str, incarnation: Callable[[], int]) -> None:
        self._sink = sink
        self._name = name
        self._incarnation = incarnation

    def record(self, time_ns: int, name: str, fields: dict[str, Any]) -> None:
        """Record it."""
        self._sink.record(Observation(time_ns, self._name, self._incarnation(), name, fields))

    def flush(self) -> None:
        """Nothing is kept back."""


class SimBinance:
    """Implements `BinanceControl` in the sim world."""

    def __init__(self, world: "SimWorld", name: str, settings: Settings) -> None:
        self._world = world
        self._name = name
        self._settings = settings
        self._server: Server | None = None
        self._context = contextvars.copy_context()

    @property
    def name(self) -> str:
        """Its name in the scenario."""
        return self._name

    @property
    def url(self) -> str:
        """Where hosts reach it."""
        return f"http://{self._name}:{PORT}"

    async def start(self) -> None:
        """Boot the machine and return when it listens. Raises `WorldError`."""
        ready = self._world.loop.create_future()
        program = self._world.machines.boot(self._name, self._serve, ready)
        await asyncio.wait([ready, program], return_when=asyncio.FIRST_COMPLETED)
        if not ready.done():
            raise WorldError(f"{self._name} did not start: {self._world.machines.failures.get(self._name, 'it ended')}")

    async def _serve(self, ready: "asyncio.Future[None]") -> None:
        """What the machine runs."""
        world = self._world
        clock = Clock(world.now_ns, lambda: (EPOCH_NS + world.loop.now) // MILLISECOND)
        dice = world.tape.stream(f"exchange/{self._name}")
        recorder = _HistoryRecorder(world.history, self._name, lambda: world.machines.latest(self._name))
        server = assembly.server(self._settings, dice, clock, recorder, ip=EGRESS_IP)
        await server.listen("0.0.0.0", PORT)  # noqa: S104 - the machine's only address, in memory
        self._context = contextvars.copy_context()
        self._server = server
        ready.set_result(None)
        await asyncio.Event().wait()

    async def arm(self, arm: "Arm") -> str:
        """Arm a fault; return what names it."""
        return self._on_machine(lambda server: server.arm(arm))

    async def disarm(self, name: str) -> None:
        """End it, after an `exchange_fault` observation."""
        self._on_machine(lambda server: server.disarm(name))

    async def ledger(self) -> Mapping[str, Any]:
        """Return all the truth there is."""
        return self._on_machine(lambda server: server.ledger())

    def _on_machine(self, act: "Callable[[Server], T]") -> T:
        if self._server is None or not self._world.machines.is_running(self._name):
            raise WorldError(f"{self._name} is not running")
        return self._context.run(act, self._server)

    async def stop(self) -> None:
        """End it for good."""
        if self._world.machines.is_running(self._name):
            await self._world.kill_host(self._name)


async def start_sim(world: "SimWorld", name: str, options: Mapping[str, Any]) -> "BinanceControl":
    """Start an exchange as the machine `name`. For the options see `Settings.parse`."""
    binance = SimBinance(world, name, Settings.parse(options))
    await binance.start()
    return binance
