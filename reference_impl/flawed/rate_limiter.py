"""Rate limiters that are the reference but for one decision each; the invariants of patch 2 must catch them all."""

import asyncio
import math
import weakref
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from reference_impl._binance.exposure import Exposure
from reference_impl._binance.limiter import Limiter
from reference_impl._binance.limits import Limits
from reference_impl._binance.penalty import Penalty
from reference_impl._binance.queue import Ticket
from reference_impl._binance.sanctions import Sanctions
from reference_impl._binance.verdicts import Verdict
from reference_impl._binance.windows import Counter, RateLimit, Window
from reference_impl.flawed._planned_binance import TokenBucket
from reference_impl.rate_limiter import BinanceRateLimiter, Permit

_FIRST_ERROR: Final = 400
_ANY_INDEX: Final = 2**62
_FIRST_PAUSE: Final = 8.0
_DOUBLINGS: Final = 5
"""Seconds of the first pause of one that never shortens them, and how often it doubles."""


class _Erasable(Penalty):
    """Each one begins from nothing."""

    __slots__ = ()

    def erase(self) -> None:
        """Forget the wait and the level."""
        self.risk_until = self.until = -math.inf
        self.half_open = False
        self.probe = None
        self._level = 0


class _Forgiving(Sanctions):
    """Takes any answer that is fine for the end of the storm, as the plan does."""

    penalty_type = _Erasable

    def success(self, ticket: Ticket, now: float) -> None:
        super().success(ticket, now)
        for penalty in (self.ip, self.orders):
            assert isinstance(penalty, _Erasable)
            penalty.erase()
        self.exposure.forget()


class _Careless(Exposure):
    """Never thinks of the ban that refusals earn."""

    def earliest(self, out: int, now: float, *, risk: bool, half_open: bool) -> float:
        self.forget()
        return super().earliest(out, now, risk=risk, half_open=half_open)


class _Impatient(Sanctions):
    """Backs off as it sees fit, by full jitter alone, whatever it was told."""

    def told_until(self, verdict: Verdict, level: int, now: float) -> float:
        del verdict, level
        return now


class _CountsRequests(Limits):
    """One request, one unit: what it weighs, and what the exchange says it does, is not looked at."""

    def weigh(self, weight: int) -> int:
        return min(weight, 1)

    def use_said(self, headers: Mapping[str, str], limit: RateLimit) -> int | None:
        return None if limit.kind == "weight" else super().use_said(headers, limit)


class _Unjittered(Penalty):
    """Waits to the very end, without jitter, and then lets everybody go."""

    __slots__ = ()

    def jitter(self, level: int) -> float:
        del level
        return 0.0

    def wait(self, until: float, risk_until: float) -> None:
        super().wait(until, risk_until)
        self.half_open = False


class _Punctual(Sanctions):
    """See `_Unjittered`."""

    penalty_type = _Unjittered


class _Crowd(Exposure):
    """All that waited go in the same instant."""

    def earliest(self, out: int, now: float, *, risk: bool, half_open: bool) -> float:
        del out, risk, half_open
        return now


class _Stubborn(Sanctions):
    """A 429 is an answer like any other; whoever wants to, tries again."""

    def refusal(self, penalty: Penalty, verdict: Verdict, ticket: Ticket, now: float) -> None:
        if verdict.ruling in ("refused", "orders_refused"):
            self.success(ticket, now)
        else:
            super().refusal(penalty, verdict, ticket, now)


class _OwnWindows(Counter):
    """Windows that begin with the first request, not with the exchange's minute, each with all of the limit at once."""

    __slots__ = ("_ends",)

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._ends = -math.inf

    def earliest(self, cost: int, now: float, *, risk: bool) -> float:
        del risk
        self.roll(now)
        return now if self.used + cost <= self.limit.cap else self._ends

    def roll(self, now: float) -> None:
        if now >= self._ends:
            self._ends = now + self.limit.seconds
            self.windows = [Window(_ANY_INDEX, 0)]


class _EdgeBurst(Limits):
    """A full allowance at the end of one window and another at the start of the next, by its own count alone."""

    counter_type = _OwnWindows

    def use_said(self, headers: Mapping[str, str], limit: RateLimit) -> int | None:
        del headers, limit
        return None


def _limiter(
    *,
    limits: type[Limits] = Limits,
    exposure: type[Exposure] = Exposure,
    sanctions: type[Sanctions] = Sanctions,
) -> type[Limiter]:
    """Return the reference's machine with other parts."""
    parts = {"limits_type": limits, "exposure_type": exposure, "sanctions_type": sanctions}
    return type("_Limiter", (Limiter,), parts)


class _Timid(Limiter):
    """Uses half of what is allowed, to be on the safe side."""

    def use_limits(self, limits: Iterable[RateLimit], now: float) -> None:
        super().use_limits([replace(limit, cap=max(1, limit.cap // 2)) for limit in limits], now)


class _Unforgetting(Penalty):
    """Doubles its pause with each offence ever, from one that is far too long already, and never halves it again."""

    __slots__ = ()

    def level(self, now: float) -> int:
        del now
        return self._level

    def jitter(self, level: int) -> float:
        return _FIRST_PAUSE * 2.0 ** min(level - 1, _DOUBLINGS)


class _Resentful(Sanctions):
    """Backs off for longer each time, for as long as it lives."""

    penalty_type = _Unforgetting


class _Egalitarian(Limiter):
    """First come, first served, whether a request lowers risk or raises it."""

    def ask(self, weight: int, orders: int, *, risk: bool, deadline: float, now: float) -> Ticket:
        del risk
        return super().ask(weight, orders, risk=False, deadline=deadline, now=now)


class ResetsOnAnySuccess(BinanceRateLimiter):
    """See `_Forgiving`."""

    machine_type = _limiter(sanctions=_Forgiving)


class IgnoresRetryAfter(BinanceRateLimiter):
    """See `_Impatient`; and `_Careless`, as else the fear of a ban would hold it back."""

    machine_type = _limiter(sanctions=_Impatient, exposure=_Careless)


class CountsRequestsNotWeight(BinanceRateLimiter):
    """See `_CountsRequests`."""

    machine_type = _limiter(limits=_CountsRequests)


class NoJitterHerd(BinanceRateLimiter):
    """See `_Unjittered` and `_Crowd`."""

    machine_type = _limiter(sanctions=_Punctual, exposure=_Crowd)


class RetriesThrough429(BinanceRateLimiter):
    """See `_Stubborn` and `_Careless`."""

    machine_type = _limiter(sanctions=_Stubborn, exposure=_Careless)


class BurstsAtWindowEdge(BinanceRateLimiter):
    """See `_EdgeBurst`."""

    machine_type = _limiter(limits=_EdgeBurst)


class PacesTooTimidly(BinanceRateLimiter):
    """See `_Timid`."""

    machine_type = _Timid


class NeverShortensBackoff(BinanceRateLimiter):
    """See `_Resentful`."""

    machine_type = _limiter(sanctions=_Resentful)


class NoPriorityForRisk(BinanceRateLimiter):
    """See `_Egalitarian`."""

    machine_type = _Egalitarian


class PerTaskLimiter(BinanceRateLimiter):
    """Each task has a limiter of its own, with all of the limits, and knows nothing of the others."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._make: Callable[[], BinanceRateLimiter] = lambda: BinanceRateLimiter(*args, **options)
        self._own: weakref.WeakKeyDictionary[asyncio.Task[Any], BinanceRateLimiter] = weakref.WeakKeyDictionary()
        self._limits: Any = ()

    async def acquire(
        self, weight: int = 1, *, orders: int = 0, risk: bool = False, deadline: float | None = None
    ) -> Permit:
        """Wait for a permit of the calling task's own limiter."""
        task = asyncio.current_task()
        assert task is not None, "called by a task"
        limiter = self._own.get(task)
        if limiter is None:
            limiter = self._own[task] = self._make()
            if self._limits:
                limiter.use_limits(self._limits)
        return await limiter.acquire(weight, orders=orders, risk=risk, deadline=deadline)

    def use_limits(self, rate_limits: Any) -> None:
        """Pass them on to all."""
        super().use_limits(rate_limits)
        self._limits = rate_limits
        for limiter in self._own.values():
            limiter.use_limits(rate_limits)


class PlannedLimiter:
    """The plan's sketch: tokens for requests, whatever they weigh; a pause that doubles, and that any success ends."""

    limited_at = -math.inf  # limits are what they are

    def __init__(self, max_requests: int = 1_200, window_seconds: int = 60) -> None:
        self._bucket = TokenBucket(max_requests, window_seconds)

    async def acquire(
        self, weight: int = 1, *, orders: int = 0, risk: bool = False, deadline: float | None = None
    ) -> "PlannedPermit":
        """Wait for a token; the plan knows neither weights nor deadlines."""
        del weight, orders, risk, deadline
        await self._bucket.wait()
        return PlannedPermit(self._bucket)

    def use_limits(self, rate_limits: Sequence[Mapping[str, Any]]) -> None:
        """Know better."""

    def close(self) -> None:
        """Leave those that wait to themselves."""


class PlannedPermit:
    """One token."""

    def __init__(self, bucket: TokenBucket) -> None:
        self._bucket = bucket

    def answered(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        """Double the pause for the two codes, and forget it for any success."""
        del headers
        if b"-1003" in body or b"-1015" in body:
            self._bucket.refused()
        elif status < _FIRST_ERROR:
            self._bucket.succeeded()

    def lost(self) -> None:
        """Think nothing of it."""

    def unused(self) -> None:
        """Keep the token spent."""
