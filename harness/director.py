"""Carries out one planned scenario in one world: start, hurt, heal, let settle, stop. The same code in both worlds."""

import asyncio
from typing import Final

from harness.faults.base import Stage
from harness.history.events import FaultBegan, FaultHealed
from harness.scenario import PlannedFault, Profile, Scenario
from harness.units import seconds
from harness.world.base import World

STOP_TIMEOUT_NS: Final = seconds(10)
"""How long a host may take to finish once asked. Generous: a target that flushes its buffer is allowed to."""


async def direct(world: World, scenario: Scenario, profile: Profile, plan: tuple[PlannedFault, ...]) -> None:
    """Run the scenario to its end. Planned times count from the moment at which every host has been started."""
    for dependency in scenario.dependencies:
        await world.start_dependency(dependency.name, dependency.kind, dependency.options)
    for host in profile.hosts:
        await world.start_host(host)
    stage = Stage(world, {host.name: host for host in profile.hosts})
    origin_ns = world.now_ns()
    async with asyncio.TaskGroup() as group:
        for planned in plan:
            group.create_task(_hold(stage, planned, origin_ns), name=f"fault {planned.number}")
    await world.sleep_until(world.now_ns() + profile.settle_ns)
    for host in profile.hosts:
        await world.stop_host(host.name, timeout_ns=STOP_TIMEOUT_NS)
        await world.sleep_until(world.now_ns() + host.drain_ns)


async def _hold(stage: Stage, planned: PlannedFault, origin_ns: int) -> None:
    """Hold one fault for its time. The record brackets the effect: began before it, healed after it really works."""
    world, fault, number = stage.world, planned.fault, planned.number
    await world.sleep_until(origin_ns + planned.start_ns)
    world.history.record(FaultBegan(world.now_ns(), "harness", 1, number, fault.name, planned.mode, fault.on))
    async with fault.hold(stage, planned.mode, world.tape.stream(f"fault/{number}")):
        await world.sleep_until(origin_ns + planned.end_ns)
    world.history.record(FaultHealed(world.now_ns(), "harness", 1, number))
