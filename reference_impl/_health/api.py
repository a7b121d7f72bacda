"""The HTTP side: what the monitor shows, read-only. No answer says more of an error than one word."""

import logging
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Final

from fastapi import FastAPI, Query, Request
from fastapi.exceptions import RequestValidationError
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse, JSONResponse, Response

from reference_impl._health.figures import Figures
from reference_impl._health.page import CSP, render_page
from reference_impl._health.record import Record
from reference_impl._health.snapshot import Snapshot

log = logging.getLogger(__name__)

_HEADERS: Final[Mapping[str, str]] = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": CSP,
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
_SHOWN_MAX: Final = 1_000
_CODES: Final = {404: "not_found", 405: "method_not_allowed", 422: "invalid"}


def make_app(
    *, snapshot: Callable[[], Snapshot], is_running: Callable[[], bool], record: Record, figures: Figures
) -> FastAPI:
    """Return the application. Documentation pages would load scripts from elsewhere, so there are none."""
    app = FastAPI(title="Service health", docs_url=None, redoc_url=None, redirect_slashes=False)

    @app.get("/", response_class=HTMLResponse)
    async def page() -> Response:
        """Show the page for people."""
        return HTMLResponse(render_page(snapshot(), record.alerts), headers=_HEADERS)

    @app.get("/api/health")
    async def health() -> Response:
        """Tell how everything is. The status is 200 whatever it says: that the services are down is a good answer."""
        return _json(snapshot().as_json())

    @app.get("/api/health/history")
    async def history(limit: Annotated[int, Query(ge=1, le=_SHOWN_MAX)] = 100) -> Response:
        """Tell the latest changes and alerts, the oldest first."""
        return _json({"changes": list(record.changes)[-limit:], "alerts": list(record.alerts)[-limit:]})

    @app.get("/metrics")
    async def metrics() -> Response:
        """Serve Prometheus."""
        return Response(figures.render(), headers={**_HEADERS, "Content-Type": CONTENT_TYPE_LATEST})

    @app.get("/livez")
    async def livez() -> Response:
        """Tell that the process answers."""
        return _json({"status": "ok"})

    @app.get("/readyz")
    async def readyz() -> Response:
        """Tell whether checks are being made, and something is known of every service."""
        ready = is_running() and snapshot().is_complete
        return _json({"status": "ok" if ready else "not_ready"}, 200 if ready else 503)

    app.add_exception_handler(HTTPException, _refuse)
    app.add_exception_handler(RequestValidationError, _refuse)
    app.add_exception_handler(Exception, _fail)
    return app


def _json(content: Any, status: int = 200) -> Response:
    return JSONResponse(content, status, headers=_HEADERS)


async def _refuse(_: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 422
    return _json({"error": _CODES.get(status, "refused")}, status)


async def _fail(request: Request, error: Exception) -> Response:
    log.error("%s could not be answered: %s", request.url.path, type(error).__name__)
    return _json({"error": "internal"}, 500)
