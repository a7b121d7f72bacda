"""An order as the exchange shows it, in answers to POST, GET and DELETE."""

from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any, Final

_OPEN: Final = frozenset({"NEW", "PARTIALLY_FILLED", "PENDING_NEW"})
_ENDED: Final = frozenset({"FILLED", "CANCELED", "REJECTED", "EXPIRED", "EXPIRED_IN_MATCH"})


@dataclass(frozen=True, slots=True)
class OrderView:
    """`quote`: price times quantity of the fills; None where the answer does not tell.

    Answers to POST and DELETE have borne neither `avgPrice` nor `cumQuote` since 2026-07; those to GET do.
    """

    open: bool
    executed: Decimal
    quote: Decimal | None


def view(data: Any, client_id: str) -> OrderView | None:
    """Return the order in an answer, or None if the answer is not about that order or makes no sense."""
    try:
        if data["clientOrderId"] != client_id or data["status"] not in _OPEN | _ENDED:
            return None
        executed = Decimal(data["executedQty"])
        return OrderView(data["status"] in _OPEN, executed, _quote(data, executed))
    except (KeyError, TypeError, InvalidOperation):
        return None


def _quote(data: Any, executed: Decimal) -> Decimal | None:
    if not executed:
        return Decimal(0)
    if (quote := Decimal(data.get("cumQuote") or 0)) > 0:
        return quote
    average = Decimal(data.get("avgPrice") or 0)
    return average * executed if average > 0 else None
