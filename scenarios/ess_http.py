"""The HTTP side of the emergency-stop scenarios: those who call its API, well and badly."""

import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import httpx

from harness.world.base import Host

OPERATORS: Final[Mapping[str, str]] = {"alice": "alice-token-for-this-run", "bob": "bob-token-for-this-run"}
_STRANGER: Final = "stranger-token-for-this-run"
_OVERSIZED: Final = 100_000
_TIMEOUT_S: Final = 5.0
_STANDING: Final = ("state", "trip", "transition")


@dataclass(frozen=True, slots=True)
class Defect:
    """What is wrong with a call, and the status that it must be refused with."""

    name: str
    status: int


DEFECTS: Final = (
    Defect("wrong token", 401),
    Defect("no token", 401),
    Defect("no scheme", 401),
    Defect("not json", 415),
    Defect("malformed", 422),
    Defect("no reason", 422),
    Defect("unknown field", 422),
    Defect("no request id", 422),
    Defect("oversized", 413),
    Defect("oversized chunks", 413),
)
REPLAYED: Final = Defect("replayed", 401)


class Caller:
    """Makes calls and records each as an operation `call`, with what it must be answered with if it is a bad one."""

    def __init__(self, host: Host, client: httpx.AsyncClient) -> None:
        self._host = host
        self._client = client
        self._number = 0

    def key(self) -> str:
        """Return a name for a call, its reason and its id; unique over incarnations."""
        self._number += 1
        return f"{self._host.name}-{self._host.incarnation}-call-{self._number:04d}"

    async def trigger(self, operator: str, *, key: str = "", defect: Defect | None = None) -> Mapping[str, Any]:
        """Have it trip; return the answer's body, with `status`."""
        return await self._call("trigger", operator, {}, key or self.key(), defect)

    async def reset(
        self, operator: str, trip: str, *, key: str = "", defect: Defect | None = None
    ) -> Mapping[str, Any]:
        """Have it armed again after that trip."""
        return await self._call("reset", operator, {"trip": trip}, key or self.key(), defect)

    async def status(self, operator: str) -> Mapping[str, Any]:
        """Ask where it stands."""
        return await self._call("status", operator, {}, self.key(), None)

    async def _call(
        self, call: str, operator: str, body: Mapping[str, str], key: str, defect: Defect | None
    ) -> Mapping[str, Any]:
        name = "" if defect is None else defect.name
        value: dict[str, Any] = {"key": key, "call": call, "operator": operator, "defect": name, **body}
        if defect is not None:
            value["expect"] = defect.status
        answer: dict[str, Any] = {"status": 0}
        with self._host.log.operation("call", **value) as operation:
            method = "GET" if call == "status" else "POST"
            content = None if method == "GET" else _content(name, {"reason": key, **body})
            headers = _headers(name, operator, key)
            path = f"/api/ess/{call}"
            got = await self._client.request(method, path, headers=headers, timeout=_TIMEOUT_S, content=content)
            answer = {**_decoded(got.content), "status": got.status_code}
            code = answer.get("error", {}).get("code", "") if got.is_error else ""
            kept: dict[str, Any] = {
                field: answer[field] for field in ("state", "trip", "transition") if field in answer
            }
            operation.result = {"status": got.status_code, "code": code, **kept}
        return answer


def _headers(defect: str, operator: str, key: str) -> dict[str, str]:
    headers = {
        "Authorization": f"Bearer {OPERATORS.get(operator, _STRANGER)}",
        "Content-Type": "application/json",
        "X-Request-Id": key,
    }
    if defect == "wrong token":
        headers["Authorization"] = f"Bearer {_STRANGER}"
    elif defect == "no scheme":
        headers["Authorization"] = OPERATORS[operator]
    elif defect == "not json":
        headers["Content-Type"] = "text/plain"
    left_out = {"no token": "Authorization", "no request id": "X-Request-Id"}.get(defect)
    return {name: value for name, value in headers.items() if name != left_out}


def _content(defect: str, body: dict[str, str]) -> bytes | AsyncIterator[bytes]:
    if defect == "oversized chunks":
        return _chunks()
    if defect == "no reason":
        del body["reason"]
    elif defect == "unknown field":
        body["force"] = "yes"
    elif defect == "oversized":
        body["reason"] += "x" * _OVERSIZED
    text = json.dumps(body)
    return (text[:-1] if defect == "malformed" else text).encode()


async def _chunks() -> AsyncIterator[bytes]:
    for _ in range(_OVERSIZED // 1_000):
        yield b" " * 1_000


def _decoded(content: bytes) -> dict[str, Any]:
    try:
        decoded = json.loads(content)
    except ValueError:
        return {}
    return decoded if isinstance(decoded, dict) else {}
