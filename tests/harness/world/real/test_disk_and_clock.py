"""What only real hosts have under a full disk or a stepped clock: children, threads, loops that stand still.

What both worlds do alike: tests/contract/test_disk_and_clock.py.
"""

import asyncio

import disk_and_clock
import pytest

from harness.errors import WorldError
from harness.units import seconds
from harness.world.base import HostSpec
from harness.world.real import host_process

pytestmark = pytest.mark.real
HOST = "host"


def spec(program):
    """Return the host."""
    return HostSpec(name=HOST, program=program)


def later(sink, name, count):
    """Return a condition: so many more observations of that name than there are now."""
    goal = len(sink.named(name)) + count
    return lambda: len(sink.named(name)) >= goal


async def test_children_find_the_disk_full_too(make_world, sink):
    """Those that were there and those that are started meanwhile; with space, all write again."""
    async with make_world() as world:
        await world.start_host(spec(disk_and_clock.have_child_write))
        await sink.until(later(sink, "wrote", 4))
        await world.fill_disk(HOST)
        await sink.until(later(sink, "wrote", 4))
        full = sink.named("wrote")[-2:]
        await world.free_disk(HOST)
        await sink.until(later(sink, "wrote", 4))
        free = sink.named("wrote")[-2:]
        assert await world.stop_host(HOST, timeout_ns=seconds(10))
    assert {event.value["who"]: event.value["error"] for event in full} == {"old": "EFBIG", "new": "EFBIG"}
    assert {event.value["who"]: event.value["error"] for event in free} == {"old": None, "new": None}


async def test_a_clock_that_nobody_can_step_is_an_error(make_world, sink, monkeypatch, tmp_path):
    """A blocked loop does not take the order: the world says so in time, and the run can end."""
    monkeypatch.setattr(host_process, "_CLOCK_S_MAX", 0.3)
    async with make_world() as world:
        await world.start_host(spec(disk_and_clock.block))
        await sink.until(lambda: bool(sink.named("blocking")))
        with pytest.raises(WorldError, match=r"'host'.*blocked"):
            await world.step_clock(HOST, seconds(1))
        next(tmp_path.rglob("disks/host")).joinpath("go on").touch()
        assert await world.stop_host(HOST, timeout_ns=seconds(10))
    assert [event.value["offset_ns"] for event in sink.named("clock")][:1] == [seconds(1)]


async def test_a_host_that_ends_while_its_clock_is_stepped_is_waited_for_no_longer(make_world, sink, tmp_path):
    """Its death answers."""
    async with make_world() as world:
        await world.start_host(spec(disk_and_clock.block))
        await sink.until(lambda: bool(sink.named("blocking")))
        stepping = asyncio.ensure_future(world.step_clock(HOST, seconds(1)))
        await asyncio.sleep(0)
        await world.kill_host(HOST)
        await stepping


async def test_every_thread_sees_one_clock(make_world, sink):
    """`time` and `time_ns` agree in every thread while the clock is stepped to and fro."""
    async with make_world() as world:
        await world.start_host(spec(disk_and_clock.read_in_threads))
        for by_ns in (seconds(3_600), -seconds(7_200), seconds(3_600)):
            await world.step_clock(HOST, by_ns)
            await sink.until(later(sink, "apart", 3))
        assert await world.stop_host(HOST, timeout_ns=seconds(10))
    apart = sum(event.value["most"] >= 1 for event in sink.named("apart"))
    assert apart <= 3  # those in whose midst a step came
    assert sum(event.value["reads"] for event in sink.named("clock")) > 1_000
