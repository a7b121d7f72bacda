"""What ccxt's synchronous and asynchronous programs share."""

from typing import Any
from urllib.parse import urlsplit

from steps import text

SYMBOLS = {"futures": "BTC/USDT:USDT", "spot": "BTC/USDT"}


def point(exchange: Any, url: str) -> None:
    """Point ccxt at an emulator: every REST host in `urls["api"]` (as its documentation says), and the streams."""
    api = exchange.urls["api"]
    for name, address in api.items():
        if isinstance(address, str):
            api[name] = url + urlsplit(address).path
    if "ws" in api:
        _point_streams(api["ws"], url.replace("http://", "ws://"))


def _point_streams(streams: dict[str, Any], url: str) -> None:
    for name, address in streams.items():
        if isinstance(address, str):
            streams[name] = url + urlsplit(address).path
        else:
            _point_streams(address, url)


def order_arguments(wanted: dict[str, Any]) -> tuple[Any, ...]:
    """Return create_order's arguments after the symbol."""
    parameters = {"clientOrderId": wanted["client_id"]} if "client_id" in wanted else {}
    if "time_in_force" in wanted:
        parameters["timeInForce"] = wanted["time_in_force"]
    price = float(wanted["price"]) if "price" in wanted else None
    return wanted["type"].lower(), wanted["side"].lower(), float(wanted["quantity"]), price, parameters


def describe_order(order: dict[str, Any]) -> dict[str, Any]:
    """Return what Binance said of an order, and what ccxt made of it as `unified`."""
    info = order["info"]
    return {
        "client_id": order["clientOrderId"],
        "status": info["status"] if "status" in info else info["X"],
        "filled": text(order["filled"]),
        "unified": {name: order[name] for name in ("symbol", "status", "side", "type", "amount", "filled", "average")},
    }


def describe_market(market: dict[str, Any]) -> dict[str, Any]:
    """Return what orders must keep to."""
    return {
        "tick": text(market["precision"]["price"]),
        "step": text(market["precision"]["amount"]),
        "min_notional": text(market["limits"]["cost"]["min"]),
        "unified": {name: market[name] for name in ("type", "linear", "active", "settle", "contractSize")},
    }
