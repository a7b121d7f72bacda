"""Adapters that are the reference but for one decision each, or the plan's sketch; the harness must catch them all."""

import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from types import MappingProxyType
from typing import Any, Protocol

from reference_impl._binance.actions import Action, Finish, Send
from reference_impl._binance.channel import Call, Channel
from reference_impl._binance.driver import Driver
from reference_impl._binance.execution import Execution
from reference_impl._binance.intents import Intents, Record
from reference_impl._binance.journal import Journal
from reference_impl._binance.outcome import Outcome
from reference_impl._binance.report import Attempt, Order
from reference_impl._binance.symbols import SymbolRules
from reference_impl.binance_adapter import BinanceAdapter
from reference_impl.flawed._planned_binance import PlannedAdapter, planned

_NEVER = 86_400.0


class Factory(Protocol):
    """Makes adapters, as `reference_impl.binance_adapter.make` does."""

    def __call__(
        self, *, base_url: str, api_key: str, api_secret: str, directory: Path, name: str, **options: Any
    ) -> BinanceAdapter | PlannedAdapter:
        """Make one."""


class _NewIdAfterTimeout(Execution):
    """Takes silence for failure, and sends another order."""

    def _in_doubt(self, now: float) -> None:
        self._void(self.attempts[-1], "unavailable")
        self._back_off(now)


class _SameIdAfterFill(Execution):
    """Sends the same client id again after silence, trusting that the exchange refuses duplicates."""

    def _in_doubt(self, now: float) -> None:
        self.attempts.pop()
        self._back_off(now)


class _BelievesFirstAbsence(Execution):
    """Takes "does not exist" for final, though the order may still be under way."""

    def _final(self, attempt: Attempt) -> bool:
        del attempt
        return True


class _FullQuantity(Execution):
    """Sends the whole quantity again after a partial fill."""

    def _remaining(self) -> Decimal:
        return self._rules.quantity(self.order.quantity)


class _RetriesTerminal(Execution):
    """Treats every refusal as one that may pass."""

    def _rejected(self, attempt: Attempt, outcome: Outcome) -> None:
        self._void(attempt, outcome.name)


class _IgnoresLotSize(Execution):
    """Sends what is missing as it is, be it dust or no multiple of the step."""

    def __init__(self, order: Order, rules: SymbolRules, *args: Any, **options: Any) -> None:
        super().__init__(order, SymbolRules(tick=rules.tick), *args, **options)


class _TrustsAck(Execution):
    """Takes an order that was accepted for one that was filled."""

    def answered(self, outcome: Outcome, now: float) -> None:
        super().answered(outcome, now)
        attempt = self.attempts[-1]
        if outcome.kind == "done" and not attempt.settled:
            quote = attempt.quantity * attempt.price
            self.attempts[-1] = replace(attempt, settled=True, executed=attempt.quantity, quote=quote)


class _IgnoresSlippage(Execution):
    """Pays whatever it takes: a limit so far away that it is none."""

    def __init__(self, order: Order, *args: Any, **options: Any) -> None:
        factor = Decimal("1.04") if order.side == "BUY" else Decimal("0.96")
        super().__init__(replace(order, limit=order.limit * factor), *args, **options)


class _WithoutEnd(Execution):
    """Tries until it has what it wants, without ever slowing down."""

    def _short(self, now: float) -> None:
        super()._short(now)
        self._shorts = 0

    def _back_off(self, now: float) -> None:
        super()._back_off(now)
        self._failures = 0

    def _bound(self, now: float) -> str:
        del now
        return ""

    def next(self, now: float, server_ms: int | None) -> Action:
        self._deadline = now + _NEVER
        return super().next(now, server_ms)


class _WithoutReason(Execution):
    """Says how much is missing, but not why."""

    def _finish(self, reason: str) -> Finish:
        finish = super()._finish(reason)
        return replace(finish, end=replace(finish.end, reason=""))


class _Acknowledged(Driver):
    """Leaves the kind of answer to its default, which comes before any fill."""

    @staticmethod
    def params(order: Order, send: Send) -> dict[str, object]:
        return {**Driver.params(order, send), "newOrderRespType": "ACK"}


class _OnlyStopsWaiting(Driver):
    """Has a cancelled call end, and goes on sending for it."""

    async def stop(self, machine: Execution) -> None:
        del machine


class _SignsBeforeWaiting(Channel):
    """Stamps and signs a request before it waits for its permit."""

    async def call(self, call: Call, deadline: float, *, before: Callable[[], Awaitable[int]] | None = None) -> Outcome:
        if call.window_ms is None:
            return await super().call(call, deadline, before=before)
        if self.clock.due(time.monotonic()):
            await self._synchronised(deadline)
        early = self.clock.stamp_ms(time.monotonic())

        async def stamped() -> int:
            if before is not None:
                await before()
            return early

        return await super().call(call, deadline, before=stamped)


class _InMemoryJournal(Journal):
    """Remembers intents for as long as the program lives."""

    async def open(self) -> None:
        self.intents = Intents()
        self._open = True

    async def _write_batch(self, records: Sequence[Record]) -> str | None:
        for record in records:
            self.intents.apply(record)
        return None


class _NewIdAdapter(BinanceAdapter):
    execution_type = _NewIdAfterTimeout


class _SameIdAdapter(BinanceAdapter):
    execution_type = _SameIdAfterFill


class _BelievingAdapter(BinanceAdapter):
    execution_type = _BelievesFirstAbsence


class _FullQuantityAdapter(BinanceAdapter):
    execution_type = _FullQuantity


class _TerminalAdapter(BinanceAdapter):
    execution_type = _RetriesTerminal


class _LotSizeAdapter(BinanceAdapter):
    execution_type = _IgnoresLotSize


class _AckAdapter(BinanceAdapter):
    execution_type = _TrustsAck
    driver_type = _Acknowledged


class _SlippageAdapter(BinanceAdapter):
    execution_type = _IgnoresSlippage


class _WithoutEndAdapter(BinanceAdapter):
    execution_type = _WithoutEnd


class _WithoutReasonAdapter(BinanceAdapter):
    execution_type = _WithoutReason


class _EarlySigningAdapter(BinanceAdapter):
    channel_type = _SignsBeforeWaiting


class _DeafAdapter(BinanceAdapter):
    driver_type = _OnlyStopsWaiting


class _ForgetfulAdapter(BinanceAdapter):
    journal_type = _InMemoryJournal


def _factory(adapter_type: type[BinanceAdapter], **forced: Any) -> Factory:
    def make(
        *, base_url: str, api_key: str, api_secret: str, directory: Path, name: str, **options: Any
    ) -> BinanceAdapter:
        return adapter_type(base_url, api_key, api_secret, directory=directory, name=name, **{**options, **forced})

    return make


retry_with_new_id_after_timeout = _factory(_NewIdAdapter)
retry_same_id_after_fill = _factory(_SameIdAdapter)
believes_first_absence = _factory(_BelievingAdapter)
retries_full_quantity = _factory(_FullQuantityAdapter)
retries_terminal = _factory(_TerminalAdapter)
ignores_lot_size = _factory(_LotSizeAdapter)
trusts_ack_as_fill = _factory(_AckAdapter)
ignores_slippage = _factory(_SlippageAdapter)
retries_without_end = _factory(_WithoutEndAdapter)
gives_no_reason = _factory(_WithoutReasonAdapter)
signs_before_waiting = _factory(_EarlySigningAdapter)
forgets_on_restart = _factory(_ForgetfulAdapter)
sends_on_when_cancelled = _factory(_DeafAdapter)

VARIANTS: Mapping[str, Factory] = MappingProxyType(
    {
        "planned": planned,
        "retry_with_new_id_after_timeout": retry_with_new_id_after_timeout,
        "retry_same_id_after_fill": retry_same_id_after_fill,
        "believes_first_absence": believes_first_absence,
        "retries_full_quantity": retries_full_quantity,
        "retries_terminal": retries_terminal,
        "ignores_lot_size": ignores_lot_size,
        "trusts_ack_as_fill": trusts_ack_as_fill,
        "ignores_slippage": ignores_slippage,
        "retries_without_end": retries_without_end,
        "gives_no_reason": gives_no_reason,
        "signs_before_waiting": signs_before_waiting,
        "forgets_on_restart": forgets_on_restart,
        "sends_on_when_cancelled": sends_on_when_cancelled,
    }
)
"""Factories of the shape of `reference_impl.binance_adapter.make`, by name of the defect."""
