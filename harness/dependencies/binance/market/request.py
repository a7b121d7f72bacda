"""An order's parameters, checked as the exchange does: what is missing, what cannot be read, the symbol's filters.

Futures name each filter by a code of its own; spot answers -1013 with the filter's name. Everything here depends on the
request, the instrument and the price only; balances and other orders come later.
"""

import re
from collections.abc import Callable, Mapping
from decimal import Decimal, InvalidOperation
from typing import Final, NoReturn

from harness.dependencies.binance.gate.errors import Reject
from harness.dependencies.binance.market.listing import SPOT_DOWN, SPOT_UP, TIMES_IN_FORCE, max_price
from harness.dependencies.binance.market.orders import Order
from harness.dependencies.binance.market.symbols import INSTRUMENTS, Instrument
from harness.dependencies.binance.settings import Market

CLIENT_ID: Final = re.compile(r"[.A-Z:/a-z0-9_-]{1,36}")
_NUMBER: Final = re.compile(r"-?[0-9]{1,20}(\.[0-9]{1,20})?")
_NUMBER_RANGE: Final = r"^([0-9]{1,20})(\.[0-9]{1,20})?$"
_ZERO: Final = Decimal(0)
_DIGITS_MAX: Final = 18

FUTURES_ALGO: Final = ("STOP", "STOP_MARKET", "TAKE_PROFIT", "TAKE_PROFIT_MARKET", "TRAILING_STOP_MARKET")
_SPOT_STOPS: Final = ("STOP_LOSS", "STOP_LOSS_LIMIT")
_SPOT_TAKES: Final = ("TAKE_PROFIT", "TAKE_PROFIT_LIMIT")
MULTIPLIER_UP: Final = Decimal("1.05")
MULTIPLIER_DOWN: Final = Decimal("0.95")
GOOD_TILL_AHEAD_MS: Final = 600_000
"""A GTD order must live longer than this (documented)."""
GOOD_TILL_MAX_MS: Final = 253_402_300_799_000


def need(params: Mapping[str, str], name: str) -> str:
    """Return a mandatory parameter; -1102 without it."""
    value = params.get(name)
    if not value:
        raise Reject(-1102, name=name)
    return value


def flag(params: Mapping[str, str], name: str) -> bool:
    """Return a boolean parameter, false if absent; -1102 for anything but true and false."""
    value = params.get(name, "false").lower()
    if value not in ("true", "false"):
        raise Reject(-1102, name=name)
    return value == "true"


def integer(params: Mapping[str, str], name: str) -> int | None:
    """Return an integer parameter, None if absent; -1102 if it is none, or has more digits than 64 bits always hold."""
    value = params.get(name)
    if value is None or value == "":
        return None
    if not (value.isascii() and value.isdigit() and len(value) <= _DIGITS_MAX):
        raise Reject(-1102, name=name)
    return int(value)


def amount(params: Mapping[str, str], name: str, market: Market) -> Decimal:
    """Return a mandatory decimal parameter; -1102 (spot: -1100) if it is none."""
    value = need(params, name)
    if not _NUMBER.fullmatch(value) or (market == "spot" and value[0] == "-"):
        if market == "spot":
            raise Reject(-1100, name=name, range=_NUMBER_RANGE)
        raise Reject(-1102, name=name)
    return Decimal(value)


def instrument(params: Mapping[str, str], market: Market) -> Instrument:
    """Return the symbol's instrument; -1102 without a symbol, -1121 for an unknown one."""
    found = INSTRUMENTS[market].get(need(params, "symbol"))
    if found is None:
        raise Reject(-1121)
    return found


def client_id(params: Mapping[str, str], name: str, market: Market) -> str:
    """Return a client order id, "" if absent; -1100 for other characters, and (futures) -4015 for too many."""
    value = params.get(name, "")
    if value and not CLIENT_ID.fullmatch(value):
        if market == "futures" and len(value) > 36:  # noqa: PLR2004 - the pattern's own length
            raise Reject(-4015, "Client order id length should be less than 36 chars")
        raise Reject(-1100, name=name, range=r"^[\.A-Z\:/a-z0-9_-]{1,36}$")
    return value


def new_order(params: Mapping[str, str], market: Market, reference: Callable[[str], Decimal], wall_ms: int) -> Order:
    """Return the order that a request describes, not yet accepted. `reference` tells a symbol's price."""
    what = instrument(params, market)
    side = need(params, "side")
    if side not in ("BUY", "SELL"):
        raise Reject(-1117)
    kind = _kind(params, market)
    if market == "futures":
        _futures_mode(params, kind)
    quantity, in_quote = _wanted(params, kind, market)
    price = _ZERO
    limited = kind != "MARKET"
    if limited:
        price = amount(params, "price", market)
    elif params.get("price"):
        raise Reject(-1106, name="price")
    order = Order(what, "BUY" if side == "BUY" else "SELL", kind, quantity, price)
    order.amount_quote = in_quote
    order.time_in_force = _time_in_force(params, kind, market)
    if order.time_in_force == "GTD":
        order.good_till_ms = _good_till(params, wall_ms)
    order.client_id = client_id(params, "newClientOrderId", market)
    order.reduce_only = market == "futures" and flag(params, "reduceOnly")
    order.response = _response(params, kind, market)
    if not in_quote:
        check(order, reference(what.symbol))
    return order


def _kind(params: Mapping[str, str], market: Market) -> str:
    kind = need(params, "type")
    if kind in ("LIMIT", "MARKET") or (market == "spot" and kind == "LIMIT_MAKER"):
        return kind
    if market == "futures" and kind in FUTURES_ALGO:
        raise Reject(-4120)
    if market == "spot" and kind in _SPOT_STOPS:
        raise Reject(-2010, "Stop loss orders are not supported for this symbol.")
    if market == "spot" and kind in _SPOT_TAKES:
        raise Reject(-2010, "Take profit orders are not supported for this symbol.")
    raise Reject(-1116)


def _futures_mode(params: Mapping[str, str], kind: str) -> None:
    if params.get("positionSide", "BOTH") not in ("BOTH", ""):
        raise Reject(-4061)
    if flag(params, "closePosition"):
        raise Reject(-4136, type=kind)
    if params.get("stopPrice"):
        raise Reject(-1106, name="stopPrice")


def _wanted(params: Mapping[str, str], kind: str, market: Market) -> tuple[Decimal, Decimal]:
    """Return the quantity, or 0 and how much of the quote asset to spend."""
    if market == "spot" and kind == "MARKET" and params.get("quoteOrderQty"):
        if params.get("quantity"):
            raise Reject(-1128)
        return _ZERO, amount(params, "quoteOrderQty", market)
    return amount(params, "quantity", market), _ZERO


def _time_in_force(params: Mapping[str, str], kind: str, market: Market) -> str:
    given = params.get("timeInForce", "")
    if kind != "LIMIT":
        if given and market == "spot":
            raise Reject(-1106, name="timeInForce")
        return "GTC"
    if not given:
        raise Reject(-1102, name="timeInForce")
    if given not in TIMES_IN_FORCE[market]:
        raise Reject(-1115)
    return given


def _good_till(params: Mapping[str, str], wall_ms: int) -> int:
    need(params, "goodTillDate")
    until_ms = integer(params, "goodTillDate") or 0
    if not wall_ms + GOOD_TILL_AHEAD_MS < until_ms < GOOD_TILL_MAX_MS:
        raise Reject(-1130, name="goodTillDate")
    return until_ms // 1_000 * 1_000  # documented: only to the second


def _response(params: Mapping[str, str], kind: str, market: Market) -> str:
    """Return ACK, RESULT or FULL; the default is ACK, but FULL for spot's LIMIT and MARKET."""
    given = params.get("newOrderRespType", "")
    if not given:
        return "FULL" if market == "spot" and kind != "LIMIT_MAKER" else "ACK"
    if given not in (("ACK", "RESULT") if market == "futures" else ("ACK", "RESULT", "FULL")):
        raise Reject(-1102, name="newOrderRespType")
    return given


def check(order: Order, reference: Decimal) -> None:
    """Hold quantity and price against the filters, and print them in the instrument's places from then on.

    `reference`: the price now, which limits on prices and a market order's notional are measured by.
    """
    what = order.instrument
    (_check_spot if what.market == "spot" else _check_futures)(order, reference)
    order.quantity = order.quantity.quantize(what.quantity_unit)
    if order.price:
        order.price = order.price.quantize(what.price_unit)


def _places_fit(value: Decimal, unit: Decimal) -> None:
    try:
        if value.quantize(unit) == value:
            return
    except InvalidOperation:  # more digits than any amount has
        pass
    raise Reject(-1111)


def _check_futures(order: Order, reference: Decimal) -> None:
    what, quantity, price = order.instrument, order.quantity, order.price
    limited = order.type != "MARKET"
    if quantity <= 0:
        raise Reject(-4003)
    if quantity > (what.max_quantity if limited else what.market_max_quantity):
        raise Reject(-4005)
    _places_fit(quantity, what.quantity_unit)
    if quantity < what.step:
        raise Reject(-4004)
    if quantity % what.step:
        raise Reject(-4023)
    if limited:
        _check_futures_price(order, reference)
    if not order.reduce_only and quantity * (price or reference) < what.min_notional:
        raise Reject(-4164, notional=what.min_notional)


def _check_futures_price(order: Order, reference: Decimal) -> None:
    what, price = order.instrument, order.price
    if price <= 0:
        raise Reject(-4001)
    if price > max_price(what):
        raise Reject(-4002)
    _places_fit(price, what.price_unit)
    if price < what.tick:
        raise Reject(-4013)
    if price % what.tick:
        raise Reject(-4014)
    if order.side == "BUY" and price > (highest := reference * MULTIPLIER_UP):
        raise Reject(-4016, price=f"{highest.normalize():f}")
    if order.side == "SELL" and price < (lowest := reference * MULTIPLIER_DOWN):
        raise Reject(-4024, price=f"{lowest.normalize():f}")


def _check_spot(order: Order, reference: Decimal) -> None:
    what, quantity, price = order.instrument, order.quantity, order.price
    if quantity <= 0:
        raise Reject(-1013, "Invalid quantity.")
    if quantity < what.step or quantity > what.max_quantity:
        _filter("LOT_SIZE")
    _places_fit(quantity, what.quantity_unit)
    if quantity % what.step:
        _filter("LOT_SIZE")
    if order.type != "MARKET":
        if price <= 0:
            raise Reject(-1013, "Invalid price.")
        if price < what.tick or price > max_price(what):
            _filter("PRICE_FILTER")
        _places_fit(price, what.price_unit)
        if price % what.tick:
            _filter("PRICE_FILTER")
        if not reference * SPOT_DOWN <= price <= reference * SPOT_UP:
            _filter("PERCENT_PRICE_BY_SIDE")
    if quantity * (price or reference) < what.min_notional:
        _filter("NOTIONAL")


def _filter(name: str) -> NoReturn:
    raise Reject(-1013, filter=name)
