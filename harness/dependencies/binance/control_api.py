"""The control API, under `/__control__/` on the exchange's own port: JSON in, JSON out, by anybody on this machine.

    GET  /__control__/state      both clocks, connections, requests, streams, internal errors
    GET  /__control__/ledger     all the truth there is: orders, fills, balances, positions, counters
    GET  /__control__/kinds      the faults that can be armed
    POST /__control__/arm        {"kind": "too_many_requests", "share": 1.0, "count": 0, "methods": ["POST"],
                                  "paths": ["/fapi/v1/order"], "symbols": ["BTCUSDT"], "options": {...}}
                                 -> {"name": "..."}; all but the kind may be left out (arms.py tells what they mean)
    POST /__control__/disarm     {"name": "..."}; what it did is in the records
    POST /__control__/tenants    {"weight_per_s": 20, "orders_per_s": 0}: as arming `tenant`
    POST /__control__/limits     {"factor": 0.5}: as arming `limits`
    POST /__control__/book       {"symbol": "BTCUSDT"}: bring back all its depth
    POST /__control__/price      {"symbol": "BTCUSDT", "price": "60000.5"}: move the middle of its book
    POST /__control__/reset      begin anew: no orders, nothing armed, streams closed

Errors are {"error": "one line"}, with the nearest name for an unknown one: 400, 401, 403 (not from this machine), 404,
405. With a token, requests must bear `Authorization: Bearer TOKEN`. Control requests are not the exchange's: they are
not counted, not recorded, and hit by no fault.
"""

import hmac
import ipaddress
import json
from collections.abc import Callable, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any, Final, Protocol, TypeAlias

import msgspec

from harness.dependencies.binance.arms import KINDS, Arm
from harness.dependencies.binance.wire import Answer, Request
from harness.errors import HarnessError, UsageError, unknown_name

PREFIX: Final = "/__control__/"
_FIELDS: Final = tuple(Arm.__dataclass_fields__)

Body: TypeAlias = Mapping[str, Any]


class Controlled(Protocol):
    """The server, as far as it can be controlled."""

    def arm(self, arm: Arm) -> str:
        """Arm a fault."""

    def disarm(self, name: str) -> None:
        """Disarm it."""

    def refill(self, symbol: str) -> None:
        """Refill a book."""

    def set_price(self, symbol: str, price: Decimal) -> None:
        """Move a price."""

    def reset(self) -> None:
        """Begin anew."""

    def ledger(self) -> dict[str, Any]:
        """Return the ledger."""

    def state(self) -> dict[str, int]:
        """Return clocks and counters."""


class _RefusedError(Exception):
    """Carries the status out of a route."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


class ControlApi:
    """Answers the control requests to one server. Without a token, whoever is on this machine may ask."""

    def __init__(self, server: Controlled, *, token: str = "") -> None:
        self._server = server
        self._token = token.encode()
        self._routes: dict[str, tuple[str, Callable[[Body], Any]]] = {
            "state": ("GET", lambda _: server.state()),
            "ledger": ("GET", lambda _: server.ledger()),
            "kinds": ("GET", lambda _: {"kinds": list(KINDS)}),
            "arm": ("POST", lambda body: {"name": server.arm(parse_arm(body))}),
            "disarm": ("POST", self._disarm),
            "tenants": ("POST", lambda body: {"name": server.arm(Arm(kind="tenant", options=dict(body)))}),
            "limits": ("POST", lambda body: {"name": server.arm(Arm(kind="limits", options=dict(body)))}),
            "book": ("POST", self._book),
            "price": ("POST", self._price),
            "reset": ("POST", self._reset),
        }

    def __call__(self, request: Request, peer: str) -> Answer:
        """Answer one request that came from that address."""
        try:
            self._admit(request, peer)
            return _answer(200, self._route(request))
        except _RefusedError as error:
            return _answer(error.status, {"error": str(error)})
        except HarnessError as error:
            return _answer(400, {"error": str(error)})

    def _admit(self, request: Request, peer: str) -> None:
        if not _is_loopback(peer):
            raise _RefusedError(403, "the control API answers this machine only")
        given = request.headers.get("authorization", "").encode()
        if self._token and not hmac.compare_digest(given, b"Bearer " + self._token):
            raise _RefusedError(401, "the token is missing or wrong: Authorization: Bearer TOKEN")

    def _route(self, request: Request) -> Any:
        name = request.path.removeprefix(PREFIX).rstrip("/")
        if name not in self._routes:
            raise _RefusedError(404, str(unknown_name("control request", name, self._routes)))
        method, handle = self._routes[name]
        if request.method != method:
            raise _RefusedError(405, f"{name} is asked for with {method}, not {request.method}")
        return handle(_body(request) if method == "POST" else {})

    def _disarm(self, body: Body) -> Any:
        (name,) = _texts(body, "name")
        self._server.disarm(name)
        return {}

    def _book(self, body: Body) -> Any:
        (symbol,) = _texts(body, "symbol")
        self._server.refill(symbol)
        return {}

    def _price(self, body: Body) -> Any:
        symbol, text = _texts(body, "symbol", "price")
        try:
            price = Decimal(text)
        except InvalidOperation:
            raise UsageError(f"not a price: {text!r}") from None
        if not price.is_finite() or price <= 0:
            raise UsageError(f"not a price: {text!r}")
        self._server.set_price(symbol, price)
        return {}

    def _reset(self, body: Body) -> Any:
        _texts(body)
        self._server.reset()
        return {}


def parse_arm(body: Body) -> Arm:
    """Return the arm that JSON describes. Raises `UsageError`, naming what is wrong and what is nearest to it."""
    for name in body:
        if name not in _FIELDS:
            raise unknown_name("field of an arm", name, _FIELDS)
    if "kind" not in body:
        raise UsageError("an arm needs a kind")
    if body["kind"] not in KINDS:
        raise unknown_name("kind of fault", str(body["kind"]), KINDS)
    try:
        arm = msgspec.convert(dict(body), Arm)
    except msgspec.ValidationError as error:
        raise UsageError(f"not an arm: {error}") from None
    if not 0 <= arm.share <= 1 or arm.count < 0:
        raise UsageError("the share of an arm is from 0 to 1, its count 0 or more")
    return arm


def as_json(arm: Arm) -> dict[str, Any]:
    """Return what `parse_arm` takes."""
    return {name: getattr(arm, name) for name in _FIELDS}


def _body(request: Request) -> Body:
    if not request.body:
        return {}
    try:
        body = json.loads(request.body)
    except (ValueError, RecursionError):
        raise UsageError("the body is no JSON") from None
    if not isinstance(body, dict):
        raise UsageError("the body is no JSON object")
    return body


def _texts(body: Body, *names: str) -> tuple[str, ...]:
    """Return the fields of those names, which must be texts, and all there are."""
    for name in body:
        if name not in names:
            raise unknown_name("field", name, names)
    for name in names:
        if not isinstance(body.get(name), str):
            raise UsageError(f"the field {name!r} is missing or no text")
    return tuple(body[name] for name in names)


def _answer(status: int, value: Any) -> Answer:
    return Answer(status=status, body=msgspec.json.encode(value) + b"\n")


def _is_loopback(peer: str) -> bool:
    try:
        return ipaddress.ip_address(peer).is_loopback
    except ValueError:
        return False
