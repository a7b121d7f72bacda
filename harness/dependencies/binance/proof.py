"""What proves that a fault of the exchange bit: rules over what the exchange itself recorded while the fault held.

An armed fault is not a fault that was met. So nothing here counts that something was armed; every rule wants a request
of somebody that was hit (`request` observations with the kind in `fault`), or, for faults of the exchange as a whole,
what they did to it (`exchange_fault`, made when they end) together with requests that could feel it. The rules see what
lies between a fault's beginning and the instant of its healing, and nothing that a target says of itself.

Where a fault only takes room away (other tenants, lower limits), it was felt if a request found so much of a limit in
use that the fault mattered: `felt_from` is that share of the limit. A target that sends one request a minute is not
tested by a limit that was halved.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final, Protocol, TypeAlias

from harness.dependencies.binance.arms import Kind
from harness.faults.base import Evidence
from harness.history.events import Fields, Observation
from harness.history.history import History
from harness.history.query import FaultWindow, observations
from harness.units import MILLISECOND

Limits: TypeAlias = Mapping[tuple[str, str, int], int]
"""(market, type, window_ms) -> limit."""

_WEIGHT: Final = "REQUEST_WEIGHT"
_ORDERS: Final = "ORDERS"


@dataclass(frozen=True, slots=True)
class Seen:
    """What the exchange recorded while a fault held, each in the order of time.

    `limits_before` are the limits that were in force when it began.
    """

    requests: tuple[Fields, ...] = ()
    ended: tuple[Fields, ...] = ()
    bans: tuple[Observation, ...] = ()
    requests_at_ns: tuple[int, ...] = ()
    limits_before: Limits = field(default_factory=dict)

    def total(self, kind: Kind, count: str) -> int:
        """Sum up one count of the faults of that kind that ended."""
        return sum(int(fields.get(count, 0)) for fields in self.ended if fields.get("fault") == kind)


class Proof(Protocol):
    """A rule. Calling it is pure."""

    def __call__(self, seen: Seen) -> Evidence:
        """Return what happened, in counts, and whether it proves that the fault bit."""


def look(history: History, window: FaultWindow, exchange: str) -> Seen:
    """Return what that exchange recorded within the fault; the instant of healing belongs to it."""
    requests = tuple(_within(history, window, exchange, "request"))
    return Seen(
        requests=tuple(request.value for request in requests),
        ended=tuple(ended.value for ended in _within(history, window, exchange, "exchange_fault")),
        bans=tuple(_within(history, window, exchange, "ban")),
        requests_at_ns=tuple(request.time_ns for request in requests),
        limits_before=_limits_before(history, window, exchange),
    )


def _within(history: History, window: FaultWindow, exchange: str, name: str) -> Iterator[Observation]:
    for seen in observations(history, name):
        until_ns = seen.time_ns if window.end_ns is None else window.end_ns
        if seen.actor == exchange and window.start_ns <= seen.time_ns <= until_ns:
            yield seen


def _limits_before(history: History, window: FaultWindow, exchange: str) -> Limits:
    """Return the last limits said before the fault, or else the first ever said: those of the start."""
    said = [seen for seen in observations(history, "exchange") if seen.actor == exchange]
    before = [seen for seen in said if seen.time_ns < window.start_ns] or said[:1]
    return {
        (market, type_, window_ms): limit
        for seen in before[-1:]
        for market, limits in seen.value.get("limits", {}).items()
        for type_, window_ms, limit in limits
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit:
    """Requests were hit by an armed fault of this kind.

    `status` and `code`: and were answered so. `unanswered`: and never were. `executed`: True wants one that took effect
    all the same, False an order (or a cancel) that did not; None takes both.
    """

    kind: Kind
    status: int | None = None
    code: int | None = None
    unanswered: bool = False
    executed: bool | None = None

    def __call__(self, seen: Seen) -> Evidence:
        """Count them."""
        hits = [request for request in seen.requests if self._fits(request)]
        executed = sum(bool(request.get("executed")) for request in hits)
        failed = sum(request.get("method") != "GET" and not request.get("executed") for request in hits)
        wanted = len(hits) if self.executed is None else executed if self.executed else failed
        return _evidence(wanted > 0, hit=len(hits), executed=executed)

    def _fits(self, request: Fields) -> bool:
        return (
            request.get("fault") == self.kind
            and self.status in (None, request.get("status"))
            and self.code in (None, request.get("code"))
            and (not self.unanswered or request.get("after_ns") == -1)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Delayed:
    """Answers were given, at least so much later than they were asked for."""

    kind: Kind
    least_ns: int

    def __call__(self, seen: Seen) -> Evidence:
        """Count them, and tell the longest delay."""
        delays = [
            int(request.get("after_ns", 0))
            for request in seen.requests
            if request.get("fault") == self.kind and request.get("after_ns", 0) >= self.least_ns
        ]
        return _evidence(bool(delays), delayed=len(delays), longest_ms=max(delays, default=0) // MILLISECOND)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bans:
    """Requests were turned away with 418, under at least so many imposed bans."""

    least: int = 1

    def __call__(self, seen: Seen) -> Evidence:
        """Count the answers, and the bans that somebody ran into."""
        turned_away = [
            time_ns
            for time_ns, request in zip(seen.requests_at_ns, seen.requests, strict=True)
            if request.get("fault") == "ban" and request.get("status") == 418  # noqa: PLR2004 - as the facts page has it
        ]
        imposed = [ban for ban in seen.bans if not ban.value.get("earned")]
        met = sum(
            any(ban.time_ns <= time_ns < int(ban.value.get("until_ns", 0)) for time_ns in turned_away)
            for ban in imposed
        )
        return _evidence(met >= self.least, turned_away=len(turned_away), bans=len(imposed), bans_met=met)


@dataclass(frozen=True, slots=True, kw_only=True)
class Crowded:
    """Others used the weight of the IP, and a request found `felt_from` of it in use, theirs included."""

    felt_from: float

    def __call__(self, seen: Seen) -> Evidence:
        """Count what they used, and the requests that felt it."""
        weight = seen.total("tenant", "weight")
        shared = [request for request in seen.requests if weight and request.get("others")]
        felt = sum(_share_of_weight(request) >= self.felt_from for request in shared)
        return _evidence(felt > 0, weight=weight, shared_windows=len(shared), felt=felt)


@dataclass(frozen=True, slots=True, kw_only=True)
class CrowdedOrders:
    """Others used up orders of the account, and a new order found `felt_from` of a limit in use, theirs included.

    The exchange does not tell whose orders they are; so those count that the shortest window gained between two orders
    of ours without the second of them, a lower bound of what others sent.
    """

    felt_from: float

    def __call__(self, seen: Seen) -> Evidence:
        """Count them, and our orders that felt it."""
        others = 0
        before: dict[str, int] = {}
        counted = [request for request in seen.requests if request.get("counts")]
        for request in counted:
            market, used = request.get("market", ""), int(request["counts"][0][1])
            last = before.get(market)
            if last is not None:
                others += max(0, used - int(request.get("orders", 0)) - (last if last <= used else 0))
            before[market] = used
        felt = sum(_share_of_orders(request) >= self.felt_from for request in counted)
        ended = seen.total("tenant", "orders")
        return _evidence(min(ended, others, felt) > 0, orders=ended, of_others_at_least=others, felt=felt)


@dataclass(frozen=True, slots=True, kw_only=True)
class Lowered:
    """Requests were counted against a lower limit than before, and one found `felt_from` of it in use."""

    felt_from: float

    def __call__(self, seen: Seen) -> Evidence:
        """Compare the limit that each request met with the one in force before."""
        shares = [share for request in seen.requests for share in _shares_of_lowered(request, seen.limits_before)]
        felt = sum(share >= self.felt_from for share in shares)
        return _evidence(felt > 0, counted=len(shares), felt=felt, highest_percent=int(100 * max(shares, default=0)))


@dataclass(frozen=True, slots=True)
class Headerless:
    """Answers lacked their use headers, and would have had something to tell."""

    def __call__(self, seen: Seen) -> Evidence:
        """Count the answers to requests that were charged, if the exchange says that it left headers out."""
        left_out = seen.total("no_headers", "requests")
        charged = sum(
            request.get("after_ns", 0) >= 0 and bool(request.get("weight") or request.get("orders"))
            for request in seen.requests
        )
        return _evidence(left_out > 0 and charged > 0, answers=left_out, charged=charged)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """The exchange's own count of what the fault did, told when it ended, is not 0.

    `fills` (worse prices, or orders left short), `streams` (closed while somebody listened), `late` (executed after the
    answer), `told` (answers that told the fallen price).
    """

    kind: Kind
    count: str

    def __call__(self, seen: Seen) -> Evidence:
        """Sum it up."""
        total = seen.total(self.kind, self.count)
        return _evidence(total > 0, **{self.count: total})


def _share_of_weight(request: Fields) -> float:
    limit = request.get("limit", 0)
    return float(request.get("used", 0) / limit) if limit else 0.0


def _share_of_orders(request: Fields) -> float:
    return max((used / limit for _, used, limit in request.get("counts", ()) if limit), default=0.0)


def _shares_of_lowered(request: Fields, before: Limits) -> Iterator[float]:
    """Yield how much was in use of each limit that this request met and that is lower than before."""
    market = request.get("market", "")
    met = [(_WEIGHT, request.get("window_ms", 0), request.get("used", 0), request.get("limit", 0))]
    met += [(_ORDERS, window_ms, used, limit) for window_ms, used, limit in request.get("counts", ())]
    for type_, window_ms, used, limit in met:
        if 0 < limit < before.get((market, type_, window_ms), 0):
            yield used / limit


def _evidence(bit: bool, **counts: int) -> Evidence:
    return Evidence(bit=bit, counts={name: count for name, count in counts.items() if count})
