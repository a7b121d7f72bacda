"""All executions that are going on: one task per intent, so that an intent asked for twice is never done twice.

A call waits for its intent's task until its own deadline. What is unknown by then is asked about in the background
until it is known; nothing is sent there. A call that is cancelled, the last one for its intent, takes with it what was
being sent: when the cancellation comes out, nothing of the intent is on its way any more, or will be.
"""

import asyncio
import logging
import random
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Final

from reference_impl._binance.channel import Channel
from reference_impl._binance.driver import Driver
from reference_impl._binance.execution import Execution
from reference_impl._binance.faults import BinanceError
from reference_impl._binance.intents import Intent, intent_record
from reference_impl._binance.journal import Journal
from reference_impl._binance.report import End, ExecutionReport, Order
from reference_impl._binance.symbols import SymbolRules
from reference_impl.retry import Dice, RetryPolicy

log = logging.getLogger(__name__)

_MARGIN: Final = 0.1
"""Seconds before a call's deadline at which its execution ends, so that the end can be written down and returned."""
_UNKNOWN: Final = End(status="unknown", reason="unknown")
_FOREVER: Final = 7 * 86_400.0
_FINAL_REASONS: Final = frozenset({"lot_size", "min_notional"})


class Executions:
    """Executions by intent."""

    def __init__(
        self,
        channel: Channel,
        journal: Journal,
        driver: Driver,
        policy: RetryPolicy,
        execution_type: type[Execution] = Execution,
        dice: Dice = random.uniform,
    ) -> None:
        self._channel = channel
        self._journal = journal
        self._driver = driver
        self._policy = policy
        self._execution_type = execution_type
        self._dice = dice
        self._tasks: dict[str, asyncio.Task[ExecutionReport]] = {}
        self._machines: dict[str, Execution] = {}
        self._questions: set[str] = set()
        self._callers: Counter[str] = Counter()
        self._left: set[str] = set()

    def resume(self) -> None:
        """Begin to find out what became of the intents that an earlier life left unfinished."""
        for intent in self._journal.intents:
            if not intent.finished:
                self._settle(intent, "restart" if intent.end is None else "deadline")

    async def execute(self, order: Order, rules: SymbolRules, deadline: float) -> ExecutionReport:
        """Execute, or go on with, or return the report of an intent. Raises `BinanceError`."""
        self._callers[order.intent] += 1
        try:
            return await self._reported(order, rules, deadline)
        except asyncio.CancelledError:
            if self._callers[order.intent] == 1:
                self._questions.add(order.intent)  # for whoever reconciles
                await self._stop(order.intent)
            raise
        finally:
            self._callers[order.intent] -= 1
            if not self._callers[order.intent]:
                del self._callers[order.intent]

    async def _reported(self, order: Order, rules: SymbolRules, deadline: float) -> ExecutionReport:
        mine: asyncio.Task[ExecutionReport] | None = None
        while True:
            task = self._tasks.get(order.intent)
            if task is None:
                if (known := self.earlier(order)) is not None:
                    return known
                mine = task = self._start(order.intent, self._execute(order, rules, deadline - _margin(deadline)))
            await asyncio.wait([task], timeout=max(0.0, deadline - time.monotonic()))
            if not task.done():
                return self._snapshot(order)
            if task is mine or time.monotonic() >= deadline:
                return _result(task)

    def earlier(self, order: Order) -> ExecutionReport | None:
        """Return the report of an intent that is over for good. Raises `BinanceError` if it was another order."""
        known = self._journal.intents.get(order.intent)
        if known is None:
            return None
        if replace(known.order, limit=order.limit) != order:
            raise BinanceError("rejected", f"intent {order.intent} is another order")
        return known.report() if self._over(known) else None

    async def reconcile(self, deadline: float) -> Mapping[str, ExecutionReport]:
        """Wait for what is unknown, and return all that was, each once it is known and again while it is not."""
        questions = sorted(self._questions)
        tasks = [self._tasks[name] for name in questions if name in self._tasks]
        if tasks:
            await asyncio.wait(tasks, timeout=max(0.0, deadline - time.monotonic()))
        reports: dict[str, ExecutionReport] = {}
        for name in questions:
            intent = self._journal.intents.get(name)
            if intent is None:
                continue
            reports[name] = intent.report()
            if intent.finished:
                self._questions.discard(name)
            elif name not in self._tasks:
                self._settle(intent, "restart")
        return reports

    async def place(
        self, order: Order, rules: SymbolRules, deadline: float, *, withdraw: Callable[[str], None]
    ) -> tuple[Execution, End]:
        """Drive an order that is left in the book; it is not written down, as nobody could ask for it again.

        Cancelled with an order on its way, it has `withdraw` called with the client id.
        """
        machine = self._machine(order, rules, deadline)
        try:
            return machine, await self._driver.run(machine, deadline, journalled=False)
        except asyncio.CancelledError:
            if (attempt := machine.unsettled) is not None:
                withdraw(attempt.client_id)
            raise

    async def close(self) -> None:
        """Leave no task; what is going on is found unfinished by the next life."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    async def _stop(self, intent: str) -> None:
        """Nobody wants it any more: send nothing for it."""
        if (machine := self._machines.get(intent)) is not None:
            await self._driver.stop(machine)
        elif intent in self._tasks:
            self._left.add(intent)  # it is being written down, and has no machine yet

    async def _execute(self, order: Order, rules: SymbolRules, deadline: float) -> ExecutionReport:
        try:
            await self._journal.append([intent_record(order)])
        except BinanceError as error:
            if (known := self._journal.intents.get(order.intent)) is not None:
                return known.report()
            end = End(status="abandoned", reason=error.reason)
            return self._machine(order, rules, deadline).report(end)
        known = self._journal.intents.get(order.intent)
        machine = self._machine(order, rules, deadline, known)
        self._machines[order.intent] = machine
        if order.intent in self._left:
            await self._driver.stop(machine)
        end = await self._driver.run(machine, deadline)
        if end.status == "unknown":
            self._questions.add(order.intent)
        return machine.report(end)

    async def _find_out(self, intent: Intent, why: str) -> ExecutionReport:
        deadline = time.monotonic() + _FOREVER
        machine = self._execution_type(
            intent.order,
            SymbolRules(),
            self._policy,
            deadline=deadline,
            dice=self._dice,
            attempts=intent.attempts,
            sending=False,
            why=why,
        )
        self._machines[intent.order.intent] = machine
        end = await self._driver.run(machine, deadline)
        log.info("intent %s is settled: %s %s", intent.order.intent, end.status, end.reason)
        return machine.report(end)

    def _machine(self, order: Order, rules: SymbolRules, deadline: float, known: Intent | None = None) -> Execution:
        return self._execution_type(
            order,
            rules,
            self._policy,
            deadline=deadline,
            dice=self._dice,
            attempts=known.attempts if known else (),
        )

    def _settle(self, intent: Intent, why: str) -> None:
        name = intent.order.intent
        self._questions.add(name)
        self._start(name, self._find_out(intent, why))

    def _start(self, name: str, work: "asyncio._CoroutineLike[ExecutionReport]") -> "asyncio.Task[ExecutionReport]":
        task = asyncio.create_task(work, name="binance-execution")
        self._tasks[name] = task
        task.add_done_callback(lambda done: self._ended(name, done))
        return task

    def _ended(self, name: str, task: "asyncio.Task[ExecutionReport]") -> None:
        del self._tasks[name]
        self._machines.pop(name, None)
        self._left.discard(name)
        if task.cancelled():
            return
        if (error := task.exception()) is not None:
            log.error("execution of intent %s failed: %r", name, error)
            self._questions.add(name)
        elif task.result().status == "unknown" and (intent := self._journal.intents.get(name)) is not None:
            self._settle(intent, "deadline")

    def _snapshot(self, order: Order) -> ExecutionReport:
        """Return what is known of an execution that did not end in time, as when the disk hangs."""
        self._questions.add(order.intent)
        machine = self._machines.get(order.intent)
        if machine is None:
            return ExecutionReport(
                intent=order.intent,
                status="unknown",
                filled=order.quantity * 0,
                missing=order.quantity,
                reason="unknown",
            )
        return machine.report(_UNKNOWN)

    def _over(self, intent: Intent) -> bool:
        if intent.end is None or intent.end.status == "unknown":
            return False
        final = intent.end.status in ("filled", "rejected") or intent.end.reason in _FINAL_REASONS
        return final or len(intent.attempts) >= self._policy.sends_max


def _margin(deadline: float) -> float:
    return min(_MARGIN, max(0.0, deadline - time.monotonic()) / 10)


def _result(task: "asyncio.Task[ExecutionReport]") -> ExecutionReport:
    if task.cancelled():
        raise BinanceError("closed", "the adapter was closed meanwhile")
    return task.result()
