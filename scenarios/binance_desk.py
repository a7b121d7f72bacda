"""What all loops of the trader share: the adapter, the log of operations, the word to stop, and settling."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from harness.units import as_seconds, seconds
from harness.world.base import Host
from scenarios.binance_past import Past
from scenarios.ports.binance import BinanceAdapter, ExecutionReport
from scenarios.recording import recorded

PAUSE_S: Final = 0.25
"""After a failure, before the next try of a closed loop."""
_SETTLE_TRIES: Final = 8


class Desk:
    """What the loops share: the adapter, the log, the word to stop, and what earlier lives did."""

    def __init__(self, host: Host, adapter: BinanceAdapter) -> None:
        self.host = host
        self.adapter = adapter
        self.stopped = asyncio.Event()
        self.past = Past(host)

    async def record(self, name: str, value: dict[str, Any], call: Callable[[], Awaitable[dict[str, Any]]]) -> Any:
        """Do one operation; return its result, or None after an error. An error with a reason is a typed one."""
        return await recorded(self.host.log, name, value, call)

    async def pause(self, duration_ns: int) -> bool:
        """Sleep so long; return False if asked to stop meanwhile."""
        try:
            await asyncio.wait_for(self.stopped.wait(), as_seconds(duration_ns))
        except TimeoutError:
            return True
        return False

    async def settle(self, until: str | None = None) -> None:
        """Reconcile until the exchange could be asked, or that intent is known; not for ever."""
        for _ in range(_SETTLE_TRIES):
            found: Mapping[str, ExecutionReport] = {}

            async def reconcile() -> dict[str, Any]:
                nonlocal found
                found = await self.adapter.reconcile(deadline_s=10.0)
                return {"intents": len(found)}

            done = await self.record("reconcile", {"key": "reconcile", "deadline_ns": seconds(10)}, reconcile)
            if found:
                self.host.log.observe("reconciled", intents={key: fields(one) for key, one in found.items()})
            unknown = [key for key, one in found.items() if one.status == "unknown"]
            if done is not None and not unknown and (until is None or until in found):
                return
            await asyncio.sleep(4 * PAUSE_S)


def fields(report: ExecutionReport) -> dict[str, Any]:
    """Return a report as a history keeps it."""
    price = report.average_price
    return {
        "status": report.status,
        "filled": str(report.filled),
        "missing": str(report.missing),
        "average_price": None if price is None else str(price),
        "reason": report.reason,
        "attempts": report.attempts,
    }
