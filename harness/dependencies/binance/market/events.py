"""User data events: what a stream says of an order, a fill, the account. Made only when somebody hears them."""

from typing import Any, Final

from harness.dependencies.binance.market.account import Fill
from harness.dependencies.binance.market.futures import FuturesAccount, Position
from harness.dependencies.binance.market.orders import Order
from harness.dependencies.binance.market.spot import SpotAccount
from harness.dependencies.binance.market.statements import entry
from harness.dependencies.binance.market.symbols import text
from harness.dependencies.binance.market.views import SELF_TRADE, average, money

_REASON: Final = {"CANCELED": "1", "EXPIRED": "5"}
"""`er` of an order's end; the documentation lists numbers, which of them fits is assumed."""


def order_trade_update(order: Order, execution: str, now_ms: int, fill: Fill | None) -> dict[str, Any]:
    """Return ORDER_TRADE_UPDATE; `execution` is NEW, TRADE, CANCELED, EXPIRED or AMENDMENT."""
    what = order.instrument
    told: dict[str, Any] = {
        "s": what.symbol,
        "c": order.client_id,
        "S": order.side,
        "o": order.type,
        "f": order.time_in_force,
        "q": text(order.quantity),
        "p": text(order.price),
        "ap": text(average(order)),
        "sp": "0",
        "x": execution,
        "X": order.status,
        "i": order.id,
        "l": text(fill.quantity) if fill else "0",
        "z": text(order.executed),
        "L": text(fill.price) if fill else "0",
        "n": money(fill.booked.commission) if fill else "0",
        "N": fill.booked.asset if fill else what.quote,
        "T": now_ms,
        "t": fill.trade_id if fill else 0,
        "b": text(order.price * order.left) if order.open and order.side == "BUY" else "0",
        "a": text(order.price * order.left) if order.open and order.side == "SELL" else "0",
        "m": fill.maker if fill else False,
        "R": order.reduce_only,
        "wt": "CONTRACT_PRICE",
        "ot": order.type,
        "ps": "BOTH",
        "cp": False,
        "rp": money(fill.booked.realised) if fill else "0",
        "pP": False,
        "si": 0,
        "ss": 0,
        "V": SELF_TRADE,
        "pm": "NONE",
        "gtd": order.good_till_ms,
        "er": _REASON.get(execution, "0"),
    }
    return {"e": "ORDER_TRADE_UPDATE", "E": now_ms, "T": now_ms, "o": told}


def trade_lite(order: Order, fill: Fill, now_ms: int) -> dict[str, Any]:
    """Return TRADE_LITE."""
    return {
        "e": "TRADE_LITE",
        "E": now_ms,
        "T": now_ms,
        "s": order.instrument.symbol,
        "q": text(order.quantity),
        "p": text(order.price),
        "m": fill.maker,
        "c": order.client_id,
        "S": order.side,
        "L": text(fill.price),
        "l": text(fill.quantity),
        "t": fill.trade_id,
        "i": order.id,
    }


def account_update(account: FuturesAccount, position: Position, now_ms: int) -> dict[str, Any]:
    """Return ACCOUNT_UPDATE after a fill (reason ORDER)."""
    wallet = money(account.wallet)
    return {
        "e": "ACCOUNT_UPDATE",
        "E": now_ms,
        "T": now_ms,
        "a": {
            "m": "ORDER",
            "B": [{"a": position.instrument.quote, "wb": wallet, "cw": wallet, "bc": "0"}],
            "P": [
                {
                    "s": position.instrument.symbol,
                    "pa": text(position.amount),
                    "ep": entry(position),
                    "bep": entry(position),
                    "cr": money(position.realised),
                    "up": money(account.unrealised(position)),
                    "mt": "isolated" if position.isolated else "cross",
                    "iw": "0",
                    "ps": "BOTH",
                    "ma": position.instrument.quote,
                }
            ],
        },
    }


def execution_report(order: Order, execution: str, now_ms: int, fill: Fill | None) -> dict[str, Any]:
    """Return executionReport (spot); an order that expires for want of a match says TRADE_PREVENTION."""
    if order.status == "EXPIRED_IN_MATCH":
        execution = "TRADE_PREVENTION"
    return {
        "e": "executionReport",
        "E": now_ms,
        "s": order.instrument.symbol,
        "c": order.client_id,
        "S": order.side,
        "o": order.type,
        "f": order.time_in_force,
        "q": money(order.quantity),
        "p": money(order.price),
        "P": "0.00000000",
        "F": "0.00000000",
        "g": -1,
        "C": order.client_id if execution == "CANCELED" else "",
        "x": execution,
        "X": order.status,
        "r": "NONE",
        "i": order.id,
        "l": money(fill.quantity) if fill else "0.00000000",
        "z": money(order.executed),
        "L": money(fill.price) if fill else "0.00000000",
        "n": money(fill.booked.commission) if fill else "0",
        "N": fill.booked.asset if fill else None,
        "T": now_ms,
        "t": fill.trade_id if fill else -1,
        "I": order.id * 10,
        "w": order.open,
        "m": fill.maker if fill else False,
        "M": False,
        "O": order.created_ms,
        "Z": money(order.quote),
        "Y": money(fill.quote) if fill else "0.00000000",
        "Q": money(order.amount_quote),
        "W": order.created_ms,
        "V": SELF_TRADE,
    }


def account_position(account: SpotAccount, order: Order, now_ms: int) -> dict[str, Any]:
    """Return outboundAccountPosition: the two assets that an order moves."""
    return {
        "e": "outboundAccountPosition",
        "E": now_ms,
        "u": now_ms,
        "B": [
            {"a": asset, "f": text(account.free[asset]), "l": text(account.locked[asset])}
            for asset in (order.instrument.base, order.instrument.quote)
        ],
    }
