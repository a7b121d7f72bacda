"""Handlers are stepped by hand until they first wait; nobody may be able to tell."""

import asyncio
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from typing import Any

import pytest

from reference_impl._event_bus.counters import Counters
from reference_impl._event_bus.handling import Handling
from reference_impl._event_bus.model import DeliveredEvent, Options

EVENT = DeliveredEvent("p:1:1", "t", {}, 0.0)
VALUE: ContextVar[int] = ContextVar("VALUE", default=0)
Make = Callable[..., Handling]


@pytest.fixture
def counters() -> Counters:
    """What the handling counts."""
    return Counters()


@pytest.fixture
async def make(counters: Counters) -> Any:
    """A factory of handlings, without noteworthy pauses between attempts."""
    made: list[Handling] = []

    def factory(handler: Callable[[DeliveredEvent], Awaitable[None]], **options: Any) -> Handling:
        made.append(Handling(handler, Options(handler_backoff=1e-6, **options), counters))
        return made[-1]

    yield factory
    for handling in made:
        handling.close()


async def deliver(handling: Handling) -> str | None:
    unfinished = handling.begin(EVENT)
    return None if unfinished is None else await unfinished


async def test_a_handler_that_never_waits_is_done_at_once(make: Make, counters: Counters) -> None:
    """It leaves nothing to await, and no timer."""
    seen: list[DeliveredEvent] = []

    async def handler(event: DeliveredEvent) -> None:
        seen.append(event)

    assert make(handler).begin(EVENT) is None
    assert seen == [EVENT]
    assert counters.delivered == 1


async def test_a_handler_that_waits_is_resumed_in_its_own_task_and_context(make: Make, counters: Counters) -> None:
    """Bare yields, futures, nested timeouts: what it sees before and after each wait is the same task and context."""
    tasks: list[asyncio.Task[Any] | None] = []

    async def handler(_: DeliveredEvent) -> None:
        VALUE.set(7)
        tasks.append(asyncio.current_task())
        await asyncio.sleep(0)
        done: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().call_soon(done.set_result, 3)
        assert await done == 3
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.001):
                await asyncio.Event().wait()
        tasks.append(asyncio.current_task())
        assert VALUE.get() == 7

    assert await deliver(make(handler)) is None
    assert [asyncio.current_task()] * 2 == tasks
    assert VALUE.get() == 7
    assert (counters.delivered, counters.handler_failures) == (1, 0)


@pytest.mark.parametrize("waits", [False, True])
async def test_an_error_before_or_after_the_first_wait_is_an_attempt(
    make: Make, counters: Counters, *, waits: bool
) -> None:
    """Both are tried again, so many times and no more."""

    async def handler(_: DeliveredEvent) -> None:
        if waits:
            await asyncio.sleep(0)
        raise RuntimeError("no")

    assert await deliver(make(handler, handler_attempts=3)) == "RuntimeError: no"
    assert (counters.delivered, counters.handler_failures) == (0, 3)


@pytest.mark.parametrize("error", [StopIteration, ValueError])
async def test_a_handler_that_raises_instead_of_returning_an_awaitable_failed(
    make: Make, counters: Counters, error: type[Exception]
) -> None:
    """In particular a StopIteration of its own is not taken for its end."""

    def handler(_: DeliveredEvent) -> Awaitable[None]:
        raise error

    assert await deliver(make(handler, handler_attempts=1)) is not None
    assert (counters.delivered, counters.handler_failures) == (0, 1)


async def test_any_awaitable_will_do(make: Make, counters: Counters) -> None:
    """A handler may return a future."""

    def handler(_: DeliveredEvent) -> Awaitable[None]:
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().call_soon(done.set_result, None)
        return done

    assert await deliver(make(handler)) is None
    assert counters.delivered == 1


async def test_a_handler_that_hangs_is_cancelled_in_time(make: Make, counters: Counters) -> None:
    """The limit reaches the handler as a cancellation, and ends as a TimeoutError."""
    cancelled: list[int] = []

    async def handler(_: DeliveredEvent) -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.append(1)
            raise

    assert await deliver(make(handler, handler_attempts=2, handler_timeout=0.01)) == "TimeoutError: "
    assert cancelled == [1, 1]
    assert counters.handler_failures == 2


async def test_the_limit_counts_from_the_beginning_of_the_handler(
    make: Make, counters: Counters, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Time that a handler took before it first waited is part of its time."""
    loop = asyncio.get_running_loop()
    late = 0.0
    now = loop.time
    monkeypatch.setattr(loop, "time", lambda: now() + late)

    async def handler(_: DeliveredEvent) -> None:
        nonlocal late
        late += 40.0  # as if it had computed for so long
        await asyncio.Event().wait()

    async with asyncio.timeout(20 + 40):
        assert await deliver(make(handler, handler_attempts=1, handler_timeout=30.0)) == "TimeoutError: "
    assert counters.handler_failures == 1


@pytest.mark.parametrize("waits", [False, True])
async def test_a_cancellation_goes_through(make: Make, counters: Counters, *, waits: bool) -> None:
    """Cancelling the one who delivers reaches the handler and is not counted as its failure."""
    begun = asyncio.Event()
    ended: list[str] = []

    async def handler(_: DeliveredEvent) -> None:
        begun.set()
        if not waits:
            raise asyncio.CancelledError
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("cleaned up")

    task = asyncio.ensure_future(deliver(make(handler)))
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ended == ["cleaned up"] * waits
    assert (counters.delivered, counters.handler_failures) == (0, 0)


async def test_a_handler_may_answer_a_cancellation(make: Make, counters: Counters) -> None:
    """What is thrown into it is its to handle, and what it awaits then is awaited."""
    begun = asyncio.Event()

    async def handler(_: DeliveredEvent) -> None:
        try:
            begun.set()
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            await asyncio.sleep(0)

    task = asyncio.ensure_future(deliver(make(handler)))
    await begun.wait()
    task.cancel()
    assert await task is None
    assert counters.delivered == 1


async def test_dropping_the_rest_closes_the_handler(make: Make) -> None:
    """A delivery that is closed half-way runs the handler's finally blocks."""
    ended: list[str] = []

    async def handler(_: DeliveredEvent) -> None:
        try:
            await asyncio.sleep(0)
        finally:
            ended.append("closed")

    unfinished = make(handler).begin(EVENT)
    assert unfinished is not None
    unfinished.send(None)
    unfinished.close()
    assert ended == ["closed"]
