"""What the adapters around foreign clients share: the report, and the error that says that a call certainly failed."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import Any, Literal

BPS = Decimal(10_000)
FILLED = Decimal("0.9")


class RefusedError(Exception):
    """The client said that the exchange refused; `reason` says why. Whatever else it raises passes as it is."""

    def __init__(self, reason: str, error: Exception) -> None:
        super().__init__(f"{reason}: {error}")
        self.reason = reason


@asynccontextmanager
async def call(deadline_s: float, reason_of: Callable[[Exception], str | None]) -> AsyncIterator[None]:
    """End what is done inside by the deadline; raise `RefusedError` for what certainly failed, and why."""
    try:
        async with asyncio.timeout(deadline_s):
            yield
    except Exception as error:
        reason = reason_of(error)
        if reason is None:
            raise
        raise RefusedError(reason, error) from error


@dataclass(frozen=True, slots=True)
class Report:
    """As much as the client's own answer says: one order was sent, and this is what became of it."""

    intent: str
    status: Literal["filled", "partial", "abandoned"]
    filled: Decimal
    missing: Decimal
    average_price: Decimal | None
    reason: str
    attempts: int = 1


def report(intent: str | None, quantity: Decimal, filled: Decimal, average: Decimal | None) -> Report:
    """Return the report of an order that was answered."""
    missing = quantity - filled
    status: Literal["filled", "partial", "abandoned"] = "abandoned"
    if filled >= quantity * FILLED:
        status = "filled"
    elif filled:
        status = "partial"
    return Report(intent or "", status, filled, missing, average, "slippage" if missing else "")


def worst_price(side: str, decision_price: Decimal, slippage_bps: int, tick: Decimal) -> Decimal:
    """Return the limit of an order that may slip so far from the price that was decided on, in whole ticks."""
    sign, rounding = (1, ROUND_FLOOR) if side == "BUY" else (-1, ROUND_CEILING)
    price = decision_price * (1 + sign * slippage_bps / BPS)
    return (price / tick).quantize(Decimal(1), rounding) * tick


def tick_of(info: Mapping[str, Any], symbol: str) -> Decimal:
    """Return a symbol's tick as exchangeInfo has it."""
    rules = next(known["filters"] for known in info["symbols"] if known["symbol"] == symbol)
    return Decimal(next(rule["tickSize"] for rule in rules if rule["filterType"] == "PRICE_FILTER"))
