"""Orders that rest: placing, cancelling, withdrawing; and the price at the touch."""

import asyncio
import time
from decimal import Decimal, InvalidOperation
from typing import Final

from reference_impl._binance.channel import Call
from reference_impl._binance.execution import Execution
from reference_impl._binance.faults import BinanceError, Reason, RejectedError, UnsettledError
from reference_impl._binance.order_view import view
from reference_impl._binance.reader import Reader
from reference_impl._binance.report import End
from reference_impl._binance.symbols import Side
from reference_impl._binance.weights import DEPTH, ORDER
from reference_impl.retry import RetryPolicy

_WINDOW_MS: Final = 5_000
_PAUSE: Final = 0.2
_LEVELS: Final = 5
_ATTEMPT: Final = 60.0
_REASONS: Final[dict[str, Reason]] = {
    "rate_limited": "rate_limited",
    "banned": "banned",
    "deadline": "deadline",
    "unreachable": "unreachable",
    "blocked": "blocked",
    "journal": "journal",
    "closed": "closed",
}


async def touch(reader: Reader, symbol: str, side: Side, deadline: float) -> Decimal:
    """Return the best price that an order of that side could trade at. Raises `BinanceError`.

    Depth of 5 levels rather than the book ticker: both weigh 2.
    """
    book = await reader.read(Call(method="GET", path=DEPTH, params={"symbol": symbol, "limit": _LEVELS}), deadline)
    try:
        return Decimal(book["asks" if side == "BUY" else "bids"][0][0])
    except (KeyError, TypeError, IndexError, InvalidOperation) as error:
        raise BinanceError("unavailable", f"there is no price to {side} {symbol} at") from error


async def cancel(reader: Reader, symbol: str, client_order_id: str, deadline: float) -> Decimal:
    """Cancel an order; return how much of it was executed. Raises `BinanceError`.

    A cancel may be repeated at will. When there is nothing to cancel the order is asked for: it may have ended, or the
    first cancel worked and its answer was lost. An order that the exchange does not know has executed nothing: it keeps
    those that have.
    """
    while True:
        for method in ("DELETE", "GET"):
            call = _order_call(method, symbol, client_order_id)
            outcome = await reader.settle(call, deadline, absent=True)
            order = view(outcome.data, client_order_id) if outcome.kind == "done" else None
            if order is not None and not order.open:
                return order.executed
        if outcome.kind == "absent":
            return Decimal(0)
        if time.monotonic() + _PAUSE >= deadline:
            raise BinanceError("deadline", f"the order on {symbol} is still open")
        await asyncio.sleep(_PAUSE)


async def withdraw(reader: Reader, symbol: str, client_order_id: str, policy: RetryPolicy) -> None:
    """Cancel an order that may not have arrived yet, once it has or cannot any more."""
    await asyncio.sleep((policy.recv_window_ms + policy.settle_ms) / 1_000)
    while True:
        try:
            await cancel(reader, symbol, client_order_id, time.monotonic() + _ATTEMPT)
        except BinanceError as error:
            if error.reason in ("rejected", "closed"):
                return
            await asyncio.sleep(_PAUSE)
        else:
            return


def placed(machine: Execution, end: End) -> str:
    """Return the client order id of the order that was left in the book. Raises `BinanceError` if there is none."""
    if (unsettled := machine.unsettled) is not None:
        raise UnsettledError("whether the order was placed is not known", client_order_id=unsettled.client_id)
    for attempt in machine.attempts:
        if attempt.open or attempt.executed:
            return attempt.client_id
    text = f"the order on {machine.order.symbol} was not placed: {end.reason}"
    if end.status == "rejected":
        code = int(end.reason) if end.reason.lstrip("-").isdigit() else None
        raise RejectedError(text, code=code)
    raise BinanceError(_REASONS.get(end.reason, "unavailable"), text)


def _order_call(method: str, symbol: str, client_order_id: str) -> Call:
    params = {"symbol": symbol, "origClientOrderId": client_order_id}
    return Call(method=method, path=ORDER, params=params, window_ms=_WINDOW_MS, risk=True, timeout=2.0)
