"""What portfolios were given and what they said, step by step, read once per history.

A book is known by its name. What it *must* hold is what it acked: the entries of each batch that ended well. A batch
that failed with a reason changed nothing. One whose outcome nobody knows (the host died, an error without a reason) is
in doubt until it comes again and is acked; until then the book may hold a beginning of it, and is only judged at its
next start. So is what a comparison may have taken that was cut off. What a book fetched itself, by reconciling, is
taken from the exchange's own record of fills, up to the trade that it says it came to.

In the history a fill is [symbol, id, time, signed amount, price, fee, asset], a flow [type, id, time, amount, asset].
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction
from functools import lru_cache
from typing import Any, Final, Literal, TypeAlias, cast

from harness.dependencies.binance.market.account import CENT
from harness.dependencies.binance.market.futures import MAKER, TAKER
from harness.history.events import Fields, Observation
from harness.history.history import History
from harness.history.query import OperationRecord, observations, operations
from harness.invariants.findings import Moment
from harness.invariants.portfolio_oracle import Ledger, Method, Standing

Kind: TypeAlias = Literal["apply", "reload", "snapshot", "reconcile"]
Key: TypeAlias = tuple[str, int]
_NAMES: Final[tuple[Kind, ...]] = ("apply", "reload", "snapshot", "reconcile")
_PARTS: Final = ("deposits", "realised", "unrealised", "fees", "funding", "equity")


@lru_cache(maxsize=1 << 16)
def number(text: str) -> Fraction:
    """Return a figure of the history as a fraction; the same texts come again and again."""
    return Fraction(text)


@dataclass(frozen=True, slots=True)
class Expected:
    """What the oracle says, at the prices of the step. `worth`: equity, computed without any convention of cost."""

    positions: Mapping[str, Standing]
    fees: Mapping[str, Fraction]
    deposits: Mapping[str, Fraction]
    funding: Mapping[str, Fraction]
    unrealised: Fraction
    worth: Fraction


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One operation that ended well.

    `held` stands for the set of entries that the book must hold; `sure`: no batch is in doubt. `fresh`: how many of the
    batch's entries were not acked before. `missing`: trades that it must have found missing, had it reconciled, but
    perhaps for those `in_doubt`: a step before it that may have taken them did not say so. `possible`, at a start: what
    it may hold besides `expected`, if batches were in doubt.
    """

    book: str
    kind: Kind
    record: OperationRecord
    said: Fields
    held: int
    sure: bool
    fresh: int
    expected: Expected
    possible: tuple[Expected, ...] = ()
    missing: tuple[Key, ...] = ()
    in_doubt: frozenset[Key] = frozenset()

    @property
    def time_ns(self) -> int:
        """When it ended."""
        return self.record.end_ns or self.record.start_ns

    @property
    def label(self) -> str:
        """What it is called in findings."""
        delivery = self.record.value.get("n", -1)
        return f"{self.book} {self.kind}{f' {delivery}' if delivery >= 0 else ''}"

    @property
    def entries(self) -> list[Any]:
        """What the batch held; none but for `apply`."""
        return _entries(self.record.value)

    def figures(self) -> dict[str, Any]:
        """Return what the book said of its figures, without prices; equal figures are equal, however written."""
        return {
            "positions": {symbol: list(map(read, row)) for symbol, row in self.said["positions"].items()},
            **{sums: {asset: read(one) for asset, one in self.said[sums].items()} for sums in _SUMS},
        }

    def value(self) -> dict[str, Fraction | str]:
        """Return equity and its parts, as it said."""
        return dict(zip(_PARTS, map(read, self.said["value"]), strict=True))

    def moment(self, what: str, *, offending: bool = False) -> Moment:
        """Return the row of a finding's timeline."""
        return Moment(self.time_ns, self.record.actor, what, self.label, offending=offending)


_SUMS: Final = ("fees", "deposits", "funding")


def read(text: str) -> Fraction | str:
    """Return a figure that a target told; what is none (NaN) stays text, and equals nothing."""
    try:
        return number(text)
    except (ValueError, ZeroDivisionError):
        return text


def read_steps(history: History) -> tuple[Step, ...]:
    """Return every step of every book, in the order in which they ended; computed once per history."""
    return history.once("portfolio_steps", lambda: tuple(_read(history)))


@dataclass(slots=True)
class _Book:
    """One book as it must be."""

    name: str
    ledger: Ledger = field(default_factory=Ledger)
    keys: set[Key] = field(default_factory=set)
    held: int = 0
    doubts: list[Fields] = field(default_factory=list)
    comparing: bool = False
    """A comparison was cut off, and may have taken any of the trades that there were, in the order of their symbols."""

    def take(self, batch: Fields) -> int:
        """Take what is new of a batch; return how much that was."""
        before = len(self.keys)
        for entry in _entries(batch):
            key = _key(entry)
            if key not in self.keys:
                self.keys.add(key)
                self.held ^= _mark(*key)
                _book(self.ledger, entry)
        return len(self.keys) - before

    def doubt(self, *batches: Fields) -> None:
        """Have these in doubt, with what was before: as far as there is anything in them that was not acked since."""
        doubts = [*self.doubts, *batches]
        self.doubts = [one for one in doubts if any(_key(entry) not in self.keys for entry in _entries(one))]

    def copy(self) -> "_Book":
        """Return one of the same entries; dear, and only wanted when batches are in doubt."""
        other = _Book(self.name, Ledger(self.ledger.method))
        other.keys, other.held = set(self.keys), self.held
        for symbol, position in self.ledger.positions.items():
            other.ledger.positions[symbol] = position.copy()
        for sums in _SUMS:
            getattr(other.ledger, sums).update(getattr(self.ledger, sums))
        return other

    def expected(self, prices: Fields) -> Expected:
        """Return what it must say at these prices."""
        marks, rates, ledger = prices["marks"], prices["rates"], self.ledger
        standings = {symbol: position.standing() for symbol, position in ledger.positions.items()}
        unrealised = worth = Fraction(0)
        for symbol, position in ledger.positions.items():
            amount = position.amount
            here = amount * number(marks[symbol]) if amount else Fraction(0)
            unrealised += here - standings[symbol].cost
            worth += here - position.spent
        deposits, fees, funding = (in_quote(getattr(ledger, sums), rates) for sums in ("deposits", "fees", "funding"))
        return Expected(
            standings,
            dict(ledger.fees),
            dict(ledger.deposits),
            dict(ledger.funding),
            unrealised,
            worth + deposits - fees + funding,
        )


def in_quote(sums: Mapping[str, Fraction], rates: Mapping[str, str]) -> Fraction:
    """Return sums by asset as one in the quote asset, which has no rate."""
    return sum((one * number(rates.get(asset, "1")) for asset, one in sums.items()), Fraction(0))


def _read(history: History) -> Iterator[Step]:
    books: dict[str, _Book] = {}
    fills = [seen for seen in observations(history, "fill") if "trade_id" in seen.value]
    ended = [one for name in _NAMES for one in operations(history, name) if "book" in one.value]
    for record in sorted(ended, key=lambda one: one.start_at if one.end_at is None else one.end_at):
        book = books.setdefault(str(record.value["book"]), _Book(str(record.value["book"])))
        kind = cast("Kind", record.name)
        if record.outcome != "ok" or record.result is None:
            if record.outcome == "info" and kind == "apply":
                book.doubts.append(record.value)
            elif record.outcome == "info" and kind == "reconcile":
                if record.end_ns is None:
                    book.comparing = True
                else:
                    book.doubt(_there(fills, record.end_ns + 1))
            continue
        if book.comparing and kind == "reload":
            book.comparing = False
            book.doubts.append(_there(fills, record.start_ns))
        step = _step(book, kind, record, record.result, fills)
        if kind == "reconcile":  # it has gone through everything that an earlier one may have taken
            book.comparing = False
        yield step


def _step(book: _Book, kind: Kind, record: OperationRecord, said: Fields, fills: Sequence[Observation]) -> Step:
    fresh = 0
    missing: tuple[Key, ...] = ()
    in_doubt: frozenset[Key] = frozenset()
    possible: tuple[Expected, ...] = ()
    if kind == "apply":
        fresh = book.take(record.value)
        book.doubt()
    elif kind == "reconcile":
        batch = _executed(fills, said["through"])
        missing = tuple(_key(entry) for entry in batch["fills"] if _key(entry) not in book.keys)
        in_doubt = frozenset(_key(entry) for doubt in book.doubts for entry in _entries(doubt))
        book.take(batch)
        book.doubt()
    elif kind == "reload":
        if not book.keys and "method" in said:
            book.ledger.method = cast("Method", said["method"])
        possible = tuple(_possible(book, record.value)) if book.doubts else ()
    return Step(
        book=book.name,
        kind=kind,
        record=record,
        said=said,
        held=book.held,
        sure=not book.doubts and not book.comparing,
        fresh=fresh,
        expected=book.expected(record.value),
        possible=possible,
        missing=missing,
        in_doubt=in_doubt,
    )


def _possible(book: _Book, prices: Fields) -> Iterator[Expected]:
    """Yield what a book may hold if it has taken a beginning of what is in doubt."""
    trial = book.copy()
    for batch in book.doubts:
        for entry in _entries(batch):
            if trial.take({"fills": [entry]}):
                yield trial.expected(prices)


_FILL: Final = 7


def _entries(batch: Fields) -> list[Any]:
    return [*batch.get("fills", ()), *batch.get("flows", ())]


def _key(entry: Sequence[Any]) -> Key:
    return str(entry[0]), int(entry[1])


def _book(ledger: Ledger, entry: Sequence[Any]) -> None:
    if len(entry) == _FILL:
        symbol, trade_id, _, amount, price, fee, asset = entry
        ledger.trade(symbol, (int(trade_id), number(amount), number(price)), number(fee), asset)
    else:
        kind, _, _, amount, asset = entry
        ledger.flow(kind, number(amount), asset)


@lru_cache(maxsize=1 << 16)
def _mark(name: str, number_: int) -> int:
    """Return a number that stands for an entry; those of a set, combined, stand for the set."""
    return int.from_bytes(hashlib.blake2b(f"{name}/{number_}".encode(), digest_size=16).digest(), "big")


def _there(fills: Sequence[Observation], before_ns: int) -> Fields:
    """Return all of the exchange's fills before that time, by symbol: what a comparison goes through."""
    through = {str(one.value["symbol"]): int(one.value["trade_id"]) for one in fills if one.time_ns < before_ns}
    batch = _executed(fills, through)
    return {**batch, "fills": sorted(batch["fills"], key=lambda one: (one[0], one[1]))}


def _executed(fills: Sequence[Observation], through: Mapping[str, int]) -> Fields:
    """Return the exchange's own fills, up to those trades. It charges what its fee schedule says, to eight places."""
    found: list[list[Any]] = []
    for seen in fills:
        one = seen.value
        if int(one["trade_id"]) > through.get(one["symbol"], -1):
            continue
        price, quantity = Decimal(one["price"]), Decimal(one["quantity"])
        fee = (price * quantity * (MAKER if one.get("maker") else TAKER)).quantize(CENT)
        signed = quantity if one["side"] == "BUY" else -quantity
        row = [one["symbol"], one["trade_id"], 0, str(signed), str(price), str(fee), "USDT"]
        found.append(row)
    return {"fills": found, "flows": []}
