"""Stacks whose parts are the reference's and whose wiring has one flaw each: the harness must catch all."""

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, Protocol

from starlette.types import ASGIApp, Receive, Scope, Send

from reference_impl._stack import topics
from reference_impl._stack.board import DashboardService
from reference_impl._stack.books import PortfolioService
from reference_impl._stack.execution import ExecutionService
from reference_impl.stack import SERVICES, Service, make

_LATE_S: Final = 1.0


class Factory(Protocol):
    """Makes services, as `reference_impl.stack.make` does."""

    def __call__(
        self, *, service: str, directory: Path, settings: Mapping[str, Any], name: str, parts: Mapping[str, Any]
    ) -> Service:
        """Make one."""


class _HearsOfStopsOverTheBus(ExecutionService):
    """Believes what the bus tells of the emergency stop, instead of going through its gate."""

    _stopped = True

    async def start(self) -> None:
        await super().start()
        await self.bus.subscribe("execution-stop", topics.ESS, self._on_stop)

    async def _on_stop(self, event: Any) -> None:
        self._stopped = event.event_type != "ess.armed"

    def may_trade(self) -> bool:
        return not self._stopped

    def gate(self) -> Any:
        return contextlib.nullcontext()


class _ExecutesWhatWaited(ExecutionService):
    """Counts a signal's ttl from when it arrives."""

    async def on_signal(self, event: Any) -> None:
        with contextlib.suppress(ValueError):
            await self.executor.handle_signal(dict(event.payload))


class _OneAtATime(ExecutionService):
    """Answers one call after the other, so that the risk API waits for whoever reads the exchange."""

    def app(self) -> ASGIApp:
        inner, turn = super().app(), asyncio.Lock()

        async def one(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] != "http" or scope["path"] == "/health":
                await inner(scope, receive, send)
                return
            async with turn:
                await inner(scope, receive, send)

        return one


class _BooksReports(PortfolioService):
    """Books what the bus says was filled when it comes late, and what the exchange lists besides."""

    async def on_report(self, event: Any) -> None:
        told = event.payload
        if told["price"] is not None and asyncio.get_running_loop().time() - self._began > _LATE_S:
            number = 9_000_000 + self._booked
            self._booked += 1
            await self.portfolio.apply([_trade(told, number)])
        await super().on_report(event)

    async def start(self) -> None:
        self._began, self._booked = asyncio.get_running_loop().time(), 0
        await super().start()


def _trade(told: Mapping[str, Any], number: int) -> dict[str, Any]:
    return {
        "symbol": told["symbol"],
        "id": number,
        "time": 0,
        "side": told["side"],
        "qty": told["filled"],
        "price": told["price"],
        "commission": "0",
        "commissionAsset": "USDT",
        "positionSide": "BOTH",
    }


class _OwnAdapter(PortfolioService):
    """Reads the exchange by an adapter of its own, which is not told what another was told."""

    def __init__(self, *, parts: Mapping[str, Callable[..., Any]], **given: Any) -> None:
        super().__init__(parts=parts, **given)
        settings = self.settings
        self._own = parts["binance"](
            base_url=settings.binance_url,
            api_key=settings.api_key,
            api_secret=settings.api_secret,
            directory=given["directory"],
            name=given["name"],
        )

    async def start(self) -> None:
        await self._own.start()
        self.door.get = self._own.get  # type: ignore[method-assign]  # the flaw
        await super().start()

    async def close(self) -> None:
        await super().close()
        await self._own.close()


class _AcksBeforeDurable(DashboardService):
    """Acknowledges an event before it is shown."""

    async def on_event(self, event: Any) -> None:
        self.tasks.start(super().on_event(event), "showing")


def _factory(service: str, kind: Callable[..., Service]) -> Factory:
    def variant(**given: Any) -> Service:
        return make(**given, services={**SERVICES, service: kind})

    return variant


ignores_stop_while_redis_is_down = _factory("execution", _HearsOfStopsOverTheBus)
executes_what_waited_on_the_bus = _factory("execution", _ExecutesWhatWaited)
door_blocks_risk_api = _factory("execution", _OneAtATime)
double_books_after_resync = _factory("portfolio", _BooksReports)
limits_each_process_by_itself = _factory("portfolio", _OwnAdapter)
acks_before_durable = _factory("dashboard", _AcksBeforeDurable)
