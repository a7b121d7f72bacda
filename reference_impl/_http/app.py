"""A FastAPI application behind the guard."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Annotated, Final, NoReturn, TypeAlias

from fastapi import APIRouter, Depends, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from reference_impl._http.guard import Guard, Rules
from reference_impl._http.refusals import Refusal, invalid

_CODES: Final = {400: (422, "invalid"), 404: (404, "not_found"), 405: (405, "method_not_allowed")}
_MESSAGES: Final = {
    "invalid": "The body cannot be read.",
    "not_found": "There is nothing at this path.",
    "method_not_allowed": "This path does not take this method.",
}


def guarded(title: str, routers: Sequence[APIRouter], rules: Rules) -> FastAPI:
    """Return an application with these routes, every one of them behind the guard.

    Its pages of documentation load scripts from elsewhere, so there are none; `/openapi.json` is there, for operators.
    """

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        await rules.refusals.close()

    app = FastAPI(title=title, docs_url=None, redoc_url=None, lifespan=lifespan, redirect_slashes=False)
    for router in routers:
        app.include_router(router)
    app.add_exception_handler(RequestValidationError, _raise_invalid)
    app.add_exception_handler(HTTPException, _raise_by_status)
    app.add_middleware(Guard, rules=rules)
    return app


def _operator(request: Request) -> str:
    operator: str = request.state.operator
    return operator


Operator: TypeAlias = Annotated[str, Depends(_operator)]
"""Who calls, for a route: the name that the token stands for."""


async def _raise_invalid(_: Request, error: Exception) -> NoReturn:
    """Hand a wrong form to the guard, which answers and records all refusals alike."""
    assert isinstance(error, RequestValidationError)
    raise invalid(error.errors()) from None


async def _raise_by_status(_: Request, error: Exception) -> NoReturn:
    assert isinstance(error, HTTPException)
    status, code = _CODES.get(error.status_code, (error.status_code, "refused"))
    raise Refusal(status, code, _MESSAGES.get(code, "The call is refused.")) from None
