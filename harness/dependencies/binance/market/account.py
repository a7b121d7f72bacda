"""What matching asks of an account, whichever market's: may it, set aside, book a fill, give back."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Final, NamedTuple, Protocol

from harness.dependencies.binance.market.book import Side, Take
from harness.dependencies.binance.market.orders import Order

CENT: Final = Decimal("0.00000001")
"""The last place of any amount of money."""


class Booked(NamedTuple):
    """What a fill came to: the fee and its asset, and (futures) the profit it realised before fees."""

    commission: Decimal
    asset: str
    realised: Decimal


class Fill(NamedTuple):
    """One fill of one order."""

    trade_id: int
    order_id: int
    client_id: str
    symbol: str
    side: Side
    price: Decimal
    quantity: Decimal
    quote: Decimal
    maker: bool
    time_ms: int
    booked: Booked


class Account(Protocol):
    """One market's account."""

    def reducible(self, order: Order) -> Decimal:
        """Return how much of a position the order's side would close (spot: 0)."""

    def reserve(self, order: Order, plan: Sequence[Take], touch: Decimal) -> None:
        """Set aside what the rest of the order needs, or raise `Reject`; `plan` is what it would take at once.

        `touch` is the best price on the other side, or the price.
        """

    def book(self, order: Order, price: Decimal, quantity: Decimal, *, maker: bool, now_ms: int) -> Booked:
        """Book a fill; the order's own figures still are those before it."""

    def release(self, order: Order) -> None:
        """Give back what is still set aside."""
