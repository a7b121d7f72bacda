"""What happens to an order: it takes what it may, rests or expires; it is filled later, cancelled, changed.

One client trades here, against the book's makers. Its own orders never trade with each other: a resting one that an
order would meet expires (EXPIRE_MAKER, status EXPIRED_IN_MATCH). Among resting orders the better price goes first, then
the older; `Book` sees to it that nothing overtakes them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from heapq import heappop, heappush
from typing import Final, Protocol

from harness.dependencies.binance.gate.errors import DUPLICATE_SPOT_ORDER, Reject
from harness.dependencies.binance.market.account import Account, Fill
from harness.dependencies.binance.market.book import Book, Side, Take
from harness.dependencies.binance.market.listing import MARKET_TAKE_BOUND, MAX_OPEN_ORDERS
from harness.dependencies.binance.market.orders import Order, Orders, Status
from harness.dependencies.binance.settings import Market

_ZERO: Final = Decimal(0)
_MANY: Final = Decimal(10) ** 12
FIRST_TRADE_ID: Final = 1_000_000
MAX_CHANGES: Final = 10_000
"""How often one order may be modified (documented)."""


class Reporter(Protocol):
    """Who is told, for the record and for user streams."""

    def executed(self, order: Order, execution: str, now_ms: int, fill: Fill | None = None) -> None:
        """Something happened to an order: NEW, TRADE, CANCELED, EXPIRED, AMENDMENT."""

    def settled(self, order: Order) -> None:
        """An order has come to a new status, for now."""


@dataclass(frozen=True, slots=True)
class Result:
    """What placing an order came to: its fills, and whether a fault made them worse or fewer."""

    fills: tuple[Fill, ...]
    worse: bool


class Matching:
    """One market's orders against its books."""

    def __init__(
        self, market: Market, books: Mapping[str, Book], orders: Orders, account: Account, reporter: Reporter
    ) -> None:
        self.market: Market = market
        self.fills: list[Fill] = []
        self.fills_of: dict[str, list[Fill]] = {symbol: [] for symbol in books}
        self._books = books
        self._orders = orders
        self._account = account
        self._reporter = reporter
        self._trade_ids = dict.fromkeys(books, FIRST_TRADE_ID)
        self._good_till: list[tuple[int, int]] = []
        self._reducing: dict[str, set[int]] = {symbol: set() for symbol in books}

    def advance(self, now_ms: int) -> None:
        """Expire the orders whose time is over."""
        while self._good_till and self._good_till[0][0] <= now_ms:
            order = self._orders.by_id[heappop(self._good_till)[1]]
            if order.open:
                self.close(order, "EXPIRED", now_ms)

    def place(self, order: Order, now_ms: int, move_bps: Decimal = _ZERO) -> Result:
        """Accept a checked order and match it. Raises `Reject`."""
        plan = self.plan(order, now_ms, move_bps)
        self._orders.add(order)
        order.created_ms = order.updated_ms = now_ms
        if order.good_till_ms:
            heappush(self._good_till, (order.good_till_ms, order.id))
        self._reporter.executed(order, "NEW", now_ms)
        self._reporter.settled(order)
        if order.time_in_force == "FOK" and _total(plan) < order.quantity:
            plan = []
        worse = self._is_worse(order, plan, moved=move_bps > 0)
        return Result(self._match(order, plan, now_ms), worse)

    def plan(self, order: Order, now_ms: int, move_bps: Decimal = _ZERO) -> list[Take]:
        """Check an order against the market as it is, set aside what it needs, and return what it would take."""
        symbol = order.instrument.symbol
        book = self._books[symbol]
        book.advance(now_ms)
        if order.client_id and self._orders.is_taken(symbol, order.client_id):
            raise Reject(-4116) if self.market == "futures" else Reject.of(DUPLICATE_SPOT_ORDER)
        if self._orders.count_open(symbol) >= MAX_OPEN_ORDERS:
            raise Reject(-2025) if self.market == "futures" else Reject(-1013, filter="MAX_NUM_ORDERS")
        if order.reduce_only and not self._account.reducible(order):
            raise Reject(-2022)
        if move_bps:
            book.retreat(order.side, move_bps, now_ms)
        plan = self._would_take(order)
        if self._is_post_only(order) and self._would_cross(order, plan):
            raise (
                Reject(-5022) if self.market == "futures" else Reject(-2010, "Order would immediately match and take.")
            )
        if order.time_in_force == "FOK" and self.market == "futures" and _total(plan) < order.left:
            raise Reject(-5021)
        self._account.reserve(order, plan, plan[0].price if plan else book.price)
        return plan

    def spend(self, order: Order, now_ms: int) -> Decimal:
        """Return the quantity that a market order gets for its amount of the quote asset (spot)."""
        book, step, budget = self._books[order.instrument.symbol], order.instrument.step, order.amount_quote
        book.advance(now_ms)
        bought = _ZERO
        for _, price, there in book.plan(order.side, _MANY, self._limit(order, book), self._barrier(order)):
            some = min((budget / price / step).to_integral_value(ROUND_FLOOR) * step, there)
            bought += some
            budget -= some * price
            if some < there:
                break
        return bought

    def close(self, order: Order, status: Status, now_ms: int) -> None:
        """End an open order: cancelled, or expired."""
        order.status = status
        order.updated_ms = now_ms
        self._orders.close(order)
        self._account.release(order)
        self._reducing[order.instrument.symbol].discard(order.id)
        self._reporter.executed(order, "EXPIRED" if status != "CANCELED" else status, now_ms)
        self._reporter.settled(order)

    def change(self, order: Order, quantity: Decimal, price: Decimal, now_ms: int) -> tuple[Fill, ...]:
        """Give an open limit order another quantity and price; it goes to the back of the queue.

        As documented it is cancelled instead if no more than `quantity` was left to fill, or if a post-only order would
        take. Raises `Reject`, and leaves the order as it was.
        """
        if (quantity, price) == (order.quantity, order.price):
            raise Reject(-5027)
        if order.moved >= MAX_CHANGES:
            raise Reject(-5026)
        was, place = (order.quantity, order.price), order.sequence
        self._orders.lift(order)  # or it would stand in its own way
        order.quantity, order.price = quantity, price
        plan = self._would_take(order)
        if quantity <= order.executed or (self._is_post_only(order) and self._would_cross(order, plan)):
            order.quantity, order.price = was
            self.close(order, "CANCELED", now_ms)
            return ()
        self._account.release(order)
        try:
            book = self._books[order.instrument.symbol]
            self._account.reserve(order, plan, plan[0].price if plan else book.price)
        except Reject:
            order.quantity, order.price = was
            self._account.reserve(order, (), order.price)
            self._orders.rest(order, place)
            raise
        order.moved += 1
        order.updated_ms = now_ms
        self._reporter.executed(order, "AMENDMENT", now_ms)
        return self._match(order, plan, now_ms)

    def reprice(self, symbol: str, price: Decimal, now_ms: int) -> None:
        """Set the price, and fill the resting orders that it reaches, at their own price, as far as the book has it."""
        book = self._books[symbol]
        book.set_price(price)
        for side in ("BUY", "SELL"):
            for order in self._orders.resting(symbol, side):
                wanted = self._wanted(order)
                if not order.open or not wanted:
                    continue  # a reduce-only order that an earlier fill of this loop has left without a position
                plan = book.plan(side, wanted, order.price)
                if not plan:
                    break
                book.take(side, plan, now_ms)
                self._fill(order, order.price, _total(plan), maker=True, now_ms=now_ms)
                self._reporter.settled(order)
                self._trim(symbol, now_ms)

    def _match(self, order: Order, plan: Sequence[Take], now_ms: int) -> tuple[Fill, ...]:
        self._expire_met(order, plan, now_ms)
        first = len(self.fills)
        for _, price, quantity in plan:
            self._fill(order, price, quantity, maker=False, now_ms=now_ms)
        self._books[order.instrument.symbol].take(order.side, plan, now_ms)
        if order.open and (order.type == "MARKET" or order.time_in_force in ("IOC", "FOK")):
            self.close(order, "EXPIRED", now_ms)
        elif order.open:
            self._orders.rest(order)
            if order.reduce_only:
                self._reducing[order.instrument.symbol].add(order.id)
            if plan:
                self._reporter.settled(order)
        else:
            self._reporter.settled(order)
        if plan:
            self._trim(order.instrument.symbol, now_ms)
        return tuple(self.fills[first:])

    def _fill(self, order: Order, price: Decimal, quantity: Decimal, *, maker: bool, now_ms: int) -> None:
        what = order.instrument
        booked = self._account.book(order, price, quantity, maker=maker, now_ms=now_ms)
        quote = price * quantity
        order.executed += quantity
        order.quote += quote
        order.updated_ms = now_ms
        order.status = "FILLED" if order.executed == order.quantity else "PARTIALLY_FILLED"
        if order.sequence:
            self._orders.touch(what.symbol)
        trade_id = self._trade_ids[what.symbol] = self._trade_ids[what.symbol] + 1
        fill = Fill(
            trade_id, order.id, order.client_id, what.symbol, order.side, price, quantity, quote, maker, now_ms, booked
        )  # fmt: skip
        self.fills.append(fill)
        self.fills_of[what.symbol].append(fill)
        if order.status == "FILLED":
            self._orders.close(order)
            self._account.release(order)
            self._reducing[what.symbol].discard(order.id)
        self._reporter.executed(order, "TRADE", now_ms, fill)

    def _would_take(self, order: Order) -> list[Take]:
        book = self._books[order.instrument.symbol]
        return book.plan(order.side, self._wanted(order), self._limit(order, book), self._barrier(order))

    def _wanted(self, order: Order) -> Decimal:
        return min(order.left, self._account.reducible(order)) if order.reduce_only else order.left

    def _limit(self, order: Order, book: Book) -> Decimal:
        """Return the worst price it may take: its own, or for a market order the bound around the price."""
        if order.price:
            return order.price
        tick = order.instrument.tick
        if order.side == "BUY":
            return (book.price * (1 + MARKET_TAKE_BOUND) / tick).to_integral_value(ROUND_FLOOR) * tick
        return (book.price * (1 - MARKET_TAKE_BOUND) / tick).to_integral_value(ROUND_CEILING) * tick

    def _barrier(self, order: Order) -> Decimal | None:
        return self._orders.best(order.instrument.symbol, order.side)

    def _is_post_only(self, order: Order) -> bool:
        return order.time_in_force == "GTX" or order.type == "LIMIT_MAKER"

    def _would_cross(self, order: Order, plan: Sequence[Take]) -> bool:
        return bool(plan) or bool(self._met(order, plan))

    def _met(self, order: Order, plan: Sequence[Take]) -> list[Order]:
        """Return the client's own resting orders that this one would come to, before it has all it wants."""
        symbol = order.instrument.symbol
        other: Side = "SELL" if order.side == "BUY" else "BUY"
        if self._orders.best(symbol, other) is None:
            return []
        limit = self._limit(order, self._books[symbol])
        rising = order.side == "BUY"
        met = []
        for each in self._orders.resting(symbol, other):
            beyond = each.price > limit if rising else each.price < limit
            cheaper = sum(
                (t.quantity for t in plan if (t.price < each.price if rising else t.price > each.price)), _ZERO
            )
            if beyond or cheaper >= order.left:
                break
            met.append(each)
        return met

    def _expire_met(self, order: Order, plan: Sequence[Take], now_ms: int) -> None:
        for each in self._met(order, plan):
            self.close(each, "EXPIRED_IN_MATCH", now_ms)

    def _trim(self, symbol: str, now_ms: int) -> None:
        """Expire resting reduce-only orders that have nothing left to reduce."""
        for order_id in sorted(self._reducing[symbol]):
            order = self._orders.by_id[order_id]
            if order.open and not self._account.reducible(order):
                self.close(order, "EXPIRED", now_ms)

    def _is_worse(self, order: Order, plan: Sequence[Take], *, moved: bool) -> bool:
        """Whether a thin book or a moved price has cost this order anything; it has not been filled yet."""
        book = self._books[order.instrument.symbol]
        if not moved and book.factor is None:
            return False
        usual = book.plan(order.side, self._wanted(order), self._limit(order, book), self._barrier(order), whole=True)
        short = _total(plan) < _total(usual)
        paid = sum((take.price * take.quantity for take in plan), _ZERO)
        due = sum((take.price * take.quantity for take in usual), _ZERO)
        return short or (paid > due if order.side == "BUY" else paid < due)


def _total(plan: Sequence[Take]) -> Decimal:
    return sum((take.quantity for take in plan), _ZERO)
