"""What the exchange has told us to do: wait, on the IP or with orders, or pause for its overload.

`verdicts` reads it from an answer, `penalty` keeps one wait; here it is decided how long each is. -1008, a plea of
overload, is a short pause from which risk orders are exempt.
"""

import logging
import math
from collections.abc import Callable
from typing import Final

from reference_impl._binance.exposure import Exposure
from reference_impl._binance.limits import Limits
from reference_impl._binance.penalty import Penalty
from reference_impl._binance.queue import Ticket
from reference_impl._binance.server_clock import ServerClock
from reference_impl._binance.verdicts import LONGEST, Verdict

_RISK_JITTER_S: Final = 0.9
"""Seconds within which risk orders come back at random, once refusals are many."""
_BAN_S: Final = 120.0
"""Seconds of the shortest ban, taken if a 418 does not say."""
_FIREWALL_S: Final = 10.0
_FIREWALL_CAP: Final = 300.0
_STRIKING: Final = (418, 429)

_log = logging.getLogger("reference_impl.rate_limiter")


class Sanctions:
    """The waits of one IP and account. Instants are monotonic seconds; `draw` throws a number in [0, 1).

    Methods that `flawed` overrides are single decisions: `told_until`, `refusal`, `success`.
    """

    penalty_type: type[Penalty] = Penalty

    def __init__(self, limits: Limits, exposure: Exposure, clock: ServerClock, draw: Callable[[], float]) -> None:
        self._limits = limits
        self.exposure = exposure
        self._clock = clock
        self.ip = self.penalty_type(draw)
        self.orders = self.penalty_type(draw)
        self.ip.half_open = True  # what an earlier life was told is not known: one request goes first
        self._overload = Penalty(draw)
        self.refused = self.banned = 0
        self.limited_at = -math.inf  # when a limit was last said to be broken

    def rule(self, verdict: Verdict, status: int, ticket: Ticket, now: float) -> bool:
        """Take what an answer says; return whether it refuses, so that those who wait may wait for longer."""
        if verdict.cap is not None:
            self._limits.shrink("orders" if verdict.ruling == "orders_refused" else "weight", *verdict.cap)
        if verdict.ruling in ("fine", "throttled"):
            self.success(ticket, now)
            if verdict.ruling == "throttled":
                level = self._overload.offend(now, sent=ticket.sent, cause="throttled")
                self._overload.until = max(self._overload.until, now + self._overload.jitter(level))
            return False
        self.refused += 1
        if status in _STRIKING:
            self.exposure.strike(now)
        if verdict.ruling in ("refused", "orders_refused"):
            self.limited_at = now
        if verdict.ruling == "orders_refused":
            self.ip.passed(ticket, now)
            self.refusal(self.orders, verdict, ticket, now)
        else:
            self.banned += verdict.ruling == "banned"
            self.orders.unanswered(ticket, now, sent=False)
            self.refusal(self.ip, verdict, ticket, now)
        return True

    # --- single decisions ---

    def told_until(self, verdict: Verdict, level: int, now: float) -> float:
        """Return until when an answer that refuses says to wait; where it does not say, what is known of such."""
        waits = []
        if verdict.retry_after is not None:
            waits.append(now + verdict.retry_after)
        if verdict.until_ms is not None and (self._clock.known or not waits):
            waits.append(verdict.until_ms / 1_000 - self._clock.bounds(now)[0])
        if waits:
            return max(waits)
        if verdict.ruling == "banned":
            return now + min(LONGEST, _BAN_S * 2.0 ** (level - 1))
        if verdict.ruling == "firewall":
            return now + min(_FIREWALL_CAP, _FIREWALL_S * 2.0 ** (level - 1))
        length = verdict.cap[0] if verdict.cap else None
        return self._limits.window_end("orders" if verdict.ruling == "orders_refused" else "weight", length, now)

    def refusal(self, penalty: Penalty, verdict: Verdict, ticket: Ticket, now: float) -> None:
        """Keep silent for as long as an answer that refuses demands."""
        level = penalty.offend(now, sent=ticket.sent, cause=verdict.ruling)
        told, jitter = self.told_until(verdict, level, now), penalty.jitter(level)
        if told + jitter > penalty.until:
            text = f" ({verdict.note})" if verdict.note else ""
            _log.warning("%s: silent for %.1f s, level %d%s", verdict.ruling, told + jitter - now, level, text)
        # A cancel is tried as soon as it may be, but not over and over: ever more refusals would end in a ban.
        penalty.wait(told + jitter, told + (min(jitter, _RISK_JITTER_S) if self.exposure.many else 0.0))

    def success(self, ticket: Ticket, now: float) -> None:
        """Take an answer that does not refuse: only a probe's ends anything."""
        for penalty in (self.ip, self.orders):
            if penalty.passed(ticket, now) and penalty.cause:
                _log.info("%s: over, the probe was answered", penalty.cause)

    # --- requests ---

    def silent_until(self, ticket: Ticket) -> float:
        """Return before when it certainly must not go."""
        ip = self.ip.silent_until(risk=ticket.risk)
        return max(ip, self.orders.silent_until(risk=ticket.risk)) if ticket.orders else ip

    def banned_past(self, ticket: Ticket) -> bool:
        """Return whether it is a ban, or the firewall, that lasts beyond its deadline."""
        return self.ip.silent_until(risk=ticket.risk) > ticket.deadline and self.ip.cause in ("banned", "firewall")

    def earliest(self, ticket: Ticket, now: float) -> float:
        """Return when it may go; `inf` if that hangs on a probe's answer."""
        bound = self.ip.earliest(now, risk=ticket.risk)
        if ticket.orders:
            bound = max(bound, self.orders.earliest(now, risk=ticket.risk))
        return bound if ticket.risk else max(bound, self._overload.until)

    def revokes(self, ticket: Ticket, now: float) -> bool:
        """Return whether one that was granted must not go any more."""
        return max(self.ip.risk_until, self.orders.risk_until if ticket.orders else -math.inf) > now

    def went(self, ticket: Ticket, now: float) -> None:
        """Take that a request goes; it may be the probe."""
        if self.ip.went(ticket, now) and self.ip.cause:
            _log.info("%s: a probe goes", self.ip.cause)
        if ticket.orders:
            self.orders.went(ticket, now)

    def unanswered(self, ticket: Ticket, now: float, *, sent: bool) -> None:
        """Take that a request was lost, or not sent after all."""
        self.ip.unanswered(ticket, now, sent=sent)
        self.orders.unanswered(ticket, now, sent=sent)
