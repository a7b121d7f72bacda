"""What the tests of faults of hosts share: a world that writes down what is done to it, and histories of one fault."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from harness.faults.base import Stage
from harness.history.events import FaultBegan, FaultHealed, Observation
from harness.history.history import History
from harness.history.query import fault_windows
from harness.world.base import HostSpec


class NotingWorld:
    """Writes down what is done to disks and clocks; time passes only in `sleep_until`, `naps` times."""

    def __init__(self) -> None:
        self.calls: list[tuple[Any, ...]] = []
        self.naps = 20
        self._now_ns = 0

    def now_ns(self) -> int:
        """Return the time."""
        return self._now_ns

    async def sleep_until(self, time_ns: int) -> None:
        """Let time pass, or after so many naps wait for ever."""
        self._now_ns = time_ns
        self.naps -= 1
        if self.naps < 0:
            await asyncio.get_running_loop().create_future()
        await asyncio.sleep(0)

    async def fill_disk(self, host: str) -> None:
        """Note it."""
        self.calls.append(("fill", host))

    async def free_disk(self, host: str) -> None:
        """Note it."""
        self.calls.append(("free", host))

    async def step_clock(self, host: str, by_ns: int) -> None:
        """Note it."""
        self.calls.append(("step", host, by_ns))


async def idle(host: object) -> None:
    """A host program."""


@pytest.fixture
def noting() -> Stage:
    """A stage with one host in a world that takes notes."""
    return Stage(NotingWorld(), {"publisher": HostSpec(name="publisher", program=idle)})


@pytest.fixture
def seen_under(make_scenario: Any, make_history: Any) -> Callable[..., Any]:
    """Return a maker of (history, window): a fault from 100 to 200, observations as (time, actor, name, value)."""
    header = make_history(make_scenario()).header

    def make(fault: Any, *seen: tuple[int, str, str, dict[str, int]]) -> Any:
        began = FaultBegan(100, "harness", 1, 0, fault.name, fault.modes[0], fault.on)
        observed = [Observation(at, actor, 1, name, value) for at, actor, name, value in seen]
        made = History.of([header, began, FaultHealed(200, "harness", 1, 0), *observed])
        return made, fault_windows(made)[0]

    return make
