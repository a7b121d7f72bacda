"""The lots of one symbol, first in, first out. Pure.

Why lots and not an average price: an average is a quotient. Kept exactly it is a fraction whose denominator grows with
every purchase that follows a sale, without bound until the position is flat once; rounded, it is wrong. A lot is closed
at the difference of two prices that were paid, so that every figure is a decimal of a few digits, and can be explained
by two trades. Both conventions agree on position, equity, fees and funding at all times, and on what was realised
whenever the position is flat. Memory: open lots; neighbours of one price are one lot.
"""

from collections import deque
from decimal import Decimal
from typing import Self

from reference_impl._portfolio.exact import ZERO, add, multiply, subtract


class Book:
    """The open lots of one symbol, and what the closed ones came to.

    `lots` are (amount, price), the oldest first, all long or all short; `amount` and `cost` are their sums.
    """

    __slots__ = ("amount", "cost", "lots", "realised")

    def __init__(self) -> None:
        self.amount = ZERO
        self.cost = ZERO
        self.realised = ZERO
        self.lots: deque[tuple[Decimal, Decimal]] = deque()

    def copy(self) -> Self:
        """Return a book that goes its own way."""
        other = type(self)()
        other.amount, other.cost, other.realised = self.amount, self.cost, self.realised
        other.lots = self.lots.copy()
        return other

    def take(self, amount: Decimal, price: Decimal) -> None:
        """Take a trade of that signed amount: it closes the oldest lots of the other side; what is left opens one."""
        self.amount = add(self.amount, amount)
        lots = self.lots
        while lots and amount and (lots[0][0] > 0) is not (amount > 0):
            held, paid = lots[0]
            left = add(held, amount)
            if left and (left > 0) is (held > 0):
                self._close(amount.copy_negate(), paid, price)
                lots[0] = (left, paid)
                return
            self._close(held, paid, price)
            lots.popleft()
            amount = left
        if amount:
            self.open(amount, price)

    def open(self, amount: Decimal, price: Decimal) -> None:
        """Add a lot, or to the newest one."""
        self.cost = add(self.cost, multiply(amount, price))
        if self.lots and self.lots[-1][1] == price:
            amount = add(self.lots.pop()[0], amount)
        self.lots.append((amount, price))

    def _close(self, amount: Decimal, paid: Decimal, price: Decimal) -> None:
        """Close so much of a lot."""
        self.realised = add(self.realised, multiply(amount, subtract(price, paid)))
        self.cost = subtract(self.cost, multiply(amount, paid))
