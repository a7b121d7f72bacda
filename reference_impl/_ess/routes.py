"""The HTTP API of the emergency stop, behind the guard of `_http`: status, trigger, reset.

Who acts is whose token it is; the audit trail has that name. A reset names its trip (409 if that is not the last one).
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any, Final, Protocol

from fastapi import APIRouter, FastAPI
from pydantic import BaseModel, ConfigDict, Field

from reference_impl._ess.model import EssError, EssStatus, Incident, RefusedError, Transition, Tripped
from reference_impl._http.app import Operator, guarded
from reference_impl._http.audit import RefusalLog
from reference_impl._http.guard import Rules
from reference_impl._http.refusals import Refusal, Refused
from reference_impl._http.tokens import Tokens

_REASON_CHARS_MAX: Final = 500
_TRIP_CHARS_MAX: Final = 64


class Stop(Protocol):
    """As much of the emergency stop as the API needs."""

    def status(self) -> EssStatus:
        """Return the present figures."""

    async def trip(self, reason: str, *, actor: str) -> Tripped:
        """Stop everything."""

    async def manual_reset(self, *, trip: str, operator: str, reason: str) -> Transition:
        """Arm it again."""

    async def note(self, incident: Incident) -> None:
        """Record an incident."""

    async def use_nonce(self, operator: str, nonce: str) -> bool:
        """Remember the id of a call; return whether it is new."""


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)
    reason: str = Field(min_length=1, max_length=_REASON_CHARS_MAX, pattern=r"\S")


class TriggerBody(_Body):
    """What a trigger says."""


class ResetBody(_Body):
    """What a reset says."""

    trip: str = Field(min_length=1, max_length=_TRIP_CHARS_MAX)


def application(stop: Stop, tokens: Mapping[str, str], *, who: Tokens | None = None) -> FastAPI:
    """Return the API. Raises `ValueError` for tokens that cannot be used."""

    async def note(refused: Refused) -> None:
        await stop.note(
            Incident(
                kind="refused_call",
                actor=refused.who or "",
                source=refused.source,
                code=refused.code,
                count=refused.count,
                detail=f"{refused.method} {refused.path} {refused.status}",
            )
        )

    rules = Rules(tokens=who or Tokens(tokens), nonces=_NoncesOf(stop), refusals=RefusalLog(note))
    return guarded("Emergency stop", [_router(stop)], rules)


def _router(stop: Stop) -> APIRouter:
    router = APIRouter(prefix="/api/ess")

    @router.get("/status")
    async def status() -> dict[str, Any]:
        return asdict(stop.status())

    @router.post("/trigger")
    async def trigger(body: TriggerBody, operator: Operator) -> dict[str, Any]:
        try:
            return asdict(await stop.trip(body.reason, actor=operator))
        except EssError:
            raise _UNAVAILABLE from None

    @router.post("/reset")
    async def reset(body: ResetBody, operator: Operator) -> dict[str, Any]:
        try:
            transition = await stop.manual_reset(trip=body.trip, operator=operator, reason=body.reason)
        except RefusedError as error:
            raise Refusal(409, error.code, RefusedError.CODES[error.code]) from None
        except EssError:
            raise _UNAVAILABLE from None
        return {"state": transition.target, "transition": transition.id}

    return router


_UNAVAILABLE: Final = Refusal(503, "unavailable", "The emergency stop cannot take this now.")


class _NoncesOf:
    def __init__(self, stop: Stop) -> None:
        self._stop = stop

    async def use(self, operator: str, nonce: str) -> bool:
        """Remember it."""
        return await self._stop.use_nonce(operator, nonce)


def paths() -> Sequence[str]:
    """Return the paths of the API."""
    return ("/api/ess/status", "/api/ess/trigger", "/api/ess/reset")
