"""What clients ask of Binance's neighbouring APIs before they trade here: coins, margin pairs, coin-margined futures.

ccxt does so whenever it loads markets with keys, and gives up if one of them fails. The account can neither deposit nor
borrow, and there are no coin-margined symbols, so the answers say just that. They cost no weight: the real ones have
limits of their own.
"""

from collections.abc import Iterable
from typing import Any, Final

from harness.dependencies.binance.market.quotes import Read

_NOTHING: Final = "0"


def neighbours(assets: Iterable[str]) -> dict[str, Read]:
    """Return the handlers, by endpoint; `assets` are those that the spot account can hold."""
    coins = [_coin(asset) for asset in sorted(assets)]
    return {
        "coins": lambda _params, _wall_ms: coins,
        "margin_pairs": lambda _params, _wall_ms: [],
        "coin_margined_info": lambda _params, wall_ms: {
            "timezone": "UTC",
            "serverTime": wall_ms,
            "rateLimits": [],
            "exchangeFilters": [],
            "symbols": [],
        },
    }


def _coin(asset: str) -> dict[str, Any]:
    """Return a coin that can be traded but moves nowhere."""
    return {
        "coin": asset,
        "name": asset,
        "depositAllEnable": False,
        "withdrawAllEnable": False,
        "free": _NOTHING,
        "locked": _NOTHING,
        "freeze": _NOTHING,
        "withdrawing": _NOTHING,
        "ipoing": _NOTHING,
        "ipoable": _NOTHING,
        "storage": _NOTHING,
        "isLegalMoney": False,
        "trading": True,
        "networkList": [],
    }
