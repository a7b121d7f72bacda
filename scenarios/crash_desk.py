"""A trading desk on the exchange under an emergency stop: what `flash-crash` puts together out of three patches.

Lanes buy until each holds what it is to hold, and then sell a part of it and buy it again, so that at any time some
order is under way. One more lane keeps an order resting in the book. All orders go out through the gate of the
emergency stop. What the stop is told comes from the exchange's own account: equity is the margin balance, the drawdown
is from its highest, the open loss is what open positions have lost of it.
"""

import asyncio
from collections.abc import Sequence
from decimal import Decimal
from typing import Any, Final

from harness.dependencies.binance.market.symbols import INSTRUMENTS
from harness.dependencies.binance.settings import API_KEY, API_SECRET
from harness.units import seconds
from harness.world.base import Host, HostSpec
from scenarios import binance_desk, ess_desk
from scenarios.binance_desk import fields
from scenarios.ports.binance import BinanceAdapter
from scenarios.ports.event_bus import EventBus

_DEADLINE_S: Final = 10.0
_CANCEL_S: Final = 5.0
_ACCOUNT: Final = "/fapi/v2/account"
_OPEN_ORDERS: Final = "/fapi/v1/openOrders"


def crash_desk(
    *,
    lanes: Sequence[str],
    resting: str,
    hold: int,
    part: int,
    gap_ns: int,
    metrics_gap_ns: int,
    options: dict[str, float],
    drain_ns: int = seconds(2),
) -> HostSpec:
    """Return the desk. `hold`: what each lane is to hold, in USDT, `part`: what it then trades to and fro."""
    params = {
        "lanes": list(lanes),
        "resting": resting,
        "hold": hold,
        "part": part,
        "gap_ns": gap_ns,
        "metrics_gap_ns": metrics_gap_ns,
        "options": dict(options),
        "tokens": {},
    }
    return HostSpec(name="desk", program=trade, params=params, drain_ns=drain_ns)


async def trade(host: Host) -> None:
    """Trade until asked to stop; settle with the exchange and read the audit trail back before and after."""
    bus: EventBus = host.target("event_bus")(redis_url=host.endpoints["redis"], directory=host.disk, name=host.name)
    adapter: BinanceAdapter = host.target("binance")(
        base_url=host.endpoints["binance"], api_key=API_KEY, api_secret=API_SECRET, directory=host.disk, name=host.name
    )
    await bus.start()
    await adapter.start()
    desk = CrashDesk(host, adapter, bus)
    await desk.stop.ess.start()
    desk.stop.sample()
    await desk.stop.read_back()
    async with asyncio.TaskGroup() as group:
        group.create_task(desk.feed())
        group.create_task(desk.trade())
        await host.stopping()
        desk.orders.stopped.set()
        desk.stop.stopped.set()
    await desk.orders.settle()
    desk.stop.sample()
    await desk.stop.read_back()
    await desk.stop.ess.close()
    await adapter.close()
    await bus.close()


class CrashDesk:
    """The loops of the desk, over what two other scenarios' desks record."""

    def __init__(self, host: Host, adapter: BinanceAdapter, bus: EventBus) -> None:
        self.orders = binance_desk.Desk(host, adapter)
        self.stop = ess_desk.Desk(host, bus.publish_event, cancel=self._cancel_working)
        self._params = host.params
        self._highest = Decimal(0)

    async def feed(self) -> None:
        """Tell the stop what the exchange says of the account."""
        while True:
            account = await self.orders.record("account", {"key": "account"}, self._account)
            if account is not None:
                await self.stop.metrics(account["drawdown"], account["loss"])
            if not await self.orders.pause(self._params["metrics_gap_ns"]):
                return

    async def trade(self) -> None:
        """Settle what an earlier life left, and then trade on."""
        if self.orders.host.past:
            await self.orders.settle()
        async with asyncio.TaskGroup() as group:
            group.create_task(self.rest())
            for symbol in self._params["lanes"]:
                group.create_task(self.lane(symbol))

    async def lane(self, symbol: str) -> None:
        """Buy until enough is held, then sell and buy a part of it."""
        instrument = INSTRUMENTS["futures"][symbol]
        draws = self.orders.host.draws(f"lane/{symbol}")
        gap_ns = self._params["gap_ns"]
        part, hold = (
            (Decimal(self._params[name]) / instrument.price / instrument.step).to_integral_value() * instrument.step
            for name in ("part", "hold")
        )
        held = Decimal(0)
        while await self.orders.pause(gap_ns // 2 + draws.below(gap_ns)):
            if not self.stop.ess.can_execute_orders():
                continue
            sells = held >= hold
            value = {
                "key": f"i-{symbol}-{self.orders.past.number(f'i-{symbol}'):05d}",
                "symbol": symbol,
                "side": "SELL" if sells else "BUY",
                "quantity": format(part, "f"),
                "decision_price": str(instrument.price if sells else instrument.price + instrument.tick),
                "limit_bps": 50,
                "reduce_only": sells,
                "deadline_ns": seconds(_DEADLINE_S),
            }
            filled = await self._execute(value)
            held = max(Decimal(0), held - filled) if sells else held + filled

    async def rest(self) -> None:
        """Keep an order resting in the book, below the market."""
        symbol = self._params["resting"]
        instrument = INSTRUMENTS["futures"][symbol]
        price = (instrument.price * Decimal("0.5") / instrument.tick).to_integral_value() * instrument.tick
        quantity = (Decimal(1_000) / price / instrument.step).to_integral_value() * instrument.step

        async def place() -> dict[str, Any]:
            async with self.stop.ess.gate.order():
                client_id = await self.orders.adapter.place_limit(symbol, "BUY", quantity, price, deadline_s=_CANCEL_S)
            return {"client_id": client_id}

        rests = False
        while await self.orders.pause(self._params["gap_ns"]):
            if not rests and self.stop.ess.can_execute_orders():
                key = f"p-{symbol}-{self.orders.past.number(f'p-{symbol}'):05d}"
                value = {"key": key, "symbol": symbol, "deadline_ns": seconds(_CANCEL_S)}
                rests = await self.orders.record("place", value, place) is not None

    async def _execute(self, value: dict[str, Any]) -> Decimal:
        """Work on one intent; return how much of it was filled, found out afterwards if it was cut off."""
        went_in = False

        async def execute() -> dict[str, Any]:
            nonlocal went_in
            async with self.stop.ess.gate.order():
                went_in = True
                report = await self.orders.adapter.execute_order(
                    value["symbol"],
                    value["side"],
                    Decimal(value["quantity"]),
                    intent=value["key"],
                    decision_price=Decimal(value["decision_price"]),
                    max_slippage_bps=value["limit_bps"],
                    reduce_only=value["reduce_only"],
                    deadline_s=_DEADLINE_S,
                )
            return fields(report)

        result = await self.orders.record("execute", value, execute)
        if went_in and (result is None or result["status"] == "unknown"):
            await self.orders.settle(until=value["key"])
        return Decimal(0) if result is None else Decimal(result["filled"])

    async def _account(self) -> dict[str, Any]:
        """Read equity and what open positions have lost."""
        read = await self.orders.adapter.get(_ACCOUNT, {}, signed=True, deadline_s=2.0)
        equity, unrealised = Decimal(read["totalMarginBalance"]), Decimal(read["totalUnrealizedProfit"])
        self._highest = max(self._highest, equity)
        drawdown = 1 - equity / self._highest if self._highest else Decimal(0)
        loss = -unrealised / equity if equity else Decimal("nan")
        return {"drawdown": float(round(drawdown, 6)), "loss": float(round(loss, 6))}

    async def _cancel_working(self) -> None:
        """Cancel every order that works at the exchange; raise if that could not be done."""
        orders = self.orders
        working = await orders.adapter.get(_OPEN_ORDERS, {}, signed=True, deadline_s=_CANCEL_S)
        for order in working:
            await orders.adapter.cancel_order(order["symbol"], order["clientOrderId"], deadline_s=_CANCEL_S)
        orders.host.log.observe("working_cancelled", orders=[order["clientOrderId"] for order in working])
