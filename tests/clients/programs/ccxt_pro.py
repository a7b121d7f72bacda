"""ccxt, asynchronous, with its user streams: `ccxt_pro.py <http url> <key> <secret> futures|spot`."""

import asyncio
import sys
from typing import Any

import ccxt.pro
from ccxt_shared import SYMBOLS, describe_market, describe_order, order_arguments, point
from steps import serve_async, steps_of, text


class Client:
    """Steps in terms of Binance's symbols and statuses; what ccxt made of them beside it."""

    def __init__(self, url: str, key: str, secret: str, market: str) -> None:
        self._market = market
        self._symbol = SYMBOLS[market]
        default = {"defaultType": "swap" if market == "futures" else "spot"}
        self._exchange = ccxt.pro.binance({"apiKey": key, "secret": secret, "options": default})
        point(self._exchange, url)
        self._seen: asyncio.Queue[dict[str, Any] | Exception] = asyncio.Queue()
        self._watching: asyncio.Task[None] | None = None

    async def time(self) -> int:
        return await self._exchange.fetch_time()

    async def exchange_info(self) -> dict[str, Any]:
        await self._exchange.load_markets(reload=True)
        return describe_market(self._exchange.market(self._symbol))

    async def order(self, **wanted: Any) -> dict[str, Any]:
        return describe_order(await self._exchange.create_order(self._symbol, *order_arguments(wanted)))

    async def query(self, client_id: str) -> dict[str, Any]:
        return describe_order(await self._exchange.fetch_order(None, self._symbol, {"clientOrderId": client_id}))

    async def cancel(self, client_id: str) -> dict[str, Any]:
        return describe_order(await self._exchange.cancel_order(None, self._symbol, {"clientOrderId": client_id}))

    async def open_orders(self) -> list[str]:
        return [order["clientOrderId"] for order in await self._exchange.fetch_open_orders(self._symbol)]

    async def trades(self) -> list[str]:
        return [text(trade["amount"]) for trade in await self._exchange.fetch_my_trades(self._symbol)]

    async def balance(self) -> str:
        return text((await self._exchange.fetch_balance())["USDT"]["total"])

    async def position(self) -> str:
        found = await self._exchange.fetch_positions([self._symbol])
        return text(sum((p["contracts"] or 0) * (-1 if p["side"] == "short" else 1) for p in found))

    async def subscribe(self) -> None:
        """Return once the socket is open: what happens from then on is heard."""
        await self._exchange.load_markets()
        self._watching = asyncio.create_task(self._watch())
        while not (clients := self._sockets()):  # noqa: ASYNC110 - see below
            await asyncio.sleep(0.01)  # ccxt has no other way to tell that it began to connect
        for client in clients:
            await client.connected
        if self._market == "spot":
            await self._exchange.authenticate({"type": "spot"})

    async def event(self, client_id: str, status: str) -> dict[str, Any]:
        async with asyncio.timeout(10):
            while True:
                seen = await self._seen.get()
                if isinstance(seen, Exception):
                    raise seen
                if (seen["client_id"], seen["status"]) == (client_id, status):
                    return seen

    async def unsubscribe(self) -> None:
        if self._watching is not None:
            self._watching.cancel()
        for client in self._sockets():
            await client.close()

    async def _close(self) -> None:
        await self.unsubscribe()
        await self._exchange.close()

    def _sockets(self) -> list[Any]:
        return [client for url, client in self._exchange.clients.items() if url.startswith("ws://")]

    async def _watch(self) -> None:
        try:
            while True:
                for order in await self._exchange.watch_orders(self._symbol):
                    self._seen.put_nowait(describe_order(order))
        except Exception as error:  # noqa: BLE001 - handed to the step that waits for an event
            self._seen.put_nowait(error)


async def _main() -> None:
    client = Client(*sys.argv[1:])
    try:
        await serve_async(steps_of(client))
    finally:
        await client._close()


asyncio.run(_main())
