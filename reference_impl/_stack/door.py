"""The exchange's door: how services other than `execution` read from the exchange.

The exchange limits by IP, and one that is told to wait must be silent as a whole. Processes that limit themselves each
by itself cannot know what another was told. So one of them has the adapter, and with it the only limiter, and the
others read through it:

    GET /api/exchange?path=/fapi/v1/userTrades&deadline_s=5&symbol=BTCUSDT    with the services' token

The answer is the exchange's. What cannot be read is 503 with the adapter's reason as `code`. Only the paths in
`READABLE` are, and nothing can be ordered through it.
"""

import json
from collections.abc import Mapping
from typing import Any, Final, Protocol

import httpx
from fastapi import APIRouter, Request

from reference_impl._http.app import Operator
from reference_impl._http.refusals import Refusal

PATH: Final = "/api/exchange"
SIGNED: Final = frozenset({"/fapi/v2/account", "/fapi/v1/userTrades", "/fapi/v1/income"})
READABLE: Final = SIGNED | {"/fapi/v1/ticker/price", "/fapi/v1/klines"}
DEADLINE_S_MAX: Final = 30.0
_GRACE_S: Final = 1.0


class Reader(Protocol):
    """As much of the adapter as the door needs."""

    async def get(self, path: str, params: Mapping[str, Any], *, signed: bool, deadline_s: float) -> Any:
        """Return the decoded answer; what it raises bears a `reason`."""


class DoorError(Exception):
    """It could not be read; `reason` says why, as the adapter's errors do."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"the exchange could not be read: {reason}")
        self.reason = reason


def router(reader: Reader) -> APIRouter:
    """Return the door's route."""
    api = APIRouter()

    @api.get(PATH)
    async def read(request: Request, _: Operator) -> Any:
        query = dict(request.query_params)
        path = query.pop("path", "")
        deadline_s = _span(query.pop("deadline_s", "5"))
        if path not in READABLE:
            raise Refusal(422, "invalid", "Nothing but what the door is for can be read.", fields=[("path", "is not")])
        try:
            return await reader.get(path, query, signed=path in SIGNED, deadline_s=deadline_s)
        except Exception as error:
            reason = getattr(error, "reason", None)
            if not isinstance(reason, str):
                raise
            raise Refusal(503, reason, "The exchange cannot be read now.") from error

    return api


def _span(text: str) -> float:
    try:
        span = float(text)
    except ValueError:
        span = 0.0
    if not 0 < span <= DEADLINE_S_MAX:
        fields = [("deadline_s", f"must be in (0, {DEADLINE_S_MAX:g}] seconds")]
        raise Refusal(422, "invalid", "The call is not of the form that is wanted.", fields=fields)
    return span


class Door:
    """The other side: reads through the door as an adapter reads the exchange."""

    def __init__(self, url: str, token: str) -> None:
        self._client = httpx.AsyncClient(
            base_url=url,
            headers={"Authorization": f"Bearer {token}"},
            trust_env=False,
            verify=url.startswith("https:"),  # reading certificates takes 0.2 s
        )

    async def get(self, path: str, params: Mapping[str, Any], *, signed: bool = False, deadline_s: float = 30.0) -> Any:
        """Return the decoded answer, as `BinanceAdapter.get` does. Raises `DoorError`."""
        del signed  # the door knows which are
        query = {"path": path, "deadline_s": f"{min(deadline_s, DEADLINE_S_MAX):g}", **params}
        try:
            answer = await self._client.get(PATH, params=query, timeout=deadline_s + _GRACE_S)
        except httpx.HTTPError as error:
            raise DoorError("unreachable") from error
        try:
            body = json.loads(answer.content)
        except ValueError:
            raise DoorError("unreadable") from None
        if answer.status_code == httpx.codes.OK:
            return body
        told = body.get("error", {}).get("code") if isinstance(body, dict) else None
        raise DoorError(told if isinstance(told, str) and told else f"http_{answer.status_code}")

    async def close(self) -> None:
        """Close its connections."""
        await self._client.aclose()
