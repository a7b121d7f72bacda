"""All limits of the exchange: what a request uses of each, and what answers and exchangeInfo say about them."""

import logging
import re
from collections.abc import Iterable, Iterator, Mapping
from email.utils import parsedate_to_datetime
from typing import Final

from reference_impl._binance.queue import Ticket
from reference_impl._binance.server_clock import ServerClock
from reference_impl._binance.windows import Counter, Kind, RateLimit

_DIGITS: Final = 10
_TIME: Final = re.compile(rb'\s*{\s*"serverTime"\s*:\s*(\d{13})\s*}\s*')
_TIME_MAX: Final = 64
"""The answer to GET time, read as it passes; its length at most, in bytes."""
_USUAL_WINDOW_S: Final = 60

_log = logging.getLogger("reference_impl.rate_limiter")


def cost(ticket: Ticket, kind: Kind) -> int:
    """Return what a request uses of a limit of that kind."""
    if kind == "weight":
        return ticket.weight
    return ticket.orders if kind == "orders" else 1


class Limits:
    """The counters of all limits, on one clock. Instants are monotonic seconds.

    Methods that `flawed` overrides are single decisions: `weigh`, `use_said`.
    """

    counter_type: type[Counter] = Counter

    def __init__(self, assumed: Iterable[RateLimit], clock: ServerClock) -> None:
        self._clock = clock
        self.counters = [self.counter_type(limit, clock, assumed=True) for limit in assumed]
        self._date = ""

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

    # --- requests ---

    def earliest(self, ticket: Ticket, now: float) -> float:
        """Return when a request fits into every window, `now` at the earliest; `inf` if it is too large for one."""
        bound = now
        for counter in self.counters:
            needed = cost(ticket, counter.limit.kind)
            if needed:
                bound = max(bound, counter.earliest(needed, now, risk=ticket.risk))
        return bound

    def full_for(self, ticket: Ticket, now: float) -> Iterator[Kind]:
        """Yield the kinds of the limits that it has to wait for."""
        for counter in self.counters:
            kind = counter.limit.kind
            if counter.earliest(cost(ticket, kind), now, risk=ticket.risk) > now:
                yield kind

    def charge(self, ticket: Ticket, now: float) -> None:
        """Take that a request goes."""
        for counter in self.counters:
            counter.charge(cost(ticket, counter.limit.kind), now)

    def answered(self, ticket: Ticket, headers: Mapping[str, str], body: bytes, now: float, *, late: bool) -> None:
        """Take the answer to a request. `late`: it was counted as lost already, but what its answer says is true."""
        self._read_date(headers.get("date"), ticket, now)
        if len(body) <= _TIME_MAX and (said := _TIME.fullmatch(body)):
            self.learn_time(int(said[1]), sent=ticket.sent, received=now, now=now)
        for counter in self.counters:
            used = 0 if late else cost(ticket, counter.limit.kind)
            counter.answered(used, self.use_said(headers, counter.limit), sent=ticket.sent, now=now)

    def lost(self, ticket: Ticket, now: float) -> None:
        """Take that a request got no answer."""
        for counter in self.counters:
            counter.lost(cost(ticket, counter.limit.kind), sent=ticket.sent, now=now)

    def unused(self, ticket: Ticket, now: float) -> None:
        """Take that a request was not sent."""
        for counter in self.counters:
            counter.unused(cost(ticket, counter.limit.kind), sent=ticket.sent, now=now)

    # --- what is known of the exchange ---

    def use(self, limits: Iterable[RateLimit], out: Iterable[Ticket], now: float) -> None:
        """Have these limits instead, with `out` in flight.

        What is used stays used; kinds that are not named keep their limits.
        """
        known = {(counter.limit.kind, counter.limit.seconds): counter for counter in self.counters}
        in_flight = tuple(out)
        counters = []
        for limit in limits:
            counter = known.get((limit.kind, limit.seconds))
            if counter is None:
                same = [other.used for other in self.counters if other.limit.kind == limit.kind]
                counter = self.counter_type(limit, self._clock)
                counter.adopt(sum(cost(ticket, limit.kind) for ticket in in_flight), max(same, default=0), now)
            elif counter.limit != limit:
                _log.info("limit of %s in %d s: %d, was %d", limit.kind, limit.seconds, limit.cap, counter.limit.cap)
                counter.change(limit)
            counter.assumed = False
            counters.append(counter)
        named = {counter.limit.kind for counter in counters}
        self.counters = counters + [counter for counter in self.counters if counter.limit.kind not in named]

    def shrink(self, kind: Kind, seconds: int, cap: int) -> None:
        """Take from a refusal that a limit is lower than was known."""
        for counter in self.counters:
            limit = counter.limit
            if (limit.kind, limit.seconds) == (kind, seconds) and cap < limit.cap:
                _log.warning("limit of %s in %d s: %d, was %d (said by a refusal)", kind, seconds, cap, limit.cap)
                counter.change(RateLimit(kind, seconds, cap, limit.header))

    def window_end(self, kind: Kind, seconds: int | None, now: float) -> float:
        """Return when the present window of `seconds` is over for certain.

        Without a length it is that of the kind: the longest of weight's, the shortest of orders'.
        """
        if seconds is None:
            lengths = [counter.limit.seconds for counter in self.counters if counter.limit.kind == kind]
            seconds = (max if kind == "weight" else min)(lengths, default=_USUAL_WINDOW_S)
        low = self._clock.bounds(now)[0]
        return ((now + low) // seconds + 1) * seconds - low

    def learn_time(self, server_ms: int, *, sent: float, received: float, now: float) -> None:
        """Take the exchange's time, as it was at some instant between `sent` and `received`."""
        self._clock_changed(now, contradicts=self._clock.learn_time(server_ms, sent=sent, received=received))

    def _read_date(self, text: str | None, ticket: Ticket, now: float) -> None:
        if text is None or text == self._date:
            return
        self._date = text
        try:
            seconds = parsedate_to_datetime(text).timestamp()
        except (ValueError, TypeError, OverflowError):
            return
        self._clock_changed(now, contradicts=self._clock.learn_date(seconds, sent=ticket.sent, received=now))

    def _clock_changed(self, now: float, *, contradicts: bool) -> None:
        for counter in self.counters:
            counter.clock_changed(now, contradicts=contradicts)
