"""The trades of one symbol in the exchange's order, whatever order they arrive in. Pure.

On one symbol the exchange numbers trades as it makes them (`fromId` pages by that), so that the order of ids is the
order of time, and needs no clock. Trades that arrive in order cost the same whatever went before. The newest `window`
to `2 * window` of them are kept beside the book that was closed before them: a late trade among these is put in its
place, and they are taken again. One that is older than the seal needs the journal: `Ledger.add` says so, and a ledger
is made anew of all trades of the symbol, which is as exact and takes a second for 100,000.
"""

from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any, Final, Self, TypeAlias

from reference_impl._portfolio.book import Book

Trade: TypeAlias = tuple[int, Decimal, Decimal]
"""Trade id, signed amount, price."""
_CHUNK: Final = 1_000


class Ledger:
    """One symbol: `head` is the book after all trades, `sealed` the one before those in `window`."""

    __slots__ = ("_size", "head", "sealed", "sealed_id", "window")

    book_type: type[Book] = Book

    def __init__(self, size: int) -> None:
        self._size = size
        self.sealed = self.book_type()
        self.sealed_id = -1
        self.head = self.book_type()
        self.window: list[Trade] = []

    @classmethod
    def of(cls, trades: Iterable[Trade], size: int) -> Self:
        """Return the ledger of these trades, which come in order."""
        ledger = cls(size)
        chunk: list[Trade] = []
        for trade in trades:
            chunk.append(trade)
            if len(chunk) == _CHUNK:
                ledger.add(chunk)
                chunk = []
        if chunk:
            ledger.add(chunk)
        return ledger

    def add(self, trades: Sequence[Trade]) -> bool:
        """Take trades that were not taken before; return False, and change nothing, if one is older than the seal."""
        ordered = sorted(trades)
        if ordered[0][0] <= self.sealed_id:
            return False
        if self.window and ordered[0][0] < self.window[-1][0]:
            self.window = sorted([*self.window, *ordered])
            self.replay()
        else:
            for _, amount, price in ordered:
                self.head.take(amount, price)
            self.window += ordered
        if len(self.window) >= 2 * self._size:
            self._seal(self.window[: -self._size])
            del self.window[: -self._size]
        return True

    def replay(self) -> None:
        """Take the trades of the window again, after the sealed ones."""
        self.head = self.sealed.copy()
        for _, amount, price in self.window:
            self.head.take(amount, price)

    def _seal(self, trades: Sequence[Trade]) -> None:
        for _, amount, price in trades:
            self.sealed.take(amount, price)
        self.sealed_id = trades[-1][0]

    def as_json(self) -> dict[str, Any]:
        """Return what `from_json` makes the same ledger of."""
        return {
            "sealed_id": self.sealed_id,
            "realised": str(self.sealed.realised),
            "lots": [[str(amount), str(price)] for amount, price in self.sealed.lots],
            "window": [[trade_id, str(amount), str(price)] for trade_id, amount, price in self.window],
        }

    @classmethod
    def from_json(cls, saved: dict[str, Any], size: int) -> Self:
        """Return the ledger that was saved. Raises `KeyError`, `TypeError`, `ValueError` or `ArithmeticError`."""
        ledger = cls(size)
        ledger.sealed_id = saved["sealed_id"]
        for amount, price in saved["lots"]:
            ledger.sealed.take(Decimal(amount), Decimal(price))
        ledger.sealed.realised = Decimal(saved["realised"])
        ledger.window = [(trade_id, Decimal(amount), Decimal(price)) for trade_id, amount, price in saved["window"]]
        ledger.replay()
        return ledger
