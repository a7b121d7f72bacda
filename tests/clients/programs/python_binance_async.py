"""python-binance's `AsyncClient` and `BinanceSocketManager`: `... <http url> <key> <secret> futures|spot`."""

import asyncio
import sys
from typing import Any

from binance import AsyncClient, BinanceSocketManager
from python_binance_shared import SYMBOL, describe_event, describe_market, describe_order, order_parameters, point
from steps import serve_async, steps_of


class Client:
    """Steps in terms of Binance's symbols and statuses."""

    def __init__(self, client: AsyncClient, market: str) -> None:
        self._futures = market == "futures"
        self._client = client
        self._stream: Any = None

    def _method(self, futures: str, spot: str) -> Any:
        return getattr(self._client, futures if self._futures else spot)

    async def time(self) -> int:
        return int((await self._method("futures_time", "get_server_time")())["serverTime"])

    async def exchange_info(self) -> dict[str, Any]:
        return describe_market(await self._method("futures_exchange_info", "get_exchange_info")())

    async def order(self, **wanted: Any) -> dict[str, Any]:
        return describe_order(await self._method("futures_create_order", "create_order")(**order_parameters(wanted)))

    async def query(self, client_id: str) -> dict[str, Any]:
        found = await self._method("futures_get_order", "get_order")(symbol=SYMBOL, origClientOrderId=client_id)
        return describe_order(found)

    async def cancel(self, client_id: str) -> dict[str, Any]:
        gone = await self._method("futures_cancel_order", "cancel_order")(symbol=SYMBOL, origClientOrderId=client_id)
        return describe_order(gone)

    async def open_orders(self) -> list[str]:
        found = await self._method("futures_get_open_orders", "get_open_orders")(symbol=SYMBOL)
        return [order["clientOrderId"] for order in found]

    async def trades(self) -> list[str]:
        found = await self._method("futures_account_trades", "get_my_trades")(symbol=SYMBOL)
        return [trade["qty"] for trade in found]

    async def balance(self) -> str:
        if not self._futures:
            return str((await self._client.get_asset_balance("USDT"))["free"])
        return next(str(a["balance"]) for a in await self._client.futures_account_balance() if a["asset"] == "USDT")

    async def position(self) -> str:
        found = await self._client.futures_position_information(symbol=SYMBOL)
        return str(next((position["positionAmt"] for position in found), "0"))

    async def subscribe(self) -> None:
        """Return once the socket is open: what happens from then on is heard."""
        manager = BinanceSocketManager(self._client)
        self._stream = manager.futures_user_socket() if self._futures else manager.user_socket()
        await self._stream.__aenter__()

    async def event(self, client_id: str, status: str) -> dict[str, Any]:
        async with asyncio.timeout(10):
            while True:
                seen = describe_event(await self._stream.recv())
                if seen is not None and (seen["client_id"], seen["status"]) == (client_id, status):
                    return seen

    async def unsubscribe(self) -> None:
        """Close the sockets under the client's closing, which would wait 10 s for a message first."""
        if self._futures:
            await asyncio.gather(self._stream.close(), self._stream.ws.close())
        else:
            await self._stream.close()
            await asyncio.gather(self._client.ws_api.close(), self._client.ws_api.ws.close())


async def _main() -> None:
    url, key, secret, market = sys.argv[1:]
    point(url)
    client = await AsyncClient.create(key, secret)
    try:
        await serve_async(steps_of(Client(client, market)))
    finally:
        await client.close_connection()


asyncio.run(_main())
