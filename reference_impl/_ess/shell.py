"""Carries out what the machine decides, one event after the other; looks at the time when it will matter.

Stopping takes effect in memory first and is written then, arming is written first. `_stopping` and the gate are what
makes a trip take effect before its turn has come.
"""

import asyncio
import logging
from collections.abc import Coroutine
from dataclasses import replace
from typing import Any, TypeVar

from reference_impl._ess.gate import OrderGate
from reference_impl._ess.keeper import Keeper
from reference_impl._ess.machine import (
    Decide,
    Decision,
    Event,
    MetricsSeen,
    StopDone,
    Tick,
    TripAsked,
    may_trade,
    next_at,
)
from reference_impl._ess.model import SYSTEM, EssError, Limits, Standing, State, StoreError
from reference_impl._ess.outbox import Outbox
from reference_impl._ess.stopping import CancelAll, Stopping
from reference_impl._ess.store import wall_ms

log = logging.getLogger(__name__)

_T = TypeVar("_T")

_GRAIN_S = 0.001
"""A loop may call a timer as much as its clock's resolution early, at which nothing would be due yet."""


class Shell:
    """The running emergency stop. Belongs to one event loop."""

    stopping_type: type[Stopping] = Stopping

    def __init__(
        self,
        limits: Limits,
        decide: Decide,
        keeper: Keeper,
        outbox: Outbox,
        gate_type: type[OrderGate],
        cancel_all: CancelAll,
    ) -> None:
        self.limits = limits
        self.keeper = keeper
        self.outbox = outbox
        self.standing = Standing(origin="")
        self.gate = gate_type(self.may_trade)
        self._decide = decide
        self._stop = self.stopping_type(self.gate, cancel_all, self._stopped, keeper.note)
        self._lock = asyncio.Lock()
        self._stopping = 0  # trips that were asked for and are not decided yet
        self._timer: asyncio.TimerHandle | None = None
        self._tasks: set[asyncio.Task[Any]] = set()
        self._running = False

    async def start(self) -> None:
        """Go on from where it stands; trip if that cannot be told. Raises `StoreError`."""
        opened = await self.keeper.open()
        self.standing = replace(opened.standing, since=now())
        self._running = True
        self.outbox.add(opened.unheard)
        if self.standing.state is State.ARMED:
            self.gate.open()  # which lets out nothing before there are metrics
        if opened.missed is not None:
            await self.take(TripAsked(SYSTEM, opened.missed), stops=True)
        elif self.standing.state is State.TRIPPED:
            self._stop.begin(self.standing.trip)
        self._set_timer()

    async def close(self) -> None:
        """Cut off what is under way, and stop. Idempotent."""
        if not self._running:
            return
        self._running = False
        self.gate.shut()
        await self.gate.drained()
        if self._timer is not None:
            self._timer.cancel()
        await self._stop.close()
        if self._tasks:
            await asyncio.wait(self._tasks)
        await self.outbox.close()
        await self.keeper.close()

    def may_trade(self) -> bool:
        """Say whether an order may go out now."""
        return not self._stopping and may_trade(self.standing, now(), self.limits)

    async def take(self, event: Event, *, stops: bool = False) -> Decision:
        """Decide on an event, after all that came before it; a caller who is cancelled does not undo it.

        With `stops` it is certain that no order may go out once this has begun.
        """
        if not self._running:
            raise EssError("the emergency stop is not running")
        if stops:
            self._stopping += 1
            self.gate.shut()
        decision = await asyncio.shield(self._begin(self._serially(event, stops=stops)))
        if decision.standing.state is State.TRIPPED:
            await self.gate.drained()
        return decision

    async def _serially(self, event: Event, *, stops: bool) -> Decision:
        async with self._lock:
            try:
                decision = await self._carry(event, self._decide(self.standing, event, now(), self.limits))
            finally:
                self._stopping -= stops
            if self.standing.state is State.ARMED and self._running and not self._stopping:
                self.gate.open()
        self._set_timer()
        return decision

    async def _carry(self, event: Event, decision: Decision) -> Decision:
        """Make a decision true: in memory first if it stops, on disk first if not. Raises `StoreError`."""
        if decision.transition is None:
            if decision.standing.saved() != self.standing.saved():
                await self.keeper.try_write(decision.standing)
            self.standing = decision.standing
            return decision
        transition = replace(decision.transition, at_ms=wall_ms())
        if transition.target is State.TRIPPED:
            self.standing = decision.standing
            self.gate.shut()
            self._stop.begin(transition.trip)
            await self.keeper.write_trip(decision.standing, transition)
        else:
            try:
                await self.keeper.write(decision.standing, transition)
            except StoreError as error:
                self.standing = replace(self.standing, reading=decision.standing.reading)
                self.keeper.postpone()
                if not isinstance(event, MetricsSeen | Tick):
                    raise
                log.warning("emergency stop: not armed yet (%s)", error)
                return Decision(self.standing)
            if transition.target is not State.ARMED:
                self.gate.shut()
            self.standing = decision.standing
        self.outbox.add([transition])  # only now: what was heard is deleted, so it must be there before
        log.warning("emergency stop: %s by %s: %s", transition.target, transition.actor, transition.reason)
        return Decision(decision.standing, transition)

    async def _stopped(self, trip: str) -> None:
        await self.take(StopDone(trip))

    def _set_timer(self) -> None:
        """Have time looked at when it will matter. An earlier timer may stay: it finds nothing, and sets a new one."""
        due = next_at(self.standing, self.limits) if self.keeper.retry_at is None else self.keeper.retry_at
        if not self._running or due is None or (self._timer is not None and self._timer.when() <= due + _GRAIN_S):
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_at(due + _GRAIN_S, self._look)

    def _look(self) -> None:
        self._timer = None
        if self._running:
            self._begin(self._ticked())

    async def _ticked(self) -> None:
        async with self._lock:
            await self.keeper.retry()
        await self._serially(Tick(), stops=False)

    def _begin(self, work: Coroutine[Any, Any, _T]) -> "asyncio.Task[_T]":
        task = asyncio.get_running_loop().create_task(work, name="ess-event")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


def now() -> float:
    """Return seconds on the monotonic clock that everything here goes by."""
    return asyncio.get_running_loop().time()
