"""The rate limiter's decisions, as a state machine without clock, dice, loop or socket: time is passed in.

A request asks and gets a ticket: granted at once, waiting, or failed. What holds it back, each a part of its own:

- what the server said: a wait of the IP or of orders, or its plea of overload (sanctions.py, penalty.py, verdicts.py);
- the windows of every limit (limits.py, windows.py);
- exposure: what a storm that begins now would refuse (exposure.py).

Here is who goes when. Whoever waits is served in order (queue.py); who cannot be served before his deadline is told at
once. All instants are monotonic seconds.
"""

import logging
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from reference_impl._binance.exposure import Exposure
from reference_impl._binance.limits import Limits, cost
from reference_impl._binance.queue import Reason, Ticket, WaitingRoom
from reference_impl._binance.sanctions import Sanctions
from reference_impl._binance.server_clock import ServerClock
from reference_impl._binance.verdicts import read_verdict
from reference_impl._binance.windows import Kind, RateLimit

_HELD_S: Final = 60.0
"""Seconds after which a request of which nothing is heard is taken to be lost: no client waits so long."""

_log = logging.getLogger("reference_impl.rate_limiter")


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """`assumed`: limits until exchangeInfo is known. `max_in_flight`: requests out at once, risk orders apart."""

    assumed: tuple[RateLimit, ...]
    max_in_flight: int = 5
    max_waiting: int = 10_000


class Limiter:
    """One exchange as seen from one IP and account. `draw` throws a number in [0, 1); `wall` is a guess at the time."""

    limits_type: type[Limits] = Limits
    exposure_type: type[Exposure] = Exposure
    sanctions_type: type[Sanctions] = Sanctions

    def __init__(self, policy: Policy, *, now: float, wall: float, draw: Callable[[], float]) -> None:
        self._clock = ServerClock(now=now, wall=wall)
        self._max_waiting = policy.max_waiting
        self.limits = self.limits_type(policy.assumed, self._clock)
        self.exposure = self.exposure_type(policy.max_in_flight)
        self.sanctions = self.sanctions_type(self.limits, self.exposure, self._clock, draw)
        self.room = WaitingRoom()
        self.settled: list[Ticket] = []  # whose wait is over, since the caller last took them
        self.wake = math.inf  # when `turn` is due next
        self.granted = self.failed = 0
        self._out: dict[int, Ticket] = {}
        self._number = 0
        self._closed = False

    # --- callers ---

    def ask(self, weight: int, orders: int, *, risk: bool, deadline: float, now: float) -> Ticket:
        """Return a ticket: granted, failed with its reason, or waiting, to be settled by a later call.

        Raises `ValueError` for negative costs.
        """
        if weight < 0 or orders < 0:
            raise ValueError(f"costs are not negative: weight {weight}, orders {orders}")
        self._number += 1
        ticket = Ticket(self._number, self.limits.weigh(weight), orders, risk=risk, deadline=deadline)
        if self._closed:
            self._fail(ticket, "closed", "the limiter is closed")
        elif not self.room.count and self._earliest(ticket, now) <= now:
            self._grant(ticket, now)
        elif self.room.count >= self._max_waiting:
            self._fail(ticket, "rate_limited", f"{self.room.count} are waiting already")
        elif not self._doomed(ticket, now):
            self.room.enter(ticket)
            self.turn(now)
        return ticket

    def leave(self, ticket: Ticket, now: float) -> None:
        """Take that nobody waits for the ticket any more; one that was granted is given back."""
        if ticket.state == "granted":
            self.unused(ticket, now)
        elif ticket.state == "waiting":
            ticket.state = "done"
            self.room.leave(ticket)
            self.turn(now)

    def answered(self, ticket: Ticket, status: int, headers: Mapping[str, str], body: bytes, now: float) -> None:
        """Take the answer to a granted request. `headers` by lower-case names, or of any case in a plain dict."""
        late = ticket.state == "expired"
        if late:
            ticket.state = "done"
        elif not self._ended(ticket):
            return
        if type(headers) is dict:
            headers = {name.lower(): value for name, value in headers.items()}
        self.limits.answered(ticket, headers, body, now, late=late)
        low, high = self._clock.bounds(now)
        verdict = read_verdict(status, headers, body, server_s=now + (low + high) / 2)
        if self.sanctions.rule(verdict, status, ticket, now):
            for waiting in self.room:
                self._doomed(waiting, now)
        self.turn(now)

    def lost(self, ticket: Ticket, now: float) -> None:
        """Take that a granted request was sent, or may have been, and no answer came."""
        if ticket.state == "granted":
            self._lose(ticket, now)
            self.turn(now)

    def unused(self, ticket: Ticket, now: float) -> None:
        """Take that a granted request was not sent."""
        if self._ended(ticket):
            self.limits.unused(ticket, now)
            self.sanctions.unanswered(ticket, now, sent=False)
            self.turn(now)

    def turn(self, now: float) -> None:
        """Serve those that wait. Whose wait is over is in `settled`; `wake` says when to come back at the latest."""
        for ticket in self.room.overdue(now):
            self._fail(ticket, "deadline", "no place before the deadline")
        while self._out and self._oldest().sent + _HELD_S <= now:
            _log.error("nothing was heard of a request for %.0f s; counted as lost", _HELD_S)
            oldest = self._oldest()
            self._lose(oldest, now)
            oldest.state = "expired"
        while self.room.count and self._serve_one(now):
            pass
        self.wake = math.inf if not self.room.count else min(self.wake, self.room.next_deadline())
        if self.room.count and self._out:
            self.wake = min(self.wake, self._oldest().sent + _HELD_S)

    def silent(self, ticket: Ticket, now: float) -> bool:
        """Return whether the exchange has since said to wait: a request that is not on its way yet should not go."""
        return self.sanctions.revokes(ticket, now)

    def close(self) -> None:
        """Fail all that wait, and all that come."""
        self._closed = True
        for ticket in self.room:
            self._fail(ticket, "closed", "the limiter is closed")
        self.wake = math.inf

    @property
    def in_flight(self) -> int:
        """Return how many requests are out."""
        return len(self._out)

    # --- what is known of the exchange ---

    def use_limits(self, limits: Iterable[RateLimit], now: float) -> None:
        """Have these limits instead. What is used stays used; kinds that are not named keep their limits."""
        self.limits.use(limits, self._out.values(), now)
        self.turn(now)

    def set_server_time(self, server_ms: int, *, sent: float, received: float, now: float) -> None:
        """Take the exchange's time, as it was at some instant between `sent` and `received`."""
        self.limits.learn_time(server_ms, sent=sent, received=received, now=now)
        self.turn(now)

    # --- inside ---

    def _bound(self, ticket: Ticket, now: float) -> float:
        """Return before when it certainly cannot go, as far as is known now; `inf` if it never can."""
        return max(self.limits.earliest(ticket, now), self.sanctions.silent_until(ticket))

    def _earliest(self, ticket: Ticket, now: float) -> float:
        """Return when it may go; `inf` if that hangs on an answer."""
        bound = self._bound(ticket, now)
        if bound > now:
            return bound
        half_open = self.sanctions.ip.half_open
        place = self.exposure.earliest(len(self._out), now, risk=ticket.risk, half_open=half_open)
        return max(place, self.sanctions.earliest(ticket, now))

    def _serve_one(self, now: float) -> bool:
        claimed: set[Kind] = set()  # an older request waits for these; a younger one must not take them away
        self.wake = math.inf
        for ticket in self.room.heads():
            if any(cost(ticket, kind) for kind in claimed):
                continue
            at = self._earliest(ticket, now)
            if at <= now:
                self.room.leave(ticket)
                self._grant(ticket, now)
                self.settled.append(ticket)
                return True
            if self._doomed(ticket, now):
                return True
            self.wake = min(self.wake, at)
            claimed.update(self.limits.full_for(ticket, now))
        return False

    def _grant(self, ticket: Ticket, now: float) -> None:
        ticket.state = "granted"
        ticket.sent = now
        self.granted += 1
        self._out[ticket.number] = ticket
        self.limits.charge(ticket, now)
        self.sanctions.went(ticket, now)

    def _lose(self, ticket: Ticket, now: float) -> None:
        self._ended(ticket)
        self.limits.lost(ticket, now)
        self.sanctions.unanswered(ticket, now, sent=True)

    def _oldest(self) -> Ticket:
        return next(iter(self._out.values()))

    def _ended(self, ticket: Ticket) -> bool:
        if ticket.state != "granted":
            return False
        ticket.state = "done"
        del self._out[ticket.number]
        return True

    def _doomed(self, ticket: Ticket, now: float) -> bool:
        """Fail a ticket that cannot go before its deadline; return whether that is so."""
        bound = self._bound(ticket, now)
        if bound == math.inf:
            return self._fail(ticket, "rate_limited", "it costs more than a whole window has")
        if bound <= ticket.deadline:
            return False
        reason: Reason = "banned" if self.sanctions.banned_past(ticket) else "rate_limited"
        return self._fail(ticket, reason, f"no place for another {bound - now:.1f} s")

    def _fail(self, ticket: Ticket, reason: Reason, text: str) -> bool:
        if ticket.state == "waiting":
            ticket.state = "failed"
            ticket.reason = reason
            ticket.text = text
            self.failed += 1
            self.room.leave(ticket)
            self.settled.append(ticket)
        return True
