"""Carries out what a trip demands after its ack: nothing under way, no order working; and says when it is done."""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Final, TypeAlias

from reference_impl._ess.gate import OrderGate
from reference_impl._ess.model import SYSTEM, Incident
from reference_impl._ess.outbox import persistently

CancelAll: TypeAlias = Callable[[], Awaitable[object]]
"""Cancels every working order: returns when none is left, raises to be called again."""

_CANCEL_TIMEOUT_S: Final = 10.0


class Stopping:
    """The stop of the last trip, as a task. Belongs to one event loop.

    `done` is told the trip; `note` takes an incident for each attempt that failed.
    """

    def __init__(
        self,
        gate: OrderGate,
        cancel_all: CancelAll,
        done: Callable[[str], Awaitable[object]],
        note: Callable[[Incident], Awaitable[None]],
    ) -> None:
        self._gate = gate
        self._cancel_all = cancel_all
        self._done = done
        self._note = note
        self._task: asyncio.Task[None] | None = None

    def begin(self, trip: str) -> None:
        """Carry out that trip's stop; what an earlier one began is begun anew."""
        if self._task is not None:
            self._task.cancel()
        self._task = asyncio.get_running_loop().create_task(self._stop(trip), name="ess-stop")

    async def close(self) -> None:
        """Give up; a restart begins anew."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})

    async def _stop(self, trip: str) -> None:
        await self._gate.drained()
        await persistently(
            self._cancel_all, _CANCEL_TIMEOUT_S, "cancelling working orders", partial(self._failed, trip)
        )
        await persistently(partial(self._done, trip), _CANCEL_TIMEOUT_S, "noting that the stop is carried out")

    async def _failed(self, trip: str, error: Exception) -> None:
        detail = f"{trip}: {type(error).__name__}"
        await self._note(Incident(kind="cancel_failed", actor=SYSTEM, detail=detail))
