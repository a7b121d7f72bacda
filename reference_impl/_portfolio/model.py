"""The data of the portfolio: what comes in, what is told.

Entries come in as the exchange gives them: trades as in `GET /fapi/v1/userTrades`, transfers and funding as in
`GET /fapi/v1/income`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from decimal import Decimal
from typing import Any, Final, Literal, NamedTuple, TypeAlias

from reference_impl._portfolio.errors import EntryError
from reference_impl._portfolio.exact import ZERO, display, figure

FlowKind: TypeAlias = Literal["TRANSFER", "FUNDING_FEE"]
FLOW_KINDS: Final[tuple[FlowKind, ...]] = ("TRANSFER", "FUNDING_FEE")
_ID_MAX: Final = (1 << 63) - 1
_NAME_MAX: Final = 32


class Fill(NamedTuple):
    """One trade of ours. `amount` is negative for a sale; `fee` is what it cost, negative for a rebate.

    A NamedTuple because a million of them pass through, and are compared when they come again.
    """

    symbol: str
    trade_id: int
    time_ms: int
    amount: Decimal
    price: Decimal
    fee: Decimal
    fee_asset: str


class Flow(NamedTuple):
    """Money that comes in, or (negative) goes out, without a trade: a deposit, a withdrawal, a funding payment."""

    kind: FlowKind
    flow_id: int
    time_ms: int
    asset: str
    amount: Decimal


Entry: TypeAlias = Fill | Flow


def fill_of(trade: Mapping[str, Any], quote: str) -> Fill:
    """Return what an entry of `userTrades` says.

    Raises:
        EntryError: It cannot be understood, is not settled in `quote`, or is of a hedge-mode account, whose two
            positions on a symbol would be mistaken for one.

    """
    symbol = _name(trade, "symbol")
    if not symbol.endswith(quote) or symbol == quote:
        raise EntryError(f"{symbol} is not settled in {quote}")
    side = trade.get("side")
    if side not in ("BUY", "SELL"):
        raise EntryError(f"the side of a trade is BUY or SELL, not {side!r}")
    if trade.get("positionSide", "BOTH") != "BOTH":
        raise EntryError(f"a trade of a hedge-mode account: positionSide {trade['positionSide']!r}")
    price, quantity = figure(trade.get("price"), "price"), figure(trade.get("qty"), "qty")
    if price <= 0 or quantity <= 0:
        raise EntryError(f"price and qty of a trade are positive, not {price} and {quantity}")
    return Fill(
        symbol,
        _whole(trade, "id"),
        _whole(trade, "time"),
        quantity if side == "BUY" else quantity.copy_negate(),
        price,
        figure(trade.get("commission"), "commission"),
        _name(trade, "commissionAsset"),
    )


def flow_of(income: Mapping[str, Any]) -> Flow:
    """Return what an entry of `income` says. Profits and commissions come with their trades, and are refused here.

    Raises:
        EntryError: It cannot be understood, or is of another type than FLOW_KINDS.

    """
    kind = income.get("incomeType")
    if kind not in FLOW_KINDS:
        raise EntryError(f"incomeType is one of {', '.join(FLOW_KINDS)}, not {kind!r}")
    amount = figure(income.get("income"), "income")
    return Flow(kind, _whole(income, "tranId"), _whole(income, "time"), _name(income, "asset"), amount)


def _whole(entry: Mapping[str, Any], name: str) -> int:
    value = entry.get(name)
    if type(value) is not int or not 0 <= value <= _ID_MAX:
        raise EntryError(f"{name} is a whole number from 0, not {value!r}"[:200])
    return value


def _name(entry: Mapping[str, Any], name: str) -> str:
    value = entry.get(name)
    if not isinstance(value, str) or not 0 < len(value) <= _NAME_MAX or not value.isascii() or not value.isalnum():
        raise EntryError(f"{name} is a short word of letters and digits, not {value!r}"[:200])
    return value


@dataclass(frozen=True, slots=True)
class Applied:
    """What became of a batch: so many entries were new, so many had been taken before and changed nothing."""

    new: int
    repeated: int


@dataclass(frozen=True, slots=True)
class PositionFigures:
    """One symbol, exactly. `amount` is negative when short; `cost` is what the open lots were bought (or sold) for."""

    amount: Decimal = ZERO
    cost: Decimal = ZERO
    realised: Decimal = ZERO


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """Everything, exactly: positions by symbol, sums by asset. Two portfolios of the same entries have equal ones."""

    positions: Mapping[str, PositionFigures]
    fees: Mapping[str, Decimal]
    deposits: Mapping[str, Decimal]
    funding: Mapping[str, Decimal]


@dataclass(frozen=True, slots=True, kw_only=True)
class Valuation:
    """What it is all worth in the quote asset, exactly: `equity = deposits + realised + unrealised - fees + funding`.

    `fees` are what was paid, so that they are taken off.
    """

    deposits: Decimal
    realised: Decimal
    unrealised: Decimal
    fees: Decimal
    funding: Decimal
    equity: Decimal

    def shown(self) -> dict[str, str]:
        """Return the figures for people: two places. Rounded one by one, so they may not add up to the last place."""
        return {one.name: str(display(getattr(self, one.name))) for one in fields(self)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What can be tuned. `quote`: the asset that all symbols are settled in."""

    quote: str = "USDT"
    window: int = 128
    """Newest trades of a symbol that late ones may be put among without reading the journal."""
    snapshot_every: int = 100_000
    """New entries after which a snapshot is written without being asked for."""

    def __post_init__(self) -> None:
        """Refuse what cannot work.

        Raises:
            ValueError: A number is not positive, or there is no quote asset.

        """
        if not self.quote or self.window <= 0 or self.snapshot_every <= 0:
            raise ValueError("quote must be an asset, window and snapshot_every positive")
