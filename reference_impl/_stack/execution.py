"""The service `execution`: takes signals off the bus and trades the best of them, as long as that is allowed.

It holds what has to be in one process to be true. The emergency stop, its gate, and the adapter: a stop that had to be
asked for over a network could not promise that no order goes out once it is acked. The adapter, and with it the only
limiter of this IP: others read the exchange through the door (`door.py`). And the policy store, asked before an order.

    bus -> still meant? -> executor -> policy, size -> gate of the stop -> adapter -> bus

On a symbol one order is under way at a time, and whatever became of it is settled with the exchange before the next.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from starlette.types import ASGIApp

from reference_impl._http.app import guarded
from reference_impl._policy import routes as policy_routes
from reference_impl._stack import door, topics
from reference_impl._stack.guarding import rules
from reference_impl._stack.high_water import HighWater
from reference_impl._stack.paths import Paths
from reference_impl._stack.running import Tasks
from reference_impl._stack.settings import Settings
from reference_impl._stack.trading import Account, sized, still_meant

log = logging.getLogger(__name__)

ACCOUNT: Final = "/fapi/v2/account"
TICKER: Final = "/fapi/v1/ticker/price"
OPEN_ORDERS: Final = "/fapi/v1/openOrders"
GROUP: Final = "execution"
_DEADLINE_S: Final = 4.0
"""Of an order: less than the executor gives an execution, so that it ends by itself and can say how."""
_READ_S: Final = 2.0
_CANCEL_S: Final = 5.0
_SETTLE_S: Final = 3.0
_SETTLE_AGAIN_S: Final = 1.0
_CLOSING_TRIES: Final = 3
_DONE: Final = frozenset({"filled", "partial", "abandoned"})
"""Outcomes that are none of the emergency stop's errors: giving up on a price that ran away is how it should be."""


class UnsettledError(Exception):
    """An order may be alive, or filled, that could not be asked about yet."""


class ExecutionService:
    """See the module. `parts` are the factories of the patches, by the names of their ports."""

    def __init__(
        self, *, parts: Mapping[str, Callable[..., Any]], settings: Settings, directory: Path, name: str
    ) -> None:
        self.settings = settings
        self.bus = parts["event_bus"](redis_url=settings.redis_url, directory=directory, name=name)
        self.adapter = parts["binance"](
            base_url=settings.binance_url,
            api_key=settings.api_key,
            api_secret=settings.api_secret,
            directory=directory,
            name=name,
            **settings.options_of("binance"),
        )
        self.policy = parts["policy"](
            redis_url=settings.redis_url, directory=directory, name=name, **settings.options_of("policy")
        )
        self.ess = parts["ess"](
            directory=directory,
            name=name,
            cancel_all=self._cancel_working,
            publish=self.bus.publish_event,
            tokens=settings.operators,
            **settings.options_of("ess"),
        )
        self.executor = parts["executor"](
            execute=self._execute,
            may_trade=self.may_trade,
            symbols=settings.symbols,
            directory=directory,
            name=name,
            **settings.options_of("executor"),
        )
        self.tasks = Tasks()
        self.account = Account()
        self.prices: dict[str, Decimal] = {}
        self.outdated = 0
        self._high_water_path = directory / f"{name}.high-water.json"
        self._high_water: HighWater | None = None
        self._lanes = {symbol: asyncio.Lock() for symbol in settings.symbols}
        self._unsettled: set[str] = set()
        self._versions: asyncio.Queue[Any] = asyncio.Queue()
        self._paths = Paths(name, self._apps(), self._details)

    def app(self) -> ASGIApp:
        """Return `/api/ess`, `/api/policy`, the door, and `/health`."""
        return self._paths

    async def start(self) -> None:
        """Begin, whatever the others do. What an earlier life left at the exchange is settled before anything new."""
        self._high_water = await asyncio.to_thread(HighWater, self._high_water_path)
        await self.bus.start()
        await self.adapter.start()
        await self.policy.start()
        await self.ess.start()
        await self._paths.open()
        self._unsettled.update(self.settings.symbols)
        self.policy.on_update(self._versions.put_nowait)
        self.tasks.start(self._settle_all(), "settling")
        self.tasks.start(self.executor.process_queue(), "executor")
        self.tasks.start(self._tell_versions(), "policy versions")
        self.tasks.every(self.settings.account_every_s, self._read_account, "account")
        self.tasks.every(self.settings.prices_every_s, self._read_prices, "prices")
        await self.bus.subscribe(GROUP, [topics.SIGNAL], self.on_signal)

    async def close(self) -> None:
        """Stop taking signals, let what is under way come to an end, and settle with the exchange."""
        await self.executor.close()
        await self.tasks.end()
        await self._settle_all(_CLOSING_TRIES)
        await self._paths.close()
        await self.ess.close()
        await self.policy.close()
        await self.adapter.close()
        await self.bus.close()

    def may_trade(self) -> bool:
        """Whether the emergency stop lets orders out."""
        return bool(self.ess.can_execute_orders())

    # --- signals ---

    async def on_signal(self, event: Any) -> None:
        """Hand a signal to the executor, if it is still meant; what it refuses is done with, too."""
        signal = still_meant(event.payload, published_s=event.timestamp, now_s=time.time())
        if signal is None:
            self.outdated += 1
            return
        try:
            await self.executor.handle_signal(signal)
        except ValueError as error:
            log.info("a signal was refused: %s", getattr(error, "reason", type(error).__name__))

    async def _execute(self, signal: Any) -> None:
        """Trade a signal, or raise if the exchange did not do it."""
        settings = self.settings
        async with self._lanes[signal.symbol]:
            if signal.symbol in self._unsettled:
                await self.settle()
            wanted = sized(
                side=signal.side,
                leaving=signal.exit,
                confidence=signal.confidence,
                price=self.prices.get(signal.symbol),
                account=self.account,
                symbol=signal.symbol,
                limits=self.policy.get().limits,
                stop_bps=settings.stop_bps,
                notional_max=settings.notional_max,
            )
            if not wanted.quantity:
                return
            self._unsettled.add(signal.symbol)
            report = await self._trade(signal, wanted.quantity, reduce_only=wanted.reduce_only)
            if report.status != "unknown":
                self._unsettled.discard(signal.symbol)
        await self._tell(signal, wanted.quantity, report)
        if report.status not in _DONE:
            raise RuntimeError(f"not executed: {report.status}")

    async def _trade(self, signal: Any, quantity: Decimal, *, reduce_only: bool) -> Any:
        ok = False
        try:
            async with self.gate():
                report = await self.adapter.execute_order(
                    signal.symbol,
                    signal.side,
                    quantity,
                    intent=signal.id,
                    decision_price=self.prices.get(signal.symbol),
                    max_slippage_bps=self.settings.slippage_bps,
                    reduce_only=reduce_only,
                    deadline_s=_DEADLINE_S,
                )
            ok = report.status in _DONE
        finally:
            # A stop in between is no error of the exchange; the stop knows of it already.
            if self.may_trade():
                await self.ess.record_execution(ok=ok)
        return report

    def gate(self) -> Any:
        """Return the block in which one order goes out."""
        return self.ess.gate.order()

    async def _tell(self, signal: Any, quantity: Decimal, report: Any) -> None:
        price = report.average_price
        told = {
            "intent": signal.id,
            "symbol": signal.symbol,
            "side": signal.side,
            "status": report.status,
            "quantity": format(quantity, "f"),
            "filled": str(report.filled),
            "missing": str(report.missing),
            "price": None if price is None else str(price),
            "reason": report.reason,
        }
        await self.bus.publish_event(topics.REPORTED, told)

    # --- the exchange ---

    async def settle(self) -> None:
        """Find out what became of orders whose answer was lost. Nothing new goes out on a symbol before."""
        found = await self.adapter.reconcile(deadline_s=_SETTLE_S)
        if any(one.status == "unknown" for one in found.values()):
            raise UnsettledError("what became of an order is not known yet")
        self._unsettled.difference_update(symbol for symbol, lane in self._lanes.items() if not lane.locked())

    async def _settle_all(self, tries: int = 0) -> None:
        """Settle until it is done; so often at most, if that is not 0."""
        number = 0
        while self._unsettled and (not tries or number < tries):
            number += 1
            try:
                await self.settle()
            except Exception as error:  # noqa: BLE001 - the exchange is away: ask again
                log.warning("orders are not settled yet: %s", type(error).__name__)
                await asyncio.sleep(_SETTLE_AGAIN_S)

    async def _read_account(self) -> None:
        """Feed the emergency stop with the exchange's own figures. Without any it trips by itself."""
        told = await self.adapter.get(ACCOUNT, {}, signed=True, deadline_s=_READ_S)
        assert self._high_water is not None
        now_s = time.time()
        known = Account(highest=self._high_water.highest(now_s))
        self.account = known.after(told)
        await self.ess.update_metrics(daily_drawdown=self.account.drawdown, open_loss=self.account.loss)
        await asyncio.to_thread(self._high_water.raise_to, self.account.highest, now_s)
        if self.settings.arm_as and self.ess.status().state == "DISABLED":
            await self.ess.arm(operator=self.settings.arm_as, reason="start of day")

    async def _read_prices(self) -> None:
        told = await self.adapter.get(TICKER, {}, signed=False, deadline_s=_READ_S)
        self.prices = {one["symbol"]: Decimal(one["price"]) for one in told if one["symbol"] in self.settings.symbols}
        await self.bus.publish_event(
            topics.PRICES, {"prices": {symbol: str(price) for symbol, price in self.prices.items()}}
        )

    async def _cancel_working(self) -> None:
        """Cancel every order that works at the exchange; raise if that could not be done."""
        working = await self.adapter.get(OPEN_ORDERS, {}, signed=True, deadline_s=_CANCEL_S)
        for order in working:
            await self.adapter.cancel_order(order["symbol"], order["clientOrderId"], deadline_s=_CANCEL_S)

    # --- people ---

    async def _tell_versions(self) -> None:
        while True:
            view = await self._versions.get()
            await self.bus.publish_event(topics.POLICY, {"profile": view.policy.profile, "version": view.version})

    def _apps(self) -> dict[str, ASGIApp]:
        people = rules(self.settings.operators)
        services = rules({"services": self.settings.door_token})
        return {
            "/api/ess": self.ess.app(),
            "/api/policy": guarded("Policy", [policy_routes.router(self.policy)], people),
            door.PATH: guarded("The exchange's door", [door.router(self.adapter)], services),
        }

    def _details(self) -> Mapping[str, Any]:
        bus, queue = self.bus.stats(), self.executor.stats()
        return {
            "ess": str(self.ess.status().state),
            "bus": bus.mode,
            "buffered": bus.buffered,
            "queued": queue.queued,
            "outdated": self.outdated,
        }
