"""The USD-M account: one wallet in USDT, one-way cross-margined positions, margin set aside for open orders.

Fees are those of the lowest tier. There is no funding and no liquidation: the emulator's subject is orders, and a
wallet may go below zero instead. Margin of open orders is the sum over all orders of what they would open; Binance
nets the two sides, so that this is never laxer.

A position's cost is kept exactly. When part of it is closed, its share of the cost is rounded to eight places, so that
realised profit plus remaining cost is at all times exactly what was paid and received.
"""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Final

from harness.dependencies.binance.gate.errors import Reject
from harness.dependencies.binance.market.account import CENT, Booked
from harness.dependencies.binance.market.book import Book, Take
from harness.dependencies.binance.market.orders import Order
from harness.dependencies.binance.market.symbols import Instrument

TAKER: Final = Decimal("0.0005")
MAKER: Final = Decimal("0.0002")
MAINTENANCE: Final = Decimal("0.004")
"""Maintenance margin rate of the first bracket."""
DEFAULT_LEVERAGE: Final = 20
_ZERO: Final = Decimal(0)


class Position:
    """One symbol's position. `amount` is negative when short; `cost` is what its opening came to, signed likewise."""

    __slots__ = ("amount", "cost", "instrument", "isolated", "leverage", "realised", "updated_ms")

    def __init__(self, instrument: Instrument) -> None:
        self.instrument = instrument
        self.amount = _ZERO
        self.cost = _ZERO
        self.realised = _ZERO
        self.leverage = DEFAULT_LEVERAGE
        self.isolated = False
        self.updated_ms = 0

    @property
    def entry(self) -> Decimal:
        """Average price of its opening; 0 when flat."""
        return self.cost / self.amount if self.amount else _ZERO

    def trade(self, amount: Decimal, price: Decimal) -> Decimal:
        """Add a signed amount at a price; return the profit realised."""
        before = self.amount
        if before == 0 or (before > 0) == (amount > 0):
            self.amount += amount
            self.cost += amount * price
            return _ZERO
        closed = min(abs(before), abs(amount))
        share = self.cost if closed == abs(before) else (self.cost * closed / abs(before)).quantize(CENT)
        received = closed * price if before > 0 else -closed * price
        profit = received - share
        self.cost -= share
        self.amount += amount
        if (rest := abs(amount) - closed) > 0:
            self.cost = rest * price if amount > 0 else -rest * price
        self.realised += profit
        return profit


class FuturesAccount:
    """The account; see the module."""

    def __init__(self, balance: Decimal, books: Mapping[str, Book]) -> None:
        self.wallet = balance.quantize(CENT)
        self.fees = _ZERO
        self.held = _ZERO
        self.positions = {symbol: Position(book.instrument) for symbol, book in books.items()}
        self.updated_ms = 0
        self._books = books

    def reducible(self, order: Order) -> Decimal:
        """See `Account`."""
        amount = self.positions[order.instrument.symbol].amount
        return max(-amount if order.side == "BUY" else amount, _ZERO)

    def reserve(self, order: Order, plan: Sequence[Take], touch: Decimal) -> None:
        """See `Account`; -2019 when the margin does not suffice."""
        del plan
        if order.reduce_only:
            return
        position = self.positions[order.instrument.symbol]
        opening = order.left - min(self.reducible(order), order.left)
        price = order.price if order.side == "BUY" and order.price else max(order.price, touch)
        margin = (opening * price / position.leverage).quantize(CENT)
        if margin > 0 and margin > self.available():
            raise Reject(-2019)
        order.held = margin
        self.held += margin

    def book(self, order: Order, price: Decimal, quantity: Decimal, *, maker: bool, now_ms: int) -> Booked:
        """See `Account`."""
        if order.held:
            freed = (order.held * quantity / order.left).quantize(CENT)
            order.held -= freed
            self.held -= freed
        position = self.positions[order.instrument.symbol]
        profit = position.trade(quantity if order.side == "BUY" else -quantity, price)
        fee = (price * quantity * (MAKER if maker else TAKER)).quantize(CENT)
        self.wallet += profit - fee
        self.fees += fee
        position.updated_ms = self.updated_ms = now_ms
        return Booked(fee, order.instrument.quote, profit)

    def release(self, order: Order) -> None:
        """See `Account`."""
        self.held -= order.held
        order.held = _ZERO

    def open_positions(self) -> list[Position]:
        """Return the positions that are not flat."""
        return [position for position in self.positions.values() if position.amount]

    def mark(self, symbol: str) -> Decimal:
        """Return the mark price: the price, as there is no other market to take an index from."""
        return self._books[symbol].price

    def unrealised(self, position: Position) -> Decimal:
        """Return what closing at the mark price would bring."""
        return position.amount * self.mark(position.instrument.symbol) - position.cost

    def notional(self, position: Position) -> Decimal:
        """Return the position's worth at the mark price, negative when short."""
        return position.amount * self.mark(position.instrument.symbol)

    def margin(self, position: Position) -> Decimal:
        """Return its initial margin."""
        return abs(self.notional(position)) / position.leverage

    def available(self) -> Decimal:
        """Return what new margin may be taken from."""
        left = self.wallet - self.held
        for position in self.positions.values():
            if position.amount:
                left += self.unrealised(position) - self.margin(position)
        return left
