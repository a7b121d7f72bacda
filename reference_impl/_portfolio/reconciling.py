"""Comparing with the exchange: what is asked, what is compared, how a difference is named. Pure but for `get`.

Compared is what both sides know exactly, whatever convention of cost they follow: which trades there were, the
positions, and the account's worth, the exchange's `totalMarginBalance` against our equity at the exchange's own marks
(`notional / positionAmt`). The exchange prints sums of money with eight places, each rounded by itself, hence the
tolerance of one unit of the last place for each sum printed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final, Literal, Protocol, TypeAlias

from reference_impl._portfolio.errors import EntryError
from reference_impl._portfolio.exact import ZERO, add, figure, multiply, subtract
from reference_impl._portfolio.model import Figures, Fill, PositionFigures, fill_of

PAGE: Final = 1_000
"""The most trades that one request of `userTrades` returns."""
_LAST_PLACE: Final = Decimal("0.00000001")
TRADES: Final = "/fapi/v1/userTrades"
ACCOUNT: Final = "/fapi/v2/account"

Kind: TypeAlias = Literal["unknown_trade", "changed_trade", "position", "equity"]


class Get(Protocol):
    """How the exchange is asked: the `get` of an adapter that signs, keeps limits, and raises typed errors."""

    async def __call__(
        self, path: str, params: Mapping[str, Any], *, signed: bool = False, deadline_s: float = 30.0
    ) -> Any:
        """Return the decoded answer of a GET."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One difference. `name`: the trade (`BTCUSDT 1234`), the symbol, or the quote asset; amounts as text.

    `unknown_trade`: we have it, the exchange does not. `changed_trade`: it has other figures there.
    `position`, `equity`: they differ although all trades agree; money came or went that we were not told of.
    """

    kind: Kind
    name: str
    ours: str
    theirs: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Reconciliation:
    """What a comparison came to.

    `backfilled`: trades (symbol, id) that were missing here, and were taken. `settled`: the exchange stood still long
    enough to be compared; else positions and equity were not. `through`: the last trade id compared, by symbol.
    """

    backfilled: tuple[tuple[str, int], ...]
    differences: tuple[Difference, ...]
    settled: bool
    through: Mapping[str, int]

    @property
    def agreed(self) -> bool:
        """Whether the books agree now."""
        return self.settled and not self.differences


@dataclass(frozen=True, slots=True)
class Account:
    """What the exchange says: `totalMarginBalance`, and (positionAmt, notional) of what it holds, by symbol."""

    worth: Decimal
    positions: Mapping[str, tuple[Decimal, Decimal]]


async def read_account(get: Get, deadline_s: float) -> Account:
    """Return the account. Raises `EntryError` for an answer that is none."""
    answer = await get(ACCOUNT, {}, signed=True, deadline_s=deadline_s)
    try:
        held = {str(one["symbol"]): (one["positionAmt"], one["notional"]) for one in answer["positions"]}
        worth = answer["totalMarginBalance"]
    except (TypeError, KeyError) as error:
        raise EntryError(f"{ACCOUNT} did not answer with an account: {error!r}") from error
    amounts = {
        symbol: (figure(amount, f"positionAmt of {symbol}"), figure(notional, f"notional of {symbol}"))
        for symbol, (amount, notional) in held.items()
    }
    return Account(figure(worth, "totalMarginBalance"), {symbol: one for symbol, one in amounts.items() if one[0]})


async def read_page(get: Get, symbol: str, from_id: int, quote: str, deadline_s: float) -> list[Fill]:
    """Return up to a page of our trades on a symbol, from an id on. Raises `EntryError` for an answer that is none."""
    query = {"symbol": symbol, "fromId": from_id, "limit": PAGE}
    answer = await get(TRADES, query, signed=True, deadline_s=deadline_s)
    if not isinstance(answer, list) or not all(isinstance(one, dict) for one in answer):
        raise EntryError(f"{TRADES} did not answer with a list of trades")
    return sorted((fill_of(one, quote) for one in answer), key=lambda fill: fill.trade_id)


def compare_trades(ours: Sequence[Fill], theirs: Sequence[Fill]) -> tuple[list[Fill], list[Difference]]:
    """Return what we lack, and what differs, among the trades of one stretch of a symbol's ids."""
    known = {fill.trade_id: fill for fill in ours}
    missing: list[Fill] = []
    differences: list[Difference] = []
    for fill in theirs:
        mine = known.pop(fill.trade_id, None)
        if mine is None:
            missing.append(fill)
        elif mine != fill:
            differences.append(_trade("changed_trade", mine, _told(mine), _told(fill)))
    differences += [_trade("unknown_trade", fill, _told(fill), "") for fill in known.values()]
    return missing, differences


def compare_account(
    figures: Figures, account: Account, rates: Mapping[str, Decimal | str], quote: str
) -> list[Difference]:
    """Return how positions and worth differ. Raises `EntryError` if the rate of an asset is missing."""
    differences: list[Difference] = []
    worth = ZERO
    printed = 2
    for symbol in sorted({*account.positions, *figures.positions}):
        ours = figures.positions.get(symbol, PositionFigures())
        amount, notional = account.positions.get(symbol, (ZERO, ZERO))
        worth = add(worth, subtract(ours.realised, ours.cost))
        if amount != ours.amount:
            differences.append(Difference(kind="position", name=symbol, ours=str(ours.amount), theirs=str(amount)))
        elif amount:
            printed += 1
            worth = add(worth, notional)
    for sums, sign in ((figures.deposits, 1), (figures.funding, 1), (figures.fees, -1)):
        for asset, amount in sums.items():
            rate = Decimal(1) if asset == quote else figure(rates.get(asset), f"the rate of {asset}")
            worth = add(worth, multiply(multiply(amount, rate), Decimal(sign)))
    if not differences and subtract(worth, account.worth).copy_abs() > multiply(_LAST_PLACE, Decimal(printed)):
        differences.append(Difference(kind="equity", name=quote, ours=str(worth), theirs=str(account.worth)))
    return differences


def _trade(kind: Kind, fill: Fill, ours: str, theirs: str) -> Difference:
    return Difference(kind=kind, name=f"{fill.symbol} {fill.trade_id}", ours=ours, theirs=theirs)


def _told(fill: Fill) -> str:
    return f"{fill.amount} at {fill.price}, fee {fill.fee} {fill.fee_asset}"
