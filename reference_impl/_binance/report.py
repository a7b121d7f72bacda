"""What is wanted, what was sent for it, and what became of it: plain values."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Literal, TypeAlias

from reference_impl._binance.symbols import Side

Status: TypeAlias = Literal["filled", "partial", "rejected", "abandoned", "unknown"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What is wanted. `limit`: no fill may be worse than it. `resting`: left in the book instead of filled at once."""

    intent: str
    symbol: str
    side: Side
    quantity: Decimal
    limit: Decimal
    reduce_only: bool = False
    resting: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One order that was sent, or was about to be.

    `expires_ms`: from this instant of the exchange's clock on it cannot be accepted any more. `settled`: what became
    of it is final. `quote`: price times quantity over its fills, None while unknown. `open`: seen resting in the book.
    """

    number: int
    client_id: str
    quantity: Decimal
    price: Decimal
    expires_ms: int
    settled: bool = False
    executed: Decimal = Decimal(0)
    quote: Decimal | None = None
    open: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class End:
    """How an intent ended, for now or for good; see `ExecutionReport` for the two fields."""

    status: Status
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutionReport:
    """What became of one intent: as much as is known, and never more than the exchange confirmed.

    - `status`: `filled` (at least 90 %), `partial` (less), `rejected` (a terminal error, nothing filled), `abandoned`
      (given up, nothing filled) or `unknown` (an order may be alive that could not be asked about yet).
    - `reason`: why something is missing: `slippage`, `min_notional`, `lot_size`, `deadline`, `unavailable`,
      `unreachable`, `rate_limited`, `banned`, `clock`, `blocked`, `journal`, `restart`, `unknown`, or the exchange's
      code.
    - `average_price`: over all fills; None without any, and in the rare case that the exchange did not tell.
    - `attempts`: orders sent.
    """

    intent: str
    status: Status
    filled: Decimal
    missing: Decimal
    average_price: Decimal | None = None
    reason: str = ""
    attempts: int = 0
    client_order_ids: Sequence[str] = field(default=())


def report(order: Order, attempts: Sequence[Attempt], end: End) -> ExecutionReport:
    """Sum up."""
    filled = sum((attempt.executed for attempt in attempts), Decimal(0))
    quotes = [attempt.quote for attempt in attempts if attempt.executed]
    known = [quote for quote in quotes if quote is not None]
    return ExecutionReport(
        intent=order.intent,
        status=end.status,
        filled=filled,
        missing=order.quantity - filled,
        average_price=sum(known, Decimal(0)) / filled if filled and len(known) == len(quotes) else None,
        reason=end.reason if filled < order.quantity else "",
        attempts=len(attempts),
        client_order_ids=tuple(attempt.client_id for attempt in attempts),
    )
