"""Carries out what the machine of an execution decides: writes down, sends, asks, waits."""

import asyncio
import logging
import time
from collections.abc import Coroutine, Sequence
from typing import Any, Final

from reference_impl._binance.actions import Cancel, Finish, Query, Send, Wait
from reference_impl._binance.channel import Call, Channel
from reference_impl._binance.execution import Execution
from reference_impl._binance.faults import LIMITER_REASONS, BinanceError
from reference_impl._binance.intents import Record, attempt_record, end_record, fate_record
from reference_impl._binance.journal import Journal
from reference_impl._binance.outcome import Outcome
from reference_impl._binance.report import End, Order
from reference_impl._binance.weights import ORDER
from reference_impl.retry import RetryPolicy

log = logging.getLogger(__name__)

_WRITING_MS: Final = 250
"""What an order's expiry is written down later than it is, as the timestamp is only taken once the line is durable."""
_WRITES: Final = 3
"""Lines written for one order before a disk counts as too slow."""
_QUERY_WINDOW_MS: Final = 5_000
_QUERY_TIMEOUT: Final = 2.0
"""Seconds; short, as another question costs a weight of 1. A mere price is not waited for any longer in the queue."""
_FOR_GOOD: Final = LIMITER_REASONS | {"journal"}


class Driver:
    """Drives executions; as many at a time as there are tasks that call `run`."""

    def __init__(self, channel: Channel, journal: Journal, policy: RetryPolicy, send_timeout: float) -> None:
        self._channel = channel
        self._journal = journal
        self._policy = policy
        self._send_timeout = send_timeout
        self._breakable: dict[Execution, asyncio.Task[None]] = {}

    async def run(self, machine: Execution, deadline: float, *, journalled: bool = True) -> End:
        """Drive a machine until it has finished; `deadline` is the machine's own. The end is durable if journalled."""
        while True:
            now = time.monotonic()
            match machine.next(now, self._channel.clock.earliest_ms(now)):
                case Finish(end):
                    break
                case Wait(until):
                    await self._apart(machine, asyncio.sleep(max(0.0, until - now)))
                case Send() as send:
                    batch = self._fates(machine) if journalled else None
                    if not await self._apart(machine, self._send(machine, send, deadline, batch)):
                        machine.broken_off(time.monotonic())
                case Query() as query:
                    outcome = await self._ask("GET", machine.order, query.client_id, deadline, urgent=query.urgent)
                    machine.told(query, outcome, time.monotonic())
                case Cancel(client_id):
                    outcome = await self._ask("DELETE", machine.order, client_id, deadline, urgent=True)
                    machine.cancelled(outcome, time.monotonic())
        if journalled:
            await self._write_end(machine, end)
        return end

    async def stop(self, machine: Execution) -> None:
        """Have nothing more sent; return once what is being sent is broken off. What became of it is then asked."""
        machine.stop("stopped")
        if (doing := self._breakable.get(machine)) is not None:
            doing.cancel()
            await asyncio.wait([doing])

    async def _apart(self, machine: Execution, work: Coroutine[Any, Any, None]) -> bool:
        """Send or pause in a task of its own, which `stop` can break off by itself; return whether it was not."""
        doing = self._breakable[machine] = asyncio.create_task(work, name="binance-step")
        try:
            await asyncio.wait([doing])
        except asyncio.CancelledError:
            doing.cancel()
            await asyncio.wait([doing])
            raise
        finally:
            del self._breakable[machine]
        if not doing.cancelled():
            doing.result()
        return not doing.cancelled()

    @staticmethod
    def params(order: Order, send: Send) -> dict[str, object]:
        """Return the parameters of POST /fapi/v1/order; RESULT, as the default answers before any fill."""
        return {
            "symbol": order.symbol,
            "side": order.side,
            "type": "LIMIT",
            "timeInForce": "GTC" if order.resting else "IOC",
            "quantity": send.quantity,
            "price": send.price,
            "newClientOrderId": send.client_id,
            "newOrderRespType": "RESULT",
            "reduceOnly": "true" if order.reduce_only else None,
        }

    async def _send(self, machine: Execution, send: Send, deadline: float, batch: Sequence[Record] | None) -> None:
        order = machine.order

        async def before() -> int:
            stamp = await self._stamp(order, send, deadline, batch)
            machine.begun(send, stamp + self._policy.recv_window_ms)
            return stamp

        call = Call(
            method="POST",
            path=ORDER,
            params=self.params(order, send),
            window_ms=self._policy.recv_window_ms,
            risk=order.reduce_only,
            timeout=self._patience(deadline),
        )
        try:
            outcome = await self._channel.call(call, deadline, before=before)
        except BinanceError as error:
            log.info("%s: attempt %d not sent: %s", order.symbol, send.number, error)
            if error.reason in _FOR_GOOD:
                machine.not_sent(error.reason)
            else:
                machine.held_up(error.reason, time.monotonic())
        else:
            log.info("%s: attempt %d: %s %s", order.symbol, send.number, outcome.kind, outcome.text)
            machine.answered(outcome, time.monotonic())

    def _patience(self, deadline: float) -> float:
        """Return how long to wait for an answer: not so long that there is no time left to ask what became of it."""
        left = deadline - time.monotonic()
        return min(self._send_timeout, max(left / 2, left - self._policy.settle_time))

    async def _stamp(self, order: Order, send: Send, deadline: float, batch: Sequence[Record] | None) -> int:
        """Write down that the order is about to be sent; return its timestamp, which is taken after that."""
        clock, window_ms = self._channel.clock, self._policy.recv_window_ms
        stamp = clock.stamp_ms(time.monotonic())
        for _ in range(_WRITES):
            attempt = send.attempt(stamp + window_ms + _WRITING_MS)
            if batch is not None:
                await self._journal.append([*batch, attempt_record(order.intent, attempt)])
            stamp = clock.stamp_ms(time.monotonic())
            if time.monotonic() >= deadline:
                break
            if stamp + window_ms <= attempt.expires_ms:
                return stamp
        if batch is not None:
            await self._journal.append([fate_record(order.intent, attempt)])
        raise BinanceError("journal", "the disk is too slow")

    async def _ask(self, method: str, order: Order, client_id: str, deadline: float, *, urgent: bool) -> Outcome:
        call = Call(
            method=method,
            path=ORDER,
            params={"symbol": order.symbol, "origClientOrderId": client_id},
            window_ms=_QUERY_WINDOW_MS,
            risk=urgent or order.reduce_only,
            timeout=_QUERY_TIMEOUT,
        )
        if not urgent:
            deadline = min(deadline, time.monotonic() + _QUERY_TIMEOUT)
        try:
            return await self._channel.call(call, deadline)
        except BinanceError as error:
            return Outcome("failed", text=str(error))

    def _fates(self, machine: Execution) -> list[Record]:
        """Return records of the fates that are not written yet."""
        known = self._journal.intents.get(machine.order.intent)
        written = {(old.number, old.executed, old.quote) for old in known.attempts if old.settled} if known else set()
        return [
            fate_record(machine.order.intent, attempt)
            for attempt in machine.attempts
            if attempt.settled and (attempt.number, attempt.executed, attempt.quote) not in written
        ]

    async def _write_end(self, machine: Execution, end: End) -> None:
        records = [*self._fates(machine), end_record(machine.order.intent, end)]
        try:
            await self._journal.append(records)
        except BinanceError as error:  # the exchange knows what became of the orders, and will be asked again
            log.warning("the end of an intent is not written down: %s", error)
