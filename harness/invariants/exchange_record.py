"""What an emulated exchange recorded, read once per history: requests, fills, bans, and the waits that it told.

Judged is what the exchange saw and said. What it said counts as *told* only if it could arrive: it was answered at all,
no link fault held from the arrival of the request until the answer was sent, and the host was not killed since (a new
incarnation has read none of its predecessor's answers).

*Windows* of a limit are told apart by arithmetic, not by clocks: within a window, own use after a request is own use
after the one before plus what this one was charged; less means that a new window has begun.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

import msgspec

from harness.history.history import History
from harness.history.query import FaultWindow, Window, fault_windows, lifetimes, observations

_LOST: Final = ("silent", "reset")
"""Kinds of armed faults, by their beginning, whose victims get no answer."""


class Request(msgspec.Struct, frozen=True, gc=False):
    """One request that reached the exchange; the fields of harness/dependencies/binance/control.py."""

    time_ns: int
    at: int
    method: str = ""
    path: str = ""
    market: str = ""
    status: int = 0
    code: int = 0
    weight: int = 0
    used: int = 0
    limit: int = 0
    others: int = 0
    window_ms: int = 0
    orders: int = 0
    counts: tuple[tuple[int, int, int], ...] = ()
    wait_ns: int = 0
    scope: str = ""
    fault: str = ""
    after_ns: int = 0
    symbol: str = ""
    client_id: str = ""
    order_id: int = 0
    executed: bool = False
    risk: bool = False

    @property
    def answered_ns(self) -> int:
        """When its answer was sent; meaningless if there was none."""
        return self.time_ns + max(0, self.after_ns)

    @property
    def is_order(self) -> bool:
        """Whether it asks for a new order."""
        return self.method == "POST" and self.path.endswith("/order")

    def __str__(self) -> str:
        said = f" {self.code}" if self.code else ""
        return f"{self.method} {self.path} -> {self.status or 'no answer'}{said}"


@dataclass(frozen=True, slots=True)
class Fill:
    """One fill of one order."""

    time_ns: int
    symbol: str
    side: str
    order_id: int
    client_id: str
    price: Decimal
    quantity: Decimal


@dataclass(frozen=True, slots=True)
class Ban:
    """One ban of the IP. `earned`: by requests sent although 429 was answered, not imposed by a fault."""

    time_ns: int
    until_ns: int
    earned: bool
    strikes: int


@dataclass(frozen=True, slots=True)
class Wait:
    """A time in which nothing (scope `ip`) or no order (scope `orders`) was to be sent; `request` was told so."""

    start_ns: int
    end_ns: int
    scope: str
    request: Request


@dataclass(frozen=True, slots=True)
class ExchangeRecord:
    """Everything of one history, in the order of time. `limits` holds, for each `exchange` observation, its fields."""

    requests: tuple[Request, ...]
    fills: tuple[Fill, ...]
    bans: tuple[Ban, ...]
    limits: tuple[tuple[int, Mapping[str, Any]], ...]
    _link_faults: tuple[FaultWindow, ...]
    _deaths: tuple[int, ...]

    def told(self, request: Request) -> bool:
        """Whether its answer could reach the one who asked."""
        if request.after_ns < 0 or request.fault.startswith(_LOST):
            return False
        return not any(
            window.start_ns <= request.answered_ns and (window.end_ns is None or window.end_ns > request.time_ns)
            for window in self._link_faults
        )

    def died_between(self, start_ns: int, end_ns: int) -> bool:
        """Whether a host was killed in between, with all that it had been told."""
        return any(start_ns <= death_ns <= end_ns for death_ns in self._deaths)

    def waits(self, scope: str | None = None) -> Iterator[Wait]:
        """Yield every wait that was told, by the time of its telling; those of one scope."""
        for request in self.requests:
            if request.wait_ns > 0 and scope in (None, request.scope) and self.told(request):
                end_ns = max(request.answered_ns, request.time_ns + request.wait_ns)
                yield Wait(request.answered_ns, end_ns, request.scope, request)


def read_exchange(history: History, actor: str = "binance") -> ExchangeRecord:
    """Return what the exchange of that name recorded; computed once per history."""
    return history.once(("exchange_record", actor), lambda: _read(history, actor))


def _read(history: History, actor: str) -> ExchangeRecord:
    requests = [
        msgspec.convert({**seen.value, "time_ns": seen.time_ns, "at": at}, Request)
        for at, seen in enumerate(observations(history, "request"))
        if seen.actor == actor
    ]
    fills = [
        Fill(
            seen.time_ns,
            str(seen.value["symbol"]),
            str(seen.value["side"]),
            int(seen.value["order_id"]),
            str(seen.value.get("client_id", "")),
            Decimal(seen.value["price"]),
            Decimal(seen.value["quantity"]),
        )
        for seen in observations(history, "fill")
        if seen.actor == actor
    ]
    bans = [
        Ban(
            seen.time_ns,
            int(seen.value["until_ns"]),
            bool(seen.value.get("earned")),
            int(seen.value.get("strikes", 0)),
        )
        for seen in observations(history, "ban")
        if seen.actor == actor
    ]
    limits = [(seen.time_ns, seen.value) for seen in observations(history, "exchange") if seen.actor == actor]
    links = [window for window in fault_windows(history, "network.*") if window.on.endswith(f"->{actor}")]
    deaths = [life.end_ns for life in lifetimes(history) if life.ending in {"killed", "powered_off"}]
    return ExchangeRecord(
        tuple(requests),
        tuple(fills),
        tuple(bans),
        tuple(limits),
        tuple(links),
        tuple(end_ns for end_ns in deaths if end_ns is not None),
    )


def told_windows(record: ExchangeRecord, scope: str | None = None) -> list[Window]:
    """Return the waits that were told, those of one scope, as windows."""
    return [(wait.start_ns, wait.end_ns) for wait in record.waits(scope)]


def deaths(history: History) -> list[Window]:
    """Return the times in which a host was dead or stood still."""
    lives = lifetimes(history)
    started = {(life.name, life.incarnation): life.start_ns for life in lives}
    dead: list[Window] = [
        (life.end_ns, started.get((life.name, life.incarnation + 1)))
        for life in lives
        if life.end_ns is not None and life.ending in {"killed", "powered_off", "failed"}
    ]
    return dead + [window for life in lives for window in life.frozen]


def merged(windows: Sequence[Window], end_ns: int) -> list[tuple[int, int]]:
    """Return these windows joined where they touch, in order; None stands for `end_ns`."""
    joined: list[tuple[int, int]] = []
    for start_ns, until in sorted((start_ns, end_ns if until is None else until) for start_ns, until in windows):
        if joined and start_ns <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(joined[-1][1], until))
        else:
            joined.append((start_ns, until))
    return joined


def overlap_ns(windows: Sequence[tuple[int, int]], start_ns: int, end_ns: int) -> int:
    """Return how much of that time lies within these windows, which do not touch each other."""
    return sum(max(0, min(until, end_ns) - max(since, start_ns)) for since, until in windows)


def longest_outside_ns(windows: Sequence[tuple[int, int]], start_ns: int, end_ns: int) -> int:
    """Return the longest stretch of that time that lies in none of these windows, which are in order."""
    longest, since_ns = 0, start_ns
    for opens_ns, closes_ns in windows:
        if closes_ns > since_ns and opens_ns < end_ns:
            longest = max(longest, opens_ns - since_ns)
            since_ns = closes_ns
    return max(longest, end_ns - since_ns)


def margin_ns(history: History, sim_ns: int, real_ns: int) -> int:
    """Return the margin of the world in which the history was made."""
    return real_ns if history.header.world == "real" else sim_ns
