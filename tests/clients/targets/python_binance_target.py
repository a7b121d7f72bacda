"""python-binance as a target of the Binance scenarios: thin calls to `AsyncClient`, its defaults otherwise.

Nothing is added: no waiting, no retry, no check of what became of an order; that is what is looked at.
"""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Literal

from adapter_shared import Report, call, report, tick_of, worst_price
from binance import AsyncClient
from binance.exceptions import BinanceAPIException

_UNKNOWN_CODES = frozenset((None, 0, -1000, -1006, -1007))
"""Codes after which an order may have been executed; all others say that it was not."""


class PythonBinanceAdapter:
    """A `BinanceAdapter` (scenarios/ports/binance.py) made of calls to python-binance."""

    def __init__(self, base_url: str, api_key: str, api_secret: str) -> None:
        AsyncClient.API_URL = f"{base_url}/api"
        AsyncClient.FUTURES_URL = f"{base_url}/fapi"
        AsyncClient.WS_API_URL = f"{base_url.replace('http://', 'ws://')}/ws-api/v3"
        self._credentials = (api_key, api_secret)
        self._client: AsyncClient | None = None
        self._info: Mapping[str, Any] | None = None

    async def start(self) -> None:
        """Nothing yet: making the client pings the exchange, so that is left to the first call."""

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
        parameters: dict[str, Any] = {"symbol": symbol, "side": side, "quantity": str(quantity), "type": "MARKET"}
        if reduce_only:
            parameters["reduceOnly"] = "true"
        async with call(deadline_s, _reason_of):
            if decision_price is not None:
                tick = await self._tick(symbol)
                price = worst_price(side, decision_price, max_slippage_bps, tick)
                parameters |= {"type": "LIMIT", "timeInForce": "IOC", "price": str(price)}
            client = await self._connected()
            order = await client.futures_create_order(**parameters, newOrderRespType="RESULT")
        return report(intent, quantity, Decimal(order["executedQty"]), None)

    async def place_limit(
        self, symbol: str, side: Literal["BUY", "SELL"], quantity: Decimal, price: Decimal, *, deadline_s: float = 30.0
    ) -> str:
        """Leave an order in the book."""
        async with call(deadline_s, _reason_of):
            client = await self._connected()
            order = await client.futures_create_order(
                symbol=symbol, side=side, type="LIMIT", timeInForce="GTC", quantity=str(quantity), price=str(price)
            )
        return str(order["clientOrderId"])

    async def cancel_order(self, symbol: str, client_order_id: str, *, deadline_s: float = 30.0) -> Decimal:
        """Cancel it."""
        async with call(deadline_s, _reason_of):
            client = await self._connected()
            gone = await client.futures_cancel_order(symbol=symbol, origClientOrderId=client_order_id)
        return Decimal(gone["executedQty"])

    async def get(self, path: str, params: Mapping[str, Any], *, signed: bool = False, deadline_s: float = 30.0) -> Any:
        """Use the method that all of its own GETs go through."""
        _, api, version, rest = path.split("/", 3)
        async with call(deadline_s, _reason_of):
            client = await self._connected()
            if api == "fapi":
                return await client._request_futures_api(  # what its public methods are one line around
                    "get", rest, signed, int(version[1:]), data=dict(params)
                )
            return await client._get(rest, signed, version, data=dict(params))

    async def reconcile(self, *, deadline_s: float = 30.0) -> Mapping[str, Report]:
        """Nothing: python-binance keeps no record of what it sent."""
        return {}

    async def close(self) -> None:
        """Close its connections."""
        if self._client is not None:
            await self._client.close_connection()

    async def _connected(self) -> AsyncClient:
        if self._client is None:
            self._client = await AsyncClient.create(*self._credentials)
        return self._client

    async def _tick(self, symbol: str) -> Decimal:
        if self._info is None:
            client = await self._connected()
            self._info = await client.futures_exchange_info()
        return tick_of(self._info, symbol)


def _reason_of(error: Exception) -> str | None:
    if not isinstance(error, BinanceAPIException) or error.code in _UNKNOWN_CODES:
        return None
    return "rate_limited" if error.status_code in (418, 429) or error.code == -1015 else "rejected"


def make(
    *, base_url: str, api_key: str, api_secret: str, directory: object, name: str, **_: Any
) -> PythonBinanceAdapter:
    """Return python-binance as it comes."""
    del directory, name
    return PythonBinanceAdapter(base_url, api_key, api_secret)
