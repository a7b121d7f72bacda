"""The exchange's faults as respx routes, for plain unit tests of code that uses httpx; no server, no scenario.

Two ways, both from the tables that the emulator answers by:

- Routes that answer one thing, as here: for a test that has routes of its own and wants the first three requests, or
  every order, to meet a storm. Each function adds one route to a router and returns it (`route.call_count` tells how
  often it hit). After its `count` requests a route steps aside, and what was added behind it answers; so add faults
  before other routes, several faults in the order in which they are to come.
- `respx_emulator.binance_routes`: the whole exchange behind respx, for whatever depends on what came before, as bans
  that are earned, limits that run out, orders that were executed although the answer was lost.

A storm and a ban, then the route of the test itself:

>>> with respx.mock(base_url="https://fapi.binance.com", assert_all_called=False) as router:
...     storm = storm_routes(router, count=2, retry_after_s=7)
...     _ = router.get("/fapi/v1/ping").respond(200, json={})
...     answers = [httpx.get("https://fapi.binance.com/fapi/v1/ping") for _ in range(3)]
>>> [answer.status_code for answer in answers], answers[0].headers["Retry-After"], storm.call_count
([429, 429, 200], '7', 2)
>>> answers[0].json()["code"]
-1003

Resets and timeouts are the exceptions that httpx raises for them; nothing here waits.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Final, Literal, TypeAlias

import httpx
import respx

from harness.dependencies.binance.gate.errors import (
    BANNED,
    ERRORS,
    FIREWALL,
    UNAVAILABLE,
    ErrorBody,
)
from harness.dependencies.binance.settings import EGRESS_IP

Effect: TypeAlias = Callable[[httpx.Request], httpx.Response | None]
"""What answers a request; None lets the next route have it."""

ORDER_PATHS: Final = ("/fapi/v1/order", "/fapi/v1/batchOrders", "/api/v3/order")
_MILLISECOND_NS: Final = 1_000_000


class FaultRoute(respx.Route):
    """A route of its own, also where another one has the same pattern: respx would let the later replace the first."""

    def __eq__(self, other: object) -> bool:
        return self is other

    def __hash__(self) -> int:
        return id(self)


def storm_routes(
    router: respx.Router,
    *,
    count: int = 0,
    retry_after_s: int | None = 30,
    used: int = 2_401,
    limit: int = 2_400,
    methods: Sequence[str] = (),
    paths: Sequence[str] = (),
) -> respx.Route:
    """429 -1003 to the first `count` requests (0: all) that have one of these methods and paths (none: any).

    `retry_after_s` None leaves the header out, `used` is what `X-MBX-USED-WEIGHT-1M` tells.
    """
    headers = _told_to_wait(retry_after_s) | {"X-MBX-USED-WEIGHT-1M": str(used)}
    answer = error_response(ERRORS[-1003], headers, ip=EGRESS_IP, limit=limit, window="minute")
    return fault_route(router, answer, count=count, methods=methods, paths=paths)


def ban_routes(
    router: respx.Router,
    *,
    length_s: float = 120,
    retry_after: bool = True,
    clock: Callable[[], int] = time.time_ns,
) -> respx.Route:
    """418 to every request until the ban is over, `length_s` from now on; then the next routes answer again.

    `clock` returns nanoseconds since the epoch, so that a test with a clock of its own need not wait.
    """
    until_ns = clock() + round(length_s * 1_000) * _MILLISECOND_NS

    def turn_away(request: httpx.Request) -> httpx.Response | None:
        del request
        left_ns = until_ns - clock()
        if left_ns <= 0:
            return None
        headers = _told_to_wait(-(-left_ns // 1_000_000_000) if retry_after else None)
        return error_response(BANNED, headers, ip=EGRESS_IP, until_ms=until_ns // _MILLISECOND_NS)

    return fault_route(router, turn_away)


def order_storm_routes(
    router: respx.Router,
    *,
    count: int = 0,
    status: Literal[429, 400] = 429,
    retry_after_s: int | None = 10,
    limit: int = 300,
    window: str = "TEN_SECONDS",
) -> respx.Route:
    """-1015 to the first `count` new orders (0: all), at 429 or, as was seen, at 400; other requests pass by."""
    error = ErrorBody(status, ERRORS[-1015].text, -1015)
    answer = error_response(error, _told_to_wait(retry_after_s), limit=limit, window=window)
    return fault_route(router, answer, count=count, methods=("POST",), paths=ORDER_PATHS)


def unavailable_routes(
    router: respx.Router,
    variant: Literal["A", "B", "C", "D"],
    *,
    count: int = 0,
    methods: Sequence[str] = ("POST",),
    paths: Sequence[str] = ORDER_PATHS,
) -> respx.Route:
    """503 in one of its four variants: after A the outcome is unknown, after the others the order was not executed."""
    return fault_route(router, error_response(UNAVAILABLE[variant]), count=count, methods=methods, paths=paths)


def error_routes(
    router: respx.Router,
    code: int,
    *,
    count: int = 0,
    methods: Sequence[str] = (),
    paths: Sequence[str] = (),
    **fields: object,
) -> respx.Route:
    """Answer an error of the table, with its usual status; `fields` fill its text, as `name` of -1102.

    So -1006, -1007 (outcome unknown), -1021, and the terminal ones: -2019, -4116, -4164 ... Raises `KeyError` for a
    code that the table has not, and for a field that the text wants and `fields` has not.
    """
    return fault_route(router, error_response(ERRORS[code], **fields), count=count, methods=methods, paths=paths)


def firewall_routes(router: respx.Router, *, count: int = 0) -> respx.Route:
    """403 with the firewall's HTML page; no JSON, no headers."""
    return fault_route(router, error_response(FIREWALL), count=count)


def timeout_routes(
    router: respx.Router, *, count: int = 0, methods: Sequence[str] = (), paths: Sequence[str] = ()
) -> respx.Route:
    """No answer: `httpx.ReadTimeout`, at once. A client without a read timeout fails its test: it would hang."""
    return fault_route(router, _time_out, count=count, methods=methods, paths=paths)


def reset_routes(
    router: respx.Router, *, count: int = 0, methods: Sequence[str] = (), paths: Sequence[str] = ()
) -> respx.Route:
    """The connection is reset instead of an answer: `httpx.ReadError`."""

    def reset(request: httpx.Request) -> httpx.Response:
        raise httpx.ReadError("the connection was reset", request=request)

    return fault_route(router, reset, count=count, methods=methods, paths=paths)


def fault_route(
    router: respx.Router,
    effect: httpx.Response | Effect,
    *,
    count: int = 0,
    methods: Sequence[str] = (),
    paths: Sequence[str] = (),
) -> respx.Route:
    """Add a route with that effect for the first `count` requests (0: all) with one of these methods and paths."""
    lookups: dict[str, Sequence[str]] = {}
    if methods:
        lookups["method__in"] = tuple(methods)
    if paths:
        lookups["path__in"] = tuple(paths)
    hits = 0

    def answer(request: httpx.Request) -> httpx.Response | None:
        nonlocal hits
        if count and hits >= count:
            return None
        hits += 1  # an effect that raises is one, too
        given = effect(request) if callable(effect) else effect
        hits -= given is None
        return given

    return router.add(FaultRoute(**lookups).mock(side_effect=answer))


def error_response(error: ErrorBody, headers: Mapping[str, str] | None = None, /, **fields: object) -> httpx.Response:
    """Return an error of the table as httpx gets it; `fields` fill its text. Raises `KeyError` for a missing one."""
    told = {"Content-Type": error.content_type, **(headers or {})}
    return httpx.Response(error.status, headers=told, content=error.body(**fields))


def read_timeout_s(request: httpx.Request) -> float:
    """Return how long the client waits for an answer; fail the test of a client that would wait for ever."""
    seconds = request.extensions.get("timeout", {}).get("read")
    if seconds is None:
        raise AssertionError(f"{request.method} {request.url.path} is never answered, and has no read timeout")
    return float(seconds)


def _time_out(request: httpx.Request) -> httpx.Response:
    raise httpx.ReadTimeout(f"no answer within {read_timeout_s(request)} s", request=request)


def _told_to_wait(retry_after_s: int | None) -> dict[str, str]:
    return {} if retry_after_s is None else {"Retry-After": str(retry_after_s)}
