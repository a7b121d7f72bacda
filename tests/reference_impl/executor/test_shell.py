"""The executor as its callers see it, in virtual time: one loop, one timer, tasks that come and go."""

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from reference_impl.executor import EventDrivenExecutor, ExecutorClosedError, MalformedSignalError, make


class Desk:
    """An execution of one's choice, and when each began. `takes`: seconds."""

    def __init__(self, takes: float = 0.0) -> None:
        self.takes = takes
        self.raises: BaseException | None = None
        self.began: list[tuple[str, float]] = []
        self.running = self.most = 0
        self.allowed: Callable[[], bool] = lambda: True
        self.asked = 0

    async def execute(self, signal: Any) -> None:
        """Take that long, then raise that."""
        self.began.append((signal.id, time.monotonic()))
        self.running += 1
        self.most = max(self.most, self.running)
        try:
            await asyncio.sleep(self.takes)
            if self.raises is not None:
                raise self.raises
        finally:
            self.running -= 1

    def may_trade(self) -> bool:
        """Count how often that was asked."""
        self.asked += 1
        return self.allowed()

    @property
    def names(self) -> list[str]:
        """Who was executed, in order."""
        return [name for name, _ in self.began]


@contextlib.asynccontextmanager
async def running(desk: Desk, told: list[Any], **options: Any) -> AsyncIterator[EventDrivenExecutor]:
    """An executor that works, and is closed at the end."""
    symbols = [f"S{number}" for number in range(10)]
    executor = EventDrivenExecutor(execute=desk.execute, may_trade=desk.may_trade, symbols=symbols, **options)
    executor.on_disposed(told.append)
    work = asyncio.create_task(executor.process_queue())
    try:
        yield executor
    finally:
        await executor.close()
        await work


def test_two_a_second_best_first(simulate, told, new_signal) -> None:
    """After the first second, which might have been used up by an earlier life."""
    desk = Desk()

    async def program() -> float:
        start = time.monotonic()
        async with running(desk, told) as executor:
            for number in range(6):
                assert await executor.handle_signal(new_signal(f"s{number}", number / 10, f"S{number}"))
            await asyncio.sleep(3.5)
        return start

    start = simulate(program)
    assert desk.names == ["s5", "s4", "s3", "s2", "s1", "s0"]
    offsets = [at - start for _, at in desk.began]
    assert offsets == pytest.approx([1, 1, 2, 2, 3, 3], abs=0.01)
    assert all(later - earlier >= 1 for earlier, later in zip(offsets, offsets[2:], strict=False))
    assert [(one.reason, one.detail) for one in told] == [("executed", "ok")] * 6


@pytest.mark.parametrize(
    ("raises", "takes", "outcome"),
    [(ValueError("no"), 0.0, "failed"), (None, 60.0, "timed_out"), (TimeoutError(), 0.1, "failed")],
)
def test_failures_count_against_the_rate_and_are_told_apart(simulate, told, new_signal, raises, takes, outcome) -> None:
    """An execution that raises a timeout of its own is not one whose time is up."""
    desk = Desk(takes)
    desk.raises = raises

    async def program() -> Any:
        async with running(desk, told, execution_timeout_s=2.0) as executor:
            for number in range(4):
                await executor.handle_signal(new_signal(f"s{number}", symbol=f"S{number}"))
            await asyncio.sleep(5)
            return executor.stats()

    stats = simulate(program)
    assert (stats.executed, getattr(stats, outcome), stats.succeeded, stats.running) == (4, 4, 0, 0)
    times = [at for _, at in desk.began]
    assert times[2] - times[0] >= 1
    assert [one.detail for one in told] == [outcome] * 4


def test_hung_executions_are_bounded_and_exits_have_places(simulate, told, new_signal) -> None:
    """Entries take three of four places and no more; the exit gets the fourth."""
    desk = Desk(takes=1_000.0)

    async def program() -> None:
        async with running(desk, told, max_running=4, reserved=1, execution_timeout_s=50) as executor:
            for number in range(8):
                await executor.handle_signal(new_signal(f"s{number}", symbol=f"S{number}", ttl=40))
            await asyncio.sleep(10)
            assert desk.most == 3
            await executor.handle_signal(new_signal("exit", symbol="S9", exit=True))
            await asyncio.sleep(1.1)
            assert (desk.most, desk.names[-1]) == (4, "exit")
            await asyncio.sleep(50)

    simulate(program)
    assert desk.most == 4


def test_nothing_executes_in_a_halt_and_time_goes_on(simulate, told, new_signal) -> None:
    """`may_trade` is asked ten times a second, not more; what goes stale meanwhile is announced when it does."""
    desk = Desk()

    async def program() -> float:
        desk.allowed = lambda: False
        async with running(desk, told) as executor:
            await executor.handle_signal(new_signal("short", ttl=5.0))
            await executor.handle_signal(new_signal("long", ttl=50.0, symbol="S1"))
            await asyncio.sleep(5.0001)
            assert [(one.id, one.reason) for one in told] == [("short", "expired")]
            await asyncio.sleep(5)
            assert desk.began == []
            assert 80 <= desk.asked <= 100
            desk.allowed = lambda: True
            resumed = time.monotonic()
            await asyncio.sleep(0.2)
            return desk.began[0][1] - resumed

    assert simulate(program) <= 0.1


def test_nobody_is_asked_while_nothing_waits(simulate, told, new_signal) -> None:
    """No timer runs then; nor does a flood in a halt make `may_trade` be asked more often."""
    desk = Desk()

    async def program() -> None:
        desk.allowed = lambda: False
        async with running(desk, told) as executor:
            await asyncio.sleep(100)
            assert desk.asked == 0
            for number in range(1_000):
                await executor.handle_signal(new_signal(f"s{number}", symbol=f"S{number % 10}"))
                await asyncio.sleep(0.001)
            assert desk.asked <= 11

    simulate(program)


def test_may_trade_that_raises_forbids(simulate, told, new_signal, caplog) -> None:
    """Whoever cannot say yes says no."""
    desk = Desk()

    async def program() -> None:
        desk.allowed = lambda: 1 // 0 > 0
        async with running(desk, told) as executor:
            await executor.handle_signal(new_signal("a"))
            await asyncio.sleep(2)

    simulate(program)
    assert desk.began == []
    assert "may_trade failed" in caplog.text


def test_a_halt_between_decision_and_execution_is_obeyed(simulate, told, new_signal) -> None:
    """It is asked again in the very step in which the execution begins."""
    desk = Desk()

    async def program() -> None:
        answers = iter([True])
        desk.allowed = lambda: next(answers, False)
        async with running(desk, told) as executor:
            await executor.handle_signal(new_signal("a", ttl=3.0))
            await asyncio.sleep(4)

    simulate(program)
    assert desk.began == []


def test_poison_is_typed_counted_and_told(simulate, told, new_signal) -> None:
    """And nothing else happens."""
    desk = Desk()

    async def program() -> Any:
        async with running(desk, told) as executor:
            for raw in (new_signal("a", float("nan")), new_signal("b", symbol="NO"), None, [], {"id": "c"}):
                with pytest.raises(MalformedSignalError):
                    await executor.handle_signal(raw)
            await asyncio.sleep(2)
            return executor.stats()

    stats = simulate(program)
    assert (stats.offered, stats.rejected, stats.queued, stats.executed) == (5, 5, 0, 0)
    assert [(one.id, one.reason) for one in told] == [(name, "rejected") for name in ("a", "b", "", "", "c")]


def test_close_tells_of_what_waited_and_lets_end_what_runs(simulate, told, new_signal) -> None:
    """Then it is closed to all, and no task is left."""
    desk = Desk(takes=3.0)

    async def program() -> int:
        async with running(desk, told) as executor:
            for number in range(4):
                await executor.handle_signal(new_signal(f"s{number}", symbol=f"S{number}"))
            await asyncio.sleep(1.5)
            await executor.close()
            with pytest.raises(ExecutorClosedError):
                await executor.handle_signal(new_signal("late"))
            await executor.close()
        return len(asyncio.all_tasks())

    assert simulate(program) == 1
    ends = [("s2", "closed", ""), ("s3", "closed", ""), ("s0", "executed", "ok"), ("s1", "executed", "ok")]
    assert [(one.id, one.reason, one.detail) for one in told] == ends


def test_close_does_not_wait_for_ever(simulate, told, new_signal, caplog) -> None:
    """An execution that goes on although it was cancelled is left behind, and said to be."""

    async def stubborn(_: Any) -> None:
        while True:
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.sleep(1_000)

    desk = Desk()
    desk.execute = stubborn

    async def program() -> float:
        async with running(desk, told, execution_timeout_s=2.0) as executor:
            await executor.handle_signal(new_signal("a"))
            await asyncio.sleep(1.5)
            began = time.monotonic()
            await executor.close()
            return time.monotonic() - began

    assert simulate(program) == pytest.approx(3.0)
    assert "go on although they were cancelled" in caplog.text


def test_a_callback_that_raises_harms_nobody(simulate, told, new_signal, caplog) -> None:
    """The others are told all the same."""
    desk = Desk()

    def broken(_: Any) -> None:
        raise ZeroDivisionError

    async def program() -> None:
        async with running(desk, told) as executor:
            executor._on_disposed.insert(0, broken)
            await executor.handle_signal(new_signal("a"))
            await asyncio.sleep(2)

    simulate(program)
    assert [one.id for one in told] == ["a"]
    assert "a callback failed" in caplog.text


def test_the_queue_is_processed_once_at_a_time(simulate, told) -> None:
    """A second loop would be a second opinion on what is next; after the first has ended it may begin."""
    desk = Desk()

    async def program() -> None:
        executor = EventDrivenExecutor(execute=desk.execute, symbols=["S0"])
        work = asyncio.create_task(executor.process_queue())
        await asyncio.sleep(0.1)
        with pytest.raises(RuntimeError):
            await executor.process_queue()
        work.cancel()
        await asyncio.wait([work])
        again = asyncio.create_task(executor.process_queue())
        await executor.handle_signal({"id": "a", "symbol": "S0", "side": "BUY", "confidence": 1, "ttl_s": 9})
        await asyncio.sleep(1.5)
        await executor.close()
        await again

    simulate(program)
    assert desk.names == ["a"]


def test_a_flood_is_told_in_the_log_once_a_second(simulate, told, new_signal, caplog) -> None:
    """A line for each signal would be a flood itself."""
    desk = Desk()
    caplog.set_level(logging.WARNING, logger="reference_impl.executor")

    async def program() -> int:
        async with running(desk, told, max_queue_size=2) as executor:
            for number in range(2_000):
                await executor.handle_signal(new_signal(f"s{number}", symbol=f"S{number % 10}"))
                await asyncio.sleep(0.001)
            return executor.dropped_signals

    assert simulate(program) > 1_000
    lines = [record.message for record in caplog.records if "given up or refused" in record.message]
    assert 2 <= len(lines) <= 4
    assert "dropped=" in lines[-1]


def test_make_takes_options_and_keeps_nothing(tmp_path: Path) -> None:
    """As the port has it."""
    desk = Desk()
    executor = make(
        execute=desk.execute,
        may_trade=lambda: True,
        symbols={"S0"},
        directory=tmp_path,
        name="x",
        max_queue_size=7,
    )
    assert executor.machine.policy.max_queue_size == 7
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(ValueError, match="time"):
        EventDrivenExecutor(execute=desk.execute, symbols=["S0"], execution_timeout_s=0)
