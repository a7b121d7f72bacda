"""Tells the record and the user streams what happens to orders; implements `matching.Reporter`."""

from collections.abc import Callable
from typing import Any, Protocol

from harness.dependencies.binance.market import events
from harness.dependencies.binance.market.account import Fill
from harness.dependencies.binance.market.futures import FuturesAccount
from harness.dependencies.binance.market.orders import Order
from harness.dependencies.binance.market.spot import SpotAccount
from harness.dependencies.binance.market.symbols import text
from harness.dependencies.binance.settings import Market


class Streams(Protocol):
    """Where events go; `streams.UserStreams` is it."""

    def hears(self, market: Market) -> bool:
        """Whether anybody listens."""

    def publish(self, market: Market, event: dict[str, Any]) -> None:
        """Send an event to all who listen."""


class Told:
    """See the module. A status is recorded once it holds: an order that fills at once is NEW, and then FILLED."""

    def __init__(
        self, account: FuturesAccount | SpotAccount, record: Callable[[str, dict[str, Any]], None], streams: Streams
    ) -> None:
        self._account = account
        self._record = record
        self._streams = streams

    def executed(self, order: Order, execution: str, now_ms: int, fill: Fill | None = None) -> None:
        """See `Reporter`."""
        if fill is not None:
            self._record("fill", _observation(fill))
        if not self._streams.hears(order.instrument.market):
            return
        if isinstance(self._account, FuturesAccount):
            self._tell_futures(self._account, order, execution, now_ms, fill)
        else:
            self._streams.publish("spot", events.execution_report(order, execution, now_ms, fill))
            self._streams.publish("spot", events.account_position(self._account, order, now_ms))

    def settled(self, order: Order) -> None:
        """See `Reporter`."""
        self._record("order", order.observation())

    def _tell_futures(
        self, account: FuturesAccount, order: Order, execution: str, now_ms: int, fill: Fill | None
    ) -> None:
        if fill is not None:
            position = account.positions[order.instrument.symbol]
            self._streams.publish("futures", events.trade_lite(order, fill, now_ms))
            self._streams.publish("futures", events.account_update(account, position, now_ms))
        self._streams.publish("futures", events.order_trade_update(order, execution, now_ms, fill))


def _observation(fill: Fill) -> dict[str, Any]:
    told: dict[str, Any] = {
        "symbol": fill.symbol,
        "side": fill.side,
        "order_id": fill.order_id,
        "client_id": fill.client_id,
        "price": text(fill.price),
        "quantity": text(fill.quantity),
        "trade_id": fill.trade_id,
    }
    if fill.maker:
        told["maker"] = True
    return told
