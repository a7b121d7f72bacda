"""Several applications under one address, told apart by the beginning of the path; and how the service itself is.

Each application keeps its own guard and its own shape of errors, which mounting one in another would mix up.
"""

import json
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from typing import Any, Final

from starlette.types import ASGIApp, Receive, Scope, Send

HEALTH: Final = "/health"
_JSON: Final = [(b"content-type", b"application/json"), (b"cache-control", b"no-store")]


class Paths:
    """An ASGI application: `apps` by the beginning of the path, `/health` from `details`, 404 for anything else.

    `open` and `close` carry the applications' own lifespans, as a server tells those to this application alone.
    """

    def __init__(self, service: str, apps: Mapping[str, ASGIApp], details: Callable[[], Mapping[str, Any]]) -> None:
        self._service = service
        self._apps = dict(sorted(apps.items(), key=lambda one: -len(one[0])))
        self._details = details
        self._lives = AsyncExitStack()

    async def open(self) -> None:
        """Begin the applications' lives."""
        for app in self._apps.values():
            router = getattr(app, "router", None)
            if router is not None and hasattr(router, "lifespan_context"):
                await self._lives.enter_async_context(router.lifespan_context(app))

    async def close(self) -> None:
        """End them."""
        await self._lives.aclose()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand it to the application that it is for."""
        if scope["type"] == "lifespan":
            await _live(receive, send)
            return
        path = str(scope["path"])
        if path == HEALTH and scope["type"] == "http":
            told = {"status": "healthy", "service": self._service, "details": dict(self._details())}
            await _answer(send, 200, told)
            return
        for beginning, app in self._apps.items():
            if path == beginning or path.startswith(beginning.rstrip("/") + "/"):
                await app(scope, receive, send)
                return
        if scope["type"] == "http":
            await _answer(send, 404, {"error": {"code": "not_found", "message": "There is nothing at this path."}})
        else:
            await send({"type": "websocket.close", "code": 1008})


async def _live(receive: Receive, send: Send) -> None:
    """Tell the server what it wants to hear: the service itself starts and ends what there is."""
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return


async def _answer(send: Send, status: int, told: Mapping[str, Any]) -> None:
    await send({"type": "http.response.start", "status": status, "headers": _JSON})
    await send({"type": "http.response.body", "body": json.dumps(told).encode()})
