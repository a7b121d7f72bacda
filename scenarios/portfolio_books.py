"""One portfolio as the programs use it: every call is an operation of the history, with the figures that follow it."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from harness.world.base import Host
from scenarios.portfolio_tape import Delivery, Fill, Flow
from scenarios.ports.portfolio import Figures, Portfolio, Reconciliation, Valuation
from scenarios.recording import recorded

_PARTS = ("deposits", "realised", "unrealised", "fees", "funding", "equity")


class Book:
    """A portfolio by its name, and the prices at which its figures are asked for."""

    def __init__(self, host: Host, name: str, marks: Mapping[str, str], rates: Mapping[str, str]) -> None:
        self.name = name
        self.marks = dict(marks)
        self.rates = dict(rates)
        self._host = host
        self._portfolio: Portfolio | None = None

    @property
    def portfolio(self) -> Portfolio:
        """The portfolio, which must be open."""
        assert self._portfolio is not None
        return self._portfolio

    async def open(self) -> bool:
        """Make it, anew if it is open, and have it know what it knew; what is recorded is what it knows then."""

        async def start() -> dict[str, Any]:
            if self._portfolio is not None:
                await self._portfolio.close()
            portfolio: Portfolio = self._host.target("portfolio")(directory=self._host.disk, name=self.name)
            await portfolio.start()
            self._portfolio = portfolio
            return {"method": portfolio.method, **self.state()}

        return await self._record("reload", {}, start) is not None

    async def close(self) -> None:
        """Close it."""

        async def end() -> dict[str, Any]:
            await self.portfolio.close()
            return {}

        await self._record("close", {}, end)

    async def deliver(self, delivery: Delivery, number: int = -1) -> bool:
        """Have it take what arrives; return whether it did. `number` is that of the delivery."""
        self.marks |= delivery.marks
        self.rates |= delivery.rates

        async def apply() -> dict[str, Any]:
            new = repeated = 0
            if delivery.fills:
                applied = await self.portfolio.apply([trade(fill) for fill in delivery.fills])
                new, repeated = applied.new, applied.repeated
            if delivery.flows:
                applied = await self.portfolio.apply_income([income(flow) for flow in delivery.flows])
                new, repeated = new + applied.new, repeated + applied.repeated
            return {"new": new, "repeated": repeated, **self.state()}

        value = {"n": number, "fills": delivery.fills, "flows": delivery.flows}
        return await self._record("apply", value, apply) is not None

    async def snapshot(self) -> None:
        """Have it save its state."""

        async def save() -> dict[str, Any]:
            await self.portfolio.snapshot()
            return self.state()

        await self._record("snapshot", {}, save)

    async def reconcile(self, get: Any, symbols: list[str], deadline_s: float) -> Reconciliation | None:
        """Have it compare itself with the exchange; None if that failed."""
        found: Reconciliation | None = None

        async def compare() -> dict[str, Any]:
            nonlocal found
            found = await self.portfolio.reconcile(get, symbols=symbols, rates=self.rates, deadline_s=deadline_s)
            return {
                "backfilled": [list(one) for one in found.backfilled],
                "differences": [str(one) for one in found.differences],
                "settled": found.settled,
                "through": dict(found.through),
                **self.state(),
            }

        await self._record("reconcile", {"symbols": symbols}, compare)
        return found

    def state(self) -> dict[str, Any]:
        """Return all of its figures as texts."""
        figures: Figures = self.portfolio.figures()
        value: Valuation = self.portfolio.value(self.marks, self.rates)
        return {
            "positions": {
                symbol: [str(one.amount), str(one.cost), str(one.realised)] for symbol, one in figures.positions.items()
            },
            "fees": _texts(figures.fees),
            "deposits": _texts(figures.deposits),
            "funding": _texts(figures.funding),
            "value": [str(getattr(value, part)) for part in _PARTS],
        }

    async def _record(
        self, name: str, value: dict[str, Any], call: Callable[[], Awaitable[dict[str, Any]]]
    ) -> dict[str, Any] | None:
        """Do one operation; return its result, or None after an error. With a `reason`, nothing was changed."""
        value = {"book": self.name, **value, "marks": dict(self.marks), "rates": dict(self.rates)}
        return await recorded(self._host.log, name, value, call)


def trade(fill: Fill) -> dict[str, Any]:
    """Return a trade as the exchange gives it."""
    symbol, trade_id, time_ms, amount, price, fee, asset = fill
    text = str(amount)
    return {
        "symbol": symbol,
        "id": trade_id,
        "time": time_ms,
        "side": "SELL" if text.startswith("-") else "BUY",
        "qty": text.removeprefix("-"),
        "price": price,
        "commission": fee,
        "commissionAsset": asset,
        "positionSide": "BOTH",
    }


def income(flow: Flow) -> dict[str, Any]:
    """Return a transfer or funding payment as the exchange gives it."""
    kind, flow_id, time_ms, amount, asset = flow
    return {"incomeType": kind, "tranId": flow_id, "time": time_ms, "income": amount, "asset": asset}


def fill_of(entry: Mapping[str, Any]) -> Fill:
    """Return an entry of `userTrades` as the history keeps it."""
    sign = "-" if entry["side"] == "SELL" else ""
    return [
        entry["symbol"],
        entry["id"],
        entry["time"],
        sign + entry["qty"],
        entry["price"],
        entry["commission"],
        entry["commissionAsset"],
    ]


def _texts(sums: Mapping[str, Any]) -> dict[str, str]:
    return {asset: str(amount) for asset, amount in sums.items()}
