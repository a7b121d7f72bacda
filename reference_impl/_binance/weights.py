"""What each request weighs on the IP's limit (USD-M futures, documentation of 2026), and which count as orders."""

from collections.abc import Mapping
from typing import Any, Final

ORDER: Final = "/fapi/v1/order"
TIME: Final = "/fapi/v1/time"
EXCHANGE_INFO: Final = "/fapi/v1/exchangeInfo"
DEPTH: Final = "/fapi/v1/depth"

_FLAT: Final[dict[str, int]] = {
    "/fapi/v1/ping": 1,
    TIME: 1,
    EXCHANGE_INFO: 1,
    ORDER: 1,
    "/fapi/v1/listenKey": 1,
    "/fapi/v1/leverageBracket": 1,
    "/fapi/v1/allOrders": 5,
    "/fapi/v1/userTrades": 5,
    "/fapi/v1/trades": 5,
    "/fapi/v1/aggTrades": 20,
    "/fapi/v1/historicalTrades": 20,
    "/fapi/v1/income": 30,
}
_BY_SYMBOL: Final[dict[str, tuple[int, int]]] = {
    "/fapi/v1/openOrders": (1, 40),
    "/fapi/v1/ticker/24hr": (1, 40),
    "/fapi/v1/ticker/price": (1, 2),
    "/fapi/v1/ticker/bookTicker": (2, 5),
    "/fapi/v1/premiumIndex": (1, 10),
}
_BY_LIMIT: Final[dict[str, tuple[int, tuple[tuple[int, int], ...]]]] = {
    DEPTH: (500, ((50, 2), (100, 5), (500, 10), (1_000, 20))),
    "/fapi/v1/klines": (500, ((99, 1), (499, 2), (1_000, 5), (1_500, 10))),
}
"""Path: the default of `limit`, and (up to this limit, weight)."""
_UNLISTED: Final = 5
"""Account endpoints (account, balance, positionRisk of v2 and v3) weigh 5; so does what is not listed, to be safe."""


def weight(method: str, path: str, params: Mapping[str, Any]) -> int:
    """Return the weight of a request. Sending an order weighs nothing here: it counts on the order limits."""
    if path == ORDER and method == "POST":
        return 0
    if path in _BY_SYMBOL:
        one, all_symbols = _BY_SYMBOL[path]
        return one if params.get("symbol") else all_symbols
    if path in _BY_LIMIT:
        default, table = _BY_LIMIT[path]
        limit = int(params.get("limit") or default)
        return next((weight for most, weight in table if limit <= most), table[-1][1])
    return _FLAT.get(path, _UNLISTED)
