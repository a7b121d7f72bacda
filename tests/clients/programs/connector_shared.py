"""What the programs of Binance's two older connectors share: both are of one build."""

import json
import queue
import time
from typing import Any

SYMBOL = "BTCUSDT"


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


class Stream:
    """A user stream of `make(on_message=...)`, a connector's WebSocket client, which reads in a thread of its own."""

    def __init__(self, make: Any, listen_key: str) -> None:
        self._heard: queue.Queue[dict[str, Any]] = queue.Queue()
        self._client = make(on_message=lambda _, message: self._heard.put(json.loads(message)))
        self._client.user_data(listen_key, id=1)
        self._until(lambda message: message.get("id") == 1)

    def event(self, client_id: str, status: str) -> dict[str, Any]:
        """Return the event of that order reaching that status."""

        def fits(message: dict[str, Any]) -> bool:
            order = _order_of(message)
            return (order.get("C") or order.get("c"), order.get("X")) == (client_id, status)

        order = _order_of(self._until(fits))
        return {"client_id": client_id, "status": order["X"], "filled": order["z"]}

    def close(self) -> None:
        """Close it and end its thread."""
        self._client.stop()

    def _until(self, fits: Any) -> dict[str, Any]:
        end = time.monotonic() + 10
        while True:
            message = self._heard.get(timeout=max(0.0, end - time.monotonic()))
            if fits(message):
                return message


def _order_of(message: dict[str, Any]) -> dict[str, Any]:
    """Return the order in an event: futures have it inside, spot has it flat; empty for other events."""
    if message.get("e") == "ORDER_TRADE_UPDATE":
        return dict(message["o"])
    return message if message.get("e") == "executionReport" else {}
