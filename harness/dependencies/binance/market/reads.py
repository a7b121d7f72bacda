"""The account's endpoints: orders, trades, balances, positions, and how the account is set up."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from harness.dependencies.binance.gate.errors import Reject
from harness.dependencies.binance.market import brackets, request, statements, views
from harness.dependencies.binance.market.account import Fill
from harness.dependencies.binance.market.futures import FuturesAccount
from harness.dependencies.binance.market.orders import Order, Orders
from harness.dependencies.binance.market.spot import SpotAccount
from harness.dependencies.binance.market.symbols import INSTRUMENTS
from harness.dependencies.binance.market.views import money
from harness.dependencies.binance.settings import Market

Read = Callable[[Mapping[str, str], int], Any]
Find = Callable[[Mapping[str, str], int], Order]
LIMIT_MAX: Final = 1_000
INCOME_ID: Final = 100_000


class OrderReads:
    """What both markets have: orders and trades."""

    def __init__(self, market: Market, orders: Orders, fills: Mapping[str, Sequence[Fill]], find: Find) -> None:
        self._market: Market = market
        self._orders = orders
        self._fills = fills
        self._find = find
        self._view = views.futures_query if market == "futures" else views.spot_query
        self._trade = views.futures_trade if market == "futures" else views.spot_trade
        self.handlers: dict[str, Read] = {
            "query_order": lambda params, _: self._view(find(params, -2013)),
            "open_orders": self._open,
            "all_orders": self._all,
            "user_trades": self._trades,
        }
        if market == "futures":
            self.handlers["open_order"] = self._open_one

    def _open_one(self, params: Mapping[str, str], wall_ms: int) -> dict[str, Any]:
        del wall_ms
        order = self._find(params, -2013)
        if not order.open:
            raise Reject(-2013)
        return self._view(order)

    def _open(self, params: Mapping[str, str], wall_ms: int) -> list[dict[str, Any]]:
        del wall_ms
        if params.get("symbol"):
            return [self._view(each) for each in self._orders.open_of(request.instrument(params, self._market).symbol)]
        return [self._view(each) for each in self._orders.all_open()]

    def _all(self, params: Mapping[str, str], wall_ms: int) -> list[dict[str, Any]]:
        del wall_ms
        orders = self._orders.of(request.instrument(params, self._market).symbol)
        from_id = request.integer(params, "orderId")
        low, high = request.integer(params, "startTime"), request.integer(params, "endTime")
        found = [
            each
            for each in orders
            if (from_id is None or each.id >= from_id)
            and (low is None or each.created_ms >= low)
            and (high is None or each.created_ms <= high)
        ]
        return [self._view(each) for each in _some(found, params, forward=from_id is not None or low is not None)]

    def _trades(self, params: Mapping[str, str], wall_ms: int) -> list[dict[str, Any]]:
        del wall_ms
        symbol = request.instrument(params, self._market).symbol
        order_id, from_id = request.integer(params, "orderId"), request.integer(params, "fromId")
        low, high = request.integer(params, "startTime"), request.integer(params, "endTime")
        found = [
            each
            for each in self._fills[symbol]
            if (order_id is None or each.order_id == order_id)
            and (from_id is None or each.trade_id >= from_id)
            and (low is None or each.time_ms >= low)
            and (high is None or each.time_ms <= high)
        ]
        return [self._trade(each) for each in _some(found, params, forward=from_id is not None or low is not None)]


def _some(found: list[Any], params: Mapping[str, str], *, forward: bool) -> list[Any]:
    """Return as many as `limit` allows: the first ones from where a start was named, else the latest."""
    count = min(request.integer(params, "limit") or 500, LIMIT_MAX)
    return found[:count] if forward else found[-count:]


class FuturesReads:
    """The futures account and its settings."""

    def __init__(self, account: FuturesAccount, fills: Mapping[str, Sequence[Fill]]) -> None:
        self._account = account
        self._fills = fills
        self.handlers: dict[str, Read] = {
            "account": lambda _, now_ms: statements.futures_account(account, now_ms, version=2),
            "account_v3": lambda _, now_ms: statements.futures_account(account, now_ms, version=3),
            "balance": lambda _, now_ms: statements.futures_balance(account, now_ms),
            "balance_v3": lambda _, now_ms: statements.futures_balance(account, now_ms),
            "position_risk": self._risk,
            "position_risk_v3": self._risk_v3,
            "leverage_bracket": self._brackets,
            "commission_rate": lambda params, _: statements.futures_commission(_symbol(params)),
            "position_mode": lambda _params, _now_ms: {"dualSidePosition": False},
            "multi_assets_mode": lambda _params, _now_ms: {"multiAssetsMargin": False},
            "account_config": lambda _params, _now_ms: statements.account_config(),
            "symbol_config": self._configs,
            "income": self._income,
            "adl_quantile": self._adl,
            "api_trading_status": lambda _params, now_ms: {"indicators": {}, "updateTime": now_ms},
            "leverage": self._set_leverage,
            "margin_type": self._set_margin_type,
            "set_position_mode": self._set_position_mode,
            "set_multi_assets_mode": self._set_multi_assets_mode,
        }

    def _chosen(self, params: Mapping[str, str]) -> list[str]:
        return [_symbol(params)] if params.get("symbol") else list(self._account.positions)

    def _risk(self, params: Mapping[str, str], wall_ms: int) -> list[dict[str, Any]]:
        del wall_ms
        positions = self._account.positions
        return [statements.position_risk(self._account, positions[each], version=2) for each in self._chosen(params)]

    def _risk_v3(self, params: Mapping[str, str], wall_ms: int) -> list[dict[str, Any]]:
        del wall_ms
        held = [self._account.positions[each] for each in self._chosen(params)]
        return [statements.position_risk(self._account, each, version=3) for each in held if each.amount]

    def _brackets(self, params: Mapping[str, str], wall_ms: int) -> Any:
        del wall_ms
        listed = INSTRUMENTS["futures"]
        return [brackets.leverage_bracket(listed[each]) for each in self._chosen(params)]

    def _configs(self, params: Mapping[str, str], wall_ms: int) -> list[dict[str, Any]]:
        del wall_ms
        return [statements.symbol_config(self._account.positions[each]) for each in self._chosen(params)]

    def _income(self, params: Mapping[str, str], wall_ms: int) -> list[dict[str, Any]]:
        del wall_ms
        kind = params.get("incomeType")
        entries: list[dict[str, Any]] = []
        fills = [fill for symbol in self._chosen(params) for fill in self._fills[symbol]]
        for fill in sorted(fills, key=lambda fill: fill.time_ms):
            for name, value in (("REALIZED_PNL", fill.booked.realised), ("COMMISSION", -fill.booked.commission)):
                if value and kind in (None, "", name):
                    entries.append(
                        {
                            "symbol": fill.symbol,
                            "incomeType": name,
                            "income": money(value),
                            "asset": fill.booked.asset,
                            "info": str(fill.trade_id) if name == "COMMISSION" else "",
                            "time": fill.time_ms,
                            "tranId": INCOME_ID + len(entries),
                            "tradeId": str(fill.trade_id),
                        }
                    )
        return _some(entries, params, forward=bool(params.get("startTime")))

    def _adl(self, params: Mapping[str, str], wall_ms: int) -> Any:
        del wall_ms
        entries = [{"symbol": each, "adlQuantile": {"LONG": 0, "SHORT": 0, "BOTH": 0}} for each in self._chosen(params)]
        return entries[0] if params.get("symbol") else entries

    def _set_leverage(self, params: Mapping[str, str], wall_ms: int) -> dict[str, Any]:
        del wall_ms
        symbol = _symbol(params)
        request.need(params, "leverage")
        leverage = request.integer(params, "leverage") or 0
        if not 1 <= leverage <= INSTRUMENTS["futures"][symbol].max_leverage:
            raise Reject(-4028, leverage=leverage)
        self._account.positions[symbol].leverage = leverage
        return brackets.leverage_changed(self._account.positions[symbol])

    def _set_margin_type(self, params: Mapping[str, str], wall_ms: int) -> dict[str, Any]:
        """Positions stay cross: isolated wallets are no subject here, and are refused as with multi-assets margin."""
        del wall_ms
        _symbol(params)
        wanted = request.need(params, "marginType")
        if wanted == "ISOLATED":
            raise Reject(-4168)
        if wanted != "CROSSED":
            raise Reject(-4139)
        raise Reject(-4046)

    def _set_position_mode(self, params: Mapping[str, str], wall_ms: int) -> dict[str, Any]:
        del wall_ms
        request.need(params, "dualSidePosition")
        if request.flag(params, "dualSidePosition"):
            raise Reject(-1020)
        raise Reject(-4059)

    def _set_multi_assets_mode(self, params: Mapping[str, str], wall_ms: int) -> dict[str, Any]:
        del wall_ms
        request.need(params, "multiAssetsMargin")
        if request.flag(params, "multiAssetsMargin"):
            raise Reject(-1020)
        raise Reject(-4171)


class SpotReads:
    """The spot account."""

    def __init__(self, account: SpotAccount) -> None:
        self.handlers: dict[str, Read] = {
            "account": lambda params, now_ms: statements.spot_account(
                account, now_ms, omit_zero=request.flag(params, "omitZeroBalances")
            ),
            "commission_rate": lambda params, _: statements.spot_commission(_symbol(params, "spot")),
        }


def _symbol(params: Mapping[str, str], market: Market = "futures") -> str:
    return request.instrument(params, market).symbol
