"""python-binance's `Client`: `python_binance_sync.py <http url> <key> <secret> futures|spot`."""

import sys
from typing import Any

from binance import Client as BinanceClient
from python_binance_shared import SYMBOL, describe_market, describe_order, order_parameters, point
from steps import serve, steps_of


class Client:
    """Steps in terms of Binance's symbols and statuses."""

    def __init__(self, url: str, key: str, secret: str, market: str) -> None:
        point(url)
        self._futures = market == "futures"
        self._client = BinanceClient(key, secret)

    def _method(self, futures: str, spot: str) -> Any:
        return getattr(self._client, futures if self._futures else spot)

    def time(self) -> int:
        return int(self._method("futures_time", "get_server_time")()["serverTime"])

    def exchange_info(self) -> dict[str, Any]:
        return describe_market(self._method("futures_exchange_info", "get_exchange_info")())

    def order(self, **wanted: Any) -> dict[str, Any]:
        return describe_order(self._method("futures_create_order", "create_order")(**order_parameters(wanted)))

    def query(self, client_id: str) -> dict[str, Any]:
        found = self._method("futures_get_order", "get_order")(symbol=SYMBOL, origClientOrderId=client_id)
        return describe_order(found)

    def cancel(self, client_id: str) -> dict[str, Any]:
        gone = self._method("futures_cancel_order", "cancel_order")(symbol=SYMBOL, origClientOrderId=client_id)
        return describe_order(gone)

    def open_orders(self) -> list[str]:
        found = self._method("futures_get_open_orders", "get_open_orders")(symbol=SYMBOL)
        return [order["clientOrderId"] for order in found]

    def trades(self) -> list[str]:
        return [trade["qty"] for trade in self._method("futures_account_trades", "get_my_trades")(symbol=SYMBOL)]

    def balance(self) -> str:
        if not self._futures:
            return str(self._client.get_asset_balance("USDT")["free"])
        return next(str(a["balance"]) for a in self._client.futures_account_balance() if a["asset"] == "USDT")

    def position(self) -> str:
        found = self._client.futures_position_information(symbol=SYMBOL)
        return str(next((position["positionAmt"] for position in found), "0"))


serve(steps_of(Client(*sys.argv[1:])))
