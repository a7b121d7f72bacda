"""The HTTP API of a policy store: read the policy, replace it, change it. Behind the guard (`_http.app.guarded`).

    GET    /api/policy   the policy and how it stands; never waits for Redis
    PUT    /api/policy   the policy as given, and nothing else in it
    PATCH  /api/policy   `set` fields, `add` to figures; all others keep their values

A change may name what it is based on by `If-Match: "<version>"`: with another version in force it is refused (412).
Without, a PATCH is merged with whatever is in force, and a PUT replaces what the store knows of. The `ETag` of an
answer is its version.

Errors: 412 `version`, 422 `invalid`, 503 `unreachable` (nothing was changed), 504 `unconfirmed` (it may have been
made: read before trying again), beside those of the guard. Nothing that a caller sent is repeated in them.
"""

import re
from typing import Annotated, Any, Final, Literal, TypeAlias

from fastapi import APIRouter, Header, Response
from pydantic import BaseModel, ConfigDict, Field

from reference_impl._http.app import Operator
from reference_impl._http.refusals import Refusal
from reference_impl._policy.document import Value, bounds, problem
from reference_impl._policy.errors import (
    PolicyConflictError,
    PolicyError,
    PolicyInvalidError,
    PolicyUnconfirmedError,
)
from reference_impl._policy.freshness import PolicyView
from reference_impl.policy_store import PolicyStore

_TAG: Final = re.compile(r'"(0|[1-9][0-9]{0,15})"')
_KNOWN: Final = ("profile", "risk_bps", "drawdown_bps", "leverage")
_LIMITS: Final = ("risk_bps", "drawdown_bps", "leverage")
_Expected = Annotated[str | None, Header(alias="If-Match")]
_Figure = Annotated[int, Field(strict=True)]
_Named: TypeAlias = dict[str, Any]
"""Values by names that the caller makes up: checked by the store, as what pydantic finds wrong would repeat them."""


class Whole(BaseModel):
    """A whole policy: its profile, limits that are tighter than the profile's, caps in USDT."""

    model_config = ConfigDict(extra="forbid")

    profile: Literal["NORMAL", "DEFENSIVE", "AGGRESSIVE"]
    risk_bps: _Figure | None = None
    drawdown_bps: _Figure | None = None
    leverage: _Figure | None = None
    caps: _Named = Field(default_factory=dict, max_length=90)


class Change(BaseModel):
    """Fields to set (null takes a limit or a cap out), and what is added to figures."""

    model_config = ConfigDict(extra="forbid")

    set: _Named = Field(default_factory=dict, max_length=100)
    add: _Named = Field(default_factory=dict, max_length=100)


def router(store: PolicyStore) -> APIRouter:
    """Return the routes of that store."""
    api = APIRouter(prefix="/api/policy")

    @api.get("")
    async def read(response: Response) -> dict[str, Any]:
        return _answer(store.get(), response)

    @api.put("")
    async def replace(_: Operator, body: Whole, response: Response, if_match: _Expected = None) -> dict[str, Any]:
        sets: dict[str, Value | None] = {"profile": body.profile}
        sets |= {name: getattr(body, name) for name in _LIMITS}
        sets |= {f"cap:{name}": None for name in store.get().policy.caps}
        sets |= {f"cap:{name}": value for name, value in body.caps.items()}
        return _answer(await _update(store, sets, {}, if_match, "caps"), response)

    @api.patch("")
    async def change(_: Operator, body: Change, response: Response, if_match: _Expected = None) -> dict[str, Any]:
        return _answer(await _update(store, body.set, body.add, if_match, "set"), response)

    return api


async def _update(
    store: PolicyStore, sets: dict[str, Value | None], adds: dict[str, int], if_match: str | None, place: str
) -> PolicyView:
    try:
        return await store.update(sets, adds=adds, expected_version=_version(if_match))
    except PolicyInvalidError as error:
        fields = _wrong(sets, adds, place)
        raise Refusal(422, "invalid", "The policy cannot be changed like that.", fields=fields) from error
    except PolicyConflictError as error:
        raise Refusal(412, "version", f"The policy is of version {error.version}.") from error
    except PolicyUnconfirmedError as error:
        raise Refusal(504, "unconfirmed", "The change may have been made; read the policy.") from error
    except PolicyError as error:
        raise Refusal(503, "unreachable", "The policy cannot be changed now; nothing was changed.") from error


def _wrong(sets: dict[str, Value | None], adds: dict[str, int], place: str) -> list[tuple[str, str]]:
    """Return what is wrong by field; where the caller made the name up, by the place that it is in."""
    fields = []
    for name, value in sets.items():
        if problem(name, value):
            allowed = bounds(name) if name in _LIMITS else None
            limits = "" if allowed is None else f": it must be from {allowed[0]} to {allowed[1]}"
            fields.append(
                (name if name in _KNOWN else place, f"is not a field of a policy, or not one of its values{limits}")
            )
    if any(bounds(name) is None or type(by) is not int for name, by in adds.items()):
        fields.append(("add", "names something to which nothing can be added, or adds what is no whole number"))
    return fields


def _version(if_match: str | None) -> int | None:
    if if_match is None:
        return None
    found = _TAG.fullmatch(if_match.strip())
    if found is None:
        raise Refusal(
            422, "invalid", "The call is not of the form that is wanted.", fields=[("If-Match", 'must be "<version>"')]
        )
    return int(found[1])


def _answer(view: PolicyView, response: Response) -> dict[str, Any]:
    response.headers["ETag"] = f'"{view.version}"'
    limits = view.limits
    return {
        "profile": view.policy.profile,
        "limits": {name: getattr(limits, name) for name in _LIMITS},
        "caps": dict(view.policy.caps),
        "version": view.version,
        "age_s": None if view.age is None else round(view.age, 3),
        "stale": view.stale,
        "defensive": view.defensive,
        "source": view.source,
    }
