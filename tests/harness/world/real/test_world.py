"""The real world end to end: what hosts record survives them, and their lives are told truly."""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

import host_programs
import pytest

from harness.errors import UsageError, WorldError
from harness.history.events import HostChanged, Invoke, Ok
from harness.units import ms, seconds
from harness.world.base import HostSpec, Program
from harness.world.real import guard
from harness.world.real.world import RealWorld

pytestmark = pytest.mark.real


def spec(program: Program, name: str = "a", **params: object) -> HostSpec:
    return HostSpec(name=name, program=program, params=params)


async def test_everything_acknowledged_before_sigkill_is_there(make_world, sink) -> None:
    """A host that dies of SIGKILL half way through a line loses that line and nothing before it."""
    async with make_world() as world:
        await world.start_host(spec(host_programs.counts_and_dies, operations=2_000))
        await sink.until(lambda: sink.changes("a") == ["started", "failed"])
    assert [event.value["n"] for event in sink if isinstance(event, Invoke)] == list(range(2_000))
    assert [event.value["id"] for event in sink if isinstance(event, Ok)] == [f"id-{n}" for n in range(2_000)]
    assert sink[-1] == HostChanged(sink[-1].time_ns, "a", 1, "failed", "returncode -9")


def acknowledged(tmp_path: Path) -> list[bytes]:
    """Return the numbers that the flooding host believed to be safe."""
    return (tmp_path / "run" / "disks" / "a" / "acked").read_bytes().splitlines()


def let_the_pipe_fill(tmp_path: Path) -> None:
    """Keep the event loop from reading until the host is blocked by its full pipe: no progress for 50 ms."""
    known, since = -1, time.monotonic()
    while time.monotonic() - since < 0.05:
        count = len(acknowledged(tmp_path))
        if count != known:
            known, since = count, time.monotonic()


async def test_what_was_recorded_before_the_freeze_comes_before_it(make_world, sink, tmp_path: Path) -> None:
    """A freeze takes in all that the host had said; nothing trickles in between `frozen` and `thawed`."""
    async with make_world() as world:
        await world.start_host(spec(host_programs.floods))
        for number in range(1, 4):
            await sink.until(lambda goal=number * 1_000: len(sink) > goal)
            let_the_pipe_fill(tmp_path)
            await world.freeze_host("a")
            await world.sleep_until(world.now_ns() + ms(20))
            await world.thaw_host("a")
            assert sink.changes("a")[-2:] == ["frozen", "thawed"]
            assert sink[-2].change == "frozen", f"freeze {number}"
        await world.kill_host("a")


async def test_kill_of_a_flooding_host_loses_no_acknowledged_operation(make_world, sink, tmp_path: Path) -> None:
    """What the program acted upon after `ok()` is in the history, even with the pipe full at the time of the kill."""
    async with make_world() as world:
        await world.start_host(spec(host_programs.floods))
        await sink.until(lambda: len(sink) > 1_000)
        let_the_pipe_fill(tmp_path)
        await world.kill_host("a")
        acked = acknowledged(tmp_path)
        recorded = [event.op for event in sink if isinstance(event, Ok)]
        assert recorded[: len(acked)] == [int(line) for line in acked]
        assert len(recorded) - len(acked) in (0, 1)
        assert sink[-1] == HostChanged(sink[-1].time_ns, "a", 1, "killed", "returncode -9")
        assert world.failures == []


async def test_times_run_forward_and_an_end_comes_last(make_world, sink) -> None:
    """Events of one host arrive in the order of their times, its end after all of them."""
    async with make_world() as world:
        await world.start_host(spec(host_programs.until_stopped))
        await sink.until(lambda: len(sink.named("tick")) > 5)
        assert await world.stop_host("a", timeout_ns=seconds(10))
    times = [event.time_ns for event in sink]
    assert times == sorted(times)
    assert sink.changes("a") == ["started", "stopped"]
    assert [event.name for event in sink[-2:-1]] == ["last words"]


async def test_a_frozen_host_says_nothing_until_thawed(make_world, sink) -> None:
    """Between `frozen` and `thawed` there is no event of the host; after it, there are again."""
    async with make_world() as world:
        await world.start_host(spec(host_programs.until_stopped))
        await sink.until(lambda: len(sink.named("tick")) > 5)
        await world.freeze_host("a")
        await world.sleep_until(world.now_ns() + ms(150))
        await world.thaw_host("a")
        thawed = len(sink)
        await sink.until(lambda: len(sink) > thawed + 5)
    kinds = [event.change if isinstance(event, HostChanged) else "tick" for event in sink]
    frozen = kinds.index("frozen")
    assert kinds[frozen + 1] == "thawed"
    assert sink[frozen + 1].time_ns - sink[frozen].time_ns >= ms(150)
    assert kinds.count("tick") > 10


async def test_a_frozen_host_can_be_killed(make_world, sink) -> None:
    """SIGKILL needs no thaw; thawing what is dead does nothing."""
    async with make_world() as world:
        await world.start_host(spec(host_programs.until_stopped))
        await world.freeze_host("a")
        await world.kill_host("a")
        await world.thaw_host("a")
    assert sink.changes("a") == ["started", "frozen", "killed"]


async def test_a_restart_gets_the_past_and_the_disk(make_world, sink) -> None:
    """A later incarnation sees all earlier events of its host, not its own, finds its disk, draws afresh."""
    async with make_world() as world:
        for number in range(1, 4):
            await world.start_host(spec(host_programs.tells_past))
            await sink.until(lambda number=number: len(sink.named("disk")) == number)
            await world.kill_host("a")
    assert [event.value["seen"] for event in sink.named("past")] == [[], [10], [10, 20]]
    assert [event.incarnation for event in sink.named("past")] == [1, 2, 3]
    assert sink.named("disk")[-1].value["files"] == ["incarnation-1", "incarnation-2", "incarnation-3"]
    assert len({event.value["value"] for event in sink.named("draw")}) == 3


async def test_draws_repeat_from_run_to_run(make_world, sink) -> None:
    """The same seed gives a host the same draws in another run."""
    for _ in range(2):
        async with make_world() as world:
            await world.start_host(spec(host_programs.tells_past))
            await sink.until(lambda: sink[-1] in sink.named("disk"))
    first, second = sink.named("draw")
    assert first.value == second.value


async def test_a_host_sees_its_assignment_and_its_log_is_bounded_and_masked(
    make_world, sink, listener_kind: Callable[..., object], tmp_path: Path
) -> None:
    """Name, parameters, endpoints and target arrive; output goes to a log of bounded size without passwords."""

    async def handle(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    targets = {"event_bus": "host_programs:factory"}
    async with make_world(targets=targets, kinds={"redis": listener_kind(handle)}) as world:
        redis = await world.start_dependency("redis", "redis", {})
        assert world.dependency("redis") is redis
        await world.start_host(spec(host_programs.tells_what_it_sees, text="ü", deep={"a": [1, 2]}))
        await sink.until(lambda: bool(sink.named("host")))
        direct = redis.url
    assert redis.stopped
    seen = sink.named("host")[0].value
    url = seen["endpoints"].pop("redis")
    assert url.startswith("redis://127.0.0.1:")
    assert url != direct, "the way leads through a proxy"
    assert seen == {
        "who": "a",
        "params": {"text": "ü", "deep": {"a": [1, 2]}},
        "endpoints": {},
        "made": "target 7",
    }
    text = (tmp_path / "run" / "logs" / "a.log").read_text()
    assert text.startswith("see redis://***@127.0.0.1:6379/0\n")
    assert "hunter2" not in text
    assert len(text) < 1_100_000
    assert "bytes more were not kept" in text[-100:]


async def test_two_starts_at_once_start_one(make_world, sink) -> None:
    """Of two concurrent starts of one host, one is refused."""
    async with make_world() as world:
        starts = [world.start_host(spec(host_programs.until_stopped)) for _ in range(2)]
        answers = await asyncio.gather(*starts, return_exceptions=True)
        assert [type(answer) for answer in answers] == [type(None), WorldError]
    assert sink.changes("a") == ["started", "stopped"]


@pytest.mark.parametrize(
    ("targets", "program", "words"),
    [
        ({"bus": "no_such_module:make"}, host_programs.returns, "cannot import the target of port 'bus'"),
        ({"bus": "host_programs:nothing"}, host_programs.returns, "cannot find the target of port 'bus'"),
        ({"bus": "host_programs:not_a_factory"}, host_programs.returns, "is a int and cannot be called"),
        ({}, host_programs.raises, "ValueError: no luck at redis://***@db:1/0"),
        ({}, host_programs.tells_what_it_sees, "no target was given for port 'event_bus'"),
    ],
)
async def test_what_cannot_run_is_reported_in_one_line(
    make_world, sink, targets: dict[str, str], program: Program, words: str, tmp_path: Path
) -> None:
    """Errors of loading and of the program become `failed` with one clear line; the traceback is in the log."""
    async with make_world(targets=targets) as world:
        await world.start_host(spec(program))
        await sink.until(lambda: "failed" in sink.changes("a"))
        (failure,) = world.failures
    assert words in failure.detail
    assert "\n" not in failure.detail
    assert (failure.host, failure.incarnation, failure.change) == ("a", 1, "failed")
    assert sink[-1].detail == failure.detail
    assert "Traceback" in (tmp_path / "run" / "logs" / "a.log").read_text()


async def test_a_program_that_cannot_be_imported_is_reported(make_world, sink) -> None:
    """A program that only this process knows cannot be run in another; the host fails and says so."""

    async def local(host: object) -> None:
        pass

    async with make_world() as world:
        await world.start_host(spec(local))
        assert sink.changes("a") == ["started", "failed"]
        assert "the program" in world.failures[0].detail


async def test_a_program_that_returns_by_itself_has_finished(make_world, sink) -> None:
    """Exit code 0 without being asked is `finished`, is listed, and allows a restart."""
    async with make_world() as world:
        await world.start_host(spec(host_programs.returns))
        await sink.until(lambda: sink.changes("a") == ["started", "finished"])
        assert [exit_.change for exit_ in world.failures] == ["finished"]
        with pytest.raises(WorldError, match="not running: finished"):
            await world.kill_host("a")
        assert await world.stop_host("a", timeout_ns=seconds(1))
        await world.start_host(spec(host_programs.returns))
        await sink.until(lambda: len(sink.named("done")) == 2)


async def test_a_program_that_does_not_stop_is_killed(make_world, sink) -> None:
    """After the timeout `stop_host` kills and says False."""
    async with make_world() as world:
        await world.start_host(spec(host_programs.ignores_stop))
        assert not await world.stop_host("a", timeout_ns=ms(100))
    assert sink.changes("a") == ["started", "killed"]


@pytest.mark.parametrize(
    ("program", "words"),
    [(host_programs.malformed, "malformed line"), (host_programs.impersonates, "in the name of somebody else#1")],
)
async def test_a_history_that_cannot_be_trusted_is_an_error(make_world, sink, program: Program, words: str) -> None:
    """A line that is no event, or another's, ends the host as failed and is raised by the next operation."""
    async with make_world() as world:
        await world.start_host(spec(program))
        await sink.until(lambda: "failed" in sink.changes("a"))
        assert words in world.failures[0].detail
        with pytest.raises(WorldError, match=words):
            await world.stop_host("a", timeout_ns=seconds(1))


async def test_what_is_not_there_is_refused_by_name(make_world) -> None:
    """Unknown hosts, dependencies and kinds, unfit names and second starts are errors that say so."""
    async with make_world() as world:
        await world.start_host(spec(host_programs.until_stopped))
        with pytest.raises(WorldError, match="running already"):
            await world.start_host(spec(host_programs.until_stopped))
        with pytest.raises(WorldError, match="unknown host 'b'"):
            await world.freeze_host("b")
        with pytest.raises(WorldError, match="unknown dependency 'redis'"):
            world.dependency("redis")
        with pytest.raises(UsageError, match="unknown dependency kind 'rediss'"):
            await world.start_dependency("redis", "rediss", {})
        with pytest.raises(WorldError, match="cannot be the name"):
            await world.start_host(spec(host_programs.until_stopped, name="../b"))


def pids_of(world: RealWorld) -> list[int]:
    return [host._child.pid for host in world._hosts.values()] + [world.run.guard_pid]


async def test_cancellation_thaws_stops_and_reaps_everything(make_world, sink, listener_kind) -> None:
    """Cancelling the task that holds the world, twice even, leaves no process, stops dependencies, thaws."""
    up = asyncio.Event()
    worlds: list[RealWorld] = []

    async def handle(_reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        pass

    async def hold() -> None:
        async with make_world(kinds={"redis": listener_kind(handle)}) as world:
            worlds.append(world)
            await world.start_dependency("redis", "redis", {})
            await world.start_host(spec(host_programs.has_grandchildren))
            await world.start_host(spec(host_programs.ignores_stop, name="b"))
            await world.freeze_host("b")
            await sink.until(lambda: bool(sink.named("grandchildren")))
            up.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(hold())
    await up.wait()
    (world,) = worlds
    pids = pids_of(world) + sink.named("grandchildren")[0].value["pids"]
    assert all(guard.status_of(pid) for pid in pids)
    task.cancel()
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert [pid for pid in pids if (s := guard.status_of(pid)) and not s.zombie] == []
    assert world.dependency("redis").stopped
    assert sink.changes("b") == ["started", "frozen", "thawed", "killed"]
    assert sink.changes("a") == ["started", "killed"]
    assert not world.run.record_path.exists()
    assert not world._scratch.exists()


async def test_one_failing_dependency_does_not_keep_the_rest_alive(make_world, sink) -> None:
    """An error of one `stop` is raised at the end, after everything else was stopped."""

    class Stubborn:
        name = "redis"
        url = "redis://127.0.0.1:1"

        async def stop(self) -> None:
            raise RuntimeError("will not stop")

    async def start(*_: object) -> Stubborn:
        return Stubborn()

    world = make_world(kinds={"redis": start})

    async def run() -> None:
        async with world:
            await world.start_host(spec(host_programs.until_stopped))
            await world.start_dependency("redis", "redis", {})

    with pytest.raises(WorldError, match="will not stop"):
        await run()
    assert sink.changes("a") == ["started", "stopped"]
    assert not world.run.record_path.exists()


def open_descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


async def test_no_descriptor_is_left_open(make_world, sink) -> None:
    """A world gives back every file descriptor that it took."""
    before = open_descriptors()
    async with make_world() as world:
        await world.start_host(spec(host_programs.returns))
        await sink.until(lambda: sink.changes("a") == ["started", "finished"])
        await world.start_host(spec(host_programs.until_stopped, name="b"))
        await world.kill_host("b")
    assert open_descriptors() == before
