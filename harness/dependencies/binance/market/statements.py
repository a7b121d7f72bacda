"""JSON shapes of the futures account: totals, balances, positions, configuration; and of the spot account."""

from decimal import Decimal
from typing import Any, Final

from harness.dependencies.binance.market.brackets import max_notional
from harness.dependencies.binance.market.futures import MAINTENANCE, MAKER, TAKER, FuturesAccount, Position
from harness.dependencies.binance.market.spot import COMMISSION, SpotAccount
from harness.dependencies.binance.market.symbols import text
from harness.dependencies.binance.market.views import money

_ZERO: Final = Decimal(0)
_EMPTY: Final = money(_ZERO)
_ALIAS: Final = "HarnessEmul8"
_V2: Final = 2
"""The older version of the API: it has every symbol, and more fields."""
"""`accountAlias`, a made-up name of twelve characters."""


class _Sums:
    """The account's totals, computed once an answer."""

    __slots__ = ("available", "held", "initial", "maintenance", "margin", "positions", "unrealised", "wallet")

    def __init__(self, account: FuturesAccount) -> None:
        held = account.open_positions()
        unrealised = sum((account.unrealised(each) for each in held), _ZERO)
        positions = sum((account.margin(each) for each in held), _ZERO)
        self.wallet = money(account.wallet)
        self.unrealised = money(unrealised)
        self.margin = money(account.wallet + unrealised)
        self.positions = money(positions)
        self.held = money(account.held)
        self.initial = money(positions + account.held)
        self.maintenance = money(sum((abs(account.notional(each)) for each in held), _ZERO) * MAINTENANCE)
        self.available = money(max(account.wallet - account.held + unrealised - positions, _ZERO))


def futures_account(account: FuturesAccount, wall_ms: int, *, version: int) -> dict[str, Any]:
    """Return `/fapi/v2/account` (all symbols) or `/fapi/v3/account` (positions that are not flat)."""
    sums = _Sums(account)
    asset: dict[str, Any] = {
        "asset": "USDT",
        "walletBalance": sums.wallet,
        "unrealizedProfit": sums.unrealised,
        "marginBalance": sums.margin,
        "maintMargin": sums.maintenance,
        "initialMargin": sums.initial,
        "positionInitialMargin": sums.positions,
        "openOrderInitialMargin": sums.held,
        "crossWalletBalance": sums.wallet,
        "crossUnPnl": sums.unrealised,
        "availableBalance": sums.available,
        "maxWithdrawAmount": sums.available,
        "marginAvailable": True,
        "updateTime": account.updated_ms or wall_ms,
    }
    answer: dict[str, Any] = {}
    if version == _V2:
        answer = {
            "feeTier": 0,
            "feeBurn": False,
            "canTrade": True,
            "canDeposit": True,
            "canWithdraw": True,
            "tradeGroupId": -1,
            "updateTime": 0,
            "multiAssetsMargin": False,
        }
    answer |= {
        "totalInitialMargin": sums.initial,
        "totalMaintMargin": sums.maintenance,
        "totalWalletBalance": sums.wallet,
        "totalUnrealizedProfit": sums.unrealised,
        "totalMarginBalance": sums.margin,
        "totalPositionInitialMargin": sums.positions,
        "totalOpenOrderInitialMargin": sums.held,
        "totalCrossWalletBalance": sums.wallet,
        "totalCrossUnPnl": sums.unrealised,
        "availableBalance": sums.available,
        "maxWithdrawAmount": sums.available,
        "assets": [asset],
    }
    all_of_them = account.positions.values() if version == _V2 else account.open_positions()
    answer["positions"] = [_account_position(account, each, version) for each in all_of_them]
    return answer


def _account_position(account: FuturesAccount, position: Position, version: int) -> dict[str, Any]:
    amount = position.amount
    margin, notional, profit, upkeep = _EMPTY, "0", _EMPTY, _EMPTY
    if amount:
        worth = account.notional(position)
        margin, notional, profit = money(account.margin(position)), money(worth), money(account.unrealised(position))
        upkeep = money(abs(worth) * MAINTENANCE)
    common = {
        "symbol": position.instrument.symbol,
        "initialMargin": margin,
        "maintMargin": upkeep,
        "unrealizedProfit": profit,
        "positionSide": "BOTH",
        "positionAmt": format(amount, f".{position.instrument.quantity_precision}f"),
        "notional": notional,
        "isolatedWallet": "0",
        "updateTime": position.updated_ms,
    }
    if version != _V2:
        return common | {"isolatedMargin": "0"}
    return common | {
        "positionInitialMargin": margin,
        "openOrderInitialMargin": "0",
        "leverage": str(position.leverage),
        "isolated": position.isolated,
        "entryPrice": entry(position),
        "breakEvenPrice": entry(position),
        "maxNotional": str(max_notional(position.leverage)),
        "bidNotional": "0",
        "askNotional": "0",
    }


def entry(position: Position) -> str:
    """Return a position's average opening price as it is printed."""
    return format(position.entry, f".{max(5, position.instrument.price_precision + 2)}f") if position.amount else "0.0"


def futures_balance(account: FuturesAccount, wall_ms: int) -> list[dict[str, Any]]:
    """Return `/fapi/v2/balance` and v3's."""
    sums = _Sums(account)
    return [
        {
            "accountAlias": _ALIAS,
            "asset": "USDT",
            "balance": sums.wallet,
            "crossWalletBalance": sums.wallet,
            "crossUnPnl": sums.unrealised,
            "availableBalance": sums.available,
            "maxWithdrawAmount": sums.available,
            "marginAvailable": True,
            "updateTime": account.updated_ms or wall_ms,
        }
    ]


def position_risk(account: FuturesAccount, position: Position, *, version: int) -> dict[str, Any]:
    """Return an entry of `/fapi/v2/positionRisk` or v3's. There is no liquidation, so its price is 0."""
    what = position.instrument
    answer: dict[str, Any] = {
        "symbol": what.symbol,
        "positionSide": "BOTH",
        "positionAmt": format(position.amount, f".{what.quantity_precision}f"),
        "entryPrice": entry(position),
        "breakEvenPrice": entry(position),
        "markPrice": money(account.mark(what.symbol)),
        "unRealizedProfit": money(account.unrealised(position)),
        "liquidationPrice": "0",
        "isolatedMargin": "0",
        "notional": money(account.notional(position)),
        "isolatedWallet": "0",
        "updateTime": position.updated_ms,
    }
    if version == _V2:
        return answer | {
            "maxNotionalValue": str(max_notional(position.leverage)),
            "leverage": str(position.leverage),
            "marginType": "isolated" if position.isolated else "cross",
            "isAutoAddMargin": "false",
        }
    margin = money(account.margin(position))
    return answer | {
        "marginAsset": what.quote,
        "initialMargin": margin,
        "maintMargin": money(abs(account.notional(position)) * MAINTENANCE),
        "positionInitialMargin": margin,
        "openOrderInitialMargin": "0",
        "adl": 1 if position.amount else 0,
        "bidNotional": "0",
        "askNotional": "0",
    }


def symbol_config(position: Position) -> dict[str, Any]:
    """Return an entry of symbolConfig."""
    return {
        "symbol": position.instrument.symbol,
        "marginType": "ISOLATED" if position.isolated else "CROSSED",
        "isAutoAddMargin": False,
        "leverage": position.leverage,
        "maxNotionalValue": str(max_notional(position.leverage)),
    }


def account_config() -> dict[str, Any]:
    """Return accountConfig."""
    return {
        "feeTier": 0,
        "canTrade": True,
        "canDeposit": True,
        "canWithdraw": True,
        "dualSidePosition": False,
        "updateTime": 0,
        "multiAssetsMargin": False,
        "tradeGroupId": -1,
    }


def futures_commission(symbol: str) -> dict[str, Any]:
    """Return commissionRate."""
    return {
        "symbol": symbol,
        "makerCommissionRate": text(MAKER),
        "takerCommissionRate": text(TAKER),
        "rpiCommissionRate": "0.00005",
    }


def spot_commission(symbol: str) -> dict[str, Any]:
    """Return `/api/v3/account/commission`."""
    none = {"maker": _EMPTY, "taker": _EMPTY, "buyer": _EMPTY, "seller": _EMPTY}
    return {
        "symbol": symbol,
        "standardCommission": none | {"maker": money(COMMISSION), "taker": money(COMMISSION)},
        "specialCommission": none,
        "taxCommission": none,
        "discount": {
            "enabledForAccount": False,
            "enabledForSymbol": False,
            "discountAsset": "BNB",
            "discount": "0.75000000",
        },
    }


def spot_account(account: SpotAccount, wall_ms: int, *, omit_zero: bool) -> dict[str, Any]:
    """Return `/api/v3/account`."""
    rate = money(COMMISSION)
    return {
        "makerCommission": 10,
        "takerCommission": 10,
        "buyerCommission": 0,
        "sellerCommission": 0,
        "commissionRates": {"maker": rate, "taker": rate, "buyer": _EMPTY, "seller": _EMPTY},
        "canTrade": True,
        "canWithdraw": True,
        "canDeposit": True,
        "brokered": False,
        "requireSelfTradePrevention": False,
        "preventSor": False,
        "updateTime": account.updated_ms or wall_ms,
        "accountType": "SPOT",
        "balances": [
            {"asset": asset, "free": text(free), "locked": text(account.locked[asset])}
            for asset, free in account.free.items()
            if not omit_zero or free or account.locked[asset]
        ],
        "permissions": ["SPOT"],
        "uid": 354_937_868,
    }
