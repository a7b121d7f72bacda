"""Recording what `execution` is made of: adapter, executor, emergency stop."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from decimal import Decimal
from typing import Any, Final

from harness.units import ms, seconds
from harness.world.base import Host
from scenarios.binance_desk import fields
from scenarios.storm_record import Recorded, passed_on

_ESS_SAMPLE_NS: Final = ms(100)
_STAMPED_NS: Final = ms(250)
"""The bus stamps an event a moment after it was handed over, by another clock."""


class RecordedAdapter(Recorded):
    """An adapter of the exchange."""

    def __init__(self, host: Host, part: Any) -> None:
        super().__init__(host, part)
        self._number = 0

    async def execute_order(self, symbol: str, side: str, quantity: Decimal, **options: Any) -> Any:
        """Execute, as an operation `execute`."""
        price = options.get("decision_price")
        value = {
            "key": options["intent"],
            "symbol": symbol,
            "side": side,
            "quantity": format(quantity, "f"),
            "decision_price": None if price is None else str(price),
            "limit_bps": options.get("max_slippage_bps", 0),
            "reduce_only": options.get("reduce_only", False),
            "deadline_ns": seconds(options["deadline_s"]),
        }
        call: Awaitable[Any] = self.part.execute_order(symbol, side, quantity, **options)
        return await passed_on(self.host, "execute", value, call, fields)

    async def get(self, path: str, params: Mapping[str, Any], *, signed: bool = False, deadline_s: float = 30.0) -> Any:
        """Read, as an operation `read`."""
        call: Awaitable[Any] = self.part.get(path, params, signed=signed, deadline_s=deadline_s)
        return await passed_on(self.host, "read", self._value("r", deadline_s, path=path), call, only_reads=True)

    async def cancel_order(self, symbol: str, client_order_id: str, *, deadline_s: float = 30.0) -> Any:
        """Cancel, as an operation `cancel`."""
        value = self._value("c", deadline_s, symbol=symbol, client_id=client_order_id)
        call: Awaitable[Any] = self.part.cancel_order(symbol, client_order_id, deadline_s=deadline_s)
        return await passed_on(self.host, "cancel", value, call, lambda executed: {"executed": str(executed)})

    async def reconcile(self, *, deadline_s: float = 30.0) -> Any:
        """Reconcile, and record what it found."""
        call: Awaitable[Any] = self.part.reconcile(deadline_s=deadline_s)
        found = await passed_on(self.host, "reconcile", self._value("s", deadline_s), call)
        if found:
            self.host.log.observe("reconciled", intents={key: fields(one) for key, one in found.items()})
        return found

    def _value(self, stem: str, deadline_s: float, **more: object) -> dict[str, Any]:
        self._number += 1
        key = f"{stem}-{self.host.incarnation}-{self._number:06d}"
        return {"key": key, "deadline_ns": seconds(deadline_s), **more}


class RecordedExecutor(Recorded):
    """An executor: offers, executions, ends, and its counts after every step."""

    def __init__(
        self,
        host: Host,
        make: Callable[..., Any],
        *,
        born: Mapping[str, tuple[int, int]],
        execute: Callable[[Any], Awaitable[object]],
        may_trade: Callable[[], bool],
        **options: Any,
    ) -> None:
        self._born = born
        self._execute = execute
        self._may_trade = may_trade
        self._allowed: bool | None = None
        self._exits: set[str] = set()
        self._unsampled = False
        super().__init__(host, make(execute=self._executing, may_trade=self._asked, **options))
        self.part.on_disposed(self._disposed)

    async def handle_signal(self, signal: Mapping[str, Any]) -> object:
        """Offer a signal, as an operation `offer`."""
        if signal.get("exit"):
            self._exits.add(signal["id"])
        value = {
            "key": signal["id"],
            "id": signal["id"],
            "symbol": signal["symbol"],
            "side": signal["side"],
            "confidence": signal["confidence"],
            "ttl_ns": self._left_ns(signal),
            "exit": bool(signal.get("exit")),
            "flaw": "",
        }
        self.see(allowed=self._may_trade())
        try:
            return await passed_on(self.host, "offer", value, self.part.handle_signal(signal))
        finally:
            self._sample()

    def _left_ns(self, signal: Mapping[str, Any]) -> int:
        """Return how long it is good for: what it says, or what was left of that when it came off the bus."""
        told_ns = seconds(signal["ttl_s"])
        born = self._born.get(signal["id"])
        if born is None:
            return told_ns
        born_ns, ttl_ns = born
        return min(told_ns, born_ns + ttl_ns + _STAMPED_NS - self.host.now_ns())

    async def close(self) -> None:
        """Close it."""
        self.host.log.observe("closing")
        await self.part.close()
        self._sample()

    def see(self, *, allowed: bool) -> None:
        """Record it if whether trading is allowed has changed."""
        if allowed != self._allowed:
            self._allowed = allowed
            self.host.log.observe("trading", allowed=allowed, until_ns=0)
            self._sample()

    def _asked(self) -> bool:
        """Whether trading is allowed now; what the executor is told is what is on record."""
        allowed = bool(self._may_trade())
        self.see(allowed=allowed)
        return allowed

    async def _executing(self, signal: Any) -> object:
        async def execute() -> object:
            self._sample()
            return await self._execute(signal)

        return await passed_on(self.host, "execution", {"key": signal.id}, execute())

    def _disposed(self, one: Any) -> None:
        leaving = one.reason != "rejected" and one.id in self._exits
        self.host.log.observe("disposed", id=one.id, reason=one.reason, detail=one.detail, exit=leaving)
        if not self._unsampled:  # several ends of one step are announced one by one: wait for the last
            self._unsampled = True
            asyncio.get_running_loop().call_soon(self._sample_if_due)

    def _sample_if_due(self) -> None:
        if self._unsampled:
            self._sample()

    def _sample(self) -> None:
        self._unsampled = False
        if not hasattr(self, "part"):
            return
        stats = self.part.stats()
        counts = {
            name: getattr(stats, name)
            for name in ("offered", "executed", "expired", "superseded", "rejected", "closed")
        }
        counts["dropped"] = self.part.dropped_signals
        self.host.log.observe("stats", queued=stats.queued, counts=counts)


class RecordedStop(Recorded):
    """An emergency stop: what is done to it, where it stands, and its audit trail."""

    def __init__(
        self,
        host: Host,
        make: Callable[..., Any],
        *,
        cancel_all: Callable[[], Awaitable[object]],
        **options: Any,
    ) -> None:
        self._cancel_all = cancel_all
        told = {name: value for name, value in options.items() if name.endswith("_s")}
        super().__init__(host, make(cancel_all=self._cancelling, **options))
        host.log.observe("ess_limits", **told)

    async def start(self) -> None:
        """Start it, and look at it from then on."""
        await self.part.start()
        self._sample()
        await self._read_back()
        self.sample_every(_ESS_SAMPLE_NS, self._sample)

    async def close(self) -> None:
        """Close it, after a last look."""
        self.end_sampling()
        self._sample()
        await self._read_back()
        await self.part.close()

    async def update_metrics(self, *, daily_drawdown: float, open_loss: float) -> Any:
        """Feed it, as an operation `metrics`."""
        call: Awaitable[Any] = self.part.update_metrics(daily_drawdown=daily_drawdown, open_loss=open_loss)
        value = {"drawdown": repr(daily_drawdown), "loss": repr(open_loss)}
        state = await passed_on(self.host, "metrics", value, call, lambda state: {"state": str(state)})
        self._sample()
        return state

    async def record_execution(self, *, ok: bool) -> Any:
        """Tell it of an execution, as an operation `execution_told`: `execution` is an executor's."""
        call: Awaitable[Any] = self.part.record_execution(ok=ok)
        state = await passed_on(self.host, "execution_told", {"ok": ok}, call, lambda state: {"state": str(state)})
        self._sample()
        return state

    async def arm(self, *, operator: str, reason: str) -> Any:
        """Arm it, as an operation `arm`."""
        call: Awaitable[Any] = self.part.arm(operator=operator, reason=reason)
        value = {"actor": operator, "reason": reason}
        row = await passed_on(
            self.host, "arm", value, call, lambda row: {"transition": row.id, "state": str(row.target)}
        )
        self._sample()
        return row

    async def _cancelling(self) -> object:
        operation = self.host.log.begin("cancel_all", {})
        try:
            done = await self._cancel_all()
        except BaseException as error:
            operation.fail(type(error).__name__)
            raise
        operation.ok()
        return done

    def _sample(self) -> None:
        status = self.part.status()
        may = bool(self.part.can_execute_orders())
        self.host.log.observe("ess", state=str(status.state), transition=status.transition, trip=status.trip, may=may)

    async def _read_back(self) -> None:
        trail = [
            {
                "id": row.id,
                "trip": row.trip,
                "from": str(row.source),
                "to": str(row.target),
                "actor": row.actor,
                "reason": row.reason,
                "at_ms": row.at_ms,
            }
            for row in await self.part.audit()
        ]
        self.host.log.observe("audit", trail=trail)
        refused: dict[str, int] = {}
        for one in await self.part.incidents():
            if one.kind == "refused_call":
                refused[one.code] = refused.get(one.code, 0) + one.count
        self.host.log.observe("refused_calls", by_code=refused)
