"""What ASGI does not offer: to see how much waits in a connection's write buffer, and to cut a connection.

A peer that reads nothing keeps an orderly closing waiting for ever, as its buffer is to be emptied first. So the
transport is needed, which uvicorn's WebSocket protocols hold: `send` is a method of theirs, or has it in `__wrapped__`.
Under a server that has it elsewhere, the buffer counts as empty, and such a connection stays until the server gives it
up.
"""

import asyncio
import inspect
from typing import Any, Final

from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.websockets import WebSocket

_PLACE: Final = "dashboard_wire"


class Wire:
    """The transport of one connection, as far as it is known."""

    def __init__(self, transport: asyncio.Transport | None) -> None:
        self._transport = transport

    @property
    def buffered(self) -> int:
        """How many bytes wait in this process for the peer to take them."""
        return self._transport.get_write_buffer_size() if self._transport is not None else 0

    def cut(self) -> None:
        """End the connection; what waits is thrown away."""
        if self._transport is not None:
            self._transport.abort()


class WireMiddleware:
    """Notes the transport, on the way in: further inside, `send` is wrapped."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass it on."""
        if scope["type"] == "websocket":
            transport: Any = getattr(getattr(inspect.unwrap(send), "__self__", None), "transport", None)
            scope.setdefault("state", {})[_PLACE] = Wire(transport if hasattr(transport, "abort") else None)
        await self._app(scope, receive, send)


def wire_of(websocket: WebSocket) -> Wire:
    """Return what the middleware noted."""
    wire: Wire = websocket.scope["state"][_PLACE]
    return wire
