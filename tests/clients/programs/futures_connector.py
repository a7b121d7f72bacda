"""binance-futures-connector: `futures_connector.py <http url> <key> <secret> futures`."""

import functools
import sys
from typing import Any

from binance.um_futures import UMFutures
from binance.websocket.um_futures.websocket_client import UMFuturesWebsocketClient
from connector_shared import SYMBOL, Stream, describe_market, describe_order, order_parameters
from steps import serve, steps_of


class Client:
    """Steps in terms of Binance's symbols and statuses."""

    def __init__(self, url: str, key: str, secret: str, _market: str) -> None:
        self._client = UMFutures(key=key, secret=secret, base_url=url)
        self._stream_url = url.replace("http://", "ws://") + "/private"
        self._stream: Stream | None = None

    def time(self) -> int:
        return int(self._client.time()["serverTime"])

    def exchange_info(self) -> dict[str, Any]:
        return describe_market(self._client.exchange_info())

    def order(self, **wanted: Any) -> dict[str, Any]:
        return describe_order(self._client.new_order(**order_parameters(wanted)))

    def query(self, client_id: str) -> dict[str, Any]:
        return describe_order(self._client.query_order(SYMBOL, origClientOrderId=client_id))

    def cancel(self, client_id: str) -> dict[str, Any]:
        return describe_order(self._client.cancel_order(SYMBOL, origClientOrderId=client_id))

    def open_orders(self) -> list[str]:
        return [order["clientOrderId"] for order in self._client.get_orders(symbol=SYMBOL)]

    def trades(self) -> list[str]:
        return [trade["qty"] for trade in self._client.get_account_trades(SYMBOL)]

    def balance(self) -> str:
        return next(str(asset["balance"]) for asset in self._client.balance() if asset["asset"] == "USDT")

    def position(self) -> str:
        found = self._client.get_position_risk(symbol=SYMBOL)
        return str(next((position["positionAmt"] for position in found), "0"))

    def subscribe(self) -> None:
        """Return once the subscription is acknowledged: what happens from then on is heard."""
        key = self._client.new_listen_key()["listenKey"]
        self._client.renew_listen_key(key)
        self._stream = Stream(functools.partial(UMFuturesWebsocketClient, stream_url=self._stream_url), key)

    def event(self, client_id: str, status: str) -> dict[str, Any]:
        assert self._stream is not None
        return self._stream.event(client_id, status)

    def unsubscribe(self) -> None:
        assert self._stream is not None
        self._stream.close()


serve(steps_of(Client(*sys.argv[1:])))
