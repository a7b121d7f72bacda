"""The limiter as callers see it: futures, cancellation, one timer."""

import asyncio
import math
import time
from collections.abc import Sequence
from typing import Any

import pytest

from reference_impl.rate_limiter import BinanceRateLimiter, Permit, RateLimitError

FUTURES: Sequence[dict[str, Any]] = (
    {"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1, "limit": 2_400},
    {"rateLimitType": "ORDERS", "interval": "SECOND", "intervalNum": 10, "limit": 300},
    {"rateLimitType": "ORDERS", "interval": "MINUTE", "intervalNum": 1, "limit": 1_200},
)
REFUSAL = b'{"code": -1003, "msg": "Too many requests."}'


async def limiter_of(**options: Any) -> BinanceRateLimiter:
    """Return a limiter that knows futures' limits and the exchange's time, and whose first request was answered."""
    limiter = BinanceRateLimiter(**options)
    limiter.use_limits(FUTURES)
    now = time.monotonic()
    limiter.set_server_time(1_800_000_005_000, now, sent_at=now)
    (await limiter.acquire()).answered(200, {}, b"{}")
    await asyncio.sleep(0)
    return limiter


async def taken(limiter: BinanceRateLimiter, count: int) -> list[Permit]:
    """Take that many permits."""
    return [await limiter.acquire() for _ in range(count)]


async def test_answers_make_room_for_those_that_wait() -> None:
    """Six callers, five places: the sixth goes when one of the five has its answer."""
    limiter = await limiter_of()
    permits = await taken(limiter, 5)
    waiting = asyncio.create_task(limiter.acquire())
    await asyncio.sleep(0)
    assert (limiter.stats().waiting, waiting.done()) == (1, False)
    permits[0].answered(200, {"X-MBX-USED-WEIGHT-1M": "5"}, b"{}")
    permit = await waiting
    assert (limiter.stats().in_flight, limiter.stats().waiting) == (5, 0)
    for one in (*permits, permit):
        one.unused()
    assert limiter.stats().in_flight == 0


async def test_a_cancelled_waiter_leaves_nothing() -> None:
    """Cancelled while waiting: its place in the queue is gone, and the next in line is served."""
    limiter = await limiter_of()
    permits = await taken(limiter, 5)
    first, second = (asyncio.create_task(limiter.acquire()) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    permits[0].unused()
    (await second).unused()
    assert (limiter.stats().in_flight, limiter.stats().waiting) == (4, 0)
    for one in permits[1:]:
        one.lost()


async def test_a_waiter_cancelled_in_the_moment_of_its_grant_gives_it_back() -> None:
    """The permit was granted, but its task is cancelled before it runs: the place is free again."""
    limiter = await limiter_of()
    permits = await taken(limiter, 5)
    waiting = asyncio.create_task(limiter.acquire())
    await asyncio.sleep(0)
    permits[0].unused()
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert limiter.stats().in_flight == 4
    for one in permits[1:]:
        one.unused()


async def test_the_first_word_about_a_permit_counts() -> None:
    """`lost` in a `finally` after `answered` changes nothing."""
    limiter = await limiter_of()
    permit = await limiter.acquire(weight=7)
    permit.answered(200, {"x-mbx-used-weight-1m": "9"}, b"{}")
    permit.lost()
    permit.unused()
    assert limiter.stats().used["weight", 60] == (9, 2_400)


async def test_a_wait_beyond_the_deadline_is_told_at_once() -> None:
    """Told to wait 30 s, a caller with 5 s left fails now, with the reason; so do those that wait already."""
    limiter = await limiter_of()
    permits = await taken(limiter, 5)
    waiting = asyncio.create_task(limiter.acquire(deadline=time.monotonic() + 5))
    await asyncio.sleep(0)
    permits[0].answered(429, {"Retry-After": "30"}, REFUSAL)
    for late in (waiting, limiter.acquire(deadline=time.monotonic() + 5)):
        with pytest.raises(RateLimitError) as caught:
            await late
        assert caught.value.reason == "rate_limited"
    permits[1].answered(418, {"Retry-After": "120"}, b'{"code": -1003, "msg": "banned until 1"}')
    with pytest.raises(RateLimitError, match="banned"):
        await limiter.acquire(risk=True, deadline=time.monotonic() + 5)
    for one in permits:
        one.lost()


@pytest.mark.parametrize(
    ("status", "body", "broken"),
    [
        (200, b"{}", False),
        (429, REFUSAL, True),
        (429, b'{"code": -1015, "msg": "Too many new orders."}', True),
        (400, b'{"code": -1015, "msg": "Too many new orders."}', True),
        (418, b'{"code": -1003, "msg": "banned until 1"}', False),
        (403, b"<html>", False),
        (503, b'{"code": -1008, "msg": "Request throttled."}', False),
    ],
)
async def test_it_says_when_a_limit_was_last_broken(status: int, body: bytes, broken: bool) -> None:
    """Which is a cause to read limits again; bans, the firewall and overload say nothing of limits."""
    limiter = await limiter_of()
    assert limiter.limited_at == -math.inf
    before = time.monotonic()
    (await limiter.acquire(orders=1)).answered(status, {}, body)
    assert (before <= limiter.limited_at <= time.monotonic()) is broken


async def test_the_timer_ends_a_wait() -> None:
    """Nothing happens but time: a deadline in the queue is kept by the limiter's own timer."""
    limiter = await limiter_of()
    permits = await taken(limiter, 5)
    with pytest.raises(RateLimitError, match="deadline"):
        await limiter.acquire(deadline=time.monotonic() + 0.02)
    for one in permits:
        one.unused()


async def test_closing_fails_all_that_wait_and_come() -> None:
    """`closed` is the reason, for both."""
    limiter = await limiter_of()
    permits = await taken(limiter, 5)
    waiting = asyncio.create_task(limiter.acquire())
    await asyncio.sleep(0)
    limiter.close()
    for late in (waiting, limiter.acquire()):
        with pytest.raises(RateLimitError, match="closed"):
            await late
    for one in permits:
        one.unused()


def test_the_customers_names() -> None:
    """`BinanceRateLimiter(max_requests, window_seconds)`: the assumed weight limit."""
    limiter = BinanceRateLimiter(max_requests=1200, window_seconds=60)
    assert limiter.stats().used["weight", 60] == (0, 1_200)
    with pytest.raises(ValueError, match="at least 1"):
        BinanceRateLimiter(max_requests=0)


async def test_costs_are_not_negative() -> None:
    """A negative weight would give capacity away."""
    with pytest.raises(ValueError, match="negative"):
        await BinanceRateLimiter().acquire(weight=-1)
