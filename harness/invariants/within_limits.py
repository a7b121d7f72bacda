"""A client that is limited keeps within the limits, those of others on the same IP included.

Judged from what the exchange recorded (exchange_record.py). Two things no client can help, and they are no offence:

- *What was under way.* An answer takes a moment to arrive and to be acted upon: `margin`, one for each world.
- *What it could not know.* Others use the same limits, and only answers tell how much. Let `a` be the last answer in
  the same window that told the use and was sent at least a margin before request `r`. What `r` found used, less what
  `a` told, less what this client itself sent since, is *unseen*; an excess beyond the limit is an offence as far as it
  exceeds the unseen. So a client that believes the counters can break a limit by what others did since, and by nothing
  else; one that does not read them, or counts requests instead of weight, breaks it by its own doing. A lowered limit
  is known once an answer of exchangeInfo, or a refusal (429), was sent under it.
"""

import heapq
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from harness.history.history import History
from harness.invariants.base import none_of
from harness.invariants.exchange_record import ExchangeRecord, Request, margin_ns, read_exchange
from harness.invariants.findings import Moment, at, counted, finding
from harness.units import human, ms
from harness.verdict import Finding, InvariantResult

Counts: TypeAlias = tuple[tuple[int, int, int], ...]
"""Length of the window in ms, use and limit of each counter of orders."""

_TOO_MANY_ORDERS: Final = -1015
_UNTOLD: Final = ("no_headers", "firewall")
"""Kinds of armed faults whose answers tell no use."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WithinLimits:
    """No request finds more used than the limit, but for what the client could not know.

    Observed: offending requests. Checked: requests that were counted, once for each counter.
    """

    id: str
    name: str
    statement: str
    margin_ns: int
    real_margin_ns: int
    exchange: str = "binance"
    needs_end: bool = True

    def judge(self, history: History) -> InvariantResult:
        """Judge each counter by itself."""
        record = read_exchange(history, self.exchange)
        margin = margin_ns(history, self.margin_ns, self.real_margin_ns)
        meters: dict[tuple[str, str, int], _Meter] = {}
        offences: list[_Excess] = []
        checked = 0
        counted_last: dict[str, Counts] = {}
        for request in record.requests:
            for reading in _readings(request, counted_last.get(request.market, ())):
                checked += 1
                key = (request.market, reading.counter, reading.window_ms)
                meter = meters.setdefault(key, _Meter(record, margin, believed=reading.limit))
                excess = meter.excess(reading)
                if excess is not None:
                    offences.append(excess)
            if request.counts:
                counted_last[request.market] = request.counts
        return none_of(
            self,
            offences,
            checked=checked,
            unit="requests",
            explain=lambda: self._explain(history, offences),
        )

    def _explain(self, history: History, offences: Sequence["_Excess"]) -> Finding:
        worst = max(offences, key=lambda one: one.reading.used / one.reading.limit)
        reading = worst.reading
        sentence = (
            f"{counted(len(offences), 'request')} beyond a limit (limit 0): {reading.counter} reached {reading.used} "
            f"of {reading.limit} per {human(ms(reading.window_ms))}, unseen of it {max(0, worst.unseen)}"
        )
        return finding(
            history,
            sentence,
            offences,
            label=lambda one: at(f"{one.reading.counter} {one.reading.used}", one.reading.request.time_ns),
            moments=_Excess.moments,
            badness=lambda one: one.reading.used / one.reading.limit,
        )


@dataclass(frozen=True, slots=True)
class _Reading:
    """What one request found on one counter, itself included; `charge` is its own part."""

    request: Request
    counter: str
    window_ms: int
    used: int
    limit: int
    charge: int
    others: int


def _readings(request: Request, counts_before: Counts) -> Iterator[_Reading]:
    """Yield its readings. An order that was refused, and by no fault, is the one too many for what was full before."""
    if request.limit:
        yield _Reading(
            request, "weight", request.window_ms, request.used, request.limit, request.weight, request.others
        )
    if request.code == _TOO_MANY_ORDERS and not request.fault:
        for window_ms, used, limit in request.counts or counts_before:
            if used >= limit:
                yield _Reading(request, "orders", window_ms, used + 1, limit, 1, 0)
        return
    for window_ms, used, limit in request.counts:
        yield _Reading(request, "orders", window_ms, used, limit, request.orders, 0)


@dataclass(frozen=True, slots=True)
class _Excess:
    reading: _Reading
    unseen: int
    known: tuple[int, int] | None

    def moments(self) -> Iterator[Moment]:
        if self.known is not None:
            answered_ns, used = self.known
            yield Moment(answered_ns, "binance", f"told: {self.reading.counter} used {used}", self.reading.counter)
        reading = self.reading
        text = f"{reading.request}: {reading.counter} used {reading.used} of {reading.limit}"
        yield Moment(reading.request.time_ns, "binance", text, reading.counter, offending=True)


@dataclass(slots=True)
class _Meter:
    """Follows one counter over its windows, and what the client could know of it."""

    record: ExchangeRecord
    margin: int
    believed: int
    _spent: int = 0
    _own: int = 0
    _last_ns: int = 0
    _known: tuple[int, int, int] | None = None
    _pending: list[tuple[int, int, int, int]] = field(default_factory=list)
    _limits: list[tuple[int, int]] = field(default_factory=list)

    def excess(self, reading: _Reading) -> "_Excess | None":
        """Take in one reading; return what of it is an offence."""
        request = reading.request
        mine = reading.used - reading.others
        if mine < self._spent + reading.charge or self.record.died_between(self._last_ns, request.time_ns):
            self._own, self._known = 0, None
            self._pending.clear()
        self._spent, self._last_ns = mine, request.time_ns
        self._own += reading.charge
        self._learn(request.time_ns)
        answered_ns, used, own = self._known or (0, 0, 0)
        unseen = reading.used - used - (self._own - own)
        excess = reading.used - max(reading.limit, self.believed)
        self._note(reading)
        if excess <= max(0, unseen):
            return None
        return _Excess(reading, unseen, (answered_ns, used) if self._known else None)

    def _learn(self, now_ns: int) -> None:
        """Believe the answers that had a margin to arrive."""
        while self._pending and self._pending[0][0] + self.margin <= now_ns:
            answered_ns, _, used, own = heapq.heappop(self._pending)
            if self._known is None or self._known[2] <= own:
                self._known = (answered_ns, used, own)
        while self._limits and self._limits[0][0] + self.margin <= now_ns:
            _, self.believed = heapq.heappop(self._limits)

    def _note(self, reading: _Reading) -> None:
        """Keep what this request's answer tells, until it can have arrived."""
        request = reading.request
        if not self.record.told(request):
            return
        if request.fault not in _UNTOLD:
            heapq.heappush(self._pending, (request.answered_ns, request.at, reading.used, self._own))
        if request.status == 429 or (request.path.endswith("/exchangeInfo") and request.status == 200):  # noqa: PLR2004 - HTTP
            heapq.heappush(self._limits, (request.answered_ns, reading.limit))


def within_limits(*, margin_ns: int = ms(50), real_margin_ns: int = ms(500), id: str = "RL3") -> WithinLimits:  # noqa: A002
    """Declare that the exchange's counters stay within 100 %, but for what nobody could know."""
    statement = "the exchange's own counters never exceed 100 %, others on the IP included"
    return WithinLimits(
        id=id, name="within-limits", statement=statement, margin_ns=margin_ns, real_margin_ns=real_margin_ns
    )
