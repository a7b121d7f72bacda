"""The conversation of a comparison: account, trades by pages, account again, until nothing is new."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final, Protocol

from reference_impl._portfolio.accounts import Accounts
from reference_impl._portfolio.errors import UnfinishedError
from reference_impl._portfolio.journal import Journal
from reference_impl._portfolio.model import Fill
from reference_impl._portfolio.reconciling import (
    PAGE,
    Difference,
    Get,
    Reconciliation,
    compare_account,
    compare_trades,
    read_account,
    read_page,
)

_ROUNDS_MAX: Final = 5
"""How often a comparison begins again because the exchange traded on meanwhile."""


class Call(Protocol):
    """Has the journal asked, in its turn."""

    async def __call__(self, call: Callable[..., Any], *args: Any) -> Any:
        """Return what it answers."""


@dataclass(slots=True)
class Reconciler:
    """One comparison. `add` takes trades, `read` asks the journal, `accounts` are the ones that are kept meanwhile."""

    get: Get
    journal: Journal
    read: Call
    add: Callable[[Sequence[Fill]], Awaitable[Any]]
    accounts: Accounts
    quote: str
    deadline_s: float
    backfilled: list[tuple[str, int]] = field(default_factory=list)
    differences: list[Difference] = field(default_factory=list)

    async def run(self, symbols: Sequence[str], rates: Mapping[str, Decimal | str]) -> Reconciliation:
        """Compare until neither side has anything new, and then the account that the exchange told of before that.

        Raises:
            UnfinishedError: It failed after trades had been taken. Before that any error is raised as it is.

        """
        try:
            return await self._compared(symbols, rates)
        except Exception as error:
            if not self.backfilled:
                raise
            words = f"the comparison ended after {len(self.backfilled)} trades had been taken: {error}"
            raise UnfinishedError(words, self.backfilled) from error

    async def _compared(self, symbols: Sequence[str], rates: Mapping[str, Decimal | str]) -> Reconciliation:
        asked = set(symbols)
        settled = False
        for _ in range(_ROUNDS_MAX):
            account = await read_account(self.get, self.deadline_s)
            asked |= {*self.accounts.ledgers, *account.positions}
            fresh = [await self.compare(symbol) for symbol in sorted(asked)]
            seq = self.accounts.seq
            ahead = [await self._ahead(symbol) for symbol in sorted(asked)]
            if not any(fresh) and not any(ahead) and seq == self.accounts.seq:
                self.differences += compare_account(self.accounts.figures(), account, rates, self.quote)
                settled = True
                break
        verified = await self.read(self.journal.verified)
        return Reconciliation(
            backfilled=tuple(self.backfilled),
            differences=tuple(dict.fromkeys(self.differences)),
            settled=settled,
            through={symbol: verified.get(symbol, -1) for symbol in sorted(asked)},
        )

    async def _ahead(self, symbol: str) -> bool:
        """Return whether we have a trade that the exchange was not asked about yet: it came by another way."""
        newest = await self.read(self.journal.newest, symbol)
        verified = await self.read(self.journal.verified)
        unknown = {one.name for one in self.differences if one.kind == "unknown_trade"}
        return newest > verified.get(symbol, -1) and f"{symbol} {newest}" not in unknown

    async def compare(self, symbol: str) -> int:
        """Compare a symbol's trades after the last one compared, and take what is missing; return how many there were.

        A trade of ours beyond the exchange's last one counts as unknown to it only if we had it before it was asked.
        """
        seen = 0
        while True:
            after = (await self.read(self.journal.verified)).get(symbol, -1)
            newest = await self.read(self.journal.newest, symbol)
            page = await read_page(self.get, symbol, after + 1, self.quote, self.deadline_s)
            last = page[-1].trade_id if page else after
            upto = last if len(page) == PAGE else max(last, newest)
            ours = await self.read(self.journal.between, symbol, after, upto)
            missing, differing = compare_trades(ours, page)
            if page:
                await self.add(missing)
                self.backfilled += [(symbol, fill.trade_id) for fill in missing]
                await self.read(self.journal.verify, symbol, last)
            self.differences += differing
            seen += len(page)
            if len(page) < PAGE:
                return seen
