"""binance-sdk-derivatives-trading-usds-futures: `modular_sdk.py <http url> <key> <secret> futures`.

Answers go through the SDK's strict models: one that does not fit is only logged by the SDK, and so comes out among the
warnings. REST is synchronous, streams live in a loop; REST calls are made from the loop's thread, as they are short.
"""

import asyncio
import sys
from typing import Any

from binance_common.configuration import ConfigurationRestAPI, ConfigurationWebSocketStreams
from binance_sdk_derivatives_trading_usds_futures.derivatives_trading_usds_futures import DerivativesTradingUsdsFutures
from binance_sdk_derivatives_trading_usds_futures.rest_api.models import (
    NewOrderNewOrderRespTypeEnum,
    NewOrderSideEnum,
    NewOrderTimeInForceEnum,
)
from steps import serve_async, steps_of

SYMBOL = "BTCUSDT"


class Client:
    """Steps in terms of Binance's symbols and statuses."""

    def __init__(self, url: str, key: str, secret: str, _market: str) -> None:
        self._sdk = DerivativesTradingUsdsFutures(
            config_rest_api=ConfigurationRestAPI(api_key=key, api_secret=secret, base_path=url),
            config_ws_streams=ConfigurationWebSocketStreams(stream_url=url.replace("http://", "ws://")),
        )
        self._rest = self._sdk.rest_api
        self._connection: Any = None
        self._seen: asyncio.Queue[Any] = asyncio.Queue()

    async def time(self) -> int:
        return int(self._rest.check_server_time().data().server_time)

    async def exchange_info(self) -> dict[str, Any]:
        info = self._rest.exchange_information().data()
        symbol = next(symbol for symbol in info.symbols if symbol.symbol == SYMBOL)
        rules = {rule.filter_type: rule for rule in symbol.filters}
        return {
            "tick": rules["PRICE_FILTER"].tick_size,
            "step": rules["LOT_SIZE"].step_size,
            "min_notional": rules["MIN_NOTIONAL"].notional,
        }

    async def order(self, **wanted: Any) -> dict[str, Any]:
        tif = wanted.get("time_in_force", "GTC" if wanted["type"] == "LIMIT" else None)
        answer = self._rest.new_order(
            symbol=SYMBOL,
            side=NewOrderSideEnum[wanted["side"]].value,
            type=wanted["type"],
            time_in_force=NewOrderTimeInForceEnum[tif].value if tif else None,
            quantity=float(wanted["quantity"]),
            price=float(wanted["price"]) if "price" in wanted else None,
            new_client_order_id=wanted.get("client_id"),
            new_order_resp_type=NewOrderNewOrderRespTypeEnum["RESULT"].value,
        )
        return {**_describe(answer.data()), "rate_limits": [limit.__dict__ for limit in answer.rate_limits]}

    async def query(self, client_id: str) -> dict[str, Any]:
        return _describe(self._rest.query_order(symbol=SYMBOL, orig_client_order_id=client_id).data())

    async def cancel(self, client_id: str) -> dict[str, Any]:
        return _describe(self._rest.cancel_order(symbol=SYMBOL, orig_client_order_id=client_id).data())

    async def open_orders(self) -> list[str]:
        return [order.client_order_id for order in self._rest.current_all_open_orders(symbol=SYMBOL).data()]

    async def trades(self) -> list[str]:
        return [trade.qty for trade in self._rest.account_trade_list(symbol=SYMBOL).data()]

    async def balance(self) -> str:
        account = self._rest.account_information_v3().data()
        balances = self._rest.futures_account_balance_v3().data()
        known = {asset.asset for asset in account.assets}
        return next(str(asset.balance) for asset in balances if asset.asset == "USDT" and asset.asset in known)

    async def position(self) -> str:
        found = self._rest.position_information_v3(symbol=SYMBOL).data()
        return str(next((position.position_amt for position in found), "0"))

    async def subscribe(self) -> None:
        """Return once the subscription is acknowledged: what happens from then on is heard."""
        key = self._rest.start_user_data_stream().data().listen_key
        self._rest.keepalive_user_data_stream()
        self._connection = await self._sdk.websocket_streams.create_connection()
        stream = await self._connection.user_data(key)
        stream.on("message", self._seen.put_nowait)
        while any(socket.pending_request for socket in self._connection.connections):  # noqa: ASYNC110 - see below
            await asyncio.sleep(0.01)  # the SDK has no other way to tell that it was acknowledged

    async def event(self, client_id: str, status: str) -> dict[str, Any]:
        async with asyncio.timeout(10):
            while True:
                event = (await self._seen.get()).actual_instance
                order = event.o if type(event).__name__ == "OrderTradeUpdate" else None
                if order is not None and (order.c, order.X) == (client_id, status):
                    return {"client_id": order.c, "status": order.X, "filled": order.z}

    async def unsubscribe(self) -> None:
        await self._connection.close_connection(close_session=True)


def _describe(order: Any) -> dict[str, Any]:
    return {"client_id": order.client_order_id, "status": order.status, "filled": order.executed_qty}


asyncio.run(serve_async(steps_of(Client(*sys.argv[1:]))))
