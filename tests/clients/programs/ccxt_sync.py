"""ccxt, synchronous: `ccxt_sync.py <http url> <key> <secret> futures|spot`."""

import sys
from typing import Any

import ccxt
from ccxt_shared import SYMBOLS, describe_market, describe_order, order_arguments, point
from steps import serve, steps_of, text


class Client:
    """Steps in terms of Binance's symbols and statuses; what ccxt made of them beside it."""

    def __init__(self, url: str, key: str, secret: str, market: str) -> None:
        self._market = market
        self._symbol = SYMBOLS[market]
        self._exchange = ccxt.binance({"apiKey": key, "secret": secret})
        point(self._exchange, url)

    def time(self) -> int:
        return self._exchange.fetch_time({"type": "swap"} if self._market == "futures" else {})

    def exchange_info(self) -> dict[str, Any]:
        self._exchange.load_markets(reload=True)
        return describe_market(self._exchange.market(self._symbol))

    def order(self, **wanted: Any) -> dict[str, Any]:
        return describe_order(self._exchange.create_order(self._symbol, *order_arguments(wanted)))

    def query(self, client_id: str) -> dict[str, Any]:
        return describe_order(self._exchange.fetch_order(None, self._symbol, {"clientOrderId": client_id}))

    def cancel(self, client_id: str) -> dict[str, Any]:
        return describe_order(self._exchange.cancel_order(None, self._symbol, {"clientOrderId": client_id}))

    def open_orders(self) -> list[str]:
        return [order["clientOrderId"] for order in self._exchange.fetch_open_orders(self._symbol)]

    def trades(self) -> list[str]:
        return [text(trade["amount"]) for trade in self._exchange.fetch_my_trades(self._symbol)]

    def balance(self) -> str:
        kind = "swap" if self._market == "futures" else "spot"
        return text(self._exchange.fetch_balance({"type": kind})["USDT"]["total"])

    def position(self) -> str:
        found = self._exchange.fetch_positions([self._symbol])
        return text(sum((p["contracts"] or 0) * (-1 if p["side"] == "short" else 1) for p in found))


serve(steps_of(Client(*sys.argv[1:])))
