"""A laboratory of two machines, `server` and `client`, for unmodified libraries over the simulated network."""

import gc
import logging
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from harness.history.events import Event
from harness.tape import Tape
from harness.units import MILLISECOND, SECOND
from harness.world.sim.loop import Budget
from harness.world.sim.run import SimRun, run_sim
from harness.world.sim.world import SimWorld

LATENCY_NS = MILLISECOND


class History:
    """Keeps what the world records."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def record(self, event: Event) -> None:
        self.events.append(event)


class Lab:
    """One run: machines, faults between them, and a list of application-level events with their virtual times.

    Every segment takes exactly 1 ms, so that timings can be foretold.
    """

    def __init__(self, world: SimWorld) -> None:
        self.world = world
        self.events: list[tuple[Any, ...]] = []
        world.machines.declare("server")
        world.machines.declare("client")
        for link in (("server", "client"), ("client", "server")):
            world.network.set_latency(*link, LATENCY_NS, LATENCY_NS)

    def note(self, *event: Any) -> None:
        """Keep an event with the time at which it happened, in seconds."""
        self.events.append((round(self.world.now_ns() / SECOND, 6), *event))

    def now(self) -> float:
        """Virtual seconds since the run began."""
        return round(self.world.now_ns() / SECOND, 6)

    def serve(self, program: Callable[..., Awaitable[Any]], *args: Any) -> None:
        """Start a program on the server machine."""
        self.world.machines.boot("server", program, *args)

    async def client(self, program: Callable[..., Awaitable[Any]], *args: Any) -> Any:
        """Run a program on the client machine to its end, and return what it returns; its error is the test's."""
        outcome: list[Any] = []

        async def run() -> None:
            outcome.append(await program(*args))

        await self.world.machines.boot("client", run)
        assert self.world.machines.failures.get("client") is None, self.world.machines.failures
        return outcome[0]

    def cut(self) -> None:
        """Lose everything between the two."""
        self.world.network.cut("client", "server")

    def heal(self) -> None:
        """End the cut."""
        self.world.network.heal("client", "server")

    def reset(self) -> int:
        """Reset every connection between the two."""
        return self.world.network.reset("client", "server")

    def kill(self) -> None:
        """Kill the server's process."""
        self.world.machines.kill("server")

    async def until(self, seconds: float) -> None:
        """Wait until that time."""
        await self.world.sleep_until(round(seconds * SECOND))


Simulate = Callable[..., Lab]


@pytest.fixture
def simulate(tmp_path: Path) -> Simulate:
    """Return `simulate(director)`: runs it twice with one seed; demands equal events and digests, and no escape."""

    def once(director: Callable[[Lab], Awaitable[Any]], number: int, *, permute: bool) -> tuple[Lab, SimRun[Any]]:
        labs: list[Lab] = []

        async def direct(world: SimWorld) -> None:
            labs.append(Lab(world))
            await director(labs[0])

        run = run_sim(
            direct,
            tape=Tape(7),
            sink=History(),
            directory=tmp_path / f"run{number}",
            budget=Budget(time_ns=3600 * SECOND, steps=2_000_000),
            permute_one_in=4 if permute else 0,
        )
        del labs[0].world
        gc.collect()
        assert run.escapes == ()
        return labs[0], run

    def simulate(
        director: Callable[[Lab], Awaitable[Any]], *, same_bytes: bool = True, unhandled: int = 0, permute: bool = True
    ) -> Lab:
        first, run = once(director, 1, permute=permute)
        second, again = once(director, 2, permute=permute)
        assert first.events == second.events
        assert run.simulated_ns == again.simulated_ns
        if same_bytes:
            assert run.digest == again.digest
        assert run.unhandled == unhandled
        assert {name: text for name, text in run.failures.items() if name != "server"} == {}
        return first

    return simulate


@pytest.fixture(autouse=True)
def quiet_logs() -> Iterator[None]:
    """Keep servers' access logs out of the output."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(before)
