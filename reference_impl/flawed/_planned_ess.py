"""The emergency stop as the plan sketches it: in memory, and nothing but a manual reset leaves TRIPPED.

Kept faithful to the sketch: orders ask `can_execute_orders` and then go out; a reset checks nothing; what is no number
is above no limit; a trip is published once, and whoever is away has missed it; the API believes what it is told.
"""

import contextlib
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from fastapi import FastAPI, Request

from reference_impl._ess.model import Incident, OrdersStoppedError, State, Transition

log = logging.getLogger(__name__)

_DRAWDOWN_MAX: Final = 0.05
_OPEN_LOSS_MAX: Final = 0.10
_ERRORS_MAX: Final = 5


@dataclass(slots=True)
class PlannedStatus:
    """Where it stands."""

    state: State
    transition: str
    trip: str


@dataclass(frozen=True, slots=True)
class PlannedTrip:
    """The answer to a trip."""

    trip: str
    state: State


class PlannedGate:
    """Checks, and then acts."""

    def __init__(self, allowed: Callable[[], bool]) -> None:
        self._allowed = allowed

    @contextlib.asynccontextmanager
    async def order(self) -> AsyncIterator[None]:
        """Let an order out if that is allowed now."""
        if not self._allowed():
            raise OrdersStoppedError("orders are stopped")
        yield


class PlannedEss:
    """The sketch."""

    def __init__(
        self,
        *,
        directory: Path,
        name: str,
        cancel_all: Callable[[], Awaitable[object]],
        publish: Callable[[str, Mapping[str, Any]], Awaitable[object]],
        tokens: Mapping[str, str],
        **options: Any,
    ) -> None:
        del directory, name, cancel_all, tokens, options
        self._publish = publish
        self._status = PlannedStatus(State.ARMED, "", "")
        self._errors = 0
        self._trail: list[Transition] = []
        self.gate = PlannedGate(self.can_execute_orders)

    async def start(self) -> None:
        """Nothing was kept, so there is nothing to be read."""

    async def close(self) -> None:
        """Nothing to be closed."""

    async def update_metrics(self, *, daily_drawdown: float, open_loss: float) -> State:
        """Trip on a limit."""
        if daily_drawdown >= _DRAWDOWN_MAX or open_loss >= _OPEN_LOSS_MAX:
            await self._trip_once("limit")
        return self._status.state

    async def record_execution(self, *, ok: bool) -> State:
        """Trip on errors."""
        self._errors = 0 if ok else self._errors + 1
        if self._errors >= _ERRORS_MAX:
            await self._trip_once("errors")
        return self._status.state

    async def trip(self, reason: str, *, actor: str = "system") -> PlannedTrip:
        """Trip."""
        trip = self._move(State.TRIPPED, actor, reason)
        try:
            await self._publish("ess.tripped", trip.payload())
        except Exception as error:  # noqa: BLE001 - as the sketch has it
            log.warning("not published: %s", error)
        return PlannedTrip(self._status.trip, self._status.state)

    async def manual_reset(self, *, trip: str, operator: str, reason: str) -> Transition:
        """Arm it again."""
        del trip
        self._errors = 0
        return self._move(State.ARMED, operator, reason)

    async def arm(self, *, operator: str, reason: str) -> Transition:
        """Arm it."""
        return self._move(State.ARMED, operator, reason)

    def can_execute_orders(self) -> bool:
        """Say whether it is armed."""
        return self._status.state is State.ARMED

    def status(self) -> PlannedStatus:
        """Return where it stands."""
        return PlannedStatus(self._status.state, self._status.transition, self._status.trip)

    async def audit(self) -> Sequence[Transition]:
        """Return what this process remembers."""
        return list(self._trail)

    async def incidents(self) -> Sequence[Incident]:
        """Return nothing: nothing is kept."""
        return []

    def app(self) -> FastAPI:
        """Return the API, which asks nobody who they are."""
        app = FastAPI(docs_url=None, redoc_url=None)

        @app.get("/api/ess/status")
        async def status() -> dict[str, Any]:
            return {"state": self._status.state, "trip": self._status.trip, "transition": self._status.transition}

        @app.post("/api/ess/trigger")
        async def trigger(request: Request) -> dict[str, Any]:
            body = await request.json()
            tripped = await self.trip(body.get("reason", ""), actor="operator")
            return {"trip": tripped.trip, "state": tripped.state}

        @app.post("/api/ess/reset")
        async def reset(request: Request) -> dict[str, Any]:
            body = await request.json()
            row = await self.manual_reset(trip="", operator="operator", reason=body.get("reason", ""))
            return {"state": row.target, "transition": row.id}

        return app

    async def _trip_once(self, reason: str) -> None:
        if self._status.state is State.ARMED:
            await self.trip(reason)

    def _move(self, target: State, actor: str, reason: str) -> Transition:
        number = len(self._trail) + 1
        before, self._status.state = self._status.state, target
        self._status.transition = f"transition-{number}"
        if target is State.TRIPPED:
            self._status.trip = f"trip-{number}"
        row = Transition(
            number=number,
            id=self._status.transition,
            trip=self._status.trip,
            source=before,
            target=target,
            actor=actor,
            reason=reason,
            at_ms=int(time.time() * 1_000),
        )
        self._trail.append(row)
        return row
