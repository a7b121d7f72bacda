"""One timer for many calls must behave as `asyncio.timeout` does for each."""

import asyncio

import pytest

from reference_impl._event_bus.timelimit import TimeLimit


async def test_what_takes_too_long_is_cancelled_and_what_comes_after_is_not() -> None:
    """Expiry raises in the body that is overdue, and leaves limit and task fit for the next one."""
    limit = TimeLimit(0.02)
    for _ in range(2):
        with pytest.raises(TimeoutError), limit:
            await asyncio.Event().wait()
        with limit:
            await asyncio.sleep(0)
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0
    limit.close()


async def test_each_use_has_the_whole_time() -> None:
    """The timer of an earlier use does not cut a later one short: it is set anew."""
    loop = asyncio.get_running_loop()
    limit = TimeLimit(0.1)
    with limit:
        await asyncio.sleep(0.06)
    began = loop.time()
    with limit:
        await asyncio.sleep(0.06)  # beyond the end of the first use
    with pytest.raises(TimeoutError), limit:
        await asyncio.Event().wait()
    assert loop.time() - began >= 0.16
    limit.close()


async def test_a_cancellation_from_elsewhere_stays_one() -> None:
    """Only the limit's own cancellation becomes a TimeoutError."""
    limit = TimeLimit(30)
    entered = asyncio.Event()

    async def body() -> None:
        with limit:
            entered.set()
            await asyncio.Event().wait()

    task = asyncio.ensure_future(body())
    await entered.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    limit.close()


async def test_a_thousand_uses_set_one_timer(monkeypatch: pytest.MonkeyPatch) -> None:
    """The point of it all."""
    loop = asyncio.get_running_loop()
    timers: list[asyncio.TimerHandle] = []
    call_at = loop.call_at

    def counted(*args: object) -> asyncio.TimerHandle:
        timers.append(call_at(*args))  # type: ignore[arg-type]  # passed on as it came
        return timers[-1]

    monkeypatch.setattr(loop, "call_at", counted)
    limit = TimeLimit(30)
    for _ in range(1_000):
        with limit:
            pass
    limit.close()
    assert [timer.cancelled() for timer in timers] == [True]
