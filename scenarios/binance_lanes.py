"""The closed loops of the trader: intents on a symbol, one at a time, and orders that rest and are cancelled."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

from harness.dependencies.binance.market.symbols import INSTRUMENTS
from harness.units import as_seconds, ms
from scenarios.binance_desk import PAUSE_S, Desk, fields

_ODD: Final = 5
"""One in so many intents is for no whole number of lots."""


class Lane:
    """One symbol's intents: buy, sell what was bought, and again."""

    def __init__(self, desk: Desk, symbol: str) -> None:
        self._desk = desk
        self._symbol = symbol
        self._instrument = INSTRUMENTS["futures"][symbol]
        self._held = Decimal(0)

    async def run(self) -> None:
        """Work on one intent after the other until stopped."""
        desk, params = self._desk, self._desk.host.params
        draws = desk.host.draws(f"lane/{self._symbol}")
        for value in [one for one in desk.past.intents.values() if one["symbol"] == self._symbol]:
            await self._execute(dict(value))
        while await desk.pause(params["warm_up_ns"] // 4 + draws.below(params["intent_gap_ns"]) + ms(1)):
            await self._execute(self._next(params, draws.below(100)))

    def _next(self, params: Mapping[str, Any], percent: int) -> dict[str, Any]:
        """Return the next intent: of half to all of the notional, or of all that is held.

        Some are for more than a whole number of lots, as what a strategy computes is.
        """
        price, step = self._instrument.price, self._instrument.step
        reduce_only = self._held > 0
        wanted = Decimal(params["notional"]) * (100 + percent) / 200 / price
        quantity = self._held if reduce_only else (wanted / step).to_integral_value() * step
        if not reduce_only and percent % _ODD == 0:
            quantity += step / 4
        return {
            "key": f"i-{self._symbol}-{self._desk.past.number(f'i-{self._symbol}'):05d}",
            "symbol": self._symbol,
            "side": "SELL" if reduce_only else "BUY",
            "quantity": format(quantity, "f"),
            "decision_price": str(price if reduce_only else price + self._instrument.tick),
            "limit_bps": params["limit_bps"],
            "reduce_only": reduce_only,
            "deadline_ns": params["intent_deadline_ns"],
        }

    async def _execute(self, value: dict[str, Any]) -> None:
        desk = self._desk

        async def execute() -> dict[str, Any]:
            report = await desk.adapter.execute_order(
                value["symbol"],
                value["side"],
                Decimal(value["quantity"]),
                intent=value["key"],
                decision_price=Decimal(value["decision_price"]),
                max_slippage_bps=value["limit_bps"],
                reduce_only=value["reduce_only"],
                deadline_s=as_seconds(value["deadline_ns"]),
            )
            return fields(report)

        result = await desk.record("execute", value, execute)
        if result is None:
            await desk.pause(ms(1_000 * PAUSE_S))
            return
        if result["status"] == "unknown":
            await desk.settle(until=value["key"])
        filled = Decimal(result["filled"])
        self._held = max(Decimal(0), self._held - filled) if value["reduce_only"] else self._held + filled


async def rest(desk: Desk, symbol: str) -> None:
    """Place an order far below the market, cancel it a while later, and again."""
    params, instrument = desk.host.params, INSTRUMENTS["futures"][symbol]
    draws = desk.host.draws(f"resting/{symbol}")
    price = (instrument.price * Decimal("0.97") / instrument.tick).to_integral_value() * instrument.tick
    quantity = (Decimal(1_000) / price / instrument.step).to_integral_value() * instrument.step
    deadline_ns, gap_ns = params["resting_deadline_ns"], params["resting_gap_ns"]

    async def cancel(client_id: str) -> None:
        async def send() -> dict[str, Any]:
            executed = await desk.adapter.cancel_order(symbol, client_id, deadline_s=as_seconds(deadline_ns))
            return {"executed": str(executed)}

        value = {"key": f"c-{client_id}", "symbol": symbol, "client_id": client_id, "deadline_ns": deadline_ns}
        await desk.record("cancel", value, send)

    async def place() -> dict[str, Any]:
        client_id = await desk.adapter.place_limit(symbol, "BUY", quantity, price, deadline_s=as_seconds(deadline_ns))
        return {"client_id": client_id}

    for left, client_id in desk.past.resting:
        if left == symbol:
            await cancel(client_id)
    while await desk.pause(gap_ns // 2 + draws.below(gap_ns)):
        key = f"p-{symbol}-{desk.past.number(f'p-{symbol}'):05d}"
        placed = await desk.record("place", {"key": key, "symbol": symbol, "deadline_ns": deadline_ns}, place)
        if placed is None:
            await desk.pause(ms(1_000 * PAUSE_S))
            continue
        await desk.pause(gap_ns // 2 + draws.below(gap_ns))
        await cancel(placed["client_id"])
