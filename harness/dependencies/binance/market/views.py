"""JSON shapes of orders and trades, both markets. Ids and times are integers, amounts strings, as Binance has them.

Answers to POST, PUT and DELETE of a futures order have no `avgPrice` and no `cumQuote` (gone in 2026); GET has both.
"""

from decimal import Decimal
from typing import Any, Final

from harness.dependencies.binance.market.account import CENT, Fill
from harness.dependencies.binance.market.orders import Order
from harness.dependencies.binance.market.symbols import text

_ZERO: Final = Decimal(0)
SELF_TRADE: Final = "EXPIRE_MAKER"


def average(order: Order) -> Decimal:
    """Return the average price of its fills, two places finer than prices are, 0 without fills."""
    unit = Decimal(1).scaleb(-max(5, order.instrument.price_precision + 2))
    return ((order.quote / order.executed) if order.executed else _ZERO).quantize(unit)


def money(amount: Decimal) -> str:
    """Return an amount of money with eight places."""
    return format(amount, ".8f")


def futures_answer(order: Order, *, acknowledged: bool = False) -> dict[str, Any]:
    """Return what POST, PUT and DELETE answer; `acknowledged`: as it came in, whatever has become of it since."""
    executed = format(_ZERO if acknowledged else order.executed, f".{order.instrument.quantity_precision}f")
    return {
        "orderId": order.id,
        "symbol": order.instrument.symbol,
        "status": "NEW" if acknowledged else order.status,
        "clientOrderId": order.client_id,
        "price": format(order.price, f".{order.instrument.price_precision}f"),
        "origQty": text(order.quantity),
        "executedQty": executed,
        "cumQty": executed,
        "timeInForce": order.time_in_force,
        "type": order.type,
        "reduceOnly": order.reduce_only,
        "closePosition": False,
        "side": order.side,
        "positionSide": "BOTH",
        "stopPrice": "0.00",
        "workingType": "CONTRACT_PRICE",
        "priceProtect": False,
        "origType": order.type,
        "priceMatch": "NONE",
        "selfTradePreventionMode": SELF_TRADE,
        "goodTillDate": order.good_till_ms,
        "updateTime": order.updated_ms,
    }


def futures_query(order: Order) -> dict[str, Any]:
    """Return what GET answers."""
    answer = futures_answer(order)
    del answer["cumQty"]
    answer["avgPrice"] = text(average(order))
    answer["cumQuote"] = format(order.quote, ".5f") if order.quote else "0.00000"
    answer["time"] = order.created_ms
    return answer


def futures_trade(fill: Fill) -> dict[str, Any]:
    """Return an entry of userTrades."""
    return {
        "symbol": fill.symbol,
        "id": fill.trade_id,
        "orderId": fill.order_id,
        "side": fill.side,
        "price": text(fill.price),
        "qty": text(fill.quantity),
        "realizedPnl": money(fill.booked.realised),
        "quoteQty": text(fill.quote),
        "commission": money(fill.booked.commission),
        "commissionAsset": fill.booked.asset,
        "time": fill.time_ms,
        "positionSide": "BOTH",
        "buyer": fill.side == "BUY",
        "maker": fill.maker,
    }


def _spot_identity(order: Order) -> dict[str, Any]:
    return {
        "symbol": order.instrument.symbol,
        "orderId": order.id,
        "orderListId": -1,
        "clientOrderId": order.client_id,
    }


def _spot_state(order: Order) -> dict[str, Any]:
    """What has become of it, in the order in which every answer has it."""
    return {
        "price": money(order.price),
        "origQty": money(order.quantity),
        "executedQty": money(order.executed),
        "origQuoteOrderQty": money(order.amount_quote),
        "cummulativeQuoteQty": money(order.quote.quantize(CENT)),
        "status": order.status,
        "timeInForce": order.time_in_force,
        "type": order.type,
        "side": order.side,
    }


def spot_query(order: Order) -> dict[str, Any]:
    """Return what GET answers."""
    return {
        **_spot_identity(order),
        **_spot_state(order),
        "stopPrice": "0.00000000",
        "icebergQty": "0.00000000",
        "time": order.created_ms,
        "updateTime": order.updated_ms,
        "isWorking": True,
        "workingTime": order.created_ms,
        "selfTradePreventionMode": SELF_TRADE,
    }


def spot_answer(order: Order, fills: tuple[Fill, ...]) -> dict[str, Any]:
    """Return what POST answers: ACK, RESULT or FULL, as the order asked for."""
    answer: dict[str, Any] = {
        **_spot_identity(order),
        "transactTime": order.updated_ms,
    }
    if order.response == "ACK":
        return answer
    answer |= {
        **_spot_state(order),
        "workingTime": order.created_ms,
        "selfTradePreventionMode": SELF_TRADE,
    }
    if order.response == "FULL":
        answer["fills"] = [
            {
                "price": money(fill.price),
                "qty": money(fill.quantity),
                "commission": money(fill.booked.commission),
                "commissionAsset": fill.booked.asset,
                "tradeId": fill.trade_id,
            }
            for fill in fills
        ]
    return answer


def spot_cancelled(order: Order, client_id: str) -> dict[str, Any]:
    """Return what DELETE answers; `client_id` names the cancellation, as it asked or as it was made up."""
    return {
        "symbol": order.instrument.symbol,
        "origClientOrderId": order.client_id,
        "orderId": order.id,
        "orderListId": -1,
        "clientOrderId": client_id,
        "transactTime": order.updated_ms,
        **_spot_state(order),
        "selfTradePreventionMode": SELF_TRADE,
    }


def spot_trade(fill: Fill) -> dict[str, Any]:
    """Return an entry of myTrades."""
    return {
        "symbol": fill.symbol,
        "id": fill.trade_id,
        "orderId": fill.order_id,
        "orderListId": -1,
        "price": money(fill.price),
        "qty": money(fill.quantity),
        "quoteQty": money(fill.quote.quantize(CENT)),
        "commission": money(fill.booked.commission),
        "commissionAsset": fill.booked.asset,
        "time": fill.time_ms,
        "isBuyer": fill.side == "BUY",
        "isMaker": fill.maker,
        "isBestMatch": True,
    }
