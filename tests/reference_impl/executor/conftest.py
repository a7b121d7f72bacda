"""What the executor's tests share: signals written in a line, and virtual time for the shell."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from harness.tape import Tape
from harness.world.sim.run import run_sim
from harness.world.sim.sink import MemorySink
from harness.world.sim.world import SimWorld
from reference_impl._executor.machine import Disposal, Policy, SignalMachine

SECOND = 1_000_000_000
SYMBOLS = tuple(f"S{number}" for number in range(10))


def signal(name: str, confidence: float = 0.5, symbol: str = "S0", side: str = "BUY", ttl: float = 10.0, **fields: Any):
    """A good signal."""
    return {"id": name, "symbol": symbol, "side": side, "confidence": confidence, "ttl_s": ttl} | fields


class Bench:
    """A machine at second 0 whose first second is over, with time in seconds."""

    def __init__(self, machine_type: type[SignalMachine] = SignalMachine, **limits: Any) -> None:
        limits = {"max_queue_size": 3, "symbols": SYMBOLS} | limits
        self.machine = machine_type(Policy(**limits), -SECOND)
        self.now = 0.0

    def offer(self, name: str, confidence: float = 0.5, **fields: Any) -> bool:
        """Offer a signal; each has a symbol of its own unless told."""
        number = self.machine.offered % len(SYMBOLS)
        return self.machine.offer(signal(name, confidence, **{"symbol": SYMBOLS[number]} | fields), self.ns)

    def take(self) -> str | None:
        """Begin an execution; return whose."""
        taken = self.machine.take(self.ns)
        return None if taken is None else taken.id

    def ended(self) -> list[tuple[str, str, str]]:
        """Return the ends that were not asked for yet: id, reason, detail."""
        told, self.machine.disposals = self.machine.disposals, []
        return [(one.id, one.reason, one.detail) for one in told]

    @property
    def ns(self) -> int:
        """The time in nanoseconds."""
        return round(self.now * SECOND)

    @property
    def queued(self) -> list[str]:
        """Who waits, exits first."""
        return [entry.signal.id for entry in self.machine.queue]


@pytest.fixture
def bench() -> Bench:
    """A queue of three."""
    return Bench()


@pytest.fixture(scope="session")
def new_bench() -> type[Bench]:
    """The builder itself."""
    return Bench


@pytest.fixture(scope="session")
def new_signal() -> Callable[..., dict[str, Any]]:
    """The builder of signals."""
    return signal


@pytest.fixture
def simulate(tmp_path: Path) -> Callable[[Callable[[], Awaitable[Any]]], Any]:
    """Run a coroutine function in virtual time; return its result."""

    def run(program: Callable[[], Awaitable[Any]]) -> Any:
        async def director(_: SimWorld) -> Any:
            return await program()

        return run_sim(director, tape=Tape(1), sink=MemorySink(), directory=tmp_path).result

    return run


@pytest.fixture
def told() -> list[Disposal]:
    """Where disposals are collected."""
    return []
