"""Patch 3: an executor of trading signals that no flood of them can overrun.

```python
async def trade(signal: Signal) -> None: ...                 # raises if nothing was traded

executor = EventDrivenExecutor(execute=trade, symbols=["BTCUSDT", "ETHUSDT"], may_trade=ess.can_execute_orders)
executor.on_disposed(lambda one: journal.write(one.id, one.reason, one.detail))
loop_of_it = asyncio.create_task(executor.process_queue())
...
await executor.handle_signal(
    {"id": "ai-4711", "symbol": "BTCUSDT", "side": "BUY", "confidence": 0.83, "ttl_s": 5.0}
)
await executor.close()
```

What it promises, whatever is offered and however executions behave:

- *Bounded*: at most `max_queue_size` signals wait; when there are more, the least confident is dropped.
- *Best first*: exits before entries, then the highest confidence, ties oldest first. One signal lives for each symbol
  and side; a newer one supersedes it.
- *Slow enough*: at most `max_per_second` executions begin in any second, failures included. What a killed process did
  before is not known, so a new one waits for a second.
- *Fresh*: nothing begins to execute after its ttl, nor while `may_trade` says no. Time limits go on meanwhile.
- *Exits get through*: never dropped, never superseded by an entry, and begun within 2 s in which trading is allowed
  (with more than three others before them, within what the rate allows: `_executor/machine.py` has the exact bound).
- *Nothing is silent*: each signal ends in one `Disposal`, which is counted and announced. What is malformed raises
  `MalformedSignalError` besides. The log has a summary at most once a second: a line for each would be a flood itself.

The queue is in memory: a signal lives for seconds, and one that waited out a restart would be one that nobody meant any
more. What waited in a killed process is gone, so a caller offers those exits again that it still wants.

Design: `_executor/machine.py` decides, this file waits. An execution begins in the same step of the event loop in which
it is decided, so that neither its ttl nor a halt of trading can come in between.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeAlias

from reference_impl._executor.machine import NEVER, Disposal, Outcome, Policy, SignalMachine
from reference_impl._executor.signals import MalformedSignalError, Signal

__all__ = [
    "Disposal",
    "EventDrivenExecutor",
    "ExecutorClosedError",
    "ExecutorStats",
    "MalformedSignalError",
    "Signal",
    "make",
]

log = logging.getLogger(__name__)

Execute: TypeAlias = Callable[[Signal], Awaitable[object]]

_SECOND: Final = 1_000_000_000
_ASK_AGAIN_NS: Final = _SECOND // 10
"""While trading is forbidden and signals wait, `may_trade` is asked this often."""
_LEAST_PAUSE_S: Final = 0.001
"""A timer that fires a rounding too early must not spin."""
_CLOSING_S: Final = 1.0
"""How long `close` waits for an execution that was cancelled."""


class ExecutorClosedError(RuntimeError):
    """The executor was closed; the signal was not taken in."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutorStats:
    """Counts since the start; `offered` is the sum of the next seven. `running` of those executed have not ended."""

    offered: int
    queued: int
    executed: int
    dropped: int
    expired: int
    superseded: int
    rejected: int
    closed: int
    running: int
    succeeded: int
    failed: int
    timed_out: int


class EventDrivenExecutor:
    """Belongs to one event loop; not thread-safe.

    Args:
        max_queue_size: Signals that may wait.
        execute: Trades a signal, or raises. It is cancelled when its time is up, and must then end.
        symbols: Those that are traded; others are refused.
        may_trade: Asked just before each execution, such as an emergency stop's `can_execute_orders`. One that raises
            says no.
        max_per_second: Executions that may begin in any second.
        max_running: Executions at once, of which `reserved` are kept for exits. Twelve are more than two a second can
            come to in 5 s, so exits never wait for a place.
        execution_timeout_s: How long an execution may take.

    """

    machine_type: type[SignalMachine] = SignalMachine

    def __init__(
        self,
        max_queue_size: int = 100,
        *,
        execute: Execute,
        symbols: Collection[str],
        may_trade: Callable[[], bool] | None = None,
        max_per_second: int = 2,
        max_running: int = 12,
        reserved: int = 4,
        execution_timeout_s: float = 5.0,
    ) -> None:
        policy = Policy(
            symbols=symbols,
            max_queue_size=max_queue_size,
            max_per_second=max_per_second,
            max_running=max_running,
            reserved=reserved,
        )
        if not execution_timeout_s > 0:
            raise ValueError("an execution needs time")
        self.machine = self.machine_type(policy, time.monotonic_ns())
        self._execute = execute
        self._may_trade = may_trade or (lambda: True)
        self._timeout_s = execution_timeout_s
        self._on_disposed: list[Callable[[Disposal], None]] = []
        self._changed = asyncio.Event()
        self._running: set[asyncio.Task[None]] = set()
        self._beginning = False
        self._processing = False
        self._closed = False
        self._looks_at = 0
        self._forbidden_until = 0
        self._logs_at = 0

    @property
    def dropped_signals(self) -> int:
        """How many signals were given up because the queue was full."""
        return self.machine.counts["dropped"]

    def on_disposed(self, callback: Callable[[Disposal], None]) -> None:
        """Have `callback` told how each signal ended, as it happens. It must not wait; what it raises is logged."""
        self._on_disposed.append(callback)

    async def handle_signal(self, signal: Mapping[str, Any]) -> bool:
        """Take a signal in; return whether it is queued now (if not, its end has been announced).

        Fields: `id` (new, 1 to 64 characters), `symbol`, `side` (BUY, SELL), `confidence` in [0, 1], `ttl_s` (seconds
        from now); optional `exit` (it lowers risk), `quantity`, `price`. Raises `MalformedSignalError`, with a
        `reason`, for what is none, and `ExecutorClosedError`.
        """
        if self._closed:
            raise ExecutorClosedError("the executor is closed")
        try:
            queued = self.machine.offer(signal, time.monotonic_ns())
        finally:
            self._announce()
        if queued and self._next_look() < self._looks_at:
            self._changed.set()
        return queued

    async def process_queue(self) -> None:
        """Execute what waits, best first, until closed. Raises `RuntimeError` if that is going on already."""
        if self._processing:
            raise RuntimeError("the queue is being processed already")
        self._processing = True
        try:
            while not self._closed:
                self._look(time.monotonic_ns())
                await self._pause()
        finally:
            self._processing = False
            self._looks_at = 0

    def stats(self) -> ExecutorStats:
        """Return the present figures."""
        machine, outcomes = self.machine, self.machine.outcomes
        return ExecutorStats(
            offered=machine.offered,
            queued=len(machine.queue),
            **machine.counts,
            running=machine.running,
            succeeded=outcomes["ok"],
            failed=outcomes["failed"],
            timed_out=outcomes["timed_out"],
        )

    async def close(self) -> None:
        """Begin nothing any more, dispose of what waits as `closed`, and let end what runs, within its time limit.

        No task is left, unless an execution goes on although it was cancelled: that is logged.
        """
        if not self._closed:
            self._closed = True
            self.machine.close()
            self._announce()
            self._changed.set()
            log.info("executor closed: %s", self.stats())
        if self._running:
            await asyncio.wait(self._running, timeout=self._timeout_s + _CLOSING_S)
        if self._running:
            log.error("executor: %d executions go on although they were cancelled", len(self._running))

    def _look(self, now: int) -> None:
        """Dispose of what went stale, and begin what may begin."""
        self.machine.shed(now)
        self._announce()
        if self._ready_at() <= now:
            if self._allowed():
                self._beginning = True
                task = asyncio.create_task(self._run(), name="executor-run")
                self._running.add(task)
                task.add_done_callback(self._running.discard)
            else:
                self._forbidden_until = now + _ASK_AGAIN_NS

    async def _pause(self) -> None:
        """Wait until something may have to be done."""
        self._changed.clear()
        self._looks_at = self._next_look()
        timer = None
        if self._looks_at < NEVER:
            pause_s = max(_LEAST_PAUSE_S, (self._looks_at - time.monotonic_ns()) / _SECOND)
            timer = asyncio.get_running_loop().call_later(pause_s, self._changed.set)
        try:
            await self._changed.wait()
        finally:
            if timer is not None:
                timer.cancel()

    def _next_look(self) -> int:
        return min(self.machine.stale_at, self._ready_at())

    def _ready_at(self) -> int:
        return NEVER if self._beginning else max(self.machine.ready_at, self._forbidden_until)

    def _allowed(self) -> bool:
        try:
            return bool(self._may_trade())
        except Exception:
            log.exception("executor: may_trade failed, which forbids trading")
            return False

    async def _run(self) -> None:
        """Execute one signal. It is chosen here, in the step that begins it."""
        self._beginning = False
        signal = None if self._closed or not self._allowed() else self.machine.take(time.monotonic_ns())
        self._announce()
        self._changed.set()
        if signal is None:
            return
        outcome: Outcome = "aborted"
        limit = asyncio.timeout(self._timeout_s)
        try:
            async with limit:
                await self._execute(signal)
            outcome = "ok"
        except Exception as error:  # noqa: BLE001 - whatever it raises, it is a failure of this execution alone
            outcome = "timed_out" if limit.expired() else "failed"
            log.warning("executor: signal %s %s: %s", signal.id, outcome, type(error).__name__)
        finally:
            self.machine.ended(signal, outcome)
            self._announce()
            self._changed.set()

    def _announce(self) -> None:
        """Tell of all that ended since the last time."""
        if not self.machine.disposals:
            return
        ended, self.machine.disposals = self.machine.disposals, []
        for one in ended:
            for callback in self._on_disposed:
                try:
                    callback(one)
                except Exception:
                    log.exception("executor: a callback failed")
        now = time.monotonic_ns()
        if now >= self._logs_at and any(one.reason != "executed" for one in ended):
            self._logs_at = now + _SECOND
            log.warning("executor: signals were given up or refused: %s", self.stats())


def make(
    *,
    execute: Execute,
    may_trade: Callable[[], bool],
    symbols: Collection[str],
    directory: Path,
    name: str,
    **options: Any,
) -> EventDrivenExecutor:
    """Return an executor. Nothing is kept in `directory`, and `name` is not needed: see the module's text for why."""
    del directory, name
    return EventDrivenExecutor(execute=execute, may_trade=may_trade, symbols=symbols, **options)
