"""The executor as the plan sketches it, known holes included.

A list of signals, as they come. A full one gives up the least confident by `min`, which costs the length of the list
and means nothing once a NaN is in it. A loop takes the most confident, executes it, and sleeps for half a second: so a
slow execution holds up all others, and a failed one goes on at once, as the sleep is behind it in the `try`. There is
no ttl, no exit, no symbol or side, and nobody asks whether trading is allowed. What is no signal ends the loop.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from reference_impl._executor.machine import Disposal
from reference_impl.executor import ExecutorStats

log = logging.getLogger(__name__)

_PAUSE_S: Final = 0.5
_IDLE_S: Final = 0.1


@dataclass(frozen=True, slots=True)
class PlannedSignal:
    """Whatever was offered."""

    id: str
    raw: Mapping[str, Any]


class PlannedExecutor:
    """The plan's `EventDrivenExecutor`."""

    def __init__(self, execute: Callable[[Any], Awaitable[object]], max_queue_size: int = 100) -> None:
        self._execute = execute
        self._max = max_queue_size
        self._queue: list[Mapping[str, Any]] = []
        self._callbacks: list[Callable[[Disposal], None]] = []
        self._offered = self._executed = self._failed = 0
        self._closed = False
        self.dropped_signals = 0

    def on_disposed(self, callback: Callable[[Disposal], None]) -> None:
        """Have `callback` told of drops and executions; the sketch knows no other end."""
        self._callbacks.append(callback)

    async def handle_signal(self, signal: Mapping[str, Any]) -> None:
        """Queue it, and give up the least confident if there are too many."""
        self._offered += 1
        if len(self._queue) >= self._max:
            lowest = min(self._queue, key=_confidence)
            if _confidence(signal) <= _confidence(lowest):
                self._drop(signal)
                return
            self._queue.remove(lowest)
            self._drop(lowest)
        self._queue.append(signal)

    async def process_queue(self) -> None:
        """Execute the most confident, again and again."""
        while not self._closed:
            if not self._queue:
                await asyncio.sleep(_IDLE_S)
                continue
            signal = max(self._queue, key=_confidence)
            self._queue.remove(signal)
            self._executed += 1
            name = str(signal["id"])
            try:
                await self._execute(PlannedSignal(name, signal))
                self._tell(name, "executed", "ok")
                await asyncio.sleep(_PAUSE_S)
            except Exception as error:
                log.exception("execution failed")
                self._failed += 1
                self._tell(name, "executed", type(error).__name__)

    def stats(self) -> ExecutorStats:
        """Return what the sketch counts."""
        return ExecutorStats(
            offered=self._offered,
            queued=len(self._queue),
            executed=self._executed,
            dropped=self.dropped_signals,
            expired=0,
            superseded=0,
            rejected=0,
            closed=0,
            running=0,
            succeeded=self._executed - self._failed,
            failed=self._failed,
            timed_out=0,
        )

    async def close(self) -> None:
        """Leave the loop at its next turn."""
        self._closed = True

    def _drop(self, signal: Mapping[str, Any]) -> None:
        self.dropped_signals += 1
        self._tell(str(signal["id"]), "dropped", "")

    def _tell(self, name: str, reason: Any, detail: str) -> None:
        for callback in self._callbacks:
            callback(Disposal(name, reason, detail, None))


def _confidence(signal: Mapping[str, Any]) -> float:
    confidence: float = signal["confidence"]
    return confidence


def planned(
    *,
    execute: Callable[[Any], Awaitable[object]],
    may_trade: Callable[[], bool],
    symbols: Collection[str],
    directory: Path,
    name: str,
    **options: Any,
) -> PlannedExecutor:
    """Return the sketch."""
    del may_trade, symbols, directory, name
    return PlannedExecutor(execute, **options)
