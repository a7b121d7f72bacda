"""exchangeInfo: everything a client must know to trade, as complete as real clients demand.

Field names and their order follow the exchange's documentation; what no client computes with (`underlyingType`,
`liquidationFee`, ...) has the values that BTCUSDT has there.
"""

from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any, Final

from harness.dependencies.binance.market.symbols import INSTRUMENTS, Instrument, text
from harness.dependencies.binance.settings import Limit, Market

FUTURES_TYPES: Final = (
    "LIMIT",
    "MARKET",
    "STOP",
    "STOP_MARKET",
    "TAKE_PROFIT",
    "TAKE_PROFIT_MARKET",
    "TRAILING_STOP_MARKET",
)
SPOT_TYPES: Final = ("LIMIT", "LIMIT_MAKER", "MARKET")
TIMES_IN_FORCE: Final = {"futures": ("GTC", "IOC", "FOK", "GTX", "GTD"), "spot": ("GTC", "IOC", "FOK")}

PERPETUAL_DELIVERY_MS: Final = 4_133_404_800_000
"""`deliveryDate` of every perpetual; clients recognise them by it."""
ONBOARD_MS: Final = 1_569_398_400_000
MAX_OPEN_ORDERS: Final = 200
MARKET_TAKE_BOUND: Final = Decimal("0.05")
"""A market order takes nothing further than this share from the price (`marketTakeBound`, `PERCENT_PRICE`)."""
SPOT_UP: Final = Decimal(5)
SPOT_DOWN: Final = Decimal("0.2")


def exchange_info(market: Market, limits: Sequence[Limit], wall_ms: int, wanted: Iterable[str] = ()) -> dict[str, Any]:
    """Return the whole document; `wanted` symbols only, where there are any."""
    listed = INSTRUMENTS[market]
    chosen = [listed[symbol] for symbol in wanted] or list(listed.values())
    answer: dict[str, Any] = {"timezone": "UTC", "serverTime": wall_ms}
    if market == "futures":
        answer["futuresType"] = "U_MARGINED"
    answer["rateLimits"] = [limit.as_json() for limit in limits]
    if market == "spot":
        answer["rateLimits"].append(
            {"rateLimitType": "RAW_REQUESTS", "interval": "MINUTE", "intervalNum": 5, "limit": 61_000}
        )
    answer["exchangeFilters"] = []
    if market == "futures":
        answer["assets"] = [{"asset": "USDT", "marginAvailable": True, "autoAssetExchange": "-10000"}]
    describe = _perpetual if market == "futures" else _pair
    answer["symbols"] = [describe(each) for each in chosen]
    return answer


def _perpetual(each: Instrument) -> dict[str, Any]:
    return {
        "symbol": each.symbol,
        "pair": each.symbol,
        "contractType": "PERPETUAL",
        "deliveryDate": PERPETUAL_DELIVERY_MS,
        "onboardDate": ONBOARD_MS,
        "status": "TRADING",
        "maintMarginPercent": "2.5000",
        "requiredMarginPercent": "5.0000",
        "baseAsset": each.base,
        "quoteAsset": each.quote,
        "marginAsset": each.quote,
        "pricePrecision": each.price_precision,
        "quantityPrecision": each.quantity_precision,
        "baseAssetPrecision": 8,
        "quotePrecision": 8,
        "underlyingType": "COIN",
        "underlyingSubType": ["PoW"],
        "settlePlan": 0,
        "triggerProtect": "0.0500",
        "liquidationFee": "0.012500",
        "marketTakeBound": text(MARKET_TAKE_BOUND),
        "maxMoveOrderLimit": 10_000,
        "filters": [
            _price_filter(each),
            _lot("LOT_SIZE", each, each.max_quantity),
            _lot("MARKET_LOT_SIZE", each, each.market_max_quantity),
            {"filterType": "MAX_NUM_ORDERS", "limit": MAX_OPEN_ORDERS},
            {"filterType": "MAX_NUM_ALGO_ORDERS", "limit": 10},
            {"filterType": "MIN_NOTIONAL", "notional": text(each.min_notional)},
            {
                "filterType": "PERCENT_PRICE",
                "multiplierUp": "1.0500",
                "multiplierDown": "0.9500",
                "multiplierDecimal": "4",
            },
        ],
        "orderTypes": list(FUTURES_TYPES),
        "timeInForce": list(TIMES_IN_FORCE["futures"]),
        "permissionSets": ["GRID", "COPY"],
    }


def _price_filter(each: Instrument) -> dict[str, str]:
    return {
        "filterType": "PRICE_FILTER",
        "minPrice": text(each.tick),
        "maxPrice": text(max_price(each)),
        "tickSize": text(each.tick),
    }


def max_price(each: Instrument) -> Decimal:
    """The highest price that may be asked for; Binance's are per symbol, this is assumed."""
    return each.price * 100


def _lot(kind: str, each: Instrument, most: Decimal) -> dict[str, str]:
    return {"filterType": kind, "minQty": text(each.step), "maxQty": text(most), "stepSize": text(each.step)}


def _pair(each: Instrument) -> dict[str, Any]:
    permissions = ["SPOT", "MARGIN"]
    return {
        "symbol": each.symbol,
        "status": "TRADING",
        "baseAsset": each.base,
        "baseAssetPrecision": 8,
        "quoteAsset": each.quote,
        "quotePrecision": 8,
        "quoteAssetPrecision": 8,
        "baseCommissionPrecision": 8,
        "quoteCommissionPrecision": 8,
        "orderTypes": list(SPOT_TYPES),
        "icebergAllowed": False,
        "ocoAllowed": False,
        "otoAllowed": False,
        "quoteOrderQtyMarketAllowed": True,
        "allowTrailingStop": False,
        "cancelReplaceAllowed": False,
        "amendAllowed": False,
        "isSpotTradingAllowed": True,
        "isMarginTradingAllowed": False,
        "filters": [
            _price_filter(each),
            _lot("LOT_SIZE", each, each.max_quantity),
            {
                "filterType": "MARKET_LOT_SIZE",
                "minQty": "0.00000000",
                "maxQty": text(each.market_max_quantity),
                "stepSize": "0.00000000",
            },
            {
                "filterType": "PERCENT_PRICE_BY_SIDE",
                "bidMultiplierUp": text(SPOT_UP),
                "bidMultiplierDown": text(SPOT_DOWN),
                "askMultiplierUp": text(SPOT_UP),
                "askMultiplierDown": text(SPOT_DOWN),
                "avgPriceMins": 5,
            },
            {
                "filterType": "NOTIONAL",
                "minNotional": text(each.min_notional),
                "applyMinToMarket": True,
                "maxNotional": "9000000.00000000",
                "applyMaxToMarket": False,
                "avgPriceMins": 5,
            },
            {"filterType": "MAX_NUM_ORDERS", "maxNumOrders": MAX_OPEN_ORDERS},
        ],
        "permissions": permissions,
        "permissionSets": [permissions],
        "defaultSelfTradePreventionMode": "EXPIRE_MAKER",
        "allowedSelfTradePreventionModes": ["EXPIRE_MAKER"],
    }
