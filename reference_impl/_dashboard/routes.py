"""The application: the feed, the page that shows it, and the feed's own figures."""

import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from fastapi import FastAPI, Request, WebSocket
from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse, JSONResponse, Response

from reference_impl._dashboard.page import CSP, PAGE
from reference_impl._dashboard.wire import WireMiddleware

log = logging.getLogger(__name__)

_HEADERS: Final[Mapping[str, str]] = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": CSP,
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
_CODES: Final = {404: "not_found", 405: "method_not_allowed"}


def make_app(
    *,
    serve: Callable[[WebSocket, bool], Awaitable[None]],
    has_token: Callable[[list[bytes]], bool],
    figures: Callable[[], Mapping[str, Any]],
) -> FastAPI:
    """Return the application. Documentation pages would load scripts from elsewhere, so there are none."""
    app = FastAPI(title="Dashboard", docs_url=None, redoc_url=None, openapi_url=None, redirect_slashes=False)

    @app.websocket("/ws")
    async def feed(websocket: WebSocket) -> None:
        """Serve the feed. Whoever shows a token must show a valid one; who shows none can do so in the hello."""
        shown = _authorization(websocket.scope["headers"])
        if shown and not has_token(shown):
            await websocket.close()  # before it was accepted: a 403 without a word
        else:
            await serve(websocket, bool(shown))

    @app.get("/", response_class=HTMLResponse)
    async def page() -> Response:
        """Show the page; it has nothing in it before it gets a token, which it is not sent."""
        return HTMLResponse(PAGE, headers=_HEADERS)

    @app.get("/api/feed")
    async def statistics(request: Request) -> Response:
        """Tell the feed's figures, to those who have a token."""
        if not has_token(_authorization(request.scope["headers"])):
            return _json({"error": "unauthorized"}, 401, {"WWW-Authenticate": "Bearer"})
        return _json(dict(figures()))

    app.add_exception_handler(HTTPException, _refuse)
    app.add_exception_handler(Exception, _fail)
    app.add_middleware(WireMiddleware)
    return app


def _authorization(headers: list[tuple[bytes, bytes]]) -> list[bytes]:
    return [value for name, value in headers if name == b"authorization"]


def _json(content: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    return JSONResponse(content, status, headers={**_HEADERS, **(headers or {})})


async def _refuse(_: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 422
    return _json({"error": _CODES.get(status, "refused")}, status)


async def _fail(request: Request, error: Exception) -> Response:
    log.error("%s could not be answered: %s", request.url.path, type(error).__name__)
    return _json({"error": "internal"}, 500)
