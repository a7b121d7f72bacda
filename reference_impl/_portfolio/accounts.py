"""Everything that the entries come to: a ledger for each symbol, and sums of fees, deposits and funding by asset. Pure.

Whoever calls sees to it that no entry is taken twice (the journal does); their order does not matter.
"""

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any, Final

from reference_impl._portfolio.errors import PriceError
from reference_impl._portfolio.exact import ZERO, add, figure, multiply, subtract
from reference_impl._portfolio.ledger import Ledger, Trade
from reference_impl._portfolio.model import Entry, Figures, Fill, FlowKind, PositionFigures, Valuation

FORMAT: Final = 1


class Accounts:
    """The state of a portfolio. `seq` is the journal's number of the last entry taken."""

    ledger_type: type[Ledger] = Ledger

    def __init__(self, quote: str, window: int) -> None:
        self.seq = 0
        self.ledgers: dict[str, Ledger] = {}
        self.fees: dict[str, Decimal] = {}
        self.flows: dict[FlowKind, dict[str, Decimal]] = {"TRANSFER": {}, "FUNDING_FEE": {}}
        self._quote = quote
        self._window = window

    def behind(self, entries: Iterable[Entry]) -> dict[str, int]:
        """Return the symbols on which one of these is older than the seal, and after which trade to renew them."""
        first: dict[str, int] = {}
        for entry in entries:
            if isinstance(entry, Fill):
                first[entry.symbol] = min(entry.trade_id, first.get(entry.symbol, entry.trade_id))
        known = {symbol: self.ledgers[symbol] for symbol in first if symbol in self.ledgers}
        bases = {symbol: ledger.behind(first[symbol]) for symbol, ledger in known.items()}
        return {symbol: base for symbol, base in bases.items() if base is not None}

    def take(self, entries: Iterable[Entry], seq: int, renewed: Mapping[str, Ledger]) -> None:
        """Take new entries, up to that number of the journal, all at once for whoever reads the figures.

        `renewed` are the ledgers of the symbols that are `behind`; they have their trades already.
        """
        self.ledgers |= renewed
        trades: dict[str, list[Trade]] = {}
        for entry in entries:
            if isinstance(entry, Fill):
                trades.setdefault(entry.symbol, []).append((entry.trade_id, entry.amount, entry.price))
                self.charge(entry)
            else:
                _book(self.flows[entry.kind], entry.asset, entry.amount)
        for symbol, added in trades.items():
            if symbol not in renewed:
                self._ledger(symbol).add(added)
        self.seq = seq

    def charge(self, fill: Fill) -> None:
        """Book the fee of a trade, in its own asset."""
        _book(self.fees, fill.fee_asset, fill.fee)

    def figures(self) -> Figures:
        """Return every figure."""
        return Figures(
            positions={
                symbol: PositionFigures(ledger.head.amount, ledger.head.cost, ledger.head.realised)
                for symbol, ledger in sorted(self.ledgers.items())
            },
            fees=dict(sorted(self.fees.items())),
            deposits=dict(sorted(self.flows["TRANSFER"].items())),
            funding=dict(sorted(self.flows["FUNDING_FEE"].items())),
        )

    def value(self, marks: Mapping[str, Decimal | str], rates: Mapping[str, Decimal | str]) -> Valuation:
        """Return what it is all worth.

        Raises:
            PriceError: An open position has no mark price, or an asset other than the quote no rate.
            EntryError: A price is none.

        """
        realised = unrealised = ZERO
        for symbol, ledger in self.ledgers.items():
            head = ledger.head
            realised = add(realised, head.realised)
            if head.amount:
                worth = multiply(head.amount, _price(marks, symbol, "mark price"))
                unrealised = add(unrealised, subtract(worth, head.cost))
        deposits, fees, funding = (
            self._in_quote(sums, rates) for sums in (self.flows["TRANSFER"], self.fees, self.flows["FUNDING_FEE"])
        )
        profit = subtract(add(add(realised, unrealised), funding), fees)
        return Valuation(
            deposits=deposits,
            realised=realised,
            unrealised=unrealised,
            fees=fees,
            funding=funding,
            equity=add(deposits, profit),
        )

    def as_json(self, journal: str) -> dict[str, Any]:
        """Return what `load` takes; `journal` is the identity of the one that holds the entries."""
        return {
            "journal": journal,
            "format": FORMAT,
            "seq": self.seq,
            "quote": self._quote,
            "fees": _texts(self.fees),
            "flows": {kind: _texts(sums) for kind, sums in self.flows.items()},
            "ledgers": {symbol: ledger.as_json() for symbol, ledger in self.ledgers.items()},
        }

    def load(self, saved: Mapping[str, Any], journal: str, last: int) -> None:
        """Become what was saved, of that journal, whose last entry has the number `last`.

        Raises:
            ValueError: It is of another format, quote asset or journal, or of more than there is in the journal, or
                makes no sense. Then begin with new accounts.

        """
        if (saved.get("format"), saved.get("quote"), saved.get("journal")) != (FORMAT, self._quote, journal):
            raise ValueError("it is of another format, quote asset or journal")
        if saved.get("seq", 0) > last:
            raise ValueError("it is of more than there is in the journal")
        try:
            self.seq = int(saved["seq"])
            self.fees = _decimals(saved["fees"])
            for kind in self.flows:
                self.flows[kind] = _decimals(saved["flows"][kind])
            for symbol, ledger in saved["ledgers"].items():
                self.ledgers[symbol] = self.ledger_type.from_json(ledger, self._window)
        except (KeyError, TypeError, AttributeError, ArithmeticError) as error:
            raise ValueError(f"it makes no sense: {error!r}") from error

    def _ledger(self, symbol: str) -> Ledger:
        ledger = self.ledgers.get(symbol)
        if ledger is None:
            ledger = self.ledgers[symbol] = self.ledger_type(self._window)
        return ledger

    def _in_quote(self, sums: Mapping[str, Decimal], rates: Mapping[str, Decimal | str]) -> Decimal:
        total = ZERO
        for asset, amount in sums.items():
            if amount:
                rate = Decimal(1) if asset == self._quote else _price(rates, asset, f"rate in {self._quote}")
                total = add(total, multiply(amount, rate))
        return total


def _price(prices: Mapping[str, Decimal | str], name: str, what: str) -> Decimal:
    if name not in prices:
        raise PriceError(f"{name} has no {what}")
    return figure(prices[name], f"the {what} of {name}")


def _book(sums: dict[str, Decimal], asset: str, amount: Decimal) -> None:
    sums[asset] = add(sums.get(asset, ZERO), amount)


def _texts(sums: Mapping[str, Decimal]) -> dict[str, str]:
    return {asset: str(amount) for asset, amount in sums.items()}


def _decimals(texts: Mapping[str, str]) -> dict[str, Decimal]:
    return {asset: Decimal(text) for asset, text in texts.items()}
