"""Which path is which endpoint of which market, what it weighs, and who may call it.

Weights are the documentation's (2026); where one depends on parameters it is a function of them. A few endpoints have
limits of their own at Binance (funding rates); here they weigh 1. Endpoint names are those of `market.venue`, but for
those in `EXCHANGE`, which the exchange answers itself.
"""

from bisect import bisect_left
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from harness.dependencies.binance.settings import Market

Security: TypeAlias = Literal["NONE", "MARKET_DATA", "USER_STREAM", "TRADE", "USER_DATA"]
Weight: TypeAlias = int | Callable[[Mapping[str, str]], int]

STREAM_ENDPOINTS: Final = frozenset({"new_listen_key", "keep_listen_key", "close_listen_key"})
EXCHANGE: Final = frozenset({"order_counts"})
"""What the exchange answers itself: how many orders were counted."""
PRICED: Final = frozenset({
    "depth", "ticker_price", "book_ticker", "ticker_24hr", "premium_index",
    "account", "account_v3", "position_risk", "position_risk_v3",
})  # fmt: skip
"""What tells present prices, or what a position is worth at them."""
_CANCELS: Final = frozenset({"cancel_order", "cancel_all", "batch_cancel", "countdown_cancel"})


@dataclass(frozen=True, slots=True)
class Route:
    """One (method, path). `orders`: slots taken of the shortest order limit and of the others; (0, 0) for none.

    `failed_weight`: what it weighs if it is refused by the market; None: as much as ever.
    """

    method: str
    path: str
    market: Market
    endpoint: str
    weight: Weight
    orders: tuple[int, int]
    security: Security
    failed_weight: int | None = None

    @property
    def signed(self) -> bool:
        """Whether a signature and a timestamp are wanted."""
        return self.security in ("TRADE", "USER_DATA")

    def weigh(self, params: Mapping[str, str]) -> int:
        """Return the request's weight."""
        weight = self.weight
        return weight if isinstance(weight, int) else weight(params)

    def lowers_risk(self, params: Mapping[str, str]) -> bool:
        """Whether it is a cancel, or an order that can only reduce a position."""
        if self.endpoint in _CANCELS:
            return True
        if self.endpoint not in ("new_order", "modify_order"):
            return False
        return "true" in (params.get("reduceOnly", "").lower(), params.get("closePosition", "").lower())


def _stepped(bounds: tuple[int, ...], weights: tuple[int, ...], default: int) -> Weight:
    """Weight by the parameter `limit`: `weights[i]` up to `bounds[i]`; a limit that is no number is the default."""

    def weigh(params: Mapping[str, str]) -> int:
        text = params.get("limit", "")
        limit = int(text) if text.isascii() and text.isdigit() and len(text) < 10 else default  # noqa: PLR2004 - 9 digits
        return weights[min(bisect_left(bounds, limit), len(weights) - 1)]

    return weigh


def _with(name: str, weight: int, without: int) -> Weight:
    """Weight by whether the parameter `name` is there."""
    return lambda params: weight if name in params else without


def _spot_tickers(one: int, several: tuple[int, int, int], every: int) -> Weight:
    """Weight by `symbol`, by how many `symbols` (to 20, to 100, more), or of all."""

    def weigh(params: Mapping[str, str]) -> int:
        if "symbol" in params:
            return one
        if "symbols" not in params:
            return every
        return several[bisect_left((20, 100), params["symbols"].count(",") + 1)]

    return weigh


_KLINES: Final = _stepped((99, 499, 1_000), (1, 2, 5, 10), 500)
_FUTURES_DEPTH: Final = _stepped((50, 100, 500), (2, 5, 10, 20), 500)
_SPOT_DEPTH: Final = _stepped((100, 500, 1_000), (5, 25, 50, 250), 100)
_NO_ORDERS: Final = (0, 0)


def _futures(
    method: str,
    path: str,
    endpoint: str,
    weight: Weight,
    security: Security = "NONE",
    orders: tuple[int, int] = _NO_ORDERS,
) -> Route:
    return Route(method, f"/fapi/{path}", "futures", endpoint, weight, orders, security)


def _spot(
    method: str,
    path: str,
    endpoint: str,
    weight: Weight,
    security: Security = "NONE",
    orders: tuple[int, int] = _NO_ORDERS,
    failed_weight: int | None = None,
) -> Route:
    return Route(method, f"/api/v3/{path}", "spot", endpoint, weight, orders, security, failed_weight)


_ROUTES: Final = (
    _futures("GET", "v1/ping", "ping", 1),
    _futures("GET", "v1/time", "time", 1),
    _futures("GET", "v1/exchangeInfo", "exchange_info", 1),
    _futures("GET", "v1/depth", "depth", _FUTURES_DEPTH),
    _futures("GET", "v1/trades", "trades", 5),
    _futures("GET", "v1/aggTrades", "agg_trades", 20),
    _futures("GET", "v1/klines", "klines", _KLINES),
    _futures("GET", "v1/markPriceKlines", "mark_price_klines", _KLINES),
    _futures("GET", "v1/indexPriceKlines", "index_price_klines", _KLINES),
    _futures("GET", "v1/ticker/price", "ticker_price", _with("symbol", 1, 2)),
    _futures("GET", "v2/ticker/price", "ticker_price", _with("symbol", 1, 2)),
    _futures("GET", "v1/ticker/bookTicker", "book_ticker", _with("symbol", 2, 5)),
    _futures("GET", "v1/ticker/24hr", "ticker_24hr", _with("symbol", 1, 40)),
    _futures("GET", "v1/premiumIndex", "premium_index", _with("symbol", 1, 10)),
    _futures("GET", "v1/fundingRate", "funding_rate", 1),
    _futures("GET", "v1/fundingInfo", "funding_info", 1),
    _futures("GET", "v1/openInterest", "open_interest", 1),
    _futures("POST", "v1/order", "new_order", 0, "TRADE", (1, 1)),
    _futures("PUT", "v1/order", "modify_order", 0, "TRADE", (1, 1)),
    _futures("GET", "v1/order", "query_order", 1, "USER_DATA"),
    _futures("DELETE", "v1/order", "cancel_order", 1, "TRADE"),
    _futures("POST", "v1/order/test", "test_order", 1, "TRADE"),
    _futures("POST", "v1/batchOrders", "batch_orders", 5, "TRADE", (5, 1)),
    _futures("PUT", "v1/batchOrders", "batch_modify", 5, "TRADE", (5, 1)),
    _futures("DELETE", "v1/batchOrders", "batch_cancel", 1, "TRADE"),
    _futures("DELETE", "v1/allOpenOrders", "cancel_all", 1, "TRADE"),
    _futures("POST", "v1/countdownCancelAll", "countdown_cancel", 10, "TRADE"),
    _futures("GET", "v1/openOrder", "open_order", 1, "USER_DATA"),
    _futures("GET", "v1/openOrders", "open_orders", _with("symbol", 1, 40), "USER_DATA"),
    _futures("GET", "v1/allOrders", "all_orders", 5, "USER_DATA"),
    _futures("GET", "v1/userTrades", "user_trades", 5, "USER_DATA"),
    _futures("GET", "v1/rateLimit/order", "order_counts", 1, "USER_DATA"),
    _futures("GET", "v2/account", "account", 5, "USER_DATA"),
    _futures("GET", "v3/account", "account_v3", 5, "USER_DATA"),
    _futures("GET", "v2/balance", "balance", 5, "USER_DATA"),
    _futures("GET", "v3/balance", "balance_v3", 5, "USER_DATA"),
    _futures("GET", "v2/positionRisk", "position_risk", 5, "USER_DATA"),
    _futures("GET", "v3/positionRisk", "position_risk_v3", 5, "USER_DATA"),
    _futures("GET", "v1/leverageBracket", "leverage_bracket", 1, "USER_DATA"),
    _futures("GET", "v1/commissionRate", "commission_rate", 20, "USER_DATA"),
    _futures("GET", "v1/income", "income", 30, "USER_DATA"),
    _futures("GET", "v1/accountConfig", "account_config", 5, "USER_DATA"),
    _futures("GET", "v1/symbolConfig", "symbol_config", 5, "USER_DATA"),
    _futures("GET", "v1/adlQuantile", "adl_quantile", 5, "USER_DATA"),
    _futures("GET", "v1/apiTradingStatus", "api_trading_status", _with("symbol", 1, 10), "USER_DATA"),
    _futures("POST", "v1/leverage", "leverage", 1, "TRADE"),
    _futures("POST", "v1/marginType", "margin_type", 1, "TRADE"),
    _futures("GET", "v1/positionSide/dual", "position_mode", 30, "USER_DATA"),
    _futures("POST", "v1/positionSide/dual", "set_position_mode", 1, "TRADE"),
    _futures("GET", "v1/multiAssetsMargin", "multi_assets_mode", 30, "USER_DATA"),
    _futures("POST", "v1/multiAssetsMargin", "set_multi_assets_mode", 1, "TRADE"),
    _futures("POST", "v1/listenKey", "new_listen_key", 1, "USER_STREAM"),
    _futures("PUT", "v1/listenKey", "keep_listen_key", 1, "USER_STREAM"),
    _futures("DELETE", "v1/listenKey", "close_listen_key", 1, "USER_STREAM"),
    _spot("GET", "ping", "ping", 1),
    _spot("GET", "time", "time", 1),
    _spot("GET", "exchangeInfo", "exchange_info", 20),
    _spot("GET", "depth", "depth", _SPOT_DEPTH),
    _spot("GET", "trades", "trades", 25),
    _spot("GET", "aggTrades", "agg_trades", 4),
    _spot("GET", "klines", "klines", 2),
    _spot("GET", "avgPrice", "avg_price", 2),
    _spot("GET", "ticker/price", "ticker_price", _with("symbol", 2, 4)),
    _spot("GET", "ticker/bookTicker", "book_ticker", _with("symbol", 2, 4)),
    _spot("GET", "ticker/24hr", "ticker_24hr", _spot_tickers(2, (2, 40, 80), 80)),
    _spot("POST", "order", "new_order", 0, "TRADE", (1, 1), 1),
    _spot("GET", "order", "query_order", 4, "USER_DATA"),
    _spot("DELETE", "order", "cancel_order", 0, "TRADE", _NO_ORDERS, 1),
    _spot("POST", "order/test", "test_order", 1, "TRADE"),
    _spot("DELETE", "openOrders", "cancel_all", 0, "TRADE", _NO_ORDERS, 1),
    _spot("GET", "openOrders", "open_orders", _with("symbol", 6, 80), "USER_DATA"),
    _spot("GET", "allOrders", "all_orders", 20, "USER_DATA"),
    _spot("GET", "myTrades", "user_trades", _with("orderId", 5, 20), "USER_DATA"),
    _spot("GET", "account", "account", 20, "USER_DATA"),
    _spot("GET", "account/commission", "commission_rate", 20, "USER_DATA"),
    _spot("GET", "rateLimit/order", "order_counts", 40, "USER_DATA"),
    _spot("POST", "userDataStream", "new_listen_key", 2, "USER_STREAM"),
    _spot("PUT", "userDataStream", "keep_listen_key", 2, "USER_STREAM"),
    _spot("DELETE", "userDataStream", "close_listen_key", 2, "USER_STREAM"),
    # Neighbouring APIs have limits of their own, which nobody reaches here.
    Route("GET", "/sapi/v1/capital/config/getall", "spot", "coins", 0, _NO_ORDERS, "USER_DATA"),
    Route("GET", "/sapi/v1/margin/allPairs", "spot", "margin_pairs", 0, _NO_ORDERS, "MARKET_DATA"),
    Route("GET", "/sapi/v1/margin/isolated/allPairs", "spot", "margin_pairs", 0, _NO_ORDERS, "MARKET_DATA"),
    Route("GET", "/dapi/v1/exchangeInfo", "spot", "coin_margined_info", 0, _NO_ORDERS, "NONE"),
)

ROUTES: Final[Mapping[tuple[str, str], Route]] = {(route.method, route.path): route for route in _ROUTES}
METHODS: Final[Mapping[str, frozenset[str]]] = {
    route.path: frozenset(other.method for other in _ROUTES if other.path == route.path) for route in _ROUTES
}
"""The methods that each path takes."""


def market_of(path: str) -> Market | None:
    """Return whose limits a request to that path counts against, whether or not the path exists."""
    if path.startswith("/fapi/"):
        return "futures"
    return "spot" if path.startswith("/api/") else None
