"""A trading desk under an emergency stop: orders go out through its gate, and everything about it is recorded.

The harness plays the exchange: what a lane sends in the gate takes a while to get there (`reached` is observed then),
and a while to be answered. `ess` observations are samples of where the emergency stop says it stands, made after
everything that is done to it.

Operations: `order`, `metrics` {drawdown, loss} (as text, since JSON has no NaN), `execution` {ok}, `trip`, `reset`,
`arm`, `cancel_all`; `call` is `ess_http`'s. Whatever the target raises is a `fail` of those that it may refuse.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from harness.units import as_seconds, ms
from harness.world.base import Host
from scenarios.ports.ess import EmergencyStop  # noqa: TC001 - evaluated by tools that read the annotation

_WIRE_MS: Final = (5, 350)
"""How long an order takes to the exchange: long enough that a trip finds some on their way."""
_ANSWER_MS: Final = (5, 50)
_CANCEL_MS: Final = (5, 150)


class Desk:
    """The emergency stop of one host, and what the harness does to it."""

    def __init__(
        self,
        host: Host,
        publish: Callable[[str, Mapping[str, Any]], Awaitable[Any]],
        cancel: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        """Without `cancel`, which cancels working orders or raises, the harness plays the exchange in that as well."""
        self.host = host
        self._cancel = cancel or self._play_cancelling
        self.stopped = asyncio.Event()
        self._wire = host.draws("wire")
        self._cancels = host.draws("cancels")
        self._orders = 0
        params = host.params
        factory = host.target("ess")
        host.log.observe("ess_limits", **params["options"])
        self.ess: EmergencyStop = factory(
            directory=host.disk,
            name="desk",
            cancel_all=self.cancel_all,
            publish=publish,
            tokens=params["tokens"],
            **params["options"],
        )

    async def pause(self, span_ns: int) -> bool:
        """Wait; return False if the run is to end."""
        try:
            async with asyncio.timeout(as_seconds(max(0, span_ns))):
                await self.stopped.wait()
        except TimeoutError:
            return True
        return False

    def sample(self) -> str:
        """Record where it stands, and return it."""
        status = self.ess.status()
        may = self.ess.can_execute_orders()
        self.host.log.observe("ess", state=status.state, transition=status.transition, trip=status.trip, may=may)
        return status.state

    async def metrics(self, drawdown: float, loss: float) -> None:
        """Feed figures."""
        with self.host.log.operation("metrics", drawdown=repr(drawdown), loss=repr(loss)) as operation:
            operation.result = {"state": await self.ess.update_metrics(daily_drawdown=drawdown, open_loss=loss)}
        if self.sample() == "DISABLED":
            await self._arm()

    async def executed(self, *, ok: bool) -> None:
        """Tell of an execution."""
        with self.host.log.operation("execution", ok=ok) as operation:
            operation.result = {"state": await self.ess.record_execution(ok=ok)}
        self.sample()

    async def trip(self, reason: str, actor: str) -> None:
        """Trip it from inside."""
        with self.host.log.operation("trip", reason=reason, actor=actor) as operation:
            tripped = await self.ess.trip(reason, actor=actor)
            operation.result = {"trip": tripped.trip, "state": tripped.state}
        self.sample()

    async def reset(self, trip: str, reason: str, actor: str) -> None:
        """Reset it from inside; refused is an answer."""
        with self.host.log.operation("reset", refused=(Exception,), trip=trip, reason=reason, actor=actor) as operation:
            row = await self.ess.manual_reset(trip=trip, operator=actor, reason=reason)
            operation.result = {"transition": row.id, "state": row.target}
        self.sample()

    async def cancel_all(self) -> None:
        """Cancel working orders."""
        operation = self.host.log.begin("cancel_all", {})
        try:
            await self._cancel()
        except BaseException as error:
            operation.fail(type(error).__name__)
            raise
        operation.ok()

    async def _play_cancelling(self) -> None:
        """Take a while, as the exchange would, and fail one time in four."""
        await asyncio.sleep(as_seconds(ms(self._cancels.between(*_CANCEL_MS))))
        if self._cancels.choice((False, False, False, True)):
            raise ConnectionError("the exchange is busy")

    async def lane(self, number: int) -> None:
        """Send one order after the other through the gate, and report each that came to an answer."""
        gaps = self.host.draws(f"lane/{number}")
        gap_ns = self.host.params["order_gap_ns"]
        while await self.pause(gap_ns // 2 + gaps.below(gap_ns)):
            await self.order(number)

    async def order(self, lane: int) -> None:
        """Send one order."""
        self._orders += 1
        key = f"{self.host.name}-{self.host.incarnation}-{lane}-{self._orders:06d}"
        with self.host.log.operation("order", refused=(Exception,), key=key):
            async with self.ess.gate.order():
                await asyncio.sleep(as_seconds(ms(self._wire.between(*_WIRE_MS))))
                self.host.log.observe("reached", key=key)
                await asyncio.sleep(as_seconds(ms(self._wire.between(*_ANSWER_MS))))

    async def read_back(self) -> None:
        """Record what the audit trail says."""
        trail = [
            {
                "id": row.id,
                "trip": row.trip,
                "from": row.source,
                "to": row.target,
                "actor": row.actor,
                "reason": row.reason,
                "at_ms": row.at_ms,
            }
            for row in await self.ess.audit()
        ]
        self.host.log.observe("audit", trail=trail)
        refused: dict[str, int] = {}
        for one in await self.ess.incidents():
            if one.kind == "refused_call":
                refused[one.code] = refused.get(one.code, 0) + one.count
        self.host.log.observe("refused_calls", by_code=refused)

    async def _arm(self) -> None:
        """Put a new one into service."""
        with self.host.log.operation("arm", refused=(Exception,), actor="alice", reason="start of day") as operation:
            row = await self.ess.arm(operator="alice", reason="start of day")
            operation.result = {"transition": row.id, "state": row.target}
        self.sample()
