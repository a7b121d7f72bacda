"""Kills inside an operation and damaged files, one suite for both worlds."""

import asyncio
from collections.abc import Callable
from typing import Any
from unittest.mock import ANY

import dying_programs as programs
import pytest
from two_worlds import Stand

from harness.errors import WorldError
from harness.faults import disk, process
from harness.faults.base import Evidence, Stage
from harness.history.events import FaultBegan, FaultHealed
from harness.history.query import fault_windows
from harness.tape import Tape
from harness.units import ms, seconds
from harness.world.base import HostSpec, World
from harness.world.damage import DAMAGES


def host(program: Callable[..., Any] = programs.count) -> HostSpec:
    """Return the host."""
    return HostSpec(name="a", program=program)


async def under(world: World, fault: Any, mode: str, meanwhile: Callable[[], Any]) -> None:
    """Hold a fault as the director does, until `meanwhile` is done."""
    world.history.record(FaultBegan(world.now_ns(), "harness", 1, 0, fault.name, mode, fault.on))
    async with fault.hold(Stage(world, {"a": host()}), mode, Tape(7).stream("fault/0")):
        await meanwhile()
    world.history.record(FaultHealed(world.now_ns(), "harness", 1, 0))


def evidence(stand: Stand, fault: Any) -> Evidence:
    """Return what the fault proves."""
    history = stand.history()
    (window,) = fault_windows(history)
    return fault.evidence(history, window)


def test_a_host_is_killed_inside_the_operation(stand: Stand) -> None:
    """It dies after the operation began and before it ended, is back after the heal, and goes on."""
    fault = process.kill_inside("a", "count", step=3)

    async def director(world: World) -> None:
        await world.start_host(host())
        await stand.until(world, lambda: bool(stand.operations("count", "ok")))
        await under(world, fault, "sigkill", lambda: stand.until(world, lambda: stand.changed("killed")))
        here = len(stand.operations("count", "ok"))
        await stand.until(world, lambda: len(stand.operations("count", "ok")) > here)
        assert await world.stop_host("a", timeout_ns=seconds(10))

    stand.run(director)
    found = evidence(stand, fault)
    assert found.bit
    assert found.counts["killed"] == 1
    if stand.kind == "sim":  # the real world's delay may fall after the end on a slow machine
        assert found.counts["cut_short"] == 1
    assert len(stand.events.seen("found")) == 2


def test_the_operation_is_chosen_by_its_value(stand: Stand) -> None:
    """Others of its name begin and end, and nobody dies."""
    fault = process.kill_inside("a", "count", where={"number": 4}, step=2)

    async def director(world: World) -> None:
        await world.start_host(host())
        await under(world, fault, "sigkill", lambda: stand.until(world, lambda: stand.changed("killed")))
        assert await world.stop_host("a", timeout_ns=seconds(10))

    stand.run(director)
    assert evidence(stand, fault).bit
    assert [one.value["number"] for one in stand.operations("count", "ok")][:3] == [1, 2, 3]
    assert stand.operations("count", "ok")[3].value["number"] == (1 if stand.kind == "sim" else ANY)


def test_an_operation_that_never_begins_is_no_kill(stand: Stand) -> None:
    """Nobody dies, healing ends the waiting, and there is no evidence."""
    fault = process.kill_inside("a", "count", step=0)

    async def director(world: World) -> None:
        await world.start_host(host(programs.idle))

        async def wait() -> None:
            await world.sleep_until(world.now_ns() + ms(200))

        await under(world, fault, "sigkill", wait)
        assert await world.stop_host("a", timeout_ns=seconds(10))

    stand.run(director)
    assert not evidence(stand, fault).bit
    assert not stand.changed("killed")


def test_a_host_that_does_not_run_cannot_be_killed_inside_anything(stand: Stand) -> None:
    """It is named."""

    async def director(world: World) -> None:
        await world.start_host(host(programs.idle))
        await world.kill_host("a")
        with pytest.raises(WorldError, match="'a'"):
            await world.kill_host_inside("a", "count", where={}, steps=0, delay_ns=0)

    stand.run(director)


@pytest.mark.parametrize("mode", DAMAGES)
def test_damaged_files_are_what_the_next_life_finds(stand: Stand, mode: str) -> None:
    """Each way of damage: what was written is not what is found, and the observation counts the difference."""
    fault = disk.damage("a", "state/*.txt", mode)

    async def director(world: World) -> None:
        await world.start_host(host())
        await stand.until(world, lambda: bool(stand.operations("count", "ok")))
        await under(world, fault, mode, lambda: asyncio.sleep(0))
        await stand.until(world, lambda: len(stand.events.seen("found")) == 2)
        assert await world.stop_host("a", timeout_ns=seconds(10))

    stand.run(director)
    (damage,) = stand.events.seen("damage")
    assert damage["file"] == "state/counter.txt"
    assert damage["mode"] == mode
    assert 0 < damage["changed"] <= damage["bytes"]
    found = stand.events.seen("found")[1]["content"]
    assert found is None if mode == "removed" else len(found) <= damage["bytes"]
    assert found is None or len(set(found.splitlines())) != 1 or len(found) < damage["bytes"]
    counts = evidence(stand, fault).counts
    assert (counts["files"], counts["bytes"]) == (1, damage["changed"])


def test_without_a_file_that_matches_nothing_is_proven(stand: Stand) -> None:
    """The host dies all the same, but a pattern that matches nothing is no damage."""
    fault = disk.damage("a", "*.db", "garbled")

    async def director(world: World) -> None:
        await world.start_host(host())
        await stand.until(world, lambda: bool(stand.operations("count", "ok")))
        await under(world, fault, "garbled", lambda: asyncio.sleep(0))
        assert await world.stop_host("a", timeout_ns=seconds(10))

    stand.run(director)
    assert not evidence(stand, fault).bit
    assert stand.events.seen("damage") == []


def test_files_of_a_running_host_are_left_alone(stand: Stand) -> None:
    """Only a machine that is down finds its files damaged."""

    async def director(world: World) -> None:
        await world.start_host(host(programs.idle))
        with pytest.raises(WorldError, match="'a' is running"):
            await world.damage_disk("a", "*", "garbled", Tape(7).stream("x"))
        with pytest.raises(WorldError, match="'x'"):
            await world.damage_disk("x", "*", "garbled", Tape(7).stream("x"))

    stand.run(director)
