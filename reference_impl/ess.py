"""Patch 7: an emergency stop that stops, cools down, and is armed again by whoever may, and by nobody else.

```python
ess = EmergencyStopSystem("state", "desk", cancel_all=adapter.cancel_everything, publish=bus.publish_event)
await ess.start()
await ess.update_metrics(daily_drawdown=0.012, open_loss=0.034)
await ess.arm(operator="alice", reason="start of day")
fill = await ess.gate.execute(adapter.execute_order, "BTCUSDT", "BUY", quantity)
await ess.record_execution(ok=True)
tripped = await ess.trip("the feed is wrong", actor="bob")
await ess.manual_reset(trip=tripped.trip, operator="alice", reason="the feed is right again")
```

`trip` returns once the gate is shut, nothing inside it is under way any more, and the trip is durable. Working orders
are then cancelled (`cancel_all`, until it succeeds), which is what leads to COOLING_DOWN. `_ess.machine` has the rules.

What it promises:

- *Fail safe*: no state, a state that cannot be read, no metrics, metrics that are no numbers: no orders.
- *The safer state first*: stopping takes effect before it is written, arming after. A disk that takes nothing stops
  nobody from stopping: a trip is then in memory and, by the removal of a file, durable (`_ess.files`); nothing arms.
- *One after the other*: transitions are serialised. A reset names the trip it is for, so one that is late, or made a
  second time, does nothing to a later trip.
- *Clocks*: spans are monotonic and carried over restarts; a wall clock only stamps the audit trail.
- *Heard*: each transition is published at least once, from an outbox in the same file.

Code in this process is trusted; people come in through `app()`, by tokens (`_ess.routes`). One process at a time can
have the state open; a second one is refused at `start`.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from fastapi import FastAPI

from reference_impl._ess.files import Files
from reference_impl._ess.gate import OrderGate
from reference_impl._ess.keeper import Keeper
from reference_impl._ess.machine import (
    ArmAsked,
    Decide,
    DisableAsked,
    ExecutionSeen,
    MetricsSeen,
    ResetAsked,
    TripAsked,
    breaches,
    cooled,
    decide,
)
from reference_impl._ess.model import (
    SYSTEM,
    EssError,
    EssStatus,
    Incident,
    Limits,
    OrdersStoppedError,
    RefusedError,
    State,
    StoreError,
    Transition,
    Tripped,
)
from reference_impl._ess.outbox import Outbox, Publish
from reference_impl._ess.routes import Stop, application
from reference_impl._ess.shell import Shell
from reference_impl._ess.shell import now as monotonic
from reference_impl._ess.stopping import CancelAll
from reference_impl._ess.store import Store, StoreWorker

__all__ = [
    "EmergencyStopSystem",
    "EssError",
    "EssStatus",
    "Incident",
    "Limits",
    "OrdersStoppedError",
    "RefusedError",
    "State",
    "StoreError",
    "Transition",
    "Tripped",
    "make",
]

_TEXT_MAX: Final = 500


class EmergencyStopSystem:
    """The emergency stop of one desk. Belongs to one event loop; not thread-safe.

    Args:
        directory: Where its files are; survives the process.
        name: Stable over restarts; part of the files' names.
        cancel_all: See `CancelAll`.
        publish: See `Publish`.
        tokens: Operators and their bearer tokens, for `app`.
        options: The fields of `Limits`.

    Raises:
        ValueError: A limit or a token is invalid.

    """

    store_type: type[Store] = Store
    keeper_type: type[Keeper] = Keeper
    gate_type: type[OrderGate] = OrderGate
    outbox_type: type[Outbox] = Outbox
    shell_type: type[Shell] = Shell
    api: Callable[[Stop, Mapping[str, str]], FastAPI] = staticmethod(application)
    decide: Decide = staticmethod(decide)

    def __init__(
        self,
        directory: str | Path,
        name: str,
        *,
        cancel_all: CancelAll,
        publish: Publish,
        tokens: Mapping[str, str] | None = None,
        **options: Any,
    ) -> None:
        worker = StoreWorker(self.store_type(Files(Path(directory), name)))
        self._keeper = self.keeper_type(worker)
        self._shell = self.shell_type(
            Limits(**options),
            self.decide,
            self._keeper,
            self.outbox_type(worker, publish),
            self.gate_type,
            cancel_all,
        )
        self._app = self.api(self, tokens or {})

    @property
    def gate(self) -> OrderGate:
        """What every order has to go out through."""
        return self._shell.gate

    async def start(self) -> None:
        """Read where it stands, and go on from there; trip if that cannot be told.

        Raises:
            StoreError: The file cannot be had: another process has it, or the disk fails.

        """
        await self._shell.start()

    async def close(self) -> None:
        """Cut off what is under way, and stop; the state stays as it is. Idempotent."""
        await self._shell.close()

    def can_execute_orders(self) -> bool:
        """Say whether an order may go out now. Only `gate` makes that and the going out one step."""
        return self._shell.may_trade()

    async def update_metrics(self, *, daily_drawdown: float, open_loss: float) -> State:
        """Take the portfolio's figures, fractions of equity (0.05 is 5 %, a gain is negative); return the state.

        If they trip it, this returns as `trip` does.
        """
        seen = MetricsSeen(_number(daily_drawdown), _number(open_loss))
        return (await self._shell.take(seen, stops=bool(breaches(seen, self._shell.limits)))).standing.state

    async def record_execution(self, *, ok: bool) -> State:
        """Take note that an order was executed, or failed to be; return the state."""
        return (await self._shell.take(ExecutionSeen(ok))).standing.state

    async def trip(self, reason: str, *, actor: str = SYSTEM) -> Tripped:
        """Stop everything, in whatever state. Each call is a new trip; never fails for the disk's sake.

        Raises:
            ValueError: No reason or no actor.
            EssError: It is not running.

        """
        asked = TripAsked(_text(actor, "an actor"), _text(reason, "a reason"))
        standing = (await self._shell.take(asked, stops=True)).standing
        return Tripped(trip=standing.trip, state=standing.state, durable=self._keeper.durable)

    async def manual_reset(self, *, trip: str, operator: str, reason: str) -> Transition:
        """Arm it again after that trip, before its cooldown is over.

        Raises:
            RefusedError: Not that trip, not carried out yet, a limit is breached, or there are no fresh metrics.
            StoreError: The disk did not take it; nothing has changed.
            ValueError: No operator or no reason.

        """
        return await self._asked(ResetAsked(_text(operator, "an operator"), _text(reason, "a reason"), trip))

    async def arm(self, *, operator: str, reason: str) -> Transition:
        """Put it into service. Raises as `manual_reset` does."""
        return await self._asked(ArmAsked(_text(operator, "an operator"), _text(reason, "a reason")))

    async def disable(self, *, operator: str, reason: str) -> Transition:
        """Take it out of service, and with it all orders. Raises as `manual_reset` does."""
        return await self._asked(DisableAsked(_text(operator, "an operator"), _text(reason, "a reason")))

    def status(self) -> EssStatus:
        """Return the present figures."""
        standing, now, limits = self._shell.standing, monotonic(), self._shell.limits
        cooling = standing.state is State.COOLING_DOWN
        return EssStatus(
            state=standing.state,
            transition=standing.transition,
            trip=standing.trip,
            reason=standing.reason,
            breaches=standing.reading.breaches if standing.reading else (),
            cooldown_left_s=max(0.0, limits.cooldown_s - cooled(standing, now)) if cooling else 0.0,
            metrics_age_s=now - standing.reading.at if standing.reading else None,
            consecutive_errors=standing.errors,
            durable=self._keeper.durable,
            unheard=len(self._shell.outbox),
        )

    async def audit(self) -> Sequence[Transition]:
        """Return every transition there was, oldest first. Raises `StoreError`."""
        return await self._keeper.trail()

    async def incidents(self) -> Sequence[Incident]:
        """Return the newest refused calls, refused resets and failures, oldest first. Raises `StoreError`."""
        return await self._keeper.incidents()

    async def note(self, incident: Incident) -> None:
        """Add to these."""
        await self._keeper.note(incident)

    async def use_nonce(self, operator: str, nonce: str) -> bool:
        """Remember the id of a call; return whether it is new."""
        return await self._keeper.use_nonce(operator, nonce)

    def app(self) -> FastAPI:
        """Return the HTTP API as an ASGI application."""
        return self._app

    async def _asked(self, event: ResetAsked | ArmAsked | DisableAsked) -> Transition:
        decision = await self._shell.take(event)
        if decision.refused is not None:
            detail = f"{type(event).__name__}: {event.reason}"
            await self.note(Incident(kind="refused_reset", actor=event.actor, code=decision.refused, detail=detail))
            raise RefusedError(decision.refused)
        assert decision.transition is not None
        return decision.transition


def _number(value: object) -> float:
    """Return it as a float; what is none is NaN, which trips."""
    try:
        return float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        return float("nan")


def _text(text: str, what: str) -> str:
    if not text.strip():
        raise ValueError(f"{what} is needed")
    return text[:_TEXT_MAX]


def make(
    *,
    directory: Path,
    name: str,
    cancel_all: CancelAll,
    publish: Publish,
    tokens: Mapping[str, str],
    **options: Any,
) -> EmergencyStopSystem:
    """Make one whose files are in `directory`. Options are the fields of `Limits`."""
    return EmergencyStopSystem(directory, name, cancel_all=cancel_all, publish=publish, tokens=tokens, **options)
