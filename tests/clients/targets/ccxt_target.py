"""ccxt as a target of the Binance scenarios: thin calls, its rate limiter on, its defaults otherwise.

`make` is ccxt as it comes. `make_retrying` sets the one option by which ccxt retries by itself, to 3. Nothing else is
added: no waiting, no retry, no check of what became of an order; that is what is looked at.
"""

from collections.abc import Mapping
from decimal import Decimal
from functools import partial
from typing import Any, Literal
from urllib.parse import urlsplit

import ccxt.async_support as ccxt
from adapter_shared import Report, call, report, worst_price

_REASONS: tuple[tuple[type[Exception], str], ...] = (
    (ccxt.DDoSProtection, "rate_limited"),
    (ccxt.RateLimitExceeded, "rate_limited"),
    (ccxt.OnMaintenance, "unavailable"),
    (ccxt.InvalidNonce, "rejected"),
    (ccxt.OrderNotFound, "rejected"),
    (ccxt.InsufficientFunds, "rejected"),
    (ccxt.InvalidOrder, "rejected"),
)
"""Only classes that say for sure that nothing was executed; the others (as NetworkError) say nothing about it."""


class CcxtAdapter:
    """A `BinanceAdapter` (scenarios/ports/binance.py) made of calls to ccxt."""

    def __init__(self, base_url: str, api_key: str, api_secret: str, retries: int) -> None:
        self._arguments = (base_url, api_key, api_secret, retries)
        self._exchange: Any = None

    async def start(self) -> None:
        """Make the exchange object; ccxt loads the markets at the first call that needs them."""
        base_url, key, secret, retries = self._arguments
        options: dict[str, Any] = {"defaultType": "swap"}
        if retries:
            options["maxRetriesOnFailure"] = retries
        self._exchange = ccxt.binance(
            {"apiKey": key, "secret": secret, "enableRateLimit": True, "options": options},
        )
        addresses = self._exchange.urls["api"]
        for name, address in addresses.items():
            addresses[name] = base_url + urlsplit(address).path

    async def execute_order(
        self,
        symbol: str,
        side: Literal["BUY", "SELL"],
        quantity: Decimal,
        *,
        intent: str | None = None,
        decision_price: Decimal | None = None,
        max_slippage_bps: int = 50,
        reduce_only: bool = False,
        deadline_s: float = 30.0,
    ) -> Report:
        """One order: at the market, or IOC at the worst price."""
        parameters: dict[str, Any] = {"reduceOnly": True} if reduce_only else {}
        async with call(deadline_s, _reason_of):
            unified = await self._symbol(symbol)
            price = None
            if decision_price is not None:
                tick = Decimal(str(self._exchange.market(unified)["precision"]["price"]))
                price = float(worst_price(side, decision_price, max_slippage_bps, tick))
                parameters["timeInForce"] = "IOC"
            kind = "market" if price is None else "limit"
            order = await self._exchange.create_order(
                unified, kind, side.lower(), float(quantity), price, params=parameters
            )
        average = Decimal(str(order["average"])) if order["average"] else None
        return report(intent, quantity, Decimal(str(order["filled"] or 0)), average)

    async def place_limit(
        self, symbol: str, side: Literal["BUY", "SELL"], quantity: Decimal, price: Decimal, *, deadline_s: float = 30.0
    ) -> str:
        """Leave an order in the book."""
        async with call(deadline_s, _reason_of):
            unified = await self._symbol(symbol)
            order = await self._exchange.create_order(unified, "limit", side.lower(), float(quantity), float(price))
        return str(order["clientOrderId"])

    async def cancel_order(self, symbol: str, client_order_id: str, *, deadline_s: float = 30.0) -> Decimal:
        """Cancel it."""
        async with call(deadline_s, _reason_of):
            unified = await self._symbol(symbol)
            gone = await self._exchange.cancel_order(None, unified, {"clientOrderId": client_order_id})
        return Decimal(str(gone["filled"] or 0))

    async def get(self, path: str, params: Mapping[str, Any], *, signed: bool = False, deadline_s: float = 30.0) -> Any:
        """Call ccxt's own method for that path, as `/fapi/v1/depth` is `fapiPublicGetDepth`."""
        _, api, version, *rest = path.split("/")
        method = api if api != "api" else ""
        method += ("Private" if signed else "Public") if method else "private" if signed else "public"
        method += version.upper() if api == "fapi" and version != "v1" else ""
        method += "Get" + "".join(part[0].upper() + part[1:] for part in rest)
        async with call(deadline_s, _reason_of):
            return await getattr(self._exchange, method)(dict(params))

    async def reconcile(self, *, deadline_s: float = 30.0) -> Mapping[str, Report]:
        """Nothing: ccxt keeps no record of what it sent."""
        return {}

    async def close(self) -> None:
        """Close its connections."""
        if self._exchange is not None:
            await self._exchange.close()

    async def _symbol(self, symbol: str) -> str:
        await self._exchange.load_markets()
        return str(self._exchange.safe_symbol(symbol, None, None, "swap"))


def _reason_of(error: Exception) -> str | None:
    return next((reason for known, reason in _REASONS if isinstance(error, known)), None)


def make(
    *, base_url: str, api_key: str, api_secret: str, directory: object, name: str, retries: int = 0, **_: Any
) -> CcxtAdapter:
    """Return ccxt as it comes."""
    del directory, name
    return CcxtAdapter(base_url, api_key, api_secret, retries)


make_retrying = partial(make, retries=3)
