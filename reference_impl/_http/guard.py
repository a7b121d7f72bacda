"""The guard itself, as ASGI middleware: no call reaches the application but by a valid token.

In this order: the token (401), and for a call that changes something the kind of content (415), the size of the body
(413), its time (408), the id in `X-Request-Id` (422 without one, 401 for one that was used). Whoever has no token has
none of their body read. A call whose form turns out wrong has used up its id.

The body is read as a whole before the application sees it, so a limit on it also holds for one that comes in pieces.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from reference_impl._http.audit import RefusalLog
from reference_impl._http.bodies import check_declared, read_body, replayed
from reference_impl._http.nonces import Nonces, well_formed
from reference_impl._http.refusals import Refusal, Refused
from reference_impl._http.tokens import Tokens

log = logging.getLogger(__name__)

BODY_BYTES_MAX: Final = 16_384
BODY_TIMEOUT_S: Final = 10.0
_READING: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_PATH_CHARS_MAX: Final = 200
_METHOD_CHARS_MAX: Final = 16
_HEADERS: Final[Mapping[int, Mapping[str, str]]] = {401: {"WWW-Authenticate": "Bearer"}}


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What the guard holds calls to. `body_bytes_max` in bytes, `body_timeout_s` in seconds."""

    tokens: Tokens
    nonces: Nonces
    refusals: RefusalLog
    body_bytes_max: int = BODY_BYTES_MAX
    body_timeout_s: float = BODY_TIMEOUT_S


class Guard:
    """ASGI middleware; `scope["state"]["operator"]` is who calls."""

    def __init__(self, app: ASGIApp, rules: Rules) -> None:
        self._app = app
        self._rules = rules

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a call through, or answer it."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
        elif scope["type"] == "http":
            await self._serve(scope, receive, send)
        else:  # nothing is served over WebSockets, so nobody needs to be let in
            await send({"type": "websocket.close", "code": 1008})

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = False

        async def sending(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        who: str | None = None
        try:
            try:
                who = self._identified(scope)
                await self._app(scope, await self._admitted(scope, receive, who), sending)
            except (Refusal, ClientDisconnect):
                raise
            except Exception as error:
                log.exception("a call of %s failed", _path(scope))
                raise Refusal(500, "internal", "The service failed to answer; its log tells why.") from error
        except ClientDisconnect:
            await self._record(scope, Refusal(499, "disconnected", "The caller left."), who)
        except Refusal as refusal:
            await self._record(scope, refusal, who)
            if not started:
                answer = JSONResponse(refusal.answer(), refusal.status, _HEADERS.get(refusal.status))
                await answer(scope, receive, send)

    def _identified(self, scope: Scope) -> str:
        who = self._rules.tokens.operator(_header(scope, b"authorization"))
        if who is None:
            raise Refusal(401, "unauthorized", "A valid bearer token is needed.")
        scope.setdefault("state", {})["operator"] = who
        return who

    async def _admitted(self, scope: Scope, receive: Receive, who: str) -> Receive:
        """Return what the application may receive from, once the call has passed everything. Raises `Refusal`."""
        rules = self._rules
        check_declared(_header(scope, b"content-length"), rules.body_bytes_max)
        if scope["method"] in _READING:
            return replayed(await read_body(receive, rules.body_bytes_max, rules.body_timeout_s), receive)
        kinds = [kind.partition(b";")[0].strip().lower() for kind in _header(scope, b"content-type")]
        if kinds != [b"application/json"]:
            raise Refusal(415, "not_json", "The body must be application/json.")
        body = await read_body(receive, rules.body_bytes_max, rules.body_timeout_s)
        ids = _header(scope, b"x-request-id")
        nonce = ids[0].decode("latin-1") if len(ids) == 1 else ""
        if not well_formed(nonce):
            problem = "must be there once, with 8 to 64 letters, digits and ._:-"
            raise Refusal(422, "no_request_id", "A call needs an id of its own.", fields=[("X-Request-Id", problem)])
        try:
            new = await rules.nonces.use(who, nonce)
        except Exception as error:
            log.exception("the id of a call could not be remembered")
            raise Refusal(503, "unavailable", "The service cannot take changes now.") from error
        if not new:
            raise Refusal(401, "replayed", "A call with this id was made before.")
        return replayed(body, receive)

    async def _record(self, scope: Scope, refusal: Refusal, who: str | None) -> None:
        client = scope.get("client")
        await self._rules.refusals.tell(
            Refused(
                who=who,
                source=str(client[0]) if client else "",
                method=str(scope["method"])[:_METHOD_CHARS_MAX],
                path=_path(scope),
                status=refusal.status,
                code=refusal.code,
            )
        )


def _header(scope: Scope, name: bytes) -> list[bytes]:
    return [value for key, value in scope["headers"] if key.lower() == name]


def _path(scope: Scope) -> str:
    """Return the path as it can be recorded: without the query, which is the caller's, bounded, and printable."""
    shown = str(scope["path"])[:_PATH_CHARS_MAX]
    return shown if shown.isprintable() else ascii(shown)[:_PATH_CHARS_MAX]
