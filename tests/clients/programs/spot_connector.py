"""binance-connector (spot): `spot_connector.py <http url> <key> <secret> spot`."""

import functools
import sys
from typing import Any

from binance.spot import Spot
from binance.websocket.spot.websocket_stream import SpotWebsocketStreamClient
from connector_shared import SYMBOL, Stream, describe_market, describe_order, order_parameters
from steps import serve, steps_of


class Client:
    """Steps in terms of Binance's symbols and statuses."""

    def __init__(self, url: str, key: str, secret: str, _market: str) -> None:
        self._client = Spot(api_key=key, api_secret=secret, base_url=url)
        self._stream_url = url.replace("http://", "ws://")
        self._stream: Stream | None = None

    def time(self) -> int:
        return int(self._client.time()["serverTime"])

    def exchange_info(self) -> dict[str, Any]:
        return describe_market(self._client.exchange_info())

    def order(self, **wanted: Any) -> dict[str, Any]:
        return describe_order(self._client.new_order(**order_parameters(wanted)))

    def query(self, client_id: str) -> dict[str, Any]:
        return describe_order(self._client.get_order(SYMBOL, origClientOrderId=client_id))

    def cancel(self, client_id: str) -> dict[str, Any]:
        return describe_order(self._client.cancel_order(SYMBOL, origClientOrderId=client_id))

    def open_orders(self) -> list[str]:
        return [order["clientOrderId"] for order in self._client.get_open_orders(SYMBOL)]

    def trades(self) -> list[str]:
        return [trade["qty"] for trade in self._client.my_trades(SYMBOL)]

    def balance(self) -> str:
        return next(str(asset["free"]) for asset in self._client.account()["balances"] if asset["asset"] == "USDT")

    def subscribe(self) -> None:
        """Return once the subscription is acknowledged: what happens from then on is heard."""
        key = self._client.new_listen_key()["listenKey"]
        self._client.renew_listen_key(key)
        self._stream = Stream(functools.partial(SpotWebsocketStreamClient, stream_url=self._stream_url), key)

    def event(self, client_id: str, status: str) -> dict[str, Any]:
        assert self._stream is not None
        return self._stream.event(client_id, status)

    def unsubscribe(self) -> None:
        assert self._stream is not None
        self._stream.close()


serve(steps_of(Client(*sys.argv[1:])))
