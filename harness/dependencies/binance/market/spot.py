"""The spot account: free and locked balances by asset. Fees of the lowest tier, taken from what a fill brings in.

An order locks what it could cost (its limit times what is left, or what a market order is about to take), rounded up
to the last place, and pays rounded down: so what is locked always suffices, and nothing goes below zero.
"""

from collections.abc import Iterable, Sequence
from decimal import ROUND_CEILING, ROUND_DOWN, Decimal
from typing import Final

from harness.dependencies.binance.gate.errors import Reject
from harness.dependencies.binance.market.account import CENT, Booked
from harness.dependencies.binance.market.book import Take
from harness.dependencies.binance.market.orders import Order

COMMISSION: Final = Decimal("0.001")
_ZERO: Final = Decimal(0).quantize(CENT)


class SpotAccount:
    """The account; `assets` are all that are traded, and have a balance of 0 at least."""

    def __init__(self, balance: Decimal, assets: Iterable[str]) -> None:
        self.free = dict.fromkeys(assets, _ZERO)
        self.locked = dict.fromkeys(self.free, _ZERO)
        self.fees = dict.fromkeys(self.free, _ZERO)
        self.free["USDT"] = balance.quantize(CENT)
        self.updated_ms = 0

    def reducible(self, order: Order) -> Decimal:  # noqa: ARG002 - spot has no positions
        """See `Account`."""
        return _ZERO

    def reserve(self, order: Order, plan: Sequence[Take], touch: Decimal) -> None:
        """See `Account`; -2010 when the balance does not suffice."""
        del touch
        if order.side == "SELL":
            amount = order.left
        elif order.price:
            amount = order.price * order.left
        else:
            amount = sum((price * quantity for _, price, quantity in plan), _ZERO)
        amount = amount.quantize(CENT, ROUND_CEILING)
        asset = _paid_in(order)
        if amount > self.free[asset]:
            raise Reject(-2010)
        self.free[asset] -= amount
        self.locked[asset] += amount
        order.held = amount

    def book(self, order: Order, price: Decimal, quantity: Decimal, *, maker: bool, now_ms: int) -> Booked:
        """See `Account`."""
        del maker
        what = order.instrument
        paid = (price * quantity).quantize(CENT, ROUND_DOWN)
        out, into, gain = (paid, what.base, quantity) if order.side == "BUY" else (quantity, what.quote, paid)
        fee = (gain * COMMISSION).quantize(CENT)
        asset = _paid_in(order)
        self.locked[asset] -= out
        order.held -= out
        self.free[into] += gain - fee
        self.fees[into] += fee
        if order.side == "BUY" and order.price:  # a better price than the limit leaves too much locked
            self._unlock(order, order.held - (order.price * (order.left - quantity)).quantize(CENT, ROUND_CEILING))
        self.updated_ms = now_ms
        return Booked(fee, into, _ZERO)

    def release(self, order: Order) -> None:
        """See `Account`."""
        self._unlock(order, order.held)

    def _unlock(self, order: Order, amount: Decimal) -> None:
        asset = _paid_in(order)
        self.locked[asset] -= amount
        self.free[asset] += amount
        order.held -= amount


def _paid_in(order: Order) -> str:
    return order.instrument.quote if order.side == "BUY" else order.instrument.base
