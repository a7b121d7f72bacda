"""One world and the history it writes, for suites that hold both worlds to the same."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from harness.history.events import SCHEMA, Event, HostChanged, Observation, RunStarted
from harness.history.history import History
from harness.history.query import OperationRecord, operations
from harness.tape import Tape
from harness.units import seconds
from harness.world.base import World
from harness.world.real.world import RealWorld
from harness.world.sim.run import run_sim


class Events(list[Event]):
    """A sink."""

    def record(self, event: Event) -> None:
        """Keep it."""
        self.append(event)

    def seen(self, name: str, actor: str = "a", since: int = 0) -> list[dict[str, Any]]:
        """Return the values of that host's observations of that name from position `since` on."""
        return [e.value for e in self[since:] if isinstance(e, Observation) and (e.name, e.actor) == (name, actor)]


class Stand:
    """One world and the history it writes."""

    def __init__(self, kind: str, directory: Path) -> None:
        self.kind = kind
        self.events = Events()
        self._directory = directory

    def run(self, director: Callable[[World], Awaitable[None]]) -> None:
        """Have `director` act in the world."""
        if self.kind == "sim":
            done = run_sim(director, tape=Tape(7), sink=self.events, directory=self._directory)
            assert done.escapes == ()
        else:
            asyncio.run(self._real(director))

    async def _real(self, director: Callable[[World], Awaitable[None]]) -> None:
        async with asyncio.timeout(60):
            async with RealWorld(
                Tape(7), self.events, targets={}, directory=self._directory, dependency_kinds={}
            ) as world:
                await director(world)

    async def until(self, world: World, condition: Callable[[], bool]) -> None:
        """Return when the condition holds."""
        deadline = world.now_ns() + seconds(20)
        while not condition():
            assert world.now_ns() < deadline, self.events[-5:]
            await world.sleep_until(world.now_ns() + seconds(1) // 200)

    def operations(self, name: str, outcome: str) -> list[OperationRecord]:
        """Return the operations of that name that ended so."""
        return [one for one in operations(self.history(), name) if one.outcome == outcome]

    def history(self) -> History:
        """Return what was recorded so far as a history."""
        header = RunStarted(0, "harness", 1, SCHEMA, "0", "none", "full", self.kind, 7, {}, [], [])
        return History.of([header, *self.events])

    def changed(self, change: str) -> bool:
        """Say whether any host is on record as having changed so."""
        return any(isinstance(event, HostChanged) and event.change == change for event in self.events)

    async def several(self, world: World, name: str, *, actor: str = "a", count: int = 6) -> list[dict[str, Any]]:
        """Return what the host observes from now on, `count` of that name."""
        here = len(self.events)
        await self.until(world, lambda: len(self.events.seen(name, actor, here)) >= count)
        return self.events.seen(name, actor, here)
