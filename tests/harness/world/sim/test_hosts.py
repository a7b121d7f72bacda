"""Machines: kill, power off, freeze, restart, and what a host sees of itself."""

import asyncio
import contextvars
import os
import sys
import time
from asyncio import all_tasks
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from harness.errors import WorldError
from harness.history.events import HostChanged, Observation
from harness.tape import Tape
from harness.units import SECOND, ms, seconds
from harness.world.base import Host, HostSpec
from harness.world.sim.machine import EPOCH_NS
from harness.world.sim.run import SimRun, run_sim
from harness.world.sim.sink import MemorySink
from harness.world.sim.world import SimWorld

PORT = 7000
asyncio_all_tasks = all_tasks
Director = Callable[[SimWorld], Awaitable[Any]]


class Bench:
    """Runs directors and keeps what they recorded."""

    def __init__(self, directory: Path) -> None:
        self.sink = MemorySink()
        self.directory = directory

    def run(self, director: Director, seed: int = 1, **options: Any) -> SimRun[Any]:
        done = run_sim(director, tape=Tape(seed), sink=self.sink, directory=self.directory, **options)
        assert done.escapes == ()
        return done

    def changes(self, actor: str) -> list[str]:
        return [e.change for e in self.sink.events if isinstance(e, HostChanged) and e.actor == actor]

    def observed(self, name: str) -> list[dict[str, Any]]:
        return [e.value for e in self.sink.events if isinstance(e, Observation) and e.name == name]


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


async def echo_server() -> None:
    """Answers lines in capitals."""

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            writer.write(line.upper())
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(echo, "0.0.0.0", PORT)
    await server.serve_forever()


async def deaf_server() -> None:
    """Accepts and never reads."""
    await (await asyncio.start_server(lambda _r, _w: asyncio.sleep(10**9), "0.0.0.0", PORT)).serve_forever()


async def ask(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, line: bytes) -> bytes:
    writer.write(line + b"\n")
    return await reader.readline()


def test_killed_means_killed(bench: Bench) -> None:
    """After a kill no finally block, callback or timer of the host runs; its task never ends; peers see a reset."""
    ran: list[str] = []

    async def victim() -> None:
        loop = asyncio.get_running_loop()
        loop.call_later(2, ran.append, "timer")
        background = asyncio.create_task(echo_server())
        try:
            await asyncio.sleep(10)
        finally:
            ran.append("finally")
            background.cancel()

    async def director(world: SimWorld) -> tuple[str, bool, list[str]]:
        task = world.machines.boot("victim", victim)
        await asyncio.sleep(0.5)
        reader, writer = await asyncio.open_connection("victim", PORT)
        assert await ask(reader, writer, b"alive") == b"ALIVE\n"
        world.machines.kill("victim")
        with pytest.raises(ConnectionResetError):
            await reader.readline()
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("victim", PORT)
        await asyncio.sleep(60)
        writer.close()
        return "done", task.done(), list(ran)

    assert bench.run(director).result == ("done", False, [])
    assert bench.changes("victim") == ["started", "killed"]


def test_powered_off_means_silence(bench: Bench) -> None:
    """Peers see nothing at all: reads wait, connects get no answer; after a restart old connections are reset."""

    async def director(world: SimWorld) -> None:
        world.machines.boot("server", echo_server)
        await asyncio.sleep(0.1)
        reader, writer = await asyncio.open_connection("server", PORT)
        quiet, quiet_writer = await asyncio.open_connection("server", PORT)
        world.machines.power_off("server")
        writer.write(b"anybody?\n")
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(reader.readline(), 30)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asyncio.open_connection("server", PORT), 10)
        world.machines.boot("server", echo_server)
        begin = world.now_ns()
        with pytest.raises(ConnectionResetError):
            await reader.readline()
        assert world.now_ns() - begin < seconds(60)
        with pytest.raises(TimeoutError):  # it never sent anything, so it cannot know
            await asyncio.wait_for(quiet.readline(), 100)
        new_reader, new_writer = await asyncio.open_connection("server", PORT)
        assert await ask(new_reader, new_writer, b"again") == b"AGAIN\n"
        for each in (writer, new_writer, quiet_writer):
            each.close()

    bench.run(director)
    assert bench.changes("server") == ["started", "powered_off", "started"]


def test_nobody_answers_for_a_quarter_of_an_hour(bench: Bench) -> None:
    """Data that stays unacknowledged fails the connection with ETIMEDOUT after 15 to 17 minutes."""

    async def director(world: SimWorld) -> float:
        world.machines.boot("server", echo_server)
        await asyncio.sleep(0.1)
        reader, writer = await asyncio.open_connection("server", PORT)
        world.machines.power_off("server")
        begin = asyncio.get_running_loop().time()
        writer.write(b"anybody?\n")
        with pytest.raises(TimeoutError, match="timed out"):
            await reader.readline()
        return asyncio.get_running_loop().time() - begin

    assert 15 * 60 < bench.run(director).result < 17 * 60


def test_a_connect_without_an_answer_gives_up(bench: Bench) -> None:
    """127 s of unanswered SYNs are ETIMEDOUT."""

    async def director(world: SimWorld) -> float:
        world.machines.boot("server", echo_server)
        await asyncio.sleep(0.1)
        world.machines.power_off("server")
        begin = asyncio.get_running_loop().time()
        with pytest.raises(TimeoutError, match=r"\[Errno 110\] Connect call failed"):
            await asyncio.open_connection("server", PORT)
        return asyncio.get_running_loop().time() - begin

    assert bench.run(director).result == pytest.approx(127, abs=0.01)


def test_a_frozen_host_stands_still_and_its_kernel_does_not(bench: Bench) -> None:
    """Connects succeed, bytes are taken, nothing is answered; at the thaw everything is, in order."""

    async def director(world: SimWorld) -> list[bytes]:
        world.machines.boot("server", echo_server)
        await asyncio.sleep(0.1)
        reader, writer = await asyncio.open_connection("server", PORT)
        world.machines.freeze("server")
        late_reader, late_writer = await asyncio.open_connection("server", PORT)
        writer.write(b"one\n")
        writer.write(b"two\n")
        late_writer.write(b"late\n")
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(reader.readline(), 5)
        assert world.machines.unread("server") == (2, 13)
        world.machines.thaw("server")
        lines = [await reader.readline(), await reader.readline(), await late_reader.readline()]
        writer.close()
        late_writer.close()
        return lines

    assert bench.run(director).result == [b"ONE\n", b"TWO\n", b"LATE\n"]
    assert bench.changes("server") == ["started", "frozen", "thawed"]


def test_a_frozen_host_accepts_no_more_than_its_backlog(bench: Bench) -> None:
    """Beyond the listen backlog SYNs are dropped, and tried again."""

    async def director(world: SimWorld) -> tuple[int, int]:
        world.machines.boot("server", echo_server)
        await asyncio.sleep(0.1)
        world.machines.freeze("server")
        attempts = [asyncio.ensure_future(asyncio.open_connection("server", PORT)) for _ in range(150)]
        await asyncio.sleep(0.9)
        early = sum(attempt.done() for attempt in attempts)
        world.machines.thaw("server")
        await asyncio.sleep(1.0)
        late = sum(attempt.done() for attempt in attempts)
        for attempt in attempts:
            attempt.result()[1].close()
        return early, late

    assert bench.run(director).result == (101, 150)


def test_a_frozen_host_pushes_back(bench: Bench) -> None:
    """Its buffers are bounded, so a writer is paused."""

    async def director(world: SimWorld) -> None:
        world.machines.boot("server", echo_server)
        await asyncio.sleep(0.1)
        _, writer = await asyncio.open_connection("server", PORT)
        world.machines.freeze("server")
        writer.write(b"x" * 10_000_000)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(writer.drain(), 5)
        assert 0 < world.machines.unread("server")[1] < 1_000_000
        writer.transport.abort()

    bench.run(director)


def test_a_frozen_hosts_timers_expire_at_the_thaw(bench: Bench) -> None:
    """A sleep that ends while frozen ends when thawed; virtual clocks show how long it really took."""
    woke: list[float] = []

    async def sleeper() -> None:
        await asyncio.sleep(1)
        woke.append(time.monotonic())

    async def director(world: SimWorld) -> None:
        world.machines.boot("sleeper", sleeper)
        await asyncio.sleep(0.5)
        world.machines.freeze("sleeper")
        await asyncio.sleep(10)
        assert woke == []
        world.machines.thaw("sleeper")
        await asyncio.sleep(0.1)

    bench.run(director)
    assert woke == [10.5]


def test_a_frozen_host_may_be_killed(bench: Bench) -> None:
    """Kill while frozen: parked steps stay parked for ever."""

    async def director(world: SimWorld) -> None:
        world.machines.boot("server", echo_server)
        await asyncio.sleep(0.1)
        reader, writer = await asyncio.open_connection("server", PORT)
        world.machines.freeze("server")
        writer.write(b"x\n")
        await asyncio.sleep(1)
        world.machines.kill("server")
        with pytest.raises(ConnectionResetError):
            await reader.readline()
        with pytest.raises(WorldError):
            world.machines.thaw("server")
        world.machines.boot("server", echo_server)

    bench.run(director)
    assert bench.changes("server") == ["started", "frozen", "killed", "started"]


def test_a_restart_is_a_new_incarnation_with_the_same_disk(bench: Bench) -> None:
    """What was written survives, what was recorded is the past, the dice are others."""
    dice: list[bytes] = []

    async def program(host: Host) -> None:
        dice.append(os.urandom(8))
        notes = host.disk / "notes"
        with notes.open("a") as file:
            file.write(f"{host.incarnation} ")
        host.log.observe("life", past=len(host.past), notes=notes.read_text())
        await host.stopping()

    async def director(world: SimWorld) -> None:
        spec = HostSpec(name="writer", program=program)
        for _ in range(3):
            await world.start_host(spec)
            await asyncio.sleep(0.1)
            await world.kill_host("writer")

    bench.run(director)
    lives = bench.observed("life")
    assert [life["notes"] for life in lives] == ["1 ", "1 2 ", "1 2 3 "]
    assert [life["past"] for life in lives] == [1, 4, 7]
    assert len(set(dice)) == 3


def test_each_hosts_wall_clock_may_be_off(bench: Bench) -> None:
    """The wall clock is the host's own; the steady one is everybody's."""
    seen: dict[str, tuple[int, float]] = {}

    async def look(name: str) -> None:
        await asyncio.sleep(1)
        seen[name] = (time.time_ns(), time.monotonic())

    async def director(world: SimWorld) -> None:
        world.machines.set_clock_offset("skewed", seconds(-5))
        await asyncio.gather(*(world.machines.boot(name, look, name) for name in ("right", "skewed")))

    bench.run(director)
    assert seen["right"] == (EPOCH_NS + SECOND, 1.0)
    assert seen["skewed"] == (EPOCH_NS - 4 * SECOND, 1.0)


def test_a_program_that_fails_is_recorded(bench: Bench) -> None:
    """With its text, in the history and for the director."""

    async def program(_: Host) -> None:
        await asyncio.sleep(1)
        raise RuntimeError("out of luck")

    async def director(world: SimWorld) -> bool:
        await world.start_host(HostSpec(name="unlucky", program=program))
        await asyncio.sleep(2)
        return await world.stop_host("unlucky", timeout_ns=seconds(1))

    done = bench.run(director)
    assert done.failures == {"unlucky": "RuntimeError: out of luck"}
    assert done.result is False
    assert bench.changes("unlucky") == ["started", "failed"]


@pytest.mark.parametrize("in_a_task", [True, False])
@pytest.mark.parametrize(("code", "change"), [(0, "finished"), (3, "failed")])
def test_a_host_that_exits_takes_nobody_with_it(bench: Bench, in_a_task: bool, code: int, change: str) -> None:
    """sys.exit ends the host's process, wherever it is called, and not the run (uvicorn exits so)."""

    async def leave() -> None:
        await asyncio.sleep(0.5)
        sys.exit(code)

    async def program() -> None:
        if not in_a_task:
            await leave()
        task = asyncio.create_task(leave())
        await asyncio.sleep(10)
        task.cancel()

    async def director(world: SimWorld) -> bool:
        world.machines.boot("quitter", program)
        await asyncio.sleep(1)
        return world.machines.is_running("quitter")

    done = bench.run(director)
    assert done.result is False
    assert done.failures == ({} if code == 0 else {"quitter": "SystemExit: 3"})
    assert bench.changes("quitter") == ["started", change]


def test_a_program_that_ends_closes_what_it_opened(bench: Bench) -> None:
    """Its process is gone: leftover tasks are cancelled (their finally blocks run), its connections end."""
    log: list[str] = []

    async def program() -> None:
        async def background() -> None:
            try:
                await echo_server()
            finally:
                log.append("cancelled")

        task = asyncio.create_task(background())
        await asyncio.sleep(1)
        assert not task.done()

    async def director(world: SimWorld) -> bytes:
        ended = world.machines.boot("brief", program)
        await asyncio.sleep(0.5)
        reader, writer = await asyncio.open_connection("brief", PORT)
        await ended
        assert log == ["cancelled"]
        rest = await reader.read()
        writer.close()
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("brief", PORT)
        return rest

    assert bench.run(director).result == b""
    assert bench.changes("brief") == ["started", "finished"]


@pytest.mark.parametrize("obeys", [True, False])
def test_stopping_a_host(bench: Bench, obeys: bool) -> None:
    """Asked to finish, a program does, or is killed when the time is up."""

    async def program(host: Host) -> None:
        await host.stopping()
        if not obeys:
            await asyncio.sleep(60)

    async def director(world: SimWorld) -> tuple[bool, int]:
        await world.start_host(HostSpec(name="worker", program=program))
        await asyncio.sleep(1)
        return await world.stop_host("worker", timeout_ns=seconds(3)), world.now_ns()

    stopped, now_ns = bench.run(director).result
    assert stopped is obeys
    assert now_ns == (seconds(1) if obeys else seconds(4))
    assert bench.changes("worker") == ["started", "stopped" if obeys else "killed"]


def test_unhandled_errors_are_recorded(bench: Bench) -> None:
    """Errors in callbacks and in tasks that nobody awaits, in their host's name."""

    async def program() -> None:
        loop = asyncio.get_running_loop()
        loop.call_soon(lambda: 1 / 0)

        async def fail() -> None:
            raise ValueError("nobody looks")

        task = asyncio.create_task(fail())
        del task
        await asyncio.sleep(1)

    async def director(world: SimWorld) -> None:
        await world.machines.boot("sloppy", program)

    done = bench.run(director)
    texts = [value["error"] for value in bench.observed("unhandled")]
    assert done.unhandled == len(texts) == 2
    assert any("ZeroDivisionError" in text for text in texts)
    assert any("ValueError: nobody looks" in text for text in texts)
    assert {e.actor for e in bench.sink.events if isinstance(e, Observation)} == {"sloppy"}


def test_thread_work_takes_time_and_dies_with_its_host(bench: Bench) -> None:
    """To_thread runs later, in the caller's context; a host killed before that never runs it."""
    ran: list[str] = []
    colour: contextvars.ContextVar[str] = contextvars.ContextVar("colour", default="none")

    async def program() -> None:
        colour.set("blue")
        begin = time.monotonic_ns()
        assert await asyncio.to_thread(colour.get) == "blue"
        assert 0 < time.monotonic_ns() - begin <= ms(1)
        with pytest.raises(ZeroDivisionError):
            await asyncio.to_thread(lambda: 1 / 0)
        await asyncio.sleep(1 - time.monotonic())
        await asyncio.to_thread(ran.append, "work")

    async def director(world: SimWorld) -> None:
        world.machines.boot("doomed", program)
        await world.sleep_until(SECOND + 2)
        world.machines.kill("doomed")
        await asyncio.sleep(1)

    bench.run(director)
    assert ran == []


def test_an_executor_with_one_worker_works_in_order(bench: Bench) -> None:
    """One job at a time, first come first served; others overtake each other for some seed."""

    async def director(_: SimWorld) -> tuple[list[int], list[int]]:
        loop = asyncio.get_running_loop()
        one, many = ThreadPoolExecutor(1), ThreadPoolExecutor(8)
        in_order: list[int] = []
        mixed: list[int] = []
        await asyncio.gather(*(loop.run_in_executor(one, in_order.append, number) for number in range(10)))
        await asyncio.gather(*(loop.run_in_executor(many, mixed.append, number) for number in range(10)))
        return in_order, mixed

    in_order, mixed = bench.run(director).result
    assert in_order == list(range(10))
    assert sorted(mixed) == list(range(10)) != mixed


def test_a_queued_job_that_is_cancelled_is_never_done(bench: Bench) -> None:
    """As with concurrent.futures: before a worker takes a job, cancelling stops it; afterwards nothing does."""
    done: list[str] = []

    async def director(_: SimWorld) -> None:
        loop = asyncio.get_running_loop()
        one = ThreadPoolExecutor(1)
        begun, queued, last = (loop.run_in_executor(one, done.append, name) for name in ("begun", "queued", "last"))
        await asyncio.sleep(1e-6)
        assert begun.cancel()
        assert queued.cancel()
        await last
        with pytest.raises(asyncio.CancelledError):
            await queued
        await asyncio.sleep(1)

    bench.run(director)
    assert done == ["begun", "last"]


def test_a_host_sees_and_cancels_its_own_tasks_only(bench: Bench) -> None:
    """Hosts are processes: `all_tasks`, however it was imported, does not reach into the neighbour or the director."""
    survived: list[str] = []

    async def neighbour() -> None:
        await asyncio.sleep(1)
        survived.append("neighbour")

    async def cancels_all() -> None:
        own = asyncio.create_task(asyncio.sleep(100))
        mine = {own, asyncio.current_task()}
        assert asyncio.all_tasks() == asyncio.tasks.all_tasks() == all_tasks() == mine
        for task in asyncio.all_tasks():
            task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await own
        survived.append("canceller")

    async def director(world: SimWorld) -> None:
        programs = [world.machines.boot("a", neighbour), world.machines.boot("b", cancels_all)]
        await asyncio.sleep(0.5)
        assert asyncio.all_tasks() == {asyncio.current_task()}
        await asyncio.wait(programs)

    bench.run(director)
    assert survived == ["canceller", "neighbour"]
    assert all_tasks is asyncio.all_tasks is asyncio_all_tasks


def test_a_machine_runs_one_program_at_a_time(bench: Bench) -> None:
    """Booting what runs, and killing what does not, are errors of the caller."""

    async def director(world: SimWorld) -> None:
        world.machines.boot("server", deaf_server)
        with pytest.raises(WorldError, match="running already"):
            world.machines.boot("server", deaf_server)
        with pytest.raises(WorldError, match="no host 'nobody' is running"):
            world.machines.kill("nobody")

    bench.run(director)
