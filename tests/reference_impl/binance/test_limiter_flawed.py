"""Each flawed limiter decides otherwise than the reference where it should, and only because of its one defect."""

import asyncio
import time
from collections.abc import Callable

import pytest

from reference_impl._binance.limiter import Limiter, Policy
from reference_impl._binance.queue import Ticket
from reference_impl._binance.windows import rate_limit
from reference_impl.flawed import binance, rate_limiter
from reference_impl.rate_limiter import BinanceRateLimiter

EPOCH_MS = 1_800_000_000_000  # a full minute
LATER = 10_000.0
REFUSED = b'{"code": -1003, "msg": "Too many requests; current limit of IP(1) is 2400 requests per minute."}'


def machine(shell: type[BinanceRateLimiter], *, second: float = 5.0, weight: int = 1_200) -> Limiter:
    """Return a limiter at monotonic 0, `second` into the exchange's minute, whose first request was answered."""
    policy = Policy(assumed=(rate_limit("weight", 60, weight, "1M"), rate_limit("orders", 10, 100, "10S")))
    limiter = shell.machine_type(policy, now=0.0, wall=EPOCH_MS / 1_000, draw=lambda: 0.5)
    limiter.set_server_time(EPOCH_MS + int(second * 1_000), sent=0.0, received=0.0, now=0.0)
    limiter.answered(ask(limiter, 0.0, weight=0), 200, {}, b"{}", 0.0)
    return limiter


def ask(limiter: Limiter, now: float, *, weight: int = 1, orders: int = 0, risk: bool = False) -> Ticket:
    """Ask for one request that may wait for long."""
    return limiter.ask(weight, orders, risk=risk, deadline=LATER, now=now)


def wake_after_refusal(shell: type[BinanceRateLimiter]) -> float:
    """Return for how long a limiter is silent that was told to wait 20 s."""
    limiter = machine(shell)
    limiter.answered(ask(limiter, 2.0), 429, {"Retry-After": "20"}, REFUSED, 2.0)
    return limiter.sanctions.ip.until - 2.0


def test_ignores_retry_after() -> None:
    """Told to wait 20 s, the reference waits that and a little jitter; the flawed one jitters only."""
    assert wake_after_refusal(BinanceRateLimiter) == pytest.approx(20.25)
    assert wake_after_refusal(rate_limiter.IgnoresRetryAfter) == pytest.approx(0.25)


def test_retries_through_429() -> None:
    """The reference is silent after a refusal; the flawed one sends the next request in the same instant."""
    for shell, expected in ((BinanceRateLimiter, "waiting"), (rate_limiter.RetriesThrough429, "granted")):
        limiter = machine(shell)
        limiter.answered(ask(limiter, 2.0), 429, {"Retry-After": "20"}, REFUSED, 2.0)
        assert ask(limiter, 2.0).state == expected


def test_resets_on_any_success() -> None:
    """One of two requests in flight is refused, the other one succeeds: only the flawed limiter forgets the wait."""
    for shell, expected in ((BinanceRateLimiter, "waiting"), (rate_limiter.ResetsOnAnySuccess, "granted")):
        limiter = machine(shell)
        first, second = ask(limiter, 2.0), ask(limiter, 2.0)
        limiter.answered(first, 429, {"Retry-After": "20"}, REFUSED, 2.0)
        limiter.answered(second, 200, {}, b"{}", 2.1)
        assert ask(limiter, 2.1).state == expected


def test_counts_requests_not_weight() -> None:
    """The exchange counts 40 a request, and says so; the flawed limiter goes on far beyond the limit."""

    def weight_sent(shell: type[BinanceRateLimiter]) -> int:
        limiter = machine(shell, second=55.0)
        used = 0
        while (ticket := ask(limiter, 2.0, weight=40)).state == "granted" and used < 4_000:
            used += 40
            limiter.answered(ticket, 200, {"x-mbx-used-weight-1m": str(used)}, b"{}", 2.0)
        return used

    assert weight_sent(BinanceRateLimiter) <= 1_200
    assert weight_sent(rate_limiter.CountsRequestsNotWeight) == 4_000


def test_no_jitter_herd() -> None:
    """Of twenty that waited the reference sends one; the flawed limiter sends all, in the instant the wait is over."""

    def sent_at_once(shell: type[BinanceRateLimiter]) -> tuple[float, int]:
        limiter = machine(shell)
        limiter.answered(ask(limiter, 2.0), 429, {"Retry-After": "20"}, REFUSED, 2.0)
        for _ in range(20):
            ask(limiter, 3.0)
        at = limiter.wake
        limiter.turn(at)
        return at, len(limiter.settled)

    assert sent_at_once(BinanceRateLimiter) == (22.25, 1)
    assert sent_at_once(rate_limiter.NoJitterHerd) == (22.0, 20)


def test_bursts_at_window_edge() -> None:
    """In the exchange's one minute the flawed limiter spends the end of its own window and the start of the next."""

    def sent_in_one_minute(shell: type[BinanceRateLimiter]) -> int:
        limiter = machine(shell, second=30.0)  # its own windows would begin in mid-minute
        sent = 0
        for now in (31.0, 59.0, 61.0, 89.0):  # all in the exchange's second minute
            while sent < 4_000 and (ticket := ask(limiter, now)).state == "granted":
                sent += 1
                limiter.answered(ticket, 200, {"x-mbx-used-weight-1m": str(sent)}, b"{}", now)
            for waiting in limiter.room:
                limiter.leave(waiting, now)
        return sent

    assert 1_080 <= sent_in_one_minute(BinanceRateLimiter) <= 1_200
    assert sent_in_one_minute(rate_limiter.BurstsAtWindowEdge) == 2_400


def test_paces_too_timidly() -> None:
    """At the end of a minute the reference has used nearly all of the limit, the flawed one half of it."""

    def sent_in_one_minute(shell: type[BinanceRateLimiter]) -> int:
        limiter = machine(shell)
        limiter.use_limits([rate_limit("weight", 60, 1_200, "1M")], 0.0)
        sent = 0
        while (ticket := ask(limiter, 54.0)).state == "granted":
            sent += 1
            limiter.answered(ticket, 200, {"x-mbx-used-weight-1m": str(sent)}, b"{}", 54.0)
        return sent

    assert 1_080 <= sent_in_one_minute(BinanceRateLimiter) <= 1_200
    assert 540 <= sent_in_one_minute(rate_limiter.PacesTooTimidly) <= 600


def test_never_shortens_backoff() -> None:
    """An hour after three refusals the reference begins anew; the flawed limiter doubles its pause once more."""

    def pauses(shell: type[BinanceRateLimiter]) -> list[float]:
        limiter = machine(shell)
        found = []
        for now in (100.0, 200.0, 300.0, 3_900.0):
            ticket = ask(limiter, now)
            limiter.answered(ticket, 429, {"Retry-After": "20"}, REFUSED, now)
            found.append(limiter.sanctions.ip.until - now - 20.0)
        return found

    assert pauses(BinanceRateLimiter) == pytest.approx([0.25] * 4)
    assert pauses(rate_limiter.NeverShortensBackoff) == pytest.approx([8.0, 16.0, 32.0, 64.0])


def test_no_priority_for_risk() -> None:
    """An order that reduces comes after ten that wait for slots; the reference lets it go first."""

    def turn_of_risk(shell: type[BinanceRateLimiter]) -> int:
        limiter = machine(shell)
        limiter.answered(ask(limiter, 2.0, orders=1), 429, {"Retry-After": "20"}, REFUSED, 2.0)
        for _ in range(10):
            ask(limiter, 3.0, orders=1)
        reducing = ask(limiter, 3.0, orders=1, risk=True)
        turn = 0
        while reducing.state == "waiting":
            now = limiter.wake
            limiter.turn(now)
            for ticket in limiter.settled:
                turn += 1
                limiter.answered(ticket, 200, {}, b"{}", now)
            limiter.settled.clear()
        return turn

    assert turn_of_risk(BinanceRateLimiter) <= 1
    assert turn_of_risk(rate_limiter.NoPriorityForRisk) == 11


async def test_per_task_limiter() -> None:
    """Ten tasks: the reference lets five be in flight, the flawed limiter all, as each task has its own."""

    async def in_flight(shell: Callable[[], BinanceRateLimiter]) -> int:
        limiter = shell()
        (await limiter.acquire()).answered(200, {}, b"{}")
        tasks = [asyncio.create_task(limiter.acquire(deadline=time.monotonic() + 0.5)) for _ in range(10)]
        results = await asyncio.gather(*tasks, return_exceptions=True)
        permits = [one for one in results if not isinstance(one, BaseException)]
        for permit in permits:
            permit.unused()
        return len(permits)

    assert await in_flight(BinanceRateLimiter) == 5
    assert await in_flight(rate_limiter.PerTaskLimiter) == 10


async def test_planned_limiter() -> None:
    """The plan's bucket takes 1,200 of any weight at once, hears no Retry-After, and any success ends its pause."""
    limiter = rate_limiter.PlannedLimiter()
    permits = [await limiter.acquire(weight=40) for _ in range(1_000)]
    permits[0].answered(429, {"Retry-After": "20"}, REFUSED)
    permits[1].answered(200, {}, b"{}")
    began = time.monotonic()
    await limiter.acquire()
    assert time.monotonic() - began < 1.0


def test_every_variant_of_the_plan_page_is_named() -> None:
    """Scenarios find them by these names; an unknown name is an AttributeError."""
    names = {
        "planned",
        "resets_on_any_success",
        "ignores_retry_after",
        "counts_requests_not_weight",
        "no_jitter_herd",
        "retries_through_429",
        "signs_before_waiting",
        "per_task_limiter",
        "bursts_at_window_edge",
        "paces_too_timidly",
        "never_shortens_backoff",
        "no_priority_for_risk",
    }
    assert names <= set(binance.VARIANTS)
    assert all(callable(getattr(binance, name)) for name in names)
    with pytest.raises(AttributeError, match="no flawed variant"):
        _ = binance.faultless
