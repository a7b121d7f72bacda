"""Patch 5: profit and loss that stays exact, whatever order trades arrive in and however often.

```python
portfolio = Portfolio("portfolio.sqlite3")
await portfolio.start()
await portfolio.apply(trades)            # entries of GET /fapi/v1/userTrades, in any order, as often as they come
await portfolio.apply_income(incomes)    # entries of GET /fapi/v1/income: TRANSFER, FUNDING_FEE
portfolio.figures()                      # exact: positions, realised, fees, deposits, funding
portfolio.value({"BTCUSDT": "60000.1"}, {"BNB": "600"}).shown()   # equity and its parts, two places
await portfolio.reconcile(adapter.get)   # compares with the exchange, and takes what was missed
await portfolio.close()
```

What it promises:

- *Exact*: every figure is the exact decimal; `shown()` rounds, half up to two places, and nothing else does.
- *A function of the set*: trades are known by symbol and id, and counted in the exchange's order. Coming twice, late or
  shuffled changes nothing in the end. The same id with other figures is refused, and names both.
- *Nothing acked is lost*: `apply` returns when the journal has the batch as a whole. A crash at any point, a torn or
  damaged snapshot, a full disk: the figures are those of the journal.
- *Bounded*: a trade costs the same whether it is the tenth or the millionth; memory holds the newest trades of each
  symbol and its open lots (`_portfolio.ledger`, `_portfolio.book`), the journal the rest.
- *Bad entries* are refused with a typed error, and nothing of their batch is taken.

Realised is first in, first out; `_portfolio.book` says why. Fees are kept in the asset they were paid in, and converted
when a value is asked for.

How: `_portfolio.accounts` is the machine, without I/O; `journal` remembers, `snapshot` saves reading all of it.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any, Final, Literal, TypeVar

from reference_impl._portfolio.accounts import Accounts
from reference_impl._portfolio.errors import (
    ClosedError,
    ConflictError,
    EntryError,
    PortfolioError,
    PriceError,
    StorageError,
    UnfinishedError,
)
from reference_impl._portfolio.exact import display
from reference_impl._portfolio.journal import Journal
from reference_impl._portfolio.ledger import Ledger
from reference_impl._portfolio.model import (
    Applied,
    Entry,
    Figures,
    Options,
    PositionFigures,
    Valuation,
    fill_of,
    flow_of,
)
from reference_impl._portfolio.reconciler import Reconciler
from reference_impl._portfolio.reconciling import Difference, Get, Reconciliation
from reference_impl._portfolio.snapshot import SnapshotFile

__all__ = [
    "Applied",
    "ClosedError",
    "ConflictError",
    "Difference",
    "EntryError",
    "Figures",
    "Options",
    "Portfolio",
    "PortfolioError",
    "PositionFigures",
    "PriceError",
    "Reconciliation",
    "StorageError",
    "UnfinishedError",
    "Valuation",
    "display",
    "make",
]

log = logging.getLogger(__name__)

_T = TypeVar("_T")
_CHUNK: Final = 10_000
"""Entries read from the journal at once."""


class Portfolio:
    """One account's positions, profit and loss. Belongs to one event loop; not thread-safe.

    Args:
        path: The journal, a SQLite file; the snapshot lies beside it. One portfolio at a time may use it.
        options: See `Options`.

    Raises:
        ValueError: An option is invalid.

    """

    method: Literal["fifo"] = "fifo"
    accounts_type: type[Accounts] = Accounts
    journal_type: type[Journal] = Journal
    snapshot_type: type[SnapshotFile] = SnapshotFile
    reconciler_type: type[Reconciler] = Reconciler

    def __init__(self, path: str | Path, **options: Any) -> None:
        path = Path(path)
        self._options = Options(**options)
        self.journal = self.journal_type(path)
        self.snapshots = self.snapshot_type(path.with_suffix(".snapshot"))
        self.accounts = self._empty()
        self._turn = asyncio.Lock()
        self._state = "new"
        self._saved_seq = 0
        self._tasks: set[asyncio.Task[Any]] = set()

    def __repr__(self) -> str:
        return f"<Portfolio of {self.accounts.seq} entries, {self._state}>"

    async def start(self) -> None:
        """Open the journal, and know what it knows.

        Raises:
            StorageError: It cannot be opened, or another portfolio has it open.
            ClosedError: The portfolio was started or closed before.

        """
        if self._state != "new":
            raise ClosedError("a portfolio is started once")
        await asyncio.to_thread(self.journal.open)
        try:
            await self._load_snapshot()
            self._saved_seq = self.accounts.seq
            while found := await asyncio.to_thread(self.journal.since, self.accounts.seq, _CHUNK):
                await self._take([entry for entry, _ in found], found[-1][1])
        except BaseException:
            self._state = "closed"
            self.journal.close()  # or the next one would find it locked
            raise
        self._state = "open"

    async def apply(self, trades: Iterable[Mapping[str, Any]]) -> Applied:
        """Take trades, entries of `userTrades`; durable when this returns.

        Raises:
            EntryError, ConflictError, StorageError, ClosedError: Nothing of it was taken.
            UnfinishedError: It is in the journal, which could not be read afterwards; a new start knows it.

        """
        fills = [fill_of(trade, self._options.quote) for trade in trades]
        return await self._apart(partial(self._add, fills))

    async def apply_income(self, incomes: Iterable[Mapping[str, Any]]) -> Applied:
        """Take transfers and funding, entries of `income`; durable when this returns. Raises as `apply` does."""
        flows = [flow_of(income) for income in incomes]
        return await self._apart(partial(self._add, flows))

    def figures(self) -> Figures:
        """Return every figure, exactly."""
        return self.accounts.figures()

    def value(self, marks: Mapping[str, Decimal | str], rates: Mapping[str, Decimal | str] | None = None) -> Valuation:
        """Return what it is all worth at these mark prices by symbol, other assets at these rates in the quote asset.

        Raises:
            PriceError: Something that is held, or owed, has no price.
            EntryError: A price is none.

        """
        return self.accounts.value(marks, rates or {})

    async def snapshot(self) -> None:
        """Save the state, so that the next start need not read the journal up to here.

        Raises:
            StorageError: It cannot be written; the last one is in force, and nothing is lost.
            ClosedError: The portfolio is not open.

        """
        await self._apart(self._save)

    async def reconcile(
        self,
        get: Get,
        *,
        symbols: Sequence[str] = (),
        rates: Mapping[str, Decimal | str] | None = None,
        deadline_s: float = 30.0,
    ) -> Reconciliation:
        """Compare with the exchange, take the trades that were missed, and name what still differs.

        Asked about are the symbols known here, those the account holds, and `symbols`. What was compared once is not
        asked for again. What was taken stays, however it ends.

        Raises:
            EntryError, StorageError, ClosedError, or whatever `get` raises: Nothing was taken.
            UnfinishedError: One of them, after trades were taken, which it names.

        """
        comparison = self.reconciler_type(
            get=get,
            journal=self.journal,
            read=self._read,
            add=lambda fills: self._apart(partial(self._add, fills)),
            accounts=self.accounts,
            quote=self._options.quote,
            deadline_s=deadline_s,
        )
        return await comparison.run(symbols, rates or {})

    async def close(self) -> None:
        """Save a snapshot and close; what is under way ends first. Idempotent; `figures` still works."""
        if self._state == "closed":
            return
        was_open, self._state = self._state == "open", "closed"
        async with self._turn:
            if was_open and self.accounts.seq > self._saved_seq:
                try:
                    await self._save()
                except StorageError as error:
                    log.warning("portfolio: %s", error)
            await asyncio.to_thread(self.journal.close)

    async def _apart(self, work: Callable[[], Awaitable[_T]]) -> _T:
        """Do it in its turn, to its end even if the caller is cancelled: the journal and the figures must not part."""
        task = asyncio.ensure_future(self._in_turn(work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return await asyncio.shield(task)

    async def _in_turn(self, work: Callable[[], Awaitable[_T]]) -> _T:
        async with self._turn:
            if self._state != "open":
                raise ClosedError("the portfolio is not open")
            return await work()

    async def _read(self, call: Callable[..., _T], *args: Any) -> _T:
        """Have the journal asked, in turn."""
        return await self._apart(lambda: asyncio.to_thread(call, *args))

    async def _add(self, entries: Sequence[Entry]) -> Applied:
        if not entries:
            return Applied(0, 0)
        added = await asyncio.to_thread(self.journal.add, entries)
        try:
            await self._take(added.new, added.seq)
        except StorageError as error:
            self._state = "failed"  # the journal is ahead of the figures now: only a new start can mend that
            raise UnfinishedError(f"the batch is in the journal, but not in the figures: {error}") from error
        if self.accounts.seq - self._saved_seq >= self._options.snapshot_every:
            try:
                await self._save()
            except StorageError as error:
                log.warning("portfolio: %s", error)
                self._saved_seq = self.accounts.seq  # try again after as many more
        return Applied(len(added.new), len(entries) - len(added.new))

    async def _take(self, entries: Sequence[Entry], seq: int) -> None:
        """Take entries that are in the journal, up to `seq`."""
        renewed = {
            symbol: await asyncio.to_thread(self._renewed, symbol, base)
            for symbol, base in sorted(self.accounts.behind(entries).items())
        }
        self.accounts.take(entries, seq, renewed)

    def _renewed(self, symbol: str, base: int) -> Ledger:
        return self.accounts.ledgers[symbol].renewed(base, self.journal.trades(symbol, base))

    async def _save(self) -> None:
        state = self.accounts.as_json(self.journal.identity)
        await self.snapshots.save(state)
        self._saved_seq = state["seq"]

    async def _load_snapshot(self) -> None:
        saved = await self.snapshots.load()
        if saved is not None:
            try:
                self.accounts.load(saved, self.journal.identity, self.journal.last)
            except ValueError as error:
                self.snapshots.problem = str(error)
                self.accounts = self._empty()
        if self.snapshots.problem:
            log.warning("portfolio: the snapshot is not used, %s; reading the journal", self.snapshots.problem)

    def _empty(self) -> Accounts:
        return self.accounts_type(self._options.quote, self._options.window)


def make(*, directory: Path, name: str, **options: Any) -> Portfolio:
    """Make a portfolio whose files are in `directory`. Options are the fields of `Options`."""
    return Portfolio(Path(directory) / f"{name}.portfolio.sqlite3", **options)
