"""Patch 2: a rate limiter for Binance that one process shares among all its callers.

```python
limiter = BinanceRateLimiter()                       # 1200 weight a minute, until exchangeInfo says otherwise
permit = await limiter.acquire(weight=5, deadline=time.monotonic() + 10)
try:
    response = await client.get(...)                 # sign it here, after the wait: a stale timestamp earns -1021
except httpx.ConnectError:
    permit.unused()
except httpx.TransportError:
    permit.lost()
else:
    permit.answered(response.status_code, response.headers, response.content)
```

What it promises, towards one exchange from one IP and account:

- It keeps the exchange's own limits (weight per IP, both order windows) in the exchange's own windows, other processes
  on the IP included, with a margin; 429, 418, 403 and -1015 are obeyed to the end and come back from with one probe.
- A cancel or reduce-only order (`risk=True`) goes before everything else, on capacity that is kept for it.
- Who cannot be served before the deadline is told so at once, by a `RateLimitError` with a reason.
- A cancelled caller leaves nothing behind; nothing polls: one timer, on the monotonic clock.

It allows five requests in flight at once, as every one of them would be refused, and count towards a ban, when a storm
begins. That is 50 requests a second at 100 ms each, more than futures' limit; raise `max_in_flight` if you must.
Design: `_binance/limiter.py` decides, this file waits.
"""

import asyncio
import math
import random
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from reference_impl._binance.limiter import Limiter, Policy
from reference_impl._binance.queue import Reason, Ticket
from reference_impl._binance.windows import rate_limit, read_limits

_LEAST_PAUSE: Final = 0.001
"""Seconds: a timer that fires a rounding too early must not spin."""
_ROUND_TRIP_S: Final = 1.0
_ASSUMED_ORDERS: Final = 100
"""Orders in 10 s until exchangeInfo is known: spot's, the lower of the two markets'."""
_SUFFIXES: Final = {1: "1S", 5: "5S", 10: "10S", 60: "1M", 300: "5M", 3_600: "1H", 86_400: "1D"}


class RateLimitError(Exception):
    """No request may be sent now, nor before the deadline. `reason` says why; nothing was sent."""

    def __init__(self, reason: Reason, text: str) -> None:
        super().__init__(f"{reason}: {text}")
        self.reason: Reason = reason


@dataclass(frozen=True, slots=True, kw_only=True)
class LimiterStats:
    """Counters since the start, and what is so now. `silent_s`: seconds until the exchange may be asked again.

    `used`: for each limit (kind, seconds of the window), how much may be used of how much.
    """

    granted: int
    refused: int
    banned: int
    failed: int
    waiting: int
    in_flight: int
    silent_s: float
    orders_silent_s: float
    used: Mapping[tuple[str, int], tuple[int, int]]


class Permit:
    """The right to send one request. Tell it exactly once what became of that; the first word counts.

    One of which nothing was heard for a minute counts as lost, so that a caller's defect does not close the gate.
    """

    __slots__ = ("_limiter", "_ticket")

    def __init__(self, limiter: "BinanceRateLimiter", ticket: Ticket) -> None:
        self._limiter = limiter
        self._ticket = ticket

    @property
    def revoked(self) -> bool:
        """Whether the exchange has said to wait since: who is not on the wire yet calls `unused` and asks again."""
        return self._limiter.machine.silent(self._ticket, time.monotonic())

    def answered(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        """Pass on the answer. `headers`: as httpx has them, or a plain dict; `body`: all, or the beginning."""
        limiter = self._limiter
        limiter.machine.answered(self._ticket, status, headers, body, time.monotonic())
        limiter.settle()

    def lost(self) -> None:
        """Say that it was sent, or may have been, and no answer came."""
        self._limiter.machine.lost(self._ticket, time.monotonic())
        self._limiter.settle()

    def unused(self) -> None:
        """Say that it was certainly not sent."""
        self._limiter.machine.unused(self._ticket, time.monotonic())
        self._limiter.settle()


class BinanceRateLimiter:
    """The one gate in front of one exchange, for all tasks of one event loop.

    `max_requests` and `window_seconds` are the customer's names for the limit of weight that is assumed until
    `use_limits` is called. `max_in_flight`: requests out at once, risk orders apart. `max_waiting`: callers that may
    wait; more are refused.
    """

    machine_type: type[Limiter] = Limiter

    def __init__(
        self,
        max_requests: int = 1_200,
        window_seconds: int = 60,
        *,
        max_in_flight: int = 5,
        max_waiting: int = 10_000,
    ) -> None:
        if min(max_requests, window_seconds, max_in_flight, max_waiting) < 1:
            raise ValueError("limits of a rate limiter are at least 1")
        suffix = _SUFFIXES.get(window_seconds, f"{window_seconds}S")
        policy = Policy(
            assumed=(
                rate_limit("weight", window_seconds, max_requests, suffix),
                rate_limit("orders", 10, _ASSUMED_ORDERS, "10S"),
            ),
            max_in_flight=max_in_flight,
            max_waiting=max_waiting,
        )
        self.machine = self.machine_type(policy, now=time.monotonic(), wall=time.time(), draw=random.random)
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = math.inf

    async def acquire(
        self, weight: int = 1, *, orders: int = 0, risk: bool = False, deadline: float | None = None
    ) -> Permit:
        """Wait until a request of that weight and so many new orders may be sent.

        `risk`: a cancel, or a reduce-only or closing order. `deadline`: an instant of `time.monotonic()`, in seconds.
        Raises `RateLimitError`, at once if the wait is known to be too long, and `ValueError` for negative costs.
        """
        until = math.inf if deadline is None else deadline
        ticket = self.machine.ask(weight, orders, risk=risk, deadline=until, now=time.monotonic())
        if ticket.state == "granted" and not self.machine.settled:
            return Permit(self, ticket)
        if ticket.state == "waiting":
            ticket.owner = asyncio.get_running_loop().create_future()
        self.settle()
        if ticket.owner is not None:
            try:
                await ticket.owner
            except asyncio.CancelledError:
                self.machine.leave(ticket, time.monotonic())
                self.settle()
                raise
        if ticket.state == "failed":
            raise RateLimitError(ticket.reason, ticket.text)
        return Permit(self, ticket)

    @property
    def limited_at(self) -> float:
        """When the exchange last said that a limit is broken, by `time.monotonic()`; `-inf` for never.

        A cause to read exchangeInfo again: limits that a refusal says to be lower are believed, and grow back only by
        `use_limits`.
        """
        return self.machine.sanctions.limited_at

    def use_limits(self, rate_limits: Sequence[Mapping[str, Any]]) -> None:
        """Take `rateLimits` of exchangeInfo. Raises `ValueError` for senseless entries, and changes nothing."""
        self.machine.use_limits(read_limits(rate_limits), time.monotonic())
        self.settle()

    def set_server_time(self, server_ms: int, at_monotonic: float, *, sent_at: float | None = None) -> None:
        """Take the exchange's time from an answer received at `at_monotonic` to what was sent at `sent_at`.

        Both by `time.monotonic()`. Without `sent_at` a round trip of at most 1 s is assumed.
        """
        sent = at_monotonic - _ROUND_TRIP_S if sent_at is None else sent_at
        self.machine.set_server_time(server_ms, sent=sent, received=at_monotonic, now=time.monotonic())
        self.settle()

    def stats(self) -> LimiterStats:
        """Return counters and the present state."""
        machine, now = self.machine, time.monotonic()
        return LimiterStats(
            granted=machine.granted,
            refused=machine.sanctions.refused,
            banned=machine.sanctions.banned,
            failed=machine.failed,
            waiting=machine.room.count,
            in_flight=machine.in_flight,
            silent_s=max(0.0, machine.sanctions.ip.until - now),
            orders_silent_s=max(0.0, machine.sanctions.orders.until - now),
            used={(one.limit.kind, one.limit.seconds): (one.used, one.limit.cap) for one in machine.limits.counters},
        )

    def close(self) -> None:
        """Fail all that wait with `closed`, and all that come."""
        self.machine.close()
        self.settle()

    def settle(self) -> None:
        """Wake those whose wait is over, and set the timer for the next."""
        machine = self.machine
        if machine.settled:
            settled, machine.settled = machine.settled, []
            for ticket in settled:
                if ticket.owner is not None and not ticket.owner.done():
                    ticket.owner.set_result(None)
        if machine.wake != self._timer_at:
            self._set_timer(machine.wake)

    def _set_timer(self, at: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._timer_at = at
        if at < math.inf:
            pause = max(_LEAST_PAUSE, at - time.monotonic())
            self._timer = asyncio.get_running_loop().call_later(pause, self._ring)

    def _ring(self) -> None:
        self._timer = None
        self._timer_at = math.inf
        self.machine.turn(time.monotonic())
        self.settle()
