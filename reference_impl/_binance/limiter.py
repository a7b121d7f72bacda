"""The rate limiter's decisions, as a state machine without clock, dice, loop or socket: time is passed in.

A request asks and gets a ticket: granted at once, waiting, or failed. What holds it back, each a part of its own:

- what the server said: a wait of the IP or of orders (penalty.py, verdicts.py);
- the windows of every limit (windows.py);
- exposure: how many refusals would earn a ban is not published, and a storm refuses all that is in flight when it
  begins. So what is in flight, plus the refusals of the last minute, stays below `_STRIKES`. Concurrency shrinks by
  itself after refusals, and the last places are kept for cancels and reduce-only orders;
- the exchange's plea of overload (-1008): a short pause, from which risk orders are exempt.

Whoever waits is served in order (queue.py); who cannot be served before his deadline is told at once. All instants are
monotonic seconds. Methods whose names begin without underscore and that `flawed` overrides are single decisions.
"""

import logging
import math
import re
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Final

from reference_impl._binance.penalty import RISK_PROBES, Penalty
from reference_impl._binance.queue import Reason, Ticket, WaitingRoom
from reference_impl._binance.server_clock import ServerClock
from reference_impl._binance.verdicts import LONGEST, Verdict, read_verdict
from reference_impl._binance.windows import Counter, Kind, RateLimit

_STRIKES: Final = 10
"""Refusals within a minute that are taken to earn a ban. Unpublished; a careful guess."""
_STRIKE_S: Final = 61.0
_MANY: Final = 4
_RISK_JITTER_S: Final = 0.9
"""Refusals within a minute after which risk orders, too, come back at random, and within how many seconds."""
_RISK_PLACES: Final = 3
"""Requests in flight that only cancels and reduce-only orders may add."""
_BAN_S: Final = 120.0
"""Seconds of the shortest ban, taken if a 418 does not say."""
_FIREWALL_S: Final = 10.0
_FIREWALL_CAP: Final = 300.0
_DIGITS: Final = 10
_TIME: Final = re.compile(rb'\s*{\s*"serverTime"\s*:\s*(\d{13})\s*}\s*')
_TIME_MAX: Final = 64
"""The answer to GET time, read as it passes; its length at most, in bytes."""
_HELD_S: Final = 60.0
"""Seconds after which a request of which nothing is heard is taken to be lost: no client waits so long."""
_STRIKING: Final = (418, 429)

_log = logging.getLogger("reference_impl.rate_limiter")


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """`assumed`: limits until exchangeInfo is known. `max_in_flight`: requests out at once, risk orders apart."""

    assumed: tuple[RateLimit, ...]
    max_in_flight: int = 5
    max_waiting: int = 10_000


class Limiter:
    """One exchange as seen from one IP and account. `draw` throws a number in [0, 1); `wall` is a guess at the time."""

    counter: type[Counter] = Counter
    penalty: type[Penalty] = Penalty

    def __init__(self, policy: Policy, *, now: float, wall: float, draw: Callable[[], float]) -> None:
        self.policy = policy
        self.clock = ServerClock(now=now, wall=wall)
        self.ip = self.penalty(draw)
        self.orders = self.penalty(draw)
        self.ip.half_open = True  # what an earlier life was told is not known: one request goes first
        self.room = WaitingRoom()
        self.settled: list[Ticket] = []  # whose wait is over, since the caller last took them
        self.wake = math.inf  # when `turn` is due next
        self.granted = self.refused = self.banned = self.failed = 0
        self._throttle = Penalty(draw)
        self._counters = [self.counter(limit, self.clock, assumed=True) for limit in policy.assumed]
        self._out: dict[int, Ticket] = {}
        self.strikes: deque[float] = deque()
        self._date = ""
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
        ticket = Ticket(self._number, self.weigh(weight), orders, risk=risk, deadline=deadline)
        if self._closed:
            self._fail(ticket, "closed", "the limiter is closed")
        elif not self.room.count and self._earliest(ticket, now) <= now:
            self._grant(ticket, now)
        elif self.room.count >= self.policy.max_waiting:
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
        if self._ended(ticket):
            cost_of = _cost
        elif ticket.state == "expired":
            cost_of = _no_cost  # counted as lost long ago, but what the answer says is still true
            ticket.state = "done"
        else:
            return
        if type(headers) is dict:
            headers = {name.lower(): value for name, value in headers.items()}
        self._read_date(headers.get("date"), ticket, now)
        if len(body) <= _TIME_MAX and (said := _TIME.fullmatch(body)):
            self._learn_time(int(said[1]), sent=ticket.sent, received=now, now=now)
        for counter in self._counters:
            cost = cost_of(ticket, counter.limit.kind)
            counter.answered(cost, self.use_said(headers, counter.limit), sent=ticket.sent, now=now)
        low, high = self.clock.bounds(now)
        self._rule(read_verdict(status, headers, body, server_s=now + (low + high) / 2), status, ticket, now)
        self.turn(now)

    def lost(self, ticket: Ticket, now: float) -> None:
        """Take that a granted request was sent, or may have been, and no answer came."""
        if ticket.state == "granted":
            self._lose(ticket, now)
            self.turn(now)

    def unused(self, ticket: Ticket, now: float) -> None:
        """Take that a granted request was not sent."""
        if self._ended(ticket):
            for counter in self._counters:
                counter.unused(_cost(ticket, counter.limit.kind), sent=ticket.sent, now=now)
            self.ip.unanswered(ticket, now, sent=False)
            self.orders.unanswered(ticket, now, sent=False)
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
        return max(self.ip.risk_until, self.orders.risk_until if ticket.orders else -math.inf) > now

    def close(self) -> None:
        """Fail all that wait, and all that come."""
        self._closed = True
        for ticket in self.room:
            self._fail(ticket, "closed", "the limiter is closed")
        self.wake = math.inf

    # --- what is known of the exchange ---

    def use_limits(self, limits: Iterable[RateLimit], now: float) -> None:
        """Have these limits instead. What is used stays used; kinds that are not named keep their limits."""
        known = {(counter.limit.kind, counter.limit.seconds): counter for counter in self._counters}
        counters = []
        for limit in limits:
            counter = known.get((limit.kind, limit.seconds))
            if counter is None:
                same = [other.used for other in self._counters if other.limit.kind == limit.kind]
                out = sum(_cost(ticket, limit.kind) for ticket in self._out.values())
                counter = self.counter(limit, self.clock)
                counter.adopt(out, max(same, default=0), now)
            elif counter.limit != limit:
                _log.info("limit of %s in %d s: %d, was %d", limit.kind, limit.seconds, limit.cap, counter.limit.cap)
                counter.change(limit)
            counter.assumed = False
            counters.append(counter)
        named = {counter.limit.kind for counter in counters}
        self._counters = counters + [counter for counter in self._counters if counter.limit.kind not in named]
        self.turn(now)

    def set_server_time(self, server_ms: int, *, sent: float, received: float, now: float) -> None:
        """Take the exchange's time, as it was at some instant between `sent` and `received`."""
        self._learn_time(server_ms, sent=sent, received=received, now=now)
        self.turn(now)

    @property
    def in_flight(self) -> int:
        """Return how many requests are out."""
        return len(self._out)

    @property
    def counters(self) -> tuple[Counter, ...]:
        """Return the limits and their use."""
        return tuple(self._counters)

    # --- single decisions ---

    def weigh(self, weight: int) -> int:
        """Return what a request of that weight is counted as."""
        return weight

    def use_said(self, headers: Mapping[str, str], limit: RateLimit) -> int | None:
        """Return the server's own count, if an answer says it."""
        text = headers.get(limit.header) if limit.header else None
        if text is None or not text.isdecimal():
            return None
        return int(text[:_DIGITS])

    def overlap(self, ticket: Ticket, now: float) -> float:
        """Return when one more request may be in flight; `inf` if that hangs on an answer."""
        while self.strikes and self.strikes[0] + _STRIKE_S <= now:
            self.strikes.popleft()
        out = len(self._out)
        # The more refusals, the fewer at once: in a storm that spares some, one probe's luck is not that of all.
        most = max(1, self.policy.max_in_flight - len(self.strikes))
        if ticket.risk:
            most += _RISK_PLACES
            if self.ip.half_open:
                most = 1 + RISK_PROBES
        if out >= most:
            return math.inf
        over = len(self.strikes) + out + 1 - (_STRIKES - (1 if ticket.risk else 2))
        if over <= 0:
            return now
        return math.inf if out else self.strikes[over - 1] + _STRIKE_S

    def told_until(self, verdict: Verdict, level: int, now: float) -> float:
        """Return until when an answer that refuses says to wait; where it does not say, what is known of such."""
        waits = []
        if verdict.retry_after is not None:
            waits.append(now + verdict.retry_after)
        if verdict.until_ms is not None and (self.clock.known or not waits):
            waits.append(verdict.until_ms / 1_000 - self.clock.bounds(now)[0])
        if waits:
            return max(waits)
        if verdict.ruling == "banned":
            return now + min(LONGEST, _BAN_S * 2.0 ** (level - 1))
        if verdict.ruling == "firewall":
            return now + min(_FIREWALL_CAP, _FIREWALL_S * 2.0 ** (level - 1))
        return self._rest_of_window(verdict, now)

    def refusal(self, penalty: Penalty, verdict: Verdict, ticket: Ticket, now: float) -> None:
        """Keep silent for as long as an answer that refuses demands."""
        level = penalty.offend(now, sent=ticket.sent, cause=verdict.ruling)
        told, jitter = self.told_until(verdict, level, now), penalty.jitter(level)
        if told + jitter > penalty.until:
            text = f" ({verdict.note})" if verdict.note else ""
            _log.warning("%s: silent for %.1f s, level %d%s", verdict.ruling, told + jitter - now, level, text)
        many = len(self.strikes) > _MANY
        # A cancel is tried as soon as it may be, but not over and over: ever more refusals would end in a ban.
        penalty.wait(told + jitter, told + (min(jitter, _RISK_JITTER_S) if many else 0.0))
        for waiting in self.room:
            self._doomed(waiting, now)

    def success(self, ticket: Ticket, now: float) -> None:
        """Take an answer that does not refuse: only a probe's ends anything."""
        for penalty in (self.ip, self.orders):
            if penalty.passed(ticket, now) and penalty.cause:
                _log.info("%s: over, the probe was answered", penalty.cause)

    # --- inside ---

    def _rule(self, verdict: Verdict, status: int, ticket: Ticket, now: float) -> None:
        if verdict.cap is not None:
            self._shrink("orders" if verdict.ruling == "orders_refused" else "weight", *verdict.cap)
        if verdict.ruling in ("fine", "throttled"):
            self.success(ticket, now)
            if verdict.ruling == "throttled":
                level = self._throttle.offend(now, sent=ticket.sent, cause="throttled")
                self._throttle.until = max(self._throttle.until, now + self._throttle.jitter(level))
            return
        self.refused += 1
        if status in _STRIKING:
            self.strikes.append(now)
        if verdict.ruling == "orders_refused":
            self.ip.passed(ticket, now)
            self.refusal(self.orders, verdict, ticket, now)
        else:
            self.banned += verdict.ruling == "banned"
            self.orders.unanswered(ticket, now, sent=False)
            self.refusal(self.ip, verdict, ticket, now)

    def _rest_of_window(self, verdict: Verdict, now: float) -> float:
        kind = "orders" if verdict.ruling == "orders_refused" else "weight"
        lengths = [counter.limit.seconds for counter in self._counters if counter.limit.kind == kind]
        length = verdict.cap[0] if verdict.cap else (max if kind == "weight" else min)(lengths, default=60)
        low = self.clock.bounds(now)[0]
        return ((now + low) // length + 1) * length - low

    def _shrink(self, kind: Kind, seconds: int, cap: int) -> None:
        for counter in self._counters:
            limit = counter.limit
            if (limit.kind, limit.seconds) == (kind, seconds) and cap < limit.cap:
                _log.warning("limit of %s in %d s: %d, was %d (said by a refusal)", kind, seconds, cap, limit.cap)
                counter.change(RateLimit(kind, seconds, cap, limit.header))

    def _read_date(self, text: str | None, ticket: Ticket, now: float) -> None:
        if text is None or text == self._date:
            return
        self._date = text
        try:
            seconds = parsedate_to_datetime(text).timestamp()
        except (ValueError, TypeError, OverflowError):
            return
        self._clock_changed(now, contradicts=self.clock.learn_date(seconds, sent=ticket.sent, received=now))

    def _learn_time(self, server_ms: int, *, sent: float, received: float, now: float) -> None:
        self._clock_changed(now, contradicts=self.clock.learn_time(server_ms, sent=sent, received=received))

    def _clock_changed(self, now: float, *, contradicts: bool) -> None:
        for counter in self._counters:
            counter.clock_changed(now, contradicts=contradicts)

    def _bound(self, ticket: Ticket, now: float) -> float:
        """Return before when it certainly cannot go, as far as is known now; `inf` if it never can."""
        bound = max(now, self.ip.silent_until(risk=ticket.risk))
        if ticket.orders:
            bound = max(bound, self.orders.silent_until(risk=ticket.risk))
        for counter in self._counters:
            cost = _cost(ticket, counter.limit.kind)
            if cost:
                bound = max(bound, counter.earliest(cost, now, risk=ticket.risk))
        return bound

    def _earliest(self, ticket: Ticket, now: float) -> float:
        """Return when it may go; `inf` if that hangs on an answer."""
        bound = self._bound(ticket, now)
        if bound > now:
            return bound
        bound = max(self.ip.earliest(now, risk=ticket.risk), self.overlap(ticket, now))
        if ticket.orders:
            bound = max(bound, self.orders.earliest(now, risk=ticket.risk))
        return bound if ticket.risk else max(bound, self._throttle.until)

    def _serve_one(self, now: float) -> bool:
        claimed: set[Kind] = set()  # an older request waits for these; a younger one must not take them away
        self.wake = math.inf
        for ticket in self.room.heads():
            if any(_cost(ticket, kind) for kind in claimed):
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
            for counter in self._counters:
                kind = counter.limit.kind
                if counter.earliest(_cost(ticket, kind), now, risk=ticket.risk) > now:
                    claimed.add(kind)
        return False

    def _grant(self, ticket: Ticket, now: float) -> None:
        ticket.state = "granted"
        ticket.sent = now
        self.granted += 1
        self._out[ticket.number] = ticket
        for counter in self._counters:
            counter.charge(_cost(ticket, counter.limit.kind), now)
        if self.ip.went(ticket, now) and self.ip.cause:
            _log.info("%s: a probe goes", self.ip.cause)
        if ticket.orders:
            self.orders.went(ticket, now)

    def _lose(self, ticket: Ticket, now: float) -> None:
        self._ended(ticket)
        for counter in self._counters:
            counter.lost(_cost(ticket, counter.limit.kind), sent=ticket.sent, now=now)
        self.ip.unanswered(ticket, now, sent=True)
        self.orders.unanswered(ticket, now, sent=True)

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
        banned = self.ip.silent_until(risk=ticket.risk) > ticket.deadline and self.ip.cause in ("banned", "firewall")
        return self._fail(ticket, "banned" if banned else "rate_limited", f"no place for another {bound - now:.1f} s")

    def _fail(self, ticket: Ticket, reason: Reason, text: str) -> bool:
        if ticket.state == "waiting":
            ticket.state = "failed"
            ticket.reason = reason
            ticket.text = text
            self.failed += 1
            self.room.leave(ticket)
            self.settled.append(ticket)
        return True


def _cost(ticket: Ticket, kind: Kind) -> int:
    if kind == "weight":
        return ticket.weight
    return ticket.orders if kind == "orders" else 1


def _no_cost(ticket: Ticket, kind: Kind) -> int:
    del ticket, kind
    return 0
