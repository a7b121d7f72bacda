"""How much of a limit is used, in windows that are fixed and aligned to the exchange's clock.

A burst at the end of one window and another at the start of the next must not meet in one window of the server. So:

- Near an edge, when the exchange's clock may stand on either side of it, a request must fit into, and is charged to,
  every window that it may be counted in.
- What is in flight when a window may have begun is charged to that window as well: it may arrive only then.

The server's own count (a header) is the truth, as it holds what others on the same IP have used; requests whose answers
are still out are added to it. It only ever grows within a window, so answers that overtake each other do no harm. A
header counts only if its request was sent and answered for certain in one window; otherwise nobody knows which window
it speaks of. Requests whose own answers told nothing are added until a header comes that must hold them: one of a
request that was sent after them.

Others are left room: their rate is taken from how the server's count outgrows ours, and projected to the window's end.
And as they may start at any time, half a window's capacity is open to a burst, the other half comes evenly with time.
"""

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias

from reference_impl._binance.server_clock import ServerClock

Kind: TypeAlias = Literal["weight", "orders", "requests"]

_NORMAL_SHARE: Final = 0.96
_RISK_SHARE: Final = 0.99
"""Shares of a limit that normal requests, and cancels and reduce-only orders, may fill."""
_BURST: Final = 0.5
_PACED: Final = 0.9
"""Half of the capacity is there at the start of a window, all of it after nine tenths of it."""
_CAUTION: Final = 1.2
_MOST_RESERVED: Final = 0.8
"""Others are taken to be by a fifth faster than seen, and get at most four fifths of a limit left free."""
_SAMPLES: Final = 20
"""The rate of others is sampled so many times a window."""
_LINGER: Final = 2.0
"""Seconds that a request whose answer was lost may still need to arrive."""
_EDGE: Final = 0.001
"""Seconds past an edge, against rounding."""

_KINDS: Final[dict[str, Kind]] = {"REQUEST_WEIGHT": "weight", "ORDERS": "orders", "RAW_REQUESTS": "requests"}
_SECONDS: Final = {"SECOND": 1, "MINUTE": 60, "HOUR": 3_600, "DAY": 86_400}
_HEADERS: Final = {"weight": "x-mbx-used-weight-", "orders": "x-mbx-order-count-", "requests": ""}


@dataclass(frozen=True, slots=True)
class RateLimit:
    """At most `cap` in each window of `seconds`. `header` (lower case) bears the server's count; empty: none does."""

    kind: Kind
    seconds: int
    cap: int
    header: str


def read_limits(entries: Iterable[Mapping[str, Any]]) -> list[RateLimit]:
    """Return what exchangeInfo's `rateLimits` say; entries of unknown types are left out.

    Raises `ValueError` for an entry of a known type that makes no sense.
    """
    return [_read(_KINDS[entry["rateLimitType"]], entry) for entry in entries if entry.get("rateLimitType") in _KINDS]


def _read(kind: Kind, entry: Mapping[str, Any]) -> RateLimit:
    try:
        number, interval, cap = int(entry["intervalNum"]), str(entry["interval"]), int(entry["limit"])
        seconds = number * _SECONDS[interval]
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"not a rate limit: {dict(entry)!r}") from error
    if seconds < 1 or cap < 1:
        raise ValueError(f"not a rate limit: {dict(entry)!r}")
    return rate_limit(kind, seconds, cap, f"{number}{interval[0]}")


def rate_limit(kind: Kind, seconds: int, cap: int, suffix: str) -> RateLimit:
    """Return a limit whose header ends in `suffix`, such as `1M` or `10S`."""
    prefix = _HEADERS[kind]
    return RateLimit(kind, seconds, cap, f"{prefix}{suffix.lower()}" if prefix else "")


class Window:
    """`base`: the server's greatest count. `pending`: ours that it may not hold. `own`: ours that it holds.

    `unsure`: of `pending`, what is not in flight any more: (instant after which it has arrived if ever, cost).
    """

    __slots__ = ("base", "index", "own", "pending", "unsure")

    def __init__(self, index: int, pending: int) -> None:
        self.index = index
        self.base = 0
        self.pending = pending
        self.own = 0
        self.unsure: list[tuple[float, int]] = []

    def told(self, used: int, cost: int, sent: float) -> None:
        """Take the server's count from the answer to what was sent then."""
        self.base = max(self.base, used)
        self.pending -= cost
        self.own += cost
        if self.unsure:
            held = sum(unsure for settled, unsure in self.unsure if settled < sent)
            self.pending -= held
            self.own += held
            self.unsure = [one for one in self.unsure if one[0] >= sent]
        self.pending = max(0, self.pending)


class Counter:
    """One limit's use. Costs are of the limit's kind: weight, order slots, or requests.

    `assumed`: the exchange did not name the limit. Then it bounds our own use only: what others, or an earlier life of
    this program, have used under the true limit says nothing about how much is left of an assumed one.
    """

    __slots__ = ("_clock", "_in_flight", "_lost", "_others_rate", "_sample", "_until", "assumed", "limit", "windows")

    def __init__(self, limit: RateLimit, clock: ServerClock, *, assumed: bool = False) -> None:
        self.limit = limit
        self.assumed = assumed
        self._clock = clock
        self.windows: list[Window] = []  # all that the exchange's clock may stand in, the oldest first; rarely two
        self._until = float("-inf")  # until when `_windows` holds
        self._in_flight = 0
        self._lost: deque[tuple[float, int]] = deque()
        self._others_rate = 0.0
        self._sample = (float("-inf"), 0, 0)  # instant, window, what others had used

    @property
    def used(self) -> int:
        """Return how much may be used in a window that may be the present one."""
        return max((self._use(window) for window in self.windows), default=0)

    @property
    def others_rate(self) -> float:
        """Return what others on the same IP or account use, per second."""
        return self._others_rate

    def earliest(self, cost: int, now: float, *, risk: bool) -> float:
        """Return when `cost` fits, as far as is known: `now` or a later instant; `inf` if it never does."""
        if not cost:
            return now
        if cost > self.limit.cap:
            return float("inf")
        self.roll(now)
        fits = now
        for window in self.windows:
            fits = max(fits, self._fits(window, cost, now, risk=risk))
        return fits

    def adopt(self, in_flight: int, used: int, now: float) -> None:
        """Begin in the middle of a window: nobody knows yet how much of it is used, but so much may be."""
        self._in_flight = in_flight
        self.roll(now)
        for window in self.windows:
            window.pending = max(in_flight, used)

    def charge(self, cost: int, now: float) -> None:
        """Count what is being sent."""
        if cost:
            self.roll(now)
            self._in_flight += cost
            for window in self.windows:
                window.pending += cost

    def answered(self, cost: int, used: int | None, *, sent: float, now: float) -> None:
        """Take an answer with the server's count, or without."""
        self.roll(now)
        self._in_flight -= cost
        low, high = self._clock.bounds(now)
        length = self.limit.seconds
        window = self.windows[-1]
        if used is not None and (sent + low) // length == (now + high) // length == window.index:
            window.told(used, cost, sent)
            self._watch_others(window, now)
        else:  # without a count, or nobody knows whether it is of this window or of the one before
            if used is not None and len(self.windows) > 1:  # then the worst is that the one before goes on
                before = self.windows[0]
                before.base += max(0, used - before.base - before.pending)
            self._unsettle(cost, now, sent)

    def lost(self, cost: int, *, sent: float, now: float) -> None:
        """Take that no answer came: it stays counted, and may arrive still."""
        if cost:
            self.roll(now)
            self._in_flight -= cost
            self._lost.append((now + _LINGER, cost))
            self._unsettle(cost, now + _LINGER, sent)

    def unused(self, cost: int, *, sent: float, now: float) -> None:
        """Give back what was not sent after all."""
        if not cost:
            return
        self.roll(now)
        self._in_flight -= cost
        first = (sent + self._clock.bounds(now)[0]) // self.limit.seconds
        for window in self.windows:
            if window.index >= first:
                window.pending = max(0, window.pending - cost)

    def change(self, limit: RateLimit) -> None:
        """Have another cap from now on; what is used stays used."""
        self.limit = limit

    def clock_changed(self, now: float, *, contradicts: bool) -> None:
        """Work out anew which windows may be the present one; use is carried over if they are others than thought."""
        worst = self.used
        before = [window.index for window in self.windows]
        self._until = float("-inf")
        self.roll(now)
        if contradicts and before and before != [window.index for window in self.windows]:
            for window in self.windows:
                window.pending += max(0, worst - self._use(window))

    def roll(self, now: float) -> None:
        """Have the windows that the exchange's clock may stand in."""
        if now < self._until:
            return
        low, high = self._clock.bounds(now)
        length = self.limit.seconds
        first, last = int((now + low) // length), int((now + high) // length)
        kept = {window.index: window for window in self.windows}
        while self._lost and self._lost[0][0] < now:
            self._lost.popleft()
        self.windows = [kept.get(index) or self._open(index) for index in range(first, last + 1)]
        self._until = min((first + 1) * length - low, (last + 1) * length - high)

    def _use(self, window: Window) -> int:
        return (window.own if self.assumed else window.base) + window.pending

    def _open(self, index: int) -> Window:
        window = Window(index, self._in_flight + sum(cost for _, cost in self._lost))
        window.unsure.extend(self._lost)
        return window

    def _unsettle(self, cost: int, settled: float, sent: float) -> None:
        if not cost:
            return
        first = (sent + self._clock.bounds(settled)[0]) // self.limit.seconds
        for window in self.windows:
            if window.index >= first:
                window.unsure.append((settled, cost))

    def _fits(self, window: Window, cost: int, now: float, *, risk: bool) -> float:
        cap = self.limit.cap
        used = self._use(window)
        need = used + cost
        if need <= cap * (_NORMAL_SHARE * _BURST) and not self._others_rate:
            return now  # the healthy case, at any time of a window
        low = self._clock.bounds(now)[0]
        edge = (window.index + 1) * self.limit.seconds - low + _EDGE
        if risk:
            return now if need <= cap * _RISK_SHARE or not used else edge
        ceiling = cap * _NORMAL_SHARE
        if need > ceiling:
            return now if not used else edge
        elapsed = max(0.0, now + low - window.index * self.limit.seconds)
        wanted = self._elapsed_for(need, ceiling)
        if wanted <= elapsed:
            return now
        return min(edge, now + wanted - elapsed + _EDGE)

    def _elapsed_for(self, need: float, ceiling: float) -> float:
        """Return how much of a window must be over for `need` to be open: the pace, less what others will need."""
        length = self.limit.seconds
        rate = 0.0 if self.assumed else min(self._others_rate * _CAUTION, ceiling * _MOST_RESERVED / length)
        slope = ceiling * (1 - _BURST) / (_PACED * length)
        wanted = (need - ceiling * _BURST + rate * length) / (slope + rate)
        if rate:
            wanted = max(wanted, length - (ceiling - need) / rate)
        return wanted

    def _watch_others(self, window: Window, now: float) -> None:
        others = max(0, window.base - window.own - window.pending)
        at, index, before = self._sample
        length = self.limit.seconds
        if index != window.index:
            at, before = window.index * length - self._clock.bounds(now)[0], 0
        if now - at >= length / _SAMPLES:
            recent = max(0, others - before) / (now - at)
            self._others_rate = (self._others_rate + recent) / 2
            at, before = now, others
        self._sample = (at, window.index, before)
