"""Patch 4: the metrics of the AI engine over HTTP, for dashboards.

`GET /api/dashboard/ml_metrics`, `/api/ai/metrics/ensemble`, `/api/ai/metrics/meta-strategy`,
`/api/ai/metrics/rl-sizing`. 200 with figures, 503 when there is nothing to tell, in one shape (`_ai.figures`). Answers
are computed from memory when asked for: nothing is cached, nothing is waited for. What goes wrong in here is logged and
answered with a code alone.
"""

import logging
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from reference_impl._ai import figures
from reference_impl._ai.figures import Report, View

log = logging.getLogger(__name__)

Reader: TypeAlias = Callable[[View], Report]
READERS: Final[Mapping[str, Reader]] = {
    "/api/dashboard/ml_metrics": figures.ml_metrics,
    "/api/ai/metrics/ensemble": figures.ensemble,
    "/api/ai/metrics/meta-strategy": figures.meta_strategy,
    "/api/ai/metrics/rl-sizing": figures.rl_sizing,
}
_CODES: Final = {404: "not_found", 405: "method_not_allowed"}
_FRESH: Final = {"Cache-Control": "no-store"}


def application(view: Callable[[], View], readers: Mapping[str, Reader] = READERS) -> FastAPI:
    """Return the API over whatever `view` returns at the time of each call.

    Its pages of documentation load scripts from elsewhere, so there are none; `/openapi.json` is there.
    """
    app = FastAPI(title="AI metrics", docs_url=None, redoc_url=None, redirect_slashes=False)
    for path, reader in readers.items():
        app.add_api_route(path, _endpoint(view, reader), methods=["GET"], name=reader.__name__)
    app.add_exception_handler(HTTPException, _refused)
    return app


def _endpoint(view: Callable[[], View], reader: Reader) -> Callable[[], Any]:
    async def answer() -> JSONResponse:
        try:
            report = reader(view())
        except Exception as error:  # noqa: BLE001 - whatever it is, its text stays here
            log.error("metrics could not be made: %s", type(error).__name__)  # noqa: TRY400 - nor into the log
            return JSONResponse({"status": "error", "reason": "internal"}, 500, _FRESH)
        return JSONResponse(report.body, report.http_status, _FRESH)

    return answer


async def _refused(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    return JSONResponse({"status": "error", "reason": _CODES.get(error.status_code, "refused")}, error.status_code)
