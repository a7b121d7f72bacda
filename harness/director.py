"""Carries out one planned scenario in one world: start, hurt, heal, let settle, stop. The same code in both worlds."""

import asyncio
from collections.abc import Coroutine
from typing import Any, Final

from harness.faults.base import Stage
from harness.history.events import Event, FaultBegan, FaultHealed, HostChanged
from harness.scenario import PlannedFault, Profile, Scenario
from harness.units import seconds
from harness.world.base import HostSpec, World

STOP_TIMEOUT_NS: Final = seconds(10)
"""How long a host may take to finish once asked. Generous: a target that flushes its buffer is allowed to."""


class Alarm:
    """Ends a run early when a host fails: what comes after would only be waited for, not believed."""

    def __init__(self) -> None:
        self._rung: asyncio.Future[None] | None = None

    def hear(self, event: Event) -> None:
        """Ring if the event is the failure of a host."""
        rung = self._rung
        if type(event) is HostChanged and event.change == "failed" and rung is not None and not rung.done():
            rung.set_result(None)

    async def unless_rung(self, work: Coroutine[Any, Any, None]) -> None:
        """Do the work to its end, or until the alarm rings."""
        self._rung = asyncio.get_running_loop().create_future()
        task = asyncio.ensure_future(work)
        try:
            await asyncio.wait({task, self._rung}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            rung, self._rung = self._rung.done(), None
            if not task.done():
                task.cancel()
                await asyncio.wait({task})
        if not (rung and task.cancelled()):
            await task


async def direct(
    world: World, scenario: Scenario, profile: Profile, plan: tuple[PlannedFault, ...], alarm: Alarm
) -> None:
    """Run the scenario to its end, or until a host fails. Planned times count from when every host was started."""
    await alarm.unless_rung(_act(world, scenario, profile, plan))


async def _act(world: World, scenario: Scenario, profile: Profile, plan: tuple[PlannedFault, ...]) -> None:
    for dependency in scenario.dependencies:
        options = {**dependency.options, **profile.options.get(dependency.name, {})}
        await world.start_dependency(dependency.name, dependency.kind, options, follow=dependency.follow)
    for host in profile.hosts:
        if host.serves is not None:
            await world.offer(host)
    for host in _in_order_of_start(world, profile):
        await world.start_host(host)
    stage = Stage(world, {host.name: host for host in profile.hosts})
    origin_ns = world.now_ns()
    async with asyncio.TaskGroup() as group:
        for planned in plan:
            group.create_task(_hold(stage, planned, origin_ns), name=f"fault {planned.number}")
    await world.sleep_until(origin_ns + profile.span_ns)
    await world.sleep_until(world.now_ns() + profile.settle_ns)
    for host in profile.hosts:
        await world.stop_host(host.name, timeout_ns=STOP_TIMEOUT_NS)
        await world.sleep_until(world.now_ns() + host.drain_ns)


def _in_order_of_start(world: World, profile: Profile) -> list[HostSpec]:
    """Return the hosts, in the real world loads first: those take seconds to come up, which others need not spend idle.

    Who serves has its address already, and refuses the load's users until it is there.
    """
    if world.kind == "sim":
        return list(profile.hosts)
    return sorted(profile.hosts, key=lambda host: host.load is None)


async def _hold(stage: Stage, planned: PlannedFault, origin_ns: int) -> None:
    """Hold one fault for its time. The record brackets the effect: began before it, healed after it really works."""
    world, fault, number = stage.world, planned.fault, planned.number
    await world.sleep_until(origin_ns + planned.start_ns)
    world.history.record(FaultBegan(world.now_ns(), "harness", 1, number, fault.name, planned.mode, fault.on))
    async with fault.hold(stage, planned.mode, world.tape.stream(f"fault/{number}")):
        await world.sleep_until(origin_ns + planned.end_ns)
        healing_ns = world.now_ns()
    world.history.record(FaultHealed(world.now_ns(), "harness", 1, number, healing_ns))
