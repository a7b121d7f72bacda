"""The endpoints that change orders: place, modify, cancel, one or several."""

import json
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

from harness.dependencies.binance.gate.errors import Reject
from harness.dependencies.binance.market import request, views
from harness.dependencies.binance.market.book import Book
from harness.dependencies.binance.market.matching import Matching
from harness.dependencies.binance.market.orders import Order, Orders
from harness.dependencies.binance.market.outcome import Outcome
from harness.dependencies.binance.settings import Market

BATCH_MAX: Final = 5
BATCH_CANCEL_MAX: Final = 10

Trade = Callable[[Mapping[str, str], int, Decimal], Outcome]


class Desk:
    """Handlers by endpoint name; each takes the parameters, the exchange's clock and how far the price is to move."""

    def __init__(self, market: Market, books: Mapping[str, Book], orders: Orders, matching: Matching) -> None:
        self._market: Market = market
        self._books = books
        self._orders = orders
        self._matching = matching
        self._countdowns: dict[str, int] = {}
        self.handlers: dict[str, Trade] = {
            "new_order": self._new,
            "test_order": self._test,
            "cancel_order": self._cancel,
            "cancel_all": self._cancel_all,
        }
        if market == "futures":
            self.handlers |= {
                "modify_order": self._modify,
                "batch_orders": self._batch_new,
                "batch_modify": self._batch_modify,
                "batch_cancel": self._batch_cancel,
                "countdown_cancel": self._countdown,
            }

    def advance(self, now_ms: int) -> None:
        """Cancel the orders of the symbols whose countdown is over."""
        for symbol in [symbol for symbol, at_ms in self._countdowns.items() if at_ms <= now_ms]:
            del self._countdowns[symbol]
            for order in self._orders.open_of(symbol):
                self._matching.close(order, "CANCELED", now_ms)

    def find(self, params: Mapping[str, str], missing: int) -> Order:
        """Return the order that `orderId` or `origClientOrderId` names; `Reject` with code `missing` if none is."""
        what = request.instrument(params, self._market)
        order_id, client_id = request.integer(params, "orderId"), params.get("origClientOrderId")
        if order_id is None and not client_id:
            raise Reject(-1102, "Param 'origClientOrderId' or 'orderId' must be sent, but both were empty/null!")
        order = self._orders.find(what.symbol, order_id, client_id)
        if order is None:
            raise Reject(missing)
        return order

    def _parse(self, params: Mapping[str, str], now_ms: int) -> Order:
        order = request.new_order(params, self._market, self._price, now_ms)
        if order.amount_quote:
            order.quantity = self._matching.spend(order, now_ms)
            request.check(order, self._price(order.instrument.symbol))
        return order

    def _price(self, symbol: str) -> Decimal:
        return self._books[symbol].price

    def _new(self, params: Mapping[str, str], now_ms: int, move_bps: Decimal) -> Outcome:
        order = self._parse(params, now_ms)
        result = self._matching.place(order, now_ms, move_bps)
        if self._market == "spot":
            payload = views.spot_answer(order, result.fills)
        else:
            payload = views.futures_answer(order, acknowledged=order.response == "ACK")
        return Outcome(payload, order.id, order.client_id, True, len(result.fills), result.worse)  # noqa: FBT003 - speed

    def _test(self, params: Mapping[str, str], now_ms: int, move_bps: Decimal) -> Outcome:
        del move_bps
        order = self._parse(params, now_ms)
        return Outcome({} if self._market == "spot" else views.futures_answer(order, acknowledged=True))

    def _cancel(self, params: Mapping[str, str], now_ms: int, move_bps: Decimal) -> Outcome:
        del move_bps
        order = self.find(params, -2011)
        if not order.open:
            raise Reject(-2011)
        name = request.client_id(params, "newClientOrderId", self._market) or f"emulatedcancel{order.id}"
        self._matching.close(order, "CANCELED", now_ms)
        payload = views.spot_cancelled(order, name) if self._market == "spot" else views.futures_answer(order)
        return Outcome(payload, order.id, order.client_id, executed=True)

    def _cancel_all(self, params: Mapping[str, str], now_ms: int, move_bps: Decimal) -> Outcome:
        del move_bps
        found = self._orders.open_of(request.instrument(params, self._market).symbol)
        if self._market == "spot" and not found:
            raise Reject(-2011)
        for order in found:
            self._matching.close(order, "CANCELED", now_ms)
        payload: Any = {"code": 200, "msg": "The operation of cancel all open order is done."}
        if self._market == "spot":
            payload = [views.spot_cancelled(order, f"emulatedcancel{order.id}") for order in found]
        if not found:
            return Outcome(payload)
        return Outcome(payload, found[0].id, found[0].client_id, executed=True)

    def _modify(self, params: Mapping[str, str], now_ms: int, move_bps: Decimal) -> Outcome:
        del move_bps
        order = self.find(params, -2013)
        if not order.open or order.type != "LIMIT":
            raise Reject(-2013)
        if request.need(params, "side") != order.side:
            raise Reject(-1130, name="side")
        wanted = Order(
            order.instrument,
            order.side,
            order.type,
            request.amount(params, "quantity", self._market),
            request.amount(params, "price", self._market),
        )
        wanted.reduce_only = order.reduce_only
        request.check(wanted, self._price(order.instrument.symbol))
        fills = self._matching.change(order, wanted.quantity, wanted.price, now_ms)
        return Outcome(views.futures_answer(order), order.id, order.client_id, executed=True, fills=len(fills))

    def _batch_new(self, params: Mapping[str, str], now_ms: int, move_bps: Decimal) -> Outcome:
        return self._each(self._new, _listed(params, "batchOrders", BATCH_MAX), now_ms, move_bps)

    def _batch_modify(self, params: Mapping[str, str], now_ms: int, move_bps: Decimal) -> Outcome:
        return self._each(self._modify, _listed(params, "batchOrders", BATCH_MAX), now_ms, move_bps)

    def _batch_cancel(self, params: Mapping[str, str], now_ms: int, move_bps: Decimal) -> Outcome:
        symbol = request.instrument(params, self._market).symbol
        if params.get("orderIdList"):
            name, key = "orderIdList", "orderId"
        elif params.get("origClientOrderIdList"):
            name, key = "origClientOrderIdList", "origClientOrderId"
        else:
            raise Reject(-1102, name="orderIdList")
        found = _json_list(params, name, BATCH_CANCEL_MAX)
        asked = [{"symbol": symbol, key: str(value)} for value in found]
        return self._each(self._cancel, asked, now_ms, move_bps)

    def _each(self, handler: Trade, asked: Sequence[Mapping[str, str]], now_ms: int, move_bps: Decimal) -> Outcome:
        """Do several; what is refused is told in its place."""
        answers: list[Any] = []
        done: list[Outcome] = []
        for params in asked:
            try:
                outcome = handler(params, now_ms, move_bps)
            except Reject as refused:
                answers.append({"code": refused.code, "msg": refused.text})
            else:
                answers.append(outcome.payload)
                done.append(outcome)
        if not done:
            return Outcome(answers)
        fills, worse = sum(each.fills for each in done), any(each.worse for each in done)
        return Outcome(answers, done[0].order_id, done[0].client_id, executed=True, fills=fills, worse=worse)

    def _countdown(self, params: Mapping[str, str], now_ms: int, move_bps: Decimal) -> Outcome:
        del move_bps
        symbol = request.instrument(params, self._market).symbol
        request.need(params, "countdownTime")
        span_ms = request.integer(params, "countdownTime") or 0
        if span_ms:
            self._countdowns[symbol] = now_ms + span_ms
        else:
            self._countdowns.pop(symbol, None)
        return Outcome({"symbol": symbol, "countdownTime": str(span_ms)})


def _json_list(params: Mapping[str, str], name: str, most: int) -> list[Any]:
    try:
        found = json.loads(request.need(params, name))
    except (ValueError, RecursionError):
        raise Reject(-1130, name=name) from None
    if not isinstance(found, list) or not found:
        raise Reject(-1130, name=name)
    if len(found) > most:
        raise Reject(-4082)
    return found


def _listed(params: Mapping[str, str], name: str, most: int) -> list[dict[str, str]]:
    """Return the parameters of each order of a batch, as texts."""
    found = _json_list(params, name, most)
    if not all(isinstance(each, dict) for each in found):
        raise Reject(-1130, name=name)
    return [{key: _as_text(value) for key, value in each.items() if value is not None} for each in found]


def _as_text(value: Any) -> str:
    return json.dumps(value) if isinstance(value, bool) else str(value)
