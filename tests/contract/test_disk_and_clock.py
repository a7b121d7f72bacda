"""Full disks and stepped clocks, one suite for both worlds: what they do to a host, and what they leave alone."""

import itertools
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness.errors import WorldError
from harness.faults.base import Stage
from harness.faults.clock import clock_drift, clock_skew
from harness.history.events import FaultBegan, FaultHealed
from harness.history.query import fault_windows
from harness.tape import Tape
from harness.units import seconds
from harness.world.base import HostSpec, World

PROGRAMS = Path(__file__).parent / "programs"
sys.path.insert(0, str(PROGRAMS))  # host processes import their programs by name

import disk_and_clock_programs as programs  # noqa: E402 - see above
from two_worlds import Stand  # noqa: E402 - see above

HOUR_NS = seconds(3_600)
FULL = {"sim": {"database or disk is full"}, "real": {"disk I/O error"}}
FULL_FILE = {"sim": {"ENOSPC"}, "real": {"EFBIG"}}
CLOCKS = ("time", "bound", "now", "clock_gettime", "tuple")


def host(program: Callable[..., Any], name: str = "a") -> HostSpec:
    """Return a host."""
    return HostSpec(name=name, program=program)


def errors(seen: list[dict[str, Any]]) -> set[str | None]:
    """Return the distinct outcomes."""
    return {value["error"] for value in seen}


async def stop(world: World, *names: str) -> None:
    """Stop hosts that must stop by themselves."""
    for name in names:
        assert await world.stop_host(name, timeout_ns=seconds(10))


def test_nothing_is_written_on_a_full_disk_and_everything_again_when_it_is_freed(stand: Stand) -> None:
    """Old and new connections and plain files fail while it is full; what was acked, and only that, is there after."""

    async def director(world: World) -> None:
        await world.start_host(host(programs.write))
        assert errors(await stand.several(world, "insert")) == {None}
        await world.fill_disk("a")
        await stand.several(world, "insert", count=2)  # those that were under way
        assert errors(await stand.several(world, "insert")) == FULL[stand.kind]
        assert errors(await stand.several(world, "file")) == FULL_FILE[stand.kind]
        readable = await stand.several(world, "readable")
        assert len({value["rows"] for value in readable}) == 1
        await world.free_disk("a")
        await stand.several(world, "insert", count=2)
        assert errors(await stand.several(world, "insert")) == {None}
        assert errors(await stand.several(world, "file")) == {None}
        await stop(world, "a")

    stand.run(director)
    (kept,) = stand.events.seen("kept")
    assert kept["integrity"] == "ok"
    assert kept["rows"] == [value["row"] for value in stand.events.seen("insert") if value["error"] is None]


def test_refused_writes_are_observed_and_nothing_else_is(stand: Stand) -> None:
    """A host that writes leaves a count of at least its failures; one that does nothing leaves none."""

    async def director(world: World) -> None:
        await world.start_host(host(programs.write))
        await world.start_host(host(programs.idle, "b"))
        await stand.several(world, "insert")
        await world.fill_disk("a")
        await world.fill_disk("b")
        await stand.several(world, "insert", count=6)
        await world.free_disk("a")
        await world.free_disk("b")
        await stop(world, "a", "b")

    stand.run(director)
    failed = [value for name in ("insert", "file") for value in stand.events.seen(name) if value["error"]]
    assert sum(value["failed_writes"] for value in stand.events.seen("disk")) >= len(failed) > 0
    assert sum(value["failed_writes"] for value in stand.events.seen("disk", "b")) == 0


def test_the_disks_of_others_have_room(stand: Stand) -> None:
    """A full disk is one host's."""

    async def director(world: World) -> None:
        for name in ("a", "b"):
            await world.start_host(host(programs.write, name))
            await stand.several(world, "insert", actor=name)
        await world.fill_disk("a")
        await stand.several(world, "insert", count=2)
        assert errors(await stand.several(world, "insert", actor="b")) == {None}
        assert errors(await stand.several(world, "file", actor="b")) == {None}
        assert None not in errors(await stand.several(world, "insert"))
        await world.free_disk("a")
        await stop(world, "a", "b")

    stand.run(director)


def test_a_disk_stays_full_over_a_restart(stand: Stand) -> None:
    """It is the machine's; and it can be freed while the host is dead."""

    async def director(world: World) -> None:
        await world.start_host(host(programs.write))
        await stand.several(world, "insert")
        await world.fill_disk("a")
        await world.kill_host("a")
        await world.start_host(host(programs.write))
        assert None not in errors(await stand.several(world, "insert"))
        await world.kill_host("a")
        await world.free_disk("a")
        await world.start_host(host(programs.write))
        assert errors(await stand.several(world, "insert")) == {None}
        await stop(world, "a")

    stand.run(director)
    (kept,) = stand.events.seen("kept")
    assert kept["integrity"] == "ok"


def test_a_file_that_was_open_already_takes_no_more(stand: Stand) -> None:
    """The log of a service on a full disk fails line by line, and goes on when there is room."""

    async def director(world: World) -> None:
        await world.start_host(host(programs.keep_log))
        assert errors(await stand.several(world, "line")) == {None}
        await world.fill_disk("a")
        await stand.several(world, "line", count=2)
        assert None not in errors(await stand.several(world, "line"))
        await world.free_disk("a")
        await stand.several(world, "line", count=2)
        assert errors(await stand.several(world, "line")) == {None}
        await stop(world, "a")

    stand.run(director)


def test_filling_and_freeing_twice_is_once(stand: Stand) -> None:
    """The second time changes nothing."""

    async def director(world: World) -> None:
        await world.start_host(host(programs.write))
        await stand.several(world, "insert")
        for _ in range(2):
            await world.fill_disk("a")
        for _ in range(2):
            await world.free_disk("a")
        await stand.several(world, "insert", count=2)
        assert errors(await stand.several(world, "insert")) == {None}
        await stop(world, "a")

    stand.run(director)


def test_hosts_that_are_not_there_are_named(stand: Stand) -> None:
    """Neither disk nor clock of a host that never was; no filling the disk of one that is dead."""

    async def director(world: World) -> None:
        for act in (world.fill_disk("x"), world.free_disk("x"), world.step_clock("x", 1)):
            with pytest.raises(WorldError, match="'x'"):
                await act
        await world.start_host(host(programs.idle))
        await world.kill_host("a")
        with pytest.raises(WorldError, match="'a'"):
            await world.fill_disk("a")

    stand.run(director)


def test_a_world_left_with_a_full_disk_leaves_nothing_behind(stand: Stand, tmp_path: Path) -> None:
    """The next run in the same process and the same place writes."""

    async def leave(world: World) -> None:
        await world.start_host(host(programs.write))
        await stand.several(world, "insert")
        await world.fill_disk("a")

    async def write(world: World) -> None:
        await world.start_host(host(programs.write, "b"))
        assert errors(await stand.several(world, "insert", actor="b")) == {None}
        await stop(world, "b")

    stand.run(leave)
    stand.run(write)
    db = programs._open(next(tmp_path.rglob("a/rows.sqlite3")))
    assert programs._insert(db, 1) is None
    db.close()


async def offsets(stand: Stand, world: World, actor: str, *, skip: int = 2) -> list[tuple[float, ...]]:
    """Return by how many seconds each wall clock is off, rounded to minutes, relative to when the run began."""
    await stand.several(world, "time", actor=actor, count=skip)
    first = stand.events.seen("time", actor)[0]
    seen = await stand.several(world, "time", actor=actor, count=4)
    return sorted(
        {
            tuple(
                round(((value[name] - first[name]) - (value["steady"] - first["steady"])) / 60) * 60 for name in CLOCKS
            )
            for value in seen
        }
    )


def all_off(by_s: float) -> list[tuple[float, ...]]:
    """Every clock off by the same."""
    return [(by_s,) * len(CLOCKS)]


def test_wall_clocks_step_forward_and_back_and_steps_add_up(stand: Stand) -> None:
    """Every way of reading the wall clock, the early-bound one too."""

    async def director(world: World) -> None:
        for name in ("a", "b"):
            await world.start_host(host(programs.tell_time, name))
        assert await offsets(stand, world, "a") == all_off(0)
        await world.step_clock("a", HOUR_NS)
        assert await offsets(stand, world, "a") == all_off(3_600)
        await world.step_clock("a", HOUR_NS)
        assert await offsets(stand, world, "a") == all_off(7_200)
        await world.step_clock("a", -3 * HOUR_NS)
        assert await offsets(stand, world, "a") == all_off(-3_600)
        assert await offsets(stand, world, "b") == all_off(0)
        await world.step_clock("a", HOUR_NS)
        assert await offsets(stand, world, "a") == all_off(0)
        await stop(world, "a", "b")

    stand.run(director)
    hours = [value["offset_ns"] // HOUR_NS for value in stand.events.seen("clock")]
    assert list(dict.fromkeys(hours)) == [1, 2, -1, 0]
    assert all(value["reads"] > 0 for value in stand.events.seen("clock") if value["offset_ns"] == 2 * HOUR_NS)
    assert stand.events.seen("clock", "b") == []


def test_monotonic_clocks_never_step(stand: Stand) -> None:
    """Neither time.monotonic nor the loop's clock jumps: no timer fires early or late."""

    async def director(world: World) -> None:
        await world.start_host(host(programs.tell_time))
        await stand.several(world, "time")
        for by_ns in (HOUR_NS, -2 * HOUR_NS):
            await world.step_clock("a", by_ns)
            await stand.several(world, "time")
        await stop(world, "a")

    stand.run(director)
    seen = stand.events.seen("time")
    for name in ("steady", "loop"):
        gaps = [later[name] - earlier[name] for earlier, later in itertools.pairwise(seen)]
        assert min(gaps) >= 0
        assert max(gaps) < 60


def test_reads_of_a_stepped_clock_are_counted(stand: Stand) -> None:
    """They prove that somebody noticed; a host that reads no clock has none."""

    async def director(world: World) -> None:
        await world.start_host(host(programs.tell_time))
        await world.start_host(host(programs.idle, "b"))
        for name in ("a", "b"):
            await world.step_clock(name, HOUR_NS)
        await stand.several(world, "time")
        for name in ("a", "b"):
            await world.step_clock(name, -HOUR_NS)
        await stop(world, "a", "b")

    stand.run(director)
    assert sum(value["reads"] for value in stand.events.seen("clock")) >= 6 * len(CLOCKS)
    assert sum(value["reads"] for value in stand.events.seen("clock", "b")) == 0


def test_a_restarted_host_keeps_its_offset(stand: Stand) -> None:
    """The clock is the machine's: what was stepped before the death, and while it was dead, holds after it."""

    async def director(world: World) -> None:
        await world.start_host(host(programs.tell_time))
        await stand.several(world, "time")
        await world.step_clock("a", HOUR_NS)
        await stand.several(world, "time")
        await world.kill_host("a")
        await world.step_clock("a", HOUR_NS)
        await world.start_host(host(programs.tell_time))
        assert await offsets(stand, world, "a", skip=0) == all_off(7_200)
        await stop(world, "a")

    stand.run(director)


def test_a_frozen_host_finds_its_clock_stepped(stand: Stand) -> None:
    """Stepping it waits for nobody who stands still."""

    async def director(world: World) -> None:
        await world.start_host(host(programs.tell_time))
        await stand.several(world, "time")
        await world.freeze_host("a")
        await world.step_clock("a", -HOUR_NS)
        await world.thaw_host("a")
        assert await offsets(stand, world, "a") == all_off(-3_600)
        await stop(world, "a")

    stand.run(director)


SKEWED_MIN_S = 0.04
FURTHEST_S = 31.0


async def off_by(stand: Stand, world: World, first: dict[str, Any]) -> list[dict[str, float]]:
    """Return by how many seconds each wall clock is off, of the next few times that the host tells the time."""
    await stand.several(world, "time", count=2)
    seen = await stand.several(world, "time", count=4)
    return [
        {name: (value[name] - first[name]) - (value["steady"] - first["steady"]) for name in CLOCKS if name != "tuple"}
        for value in seen
    ]


def hold(world: World, fault: Any, mode: str) -> Any:
    """Hold a fault of the clock as the director does."""
    return fault.hold(Stage(world, {"a": host(programs.tell_time)}), mode, Tape(7).stream("fault/0"))


@pytest.mark.parametrize(("mode", "sign"), [("ahead", 1), ("behind", -1)])
def test_a_skewed_clock_is_off_by_one_offset_until_it_is_put_right(stand: Stand, mode: str, sign: int) -> None:
    """By the same all the while, on the side of the mode, in every way of reading it; and it bit."""
    fault = clock_skew("a")

    async def director(world: World) -> None:
        await world.start_host(host(programs.tell_time))
        (first, *_) = await stand.several(world, "time")
        world.history.record(FaultBegan(world.now_ns(), "harness", 1, 0, fault.name, mode, fault.on))
        async with hold(world, fault, mode):
            off = [sign * by for value in await off_by(stand, world, first) for by in value.values()]
        world.history.record(FaultHealed(world.now_ns(), "harness", 1, 0))
        assert min(off) >= SKEWED_MIN_S
        assert max(off) <= FURTHEST_S
        assert max(off) - min(off) < SKEWED_MIN_S
        assert all(abs(by) < SKEWED_MIN_S for value in await off_by(stand, world, first) for by in value.values())
        await stop(world, "a")

    stand.run(director)
    assert fault.evidence(stand.history(), fault_windows(stand.history())[0]).bit


@pytest.mark.parametrize(("mode", "sign"), [("fast", 1), ("slow", -1)])
def test_a_drifting_clock_is_further_and_further_off(stand: Stand, mode: str, sign: int) -> None:
    """In the direction of the mode, until it is put right; monotonic clocks do not drift."""

    async def director(world: World) -> None:
        await world.start_host(host(programs.tell_time))
        (first, *_) = await stand.several(world, "time")
        async with hold(world, clock_drift("a"), mode):
            seen = []
            for _ in range(4):
                here = len(stand.events.seen("clock"))
                await stand.until(world, lambda here=here: len(stand.events.seen("clock")) > here)
                (value, *_) = await off_by(stand, world, first)
                seen.append(sign * value["time"])
        assert seen[-1] > seen[0] > 0
        assert all(abs(by) < seen[-1] / 2 for value in await off_by(stand, world, first) for by in value.values())
        await stop(world, "a")

    stand.run(director)
    told = stand.events.seen("time")
    assert all(abs((b["steady"] - a["steady"]) - (b["loop"] - a["loop"])) < 0.1 for a, b in itertools.pairwise(told))
