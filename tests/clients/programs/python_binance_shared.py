"""What python-binance's synchronous and asynchronous programs share."""

from typing import Any

from binance import AsyncClient, BinanceSocketManager, Client

SYMBOL = "BTCUSDT"


def point(url: str) -> None:
    """Point python-binance at an emulator: the class attributes that hold its hosts.

    On the class, as the asynchronous client pings spot while it is being made.
    """
    streams = url.replace("http://", "ws://")
    for client in (Client, AsyncClient):
        client.API_URL = f"{url}/api"
        client.FUTURES_URL = f"{url}/fapi"
        client.WS_API_URL = f"{streams}/ws-api/v3"
    BinanceSocketManager.STREAM_URL = f"{streams}/"
    BinanceSocketManager.FSTREAM_URL = f"{streams}/"


def order_parameters(wanted: dict[str, Any]) -> dict[str, Any]:
    """Return the parameters of a new order, with its final state asked for."""
    names = {"client_id": "newClientOrderId", "time_in_force": "timeInForce"}
    parameters = {names.get(name, name): value for name, value in wanted.items()}
    if wanted["type"] == "LIMIT":
        parameters.setdefault("timeInForce", "GTC")
    return {"symbol": SYMBOL, "newOrderRespType": "RESULT", **parameters}


def describe_order(order: dict[str, Any]) -> dict[str, Any]:
    """Return what the tests ask of an order."""
    client_id = order.get("origClientOrderId") or order["clientOrderId"]
    return {"client_id": client_id, "status": order["status"], "filled": order["executedQty"]}


def describe_market(info: dict[str, Any]) -> dict[str, Any]:
    """Return what orders must keep to."""
    symbol = next(symbol for symbol in info["symbols"] if symbol["symbol"] == SYMBOL)
    filters = {rule["filterType"]: rule for rule in symbol["filters"]}
    notional = filters.get("MIN_NOTIONAL") or filters["NOTIONAL"]
    return {
        "tick": filters["PRICE_FILTER"]["tickSize"],
        "step": filters["LOT_SIZE"]["stepSize"],
        "min_notional": notional.get("notional") or notional["minNotional"],
    }


def describe_event(event: dict[str, Any]) -> dict[str, Any] | None:
    """Return what the tests ask of an order event; None for any other event."""
    order = event.get("o") if event.get("e") == "ORDER_TRADE_UPDATE" else event
    if not isinstance(order, dict) or event.get("e") not in ("ORDER_TRADE_UPDATE", "executionReport"):
        return None
    cancelled = order.get("C") if event["e"] == "executionReport" else ""
    return {"client_id": cancelled or order["c"], "status": order["X"], "filled": order["z"]}
