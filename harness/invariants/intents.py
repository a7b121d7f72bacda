"""What became of each intent: the orders and fills that the exchange saw for it, and what the target reported.

A target may choose its own client order ids, so orders are attributed by *lanes*: a scenario works on one intent at a
time for each symbol, and every new order on a symbol belongs to the intent that was last begun there. Fills belong to
the intent of their order. Symbols on which no intent was ever begun (of resting orders, say) are left out.

A report is what the operation returned, or what a later `reconciled` observation says of the intent.
"""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from harness.history.history import History
from harness.history.query import OperationRecord, observations, operations
from harness.invariants.exchange_record import Fill, Request, read_exchange


@dataclass(frozen=True, slots=True)
class Report:
    """What the target said of one intent. `source` is `result` or `reconciled`."""

    time_ns: int
    source: str
    status: str
    filled: Decimal
    missing: Decimal
    reason: str

    def __str__(self) -> str:
        why = f", {self.reason}" if self.reason else ""
        return f"{self.source}: {self.status}, filled {self.filled}, missing {self.missing}{why}"


@dataclass(slots=True)
class Intent:
    """One intent. `attempts` are the POSTs of its orders; `calls` its operations, more than one after a crash."""

    key: str
    symbol: str
    side: str
    quantity: Decimal
    decision_price: Decimal | None
    limit_bps: int
    calls: list[OperationRecord] = field(default_factory=list)
    attempts: list[Request] = field(default_factory=list)
    fills: list[Fill] = field(default_factory=list)
    reports: list[Report] = field(default_factory=list)

    def filled(self, until_ns: int | None = None) -> Decimal:
        """Return how much the exchange filled, in all or until that time."""
        taken = (fill.quantity for fill in self.fills if until_ns is None or fill.time_ns <= until_ns)
        return sum(taken, Decimal(0))

    @property
    def start_ns(self) -> int:
        """When it was first asked for."""
        return self.calls[0].start_ns


def read_intents(history: History, exchange: str = "binance") -> tuple[Intent, ...]:
    """Return the intents in the order in which they were begun; computed once per history."""
    return history.once(("intents", exchange), lambda: _read(history, exchange))


def _read(history: History, exchange: str) -> tuple[Intent, ...]:
    intents: dict[str, Intent] = {}
    lanes: dict[str, list[tuple[int, Intent]]] = {}
    for call in operations(history, "execute"):
        key = str(call.value["key"])
        intent = intents.get(key)
        if intent is None:
            intent = intents[key] = _intent(key, call.value)
        intent.calls.append(call)
        lanes.setdefault(intent.symbol, []).append((call.start_ns, intent))
        if call.result is not None and call.end_ns is not None:
            intent.reports.append(_report(call.end_ns, "result", call.result))
    _attribute(history, exchange, lanes)
    for seen in observations(history, "reconciled"):
        for key, fields in seen.value["intents"].items():
            if key in intents:
                intents[key].reports.append(_report(seen.time_ns, "reconciled", fields))
    for intent in intents.values():
        intent.reports.sort(key=lambda report: report.time_ns)
    return tuple(intents.values())


def _attribute(history: History, exchange: str, lanes: Mapping[str, Sequence[tuple[int, Intent]]]) -> None:
    """Give each new order, and each fill, to the intent that it belongs to."""
    record = read_exchange(history, exchange)
    owner: dict[tuple[str, int], Intent] = {}
    for request in record.requests:
        if request.is_order and (intent := _begun_last(lanes.get(request.symbol, ()), request.time_ns)):
            intent.attempts.append(request)
            if request.order_id:
                owner.setdefault((request.symbol, request.order_id), intent)
    for fill in record.fills:
        lane = lanes.get(fill.symbol, ())
        holder = owner.get((fill.symbol, fill.order_id)) or _begun_last(lane, fill.time_ns)
        if holder is not None:
            holder.fills.append(fill)


def _begun_last(lane: Sequence[tuple[int, Intent]], time_ns: int) -> Intent | None:
    at = bisect_right(lane, time_ns, key=lambda begun: begun[0])
    return lane[at - 1][1] if at else None


def _intent(key: str, value: Mapping[str, Any]) -> Intent:
    price = value.get("decision_price")
    return Intent(
        key=key,
        symbol=str(value["symbol"]),
        side=str(value["side"]),
        quantity=Decimal(value["quantity"]),
        decision_price=None if price is None else Decimal(price),
        limit_bps=int(value.get("limit_bps", 0)),
    )


def _report(time_ns: int, source: str, fields: Mapping[str, Any]) -> Report:
    return Report(
        time_ns,
        source,
        str(fields["status"]),
        Decimal(fields["filled"]),
        Decimal(fields["missing"]),
        str(fields.get("reason") or ""),
    )
