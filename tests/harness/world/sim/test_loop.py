"""The virtual-time loop: jumping, deadlocks, budgets, ways out, and nothing left over for the next run."""

import asyncio
import gc
import threading
import time
import warnings
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from harness.errors import BudgetError, DeadlockError, EscapeError
from harness.tape import Tape
from harness.units import SECOND, seconds
from harness.world.sim.clockwork import Budget
from harness.world.sim.run import SimRun, run_sim
from harness.world.sim.sink import MemorySink
from harness.world.sim.world import SimWorld

Simulate = Callable[..., SimRun[Any]]


@pytest.fixture
def simulate(tmp_path: Path) -> Simulate:
    def run(director: Callable[[SimWorld], Awaitable[Any]], seed: int = 1, **options: Any) -> SimRun[Any]:
        return run_sim(director, tape=Tape(seed), sink=MemorySink(), directory=tmp_path, **options)

    return run


def test_a_year_takes_no_time(simulate: Simulate) -> None:
    """Idle time is jumped over, exactly."""

    async def director(world: SimWorld) -> tuple[int, float]:
        await asyncio.sleep(300 * 86400)
        return world.now_ns(), time.monotonic()

    begin = time.perf_counter()
    done = simulate(director, budget=Budget(time_ns=400 * 86400 * SECOND))
    assert done.result == (300 * 86400 * SECOND, 300 * 86400.0)
    assert time.perf_counter() - begin < 5


def test_timers_are_never_early(simulate: Simulate) -> None:
    """When a timer fires, `time()` is not before the moment it was armed for, for delays of every size."""

    async def director(_: SimWorld) -> None:
        loop = asyncio.get_running_loop()
        for index in range(2000):
            delay = (index * 0.0137) % 1 * 10.0 ** -(index % 9)
            deadline = loop.time() + delay
            await asyncio.sleep(delay)
            assert loop.time() >= deadline

    simulate(director)


def test_timers_fire_in_order_and_cancelled_ones_do_not(simulate: Simulate) -> None:
    """Equal times in order of arming; many cancelled timers cost no memory."""

    async def director(world: SimWorld) -> list[int]:
        loop = asyncio.get_running_loop()
        fired: list[int] = []
        for number in (3, 1, 2):
            loop.call_later(number, fired.append, number)
        for number in range(10, 15):
            loop.call_at(loop.time() + 5, fired.append, number)
        loop.call_later(4, fired.append, 99).cancel()
        for _ in range(10_000):
            loop.call_later(1000, fired.append, 0).cancel()
        await asyncio.sleep(10)
        assert len(world.loop.heap) < 1000
        return fired

    assert simulate(director, permute_one_in=0).result == [1, 2, 3, 10, 11, 12, 13, 14]


def test_a_deadlock_names_who_waits_where(simulate: Simulate) -> None:
    """Task, host, file and line."""

    async def waits_for_ever() -> None:
        await asyncio.get_running_loop().create_future()

    async def director(world: SimWorld) -> None:
        await world.machines.boot("stuck", waits_for_ever)

    with pytest.raises(DeadlockError, match=r"stuck#1 on stuck#1 at test_loop\.py:\d+ \(waits_for_ever\)"):
        simulate(director)


def test_spinning_is_caught(simulate: Simulate) -> None:
    """A program that never waits ends the run, by name."""

    async def spins() -> None:
        while True:  # noqa: ASYNC110 - that is what is tested
            await asyncio.sleep(0)

    async def director(world: SimWorld) -> None:
        await world.machines.boot("busy", spins)

    with pytest.raises(BudgetError, match=r"1000 turns .* without waiting: task busy#1"):
        simulate(director, budget=Budget(turns_at_one_instant=999))


@pytest.mark.parametrize(
    ("budget", "text"), [(Budget(steps=500), "more than 500 steps"), (Budget(time_ns=seconds(5)), "past 5 simulated s")]
)
def test_budgets(simulate: Simulate, budget: Budget, text: str) -> None:
    """Steps and simulated time are bounded."""

    async def director(_: SimWorld) -> None:
        while True:  # noqa: ASYNC110 - that is what is tested
            await asyncio.sleep(0.1 if budget.steps > 500 else 0.001)

    with pytest.raises(BudgetError, match=text):
        simulate(director, budget=budget)


def test_ways_out_are_errors_and_are_kept(simulate: Simulate) -> None:
    """What the loop cannot simulate raises, and is told even if the target swallows it."""

    async def director(_: SimWorld) -> int:
        loop = asyncio.get_running_loop()
        attempts: list[Callable[[], Any]] = [
            lambda: loop.create_unix_connection(asyncio.Protocol, "/tmp/socket"),
            lambda: loop.create_unix_server(asyncio.Protocol, "/tmp/socket"),
            lambda: loop.create_datagram_endpoint(asyncio.DatagramProtocol, remote_addr=("127.0.0.1", 1)),
            lambda: asyncio.create_subprocess_exec("true"),
            lambda: asyncio.create_subprocess_shell("true"),
            lambda: loop.connect_read_pipe(asyncio.Protocol, None),
            lambda: loop.connect_write_pipe(asyncio.Protocol, None),
            lambda: loop.add_reader(0, print),
            lambda: loop.add_writer(0, print),
        ]
        for attempt in attempts:
            with pytest.raises(EscapeError, match="harness#1 left the sim world"):
                await attempt()
        return len(attempts)

    done = simulate(director)
    assert len(done.escapes) == done.result


def test_a_foreign_thread_may_not_call(simulate: Simulate) -> None:
    """call_soon_threadsafe from a thread that outlived the harness's guards is an error there."""
    caught: list[BaseException] = []
    go, gone = threading.Event(), threading.Event()
    loops: list[asyncio.AbstractEventLoop] = []

    def intrude() -> None:
        go.wait(10)
        try:
            loops[0].call_soon_threadsafe(print)
        except EscapeError as error:
            caught.append(error)
        gone.set()

    thread = threading.Thread(target=intrude)
    thread.start()

    async def director(world: SimWorld) -> None:
        loops.append(world.loop)
        go.set()
        gone.wait(10)

    done = simulate(director)
    thread.join()
    assert len(caught) == 1
    assert len(done.escapes) == 1


def test_nothing_is_left_for_the_next_run(simulate: Simulate) -> None:
    """Blocked, dead, frozen and stubborn tasks are all brought to an end, after the digest, without a warning."""
    ended: list[str] = []
    kept: list[Any] = []

    async def lingers(name: str, *_held: Any) -> None:
        try:
            await asyncio.sleep(1000)
        finally:
            ended.append(name)

    async def stubborn() -> None:
        for _ in range(3):
            try:
                await asyncio.sleep(1000)
            except asyncio.CancelledError:
                ended.append("not yet")

    async def serves() -> None:
        await (await asyncio.start_server(lambda *streams: lingers("handler", *streams), None, 80)).serve_forever()

    async def director(world: SimWorld) -> None:
        for name in ("dead", "off", "frozen", "alive"):
            world.machines.boot(name, lingers, name)
        world.machines.boot("stubborn", stubborn)
        world.machines.boot("server", serves)
        await asyncio.sleep(1)
        kept.append(await asyncio.open_connection("server", 80))
        world.machines.kill("dead")
        world.machines.power_off("off")
        world.machines.freeze("frozen")
        await asyncio.sleep(1)
        assert ended == []

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        simulate(director)
        gc.collect()
    assert sorted(ended) == ["alive", "dead", "frozen", "handler", "not yet", "not yet", "not yet", "off"]
    assert not [task for task in gc.get_objects() if isinstance(task, asyncio.Task) and not task.done()]


def test_an_error_of_the_director_ends_the_run(simulate: Simulate) -> None:
    """It surfaces, and the world is taken down all the same."""
    ended: list[str] = []

    async def lingers() -> None:
        try:
            await asyncio.sleep(1000)
        finally:
            ended.append("yes")

    async def director(world: SimWorld) -> None:
        world.machines.boot("host", lingers)
        await asyncio.sleep(1)
        raise LookupError("nothing there")

    with pytest.raises(LookupError, match="nothing there"):
        simulate(director)
    assert ended == ["yes"]


def test_memory_stays_bounded_without_the_collector(simulate: Simulate) -> None:
    """Cycles made during a run are collected at set steps, so that a long run does not grow."""

    class Knot:
        alive = 0

        def __init__(self) -> None:
            Knot.alive += 1
            self.me = self

        def __del__(self) -> None:
            Knot.alive -= 1

    async def director(_: SimWorld) -> int:
        most = 0
        for _ in range(300):
            for _ in range(1000):
                Knot()
                await asyncio.sleep(0)
            await asyncio.sleep(1)
            most = max(most, Knot.alive)
        return most

    assert simulate(director).result <= 110_000


def test_a_wait_that_is_rounded_down_to_nothing_takes_time(run):
    """Code that sets a timer for what float arithmetic makes the present instant, and looks again, gets on."""

    async def director(linked):
        loop = asyncio.get_running_loop()
        began = loop.time()
        for _ in range(3):
            done = loop.create_future()
            loop.call_at(loop.time() + 1e-18, done.set_result, None)
            await done
        return loop.time() - began

    assert run(director) == pytest.approx(3e-9)
