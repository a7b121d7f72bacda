"""The trades of one symbol in the exchange's order, whatever order they arrive in. Pure.

On one symbol the exchange numbers trades as it makes them (`fromId` pages by that), so that the order of ids is the
order of time, and needs no clock. Trades that arrive in order cost the same whatever went before. The newest `size` to
`2 * size` of them are kept beside the book that was sealed before them: a late trade among these is put in its place,
and they are taken again. For one that is older than the seal the trades since then must be read from the journal
(`behind` says so, `renewed` takes them), beginning at a checkpoint: books of earlier seals, the older the fewer, so
that being late costs about as much as it is late. Checkpoints are not in snapshots: the first trade that is very late
after a new start has all trades of its symbol read, a second for about 100,000.
"""

from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any, Final, NamedTuple, Self, TypeAlias

from reference_impl._portfolio.book import Book

Trade: TypeAlias = tuple[int, Decimal, Decimal]
"""Trade id, signed amount, price."""
_CHUNK: Final = 1_000
_LOTS_MAX: Final = 10_000
"""A book of more lots is no checkpoint: memory is worth more than the time that it would save."""


class Checkpoint(NamedTuple):
    """The book at a seal: the seal's number, the last trade id before it, the book, which nobody changes."""

    seal: int
    last_id: int
    book: Book


class Ledger:
    """One symbol: `head` is the book after all trades, `sealed` the one before those in `window`."""

    __slots__ = ("_checkpoints", "_seals", "_size", "head", "sealed", "sealed_id", "window")

    book_type: type[Book] = Book

    def __init__(self, size: int, checkpoints: Sequence[Checkpoint] = ()) -> None:
        self._size = size
        self._checkpoints = list(checkpoints)
        self._seals, self.sealed_id, sealed = checkpoints[-1] if checkpoints else Checkpoint(0, -1, self.book_type())
        self.sealed, self.head = sealed.copy(), sealed.copy()
        self.window: list[Trade] = []

    def behind(self, trade_id: int) -> int | None:
        """Return None if a trade of that id can be added. It cannot if it is older than the seal.

        Then return after which trade the ledger must be renewed: the last one before a checkpoint, or -1.
        """
        if trade_id > self.sealed_id:
            return None
        return max((one.last_id for one in self._checkpoints if one.last_id < trade_id), default=-1)

    def renewed(self, base: int, trades: Iterable[Trade]) -> Self:
        """Return the ledger whose trades after `base` are these, which come in order."""
        ledger = type(self)(self._size, [one for one in self._checkpoints if one.last_id <= base])
        chunk: list[Trade] = []
        for trade in trades:
            chunk.append(trade)
            if len(chunk) == _CHUNK:
                ledger.add(chunk)
                chunk = []
        if chunk:
            ledger.add(chunk)
        return ledger

    def add(self, trades: Sequence[Trade]) -> None:
        """Take trades that were not taken before, none of them `behind`."""
        ordered = sorted(trades)
        assert ordered[0][0] > self.sealed_id
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

    def replay(self) -> None:
        """Take the trades of the window again, after the sealed ones."""
        self.head = self.sealed.copy()
        for _, amount, price in self.window:
            self.head.take(amount, price)

    def _seal(self, trades: Sequence[Trade]) -> None:
        for _, amount, price in trades:
            self.sealed.take(amount, price)
        self.sealed_id = trades[-1][0]
        self._seals += 1
        if len(self.sealed.lots) <= _LOTS_MAX:
            self._checkpoints.append(Checkpoint(self._seals, self.sealed_id, self.sealed.copy()))
        self._checkpoints = [one for one in self._checkpoints if one.seal % _spacing(self._seals - one.seal) == 0]

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


def _spacing(age: int) -> int:
    """Return how far apart checkpoints of that age, in seals, are kept: two to four in each octave."""
    return 1 << max(0, age.bit_length() - 2)
