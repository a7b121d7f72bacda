"""The orders there are: by id, by client id (unique among the open ones only), resting by price and then time."""

from bisect import insort
from collections.abc import Iterator
from decimal import Decimal
from typing import Any, Final, Literal, TypeAlias

from harness.dependencies.binance.market.book import Side
from harness.dependencies.binance.market.symbols import Instrument, text

Status: TypeAlias = Literal["NEW", "PARTIALLY_FILLED", "FILLED", "CANCELED", "REJECTED", "EXPIRED", "EXPIRED_IN_MATCH"]
_OPEN: Final = ("NEW", "PARTIALLY_FILLED")
_ZERO: Final = Decimal(0)


class Order:
    """One order. `quote` is the sum of price * quantity filled; `price` 0 for market orders; `good_till_ms` 0: no end.

    `held` is what the account set aside for the rest of it (spot: of the asset it pays with; futures: margin).
    """

    __slots__ = (
        "amount_quote", "client_id", "created_ms", "executed", "good_till_ms", "held", "id", "instrument", "moved",
        "price", "quantity", "quote", "reduce_only", "response", "sequence", "side", "status", "time_in_force", "type",
        "updated_ms",
    )  # fmt: skip

    def __init__(self, instrument: Instrument, side: Side, kind: str, quantity: Decimal, price: Decimal) -> None:
        self.id = 0
        self.sequence = 0
        self.instrument = instrument
        self.side: Side = side
        self.type = kind
        self.time_in_force = "GTC"
        self.quantity = quantity
        self.amount_quote = _ZERO
        self.price = price
        self.client_id = ""
        self.reduce_only = False
        self.response = "ACK"
        self.good_till_ms = 0
        self.status: Status = "NEW"
        self.executed = _ZERO.quantize(instrument.quantity_unit)
        self.quote = _ZERO
        self.held = _ZERO
        self.moved = 0
        self.created_ms = self.updated_ms = 0

    @property
    def open(self) -> bool:
        """Whether anything may still happen to it."""
        return self.status in _OPEN

    @property
    def left(self) -> Decimal:
        """What is not executed."""
        return self.quantity - self.executed

    def observation(self) -> dict[str, Any]:
        """Return the fields of the `order` observation (control.py)."""
        told = {
            "symbol": self.instrument.symbol,
            "side": self.side,
            "order_id": self.id,
            "client_id": self.client_id,
            "status": self.status,
            "quantity": text(self.quantity),
            "type": self.type,
        }
        if self.executed:
            told["executed_quantity"] = text(self.executed)
        if self.reduce_only:
            told["reduce_only"] = True
        return told


class Orders:
    """All orders of one market. Ids rise by one from `first_id`."""

    def __init__(self, first_id: int) -> None:
        self.by_id: dict[int, Order] = {}
        self._next_id = first_id
        self._sequence = 0
        self._latest: dict[tuple[str, str], Order] = {}
        self._of_symbol: dict[str, list[Order]] = {}
        self._open: dict[str, dict[int, Order]] = {}
        self._resting: dict[tuple[str, Side], list[tuple[Decimal, int, Order]]] = {}
        self._versions: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self.by_id)

    def add(self, order: Order) -> None:
        """Give it an id (and a client id, if it has none) and keep it."""
        symbol = order.instrument.symbol
        order.id = self._next_id
        self._next_id += 1
        # What Binance makes up is 22 characters; these say where they come from, and repeat in a replay.
        order.client_id = order.client_id or f"emulated{order.id:014d}"
        self.by_id[order.id] = order
        self._latest[symbol, order.client_id] = order
        self._of_symbol.setdefault(symbol, []).append(order)
        self._open.setdefault(symbol, {})[order.id] = order

    def close(self, order: Order) -> None:
        """Forget that it was open; its status has changed."""
        self._open[order.instrument.symbol].pop(order.id, None)
        self.lift(order)

    def version(self, symbol: str) -> int:
        """Return how often the resting orders of a symbol have changed."""
        return self._versions.get(symbol, 0)

    def touch(self, symbol: str) -> None:
        """Count a change of the resting orders, as a fill of one."""
        self._versions[symbol] = self._versions.get(symbol, 0) + 1

    def rest(self, order: Order, place: int = 0) -> None:
        """Put it behind all resting orders of its price or better; or back where it was, with its former `sequence`."""
        self.touch(order.instrument.symbol)
        self._sequence += 1
        order.sequence = place or self._sequence
        key = -order.price if order.side == "BUY" else order.price
        insort(self._resting.setdefault((order.instrument.symbol, order.side), []), (key, order.sequence, order))

    def lift(self, order: Order) -> None:
        """Take it out of the book, if it is there."""
        if order.sequence:
            self.touch(order.instrument.symbol)
            queue = self._resting[order.instrument.symbol, order.side]
            queue[:] = [entry for entry in queue if entry[2] is not order]
            order.sequence = 0

    def resting(self, symbol: str, side: Side) -> list[Order]:
        """Return the resting orders of one side, best price first, then oldest."""
        queue = self._resting.get((symbol, side))
        return [entry[2] for entry in queue] if queue else []

    def best(self, symbol: str, side: Side) -> Decimal | None:
        """Return the best price of that side's resting orders."""
        queue = self._resting.get((symbol, side))
        return queue[0][2].price if queue else None

    def find(self, symbol: str, order_id: int | None, client_id: str | None) -> Order | None:
        """Return the order of that id, or the latest of that client id."""
        if order_id is not None:
            order = self.by_id.get(order_id)
            return order if order is not None and order.instrument.symbol == symbol else None
        return self._latest.get((symbol, client_id or ""))

    def is_taken(self, symbol: str, client_id: str) -> bool:
        """Whether an open order has that client id."""
        order = self._latest.get((symbol, client_id))
        return order is not None and order.open

    def open_of(self, symbol: str) -> list[Order]:
        """Return one symbol's open orders, oldest first."""
        return list(self._open.get(symbol, {}).values())

    def count_open(self, symbol: str) -> int:
        """Return how many of a symbol's orders are open."""
        return len(self._open.get(symbol, ()))

    def all_open(self) -> Iterator[Order]:
        """Return every open order."""
        for orders in self._open.values():
            yield from orders.values()

    def of(self, symbol: str) -> list[Order]:
        """Return all orders of a symbol, oldest first."""
        return self._of_symbol.get(symbol, [])
