"""Portfolios that are the reference but for one decision each, or the plan's sketch: the harness must catch all."""

import asyncio
import contextlib
import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, Protocol

from reference_impl._portfolio.accounts import Accounts
from reference_impl._portfolio.book import Book
from reference_impl._portfolio.exact import display
from reference_impl._portfolio.journal import Journal
from reference_impl._portfolio.ledger import Ledger, Trade
from reference_impl._portfolio.model import Entry, Fill, Valuation
from reference_impl._portfolio.reconciler import Reconciler
from reference_impl._portfolio.reconciling import Reconciliation, read_page
from reference_impl._portfolio.snapshot import SnapshotFile
from reference_impl.flawed._planned_portfolio import PlannedPortfolio, planned
from reference_impl.portfolio import Portfolio

_COMMIT_EVERY: Final = 5


class Factory(Protocol):
    """Makes portfolios, as `reference_impl.portfolio.make` does."""

    def __call__(self, *, directory: Path, name: str, **options: Any) -> Portfolio | PlannedPortfolio:
        """Make one."""


class _RoundingBook(Book):
    """Rounds to cents with every trade, as a ledger for people does."""

    def take(self, amount: Decimal, price: Decimal) -> None:
        super().take(amount, price)
        self.realised = display(self.realised)


class _WrongOnFlipBook(Book):
    """Opens what is left after a flip at the price of the position that it closed."""

    __slots__ = ("_paid",)

    def take(self, amount: Decimal, price: Decimal) -> None:
        self._paid = self.lots[-1][1] if self.lots else price
        super().take(amount, price)

    def open(self, amount: Decimal, price: Decimal) -> None:
        super().open(amount, price if self.lots else self._paid)


class _RoundingLedger(Ledger):
    book_type = _RoundingBook


class _WrongOnFlipLedger(Ledger):
    book_type = _WrongOnFlipBook


class _ArrivalLedger(Ledger):
    """Takes trades as they come."""

    def add(self, trades: Sequence[Trade]) -> None:
        for _, amount, price in trades:
            self.sealed.take(amount, price)
        self.replay()


class _PunctualLedger(Ledger):
    """Takes only what is newer than all it has: what comes late must have been seen before."""

    def behind(self, trade_id: int) -> int | None:
        del trade_id
        return None

    def add(self, trades: Sequence[Trade]) -> None:
        last = self.window[-1][0] if self.window else -1
        if newer := [trade for trade in trades if trade[0] > last]:
            super().add(newer)


class _RoundingAccounts(Accounts):
    ledger_type = _RoundingLedger


class _WrongOnFlipAccounts(Accounts):
    ledger_type = _WrongOnFlipLedger


class _ArrivalAccounts(Accounts):
    ledger_type = _ArrivalLedger


class _PunctualAccounts(Accounts):
    ledger_type = _PunctualLedger


class _OneFeeAccounts(Accounts):
    """Takes every fee for one in the quote asset."""

    def charge(self, fill: Fill) -> None:
        super().charge(fill._replace(fee_asset=self._quote))


class _LastTradeAccounts(Accounts):
    """Values positions at the last trade, which may have been hours ago."""

    def value(self, marks: Mapping[str, Decimal | str], rates: Mapping[str, Decimal | str]) -> Valuation:
        last = {symbol: ledger.window[-1][2] for symbol, ledger in self.ledgers.items() if ledger.window}
        return super().value({**marks, **last}, rates)


class _ForgettingJournal(Journal):
    """Knows no repetition at all."""

    def sift(self, entries: Sequence[Entry]) -> list[Entry]:
        return list(entries)


class _ForgetfulJournal(Journal):
    """Knows repetitions of what came since the start only."""

    def open(self) -> None:
        super().open()
        self._first = self.last
        self._seen: set[Entry] = set()

    def sift(self, entries: Sequence[Entry]) -> list[Entry]:
        new = super().sift(entries)
        old = set(self._of_earlier_lives()) - self._seen
        again = [entry for entry in entries if entry in old]
        self._seen.update(again)
        return [*new, *again]

    def _of_earlier_lives(self) -> list[Entry]:
        return [entry for entry, seq in self.since(0, self._first) if seq <= self._first]


class _LazyJournal(Journal):
    """Commits every few batches: a sync for each is slow."""

    _batches = 0

    def close(self) -> None:
        if self._db is not None and self._db.in_transaction:
            self._db.execute("COMMIT")
        super().close()

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        db = self._opened()
        if not db.in_transaction:
            db.execute("BEGIN IMMEDIATE")
        yield db
        self._batches += 1
        if self._batches % _COMMIT_EVERY == 1:
            db.execute("COMMIT")


class _TornSnapshot(SnapshotFile):
    """Writes over the file in place, one line after the other, and believes the lines that it finds."""

    async def save(self, state: Mapping[str, Any]) -> None:
        content = self.encode(state)
        half = len(content) // 2
        await asyncio.to_thread(self.path.write_bytes, content[:half])
        with await asyncio.to_thread(self.path.open, "ab") as file:
            file.write(content[half:])

    @staticmethod
    def encode(state: Mapping[str, Any]) -> bytes:
        ledgers: Mapping[str, Any] = state["ledgers"]
        lines = [{**state, "ledgers": {}}, *({symbol: one} for symbol, one in ledgers.items())]
        return b"".join(json.dumps(line).encode() + b"\n" for line in lines)

    @staticmethod
    def decode(content: bytes) -> Mapping[str, Any] | None:
        state: dict[str, Any] | None = None
        for line in content.splitlines():
            with contextlib.suppress(ValueError):
                found = json.loads(line)
                if state is None:
                    state = found if isinstance(found, dict) and "ledgers" in found else None
                else:
                    state["ledgers"].update(found)
        return state


class _IdleReconciler(Reconciler):
    """Reads the exchange's trades, and takes none of them."""

    async def compare(self, symbol: str) -> int:
        after = (await self.read(self.journal.verified)).get(symbol, -1)
        page = await read_page(self.get, symbol, after + 1, self.quote, self.deadline_s)
        if page:
            await self.read(self.journal.verify, symbol, page[-1].trade_id)
        return len(page)


class _CarelessReconciler(Reconciler):
    """Passes on what the exchange's adapter raises, and with it a reason, whatever was taken by then."""

    async def run(self, symbols: Sequence[str], rates: Mapping[str, Decimal | str]) -> Reconciliation:
        return await self._compared(symbols, rates)


class _RoundingPortfolio(Portfolio):
    accounts_type = _RoundingAccounts


class _WrongOnFlipPortfolio(Portfolio):
    accounts_type = _WrongOnFlipAccounts


class _ArrivalPortfolio(Portfolio):
    accounts_type = _ArrivalAccounts


class _PunctualPortfolio(Portfolio):
    accounts_type = _PunctualAccounts


class _OneFeePortfolio(Portfolio):
    accounts_type = _OneFeeAccounts


class _LastTradePortfolio(Portfolio):
    accounts_type = _LastTradeAccounts


class _DoubleCountingPortfolio(Portfolio):
    journal_type = _ForgettingJournal


class _ForgetfulPortfolio(Portfolio):
    journal_type = _ForgetfulJournal


class _LazyPortfolio(Portfolio):
    journal_type = _LazyJournal


class _TornPortfolio(Portfolio):
    snapshot_type = _TornSnapshot


class _WithoutBackfillPortfolio(Portfolio):
    reconciler_type = _IdleReconciler


class _CarelessPortfolio(Portfolio):
    reconciler_type = _CarelessReconciler


def _factory(portfolio_type: type[Portfolio]) -> Factory:
    def make(*, directory: Path, name: str, **options: Any) -> Portfolio:
        return portfolio_type(Path(directory) / f"{name}.portfolio.sqlite3", **options)

    return make


rounds_each_trade = _factory(_RoundingPortfolio)
double_counts_redelivery = _factory(_DoubleCountingPortfolio)
wrong_on_flip = _factory(_WrongOnFlipPortfolio)
fee_asset_ignored = _factory(_OneFeePortfolio)
snapshot_not_atomic = _factory(_TornPortfolio)
values_at_last_trade = _factory(_LastTradePortfolio)
counts_in_order_of_arrival = _factory(_ArrivalPortfolio)
drops_what_is_late = _factory(_PunctualPortfolio)
reconciles_without_backfill = _factory(_WithoutBackfillPortfolio)
says_nothing_was_taken = _factory(_CarelessPortfolio)
acks_before_commit = _factory(_LazyPortfolio)
forgets_ids_on_restart = _factory(_ForgetfulPortfolio)

VARIANTS: Mapping[str, Factory] = MappingProxyType(
    {
        "planned": planned,
        "rounds_each_trade": rounds_each_trade,
        "double_counts_redelivery": double_counts_redelivery,
        "wrong_on_flip": wrong_on_flip,
        "fee_asset_ignored": fee_asset_ignored,
        "snapshot_not_atomic": snapshot_not_atomic,
        "values_at_last_trade": values_at_last_trade,
        "counts_in_order_of_arrival": counts_in_order_of_arrival,
        "drops_what_is_late": drops_what_is_late,
        "reconciles_without_backfill": reconciles_without_backfill,
        "says_nothing_was_taken": says_nothing_was_taken,
        "acks_before_commit": acks_before_commit,
        "forgets_ids_on_restart": forgets_ids_on_restart,
    }
)
"""Factories of the shape of `reference_impl.portfolio.make`, by name of the defect."""
