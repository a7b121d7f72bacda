"""The control surface of an emulated Binance, the same in both worlds, and what it records.

Observations, all in the dependency's name. Fields that would be 0, false or empty are left out, so read them by `get`.

- `exchange` {limits: {market: [[type, window_ms, limit], ...]}, strikes, bans_ms, wall_ms (the exchange's clock then,
  so that readers know where its windows begin)}: at the start, and again when limits change.
- `request`, at the time of arrival, one for each that reached the exchange (control requests excepted):
  {n (counts from 1), method, path, market, ip, status, code, weight (charged), used, limit (of weight, after this one),
  others (of `used`, by other tenants), window_ms, orders (slots charged), counts (order use as [[window_ms, used,
  limit], ...] where an order was counted), wait_ns (told to wait so long from now), scope ("ip" | "orders": what the
  wait is for), fault (kind of the armed fault that hit), after_ns (answered so long after arrival; -1: never),
  symbol, side, client_id, order_id, quantity, executed (it took effect on orders), risk (a cancel, or reduce-only or
  closing)}.
- `fill` {symbol, side, order_id, client_id, price, quantity, trade_id, maker}: decimals as text.
- `order` {symbol, side, order_id, client_id, status, quantity, executed_quantity, type, reduce_only}: each new status.
- `ban` {ip, length_ns, until_ns (time of the run), earned, strikes}.
- `stream` {change ("opened" | "closed" | "expired"), market}.
- `exchange_fault` {fault (kind), arm, hits, executed (of the hits, took effect), ...}: when it is disarmed. For kinds
  that hit no single request: `weight` and `orders` (tenant), `requests` seen meanwhile (limits, no_headers), `fills`
  (thin_book, price_move: fills at worse prices or orders left short), `told` (price_fall: answers that told the fallen
  price, or what a position is worth at it), `streams` closed. `late`: of `executed`, those that took effect after their
  answer; their `request` observations do not tell.
- `internal_error` {what, error}: the emulator itself failed, and answered 500 -1000. A run with one proves nothing.
"""

from collections.abc import Mapping
from typing import Any, Protocol

from harness.dependencies.binance.arms import Arm
from harness.world.base import Dependency


class BinanceControl(Dependency, Protocol):
    """A running emulator. `url` is `http://host:port`, for REST and (as `ws://`) for streams alike."""

    async def arm(self, arm: Arm) -> str:
        """Arm a fault; return what names it. Raises `WorldError` for options that it does not take."""

    async def disarm(self, name: str) -> None:
        """End it, after an `exchange_fault` observation of what it did."""

    async def ledger(self) -> Mapping[str, Any]:
        """Return all the truth there is: orders, fills, balances, positions, counters, as plain JSON values."""
