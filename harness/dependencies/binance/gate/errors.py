"""Every error body of the exchange, as one table, and the exception that carries one out of the gate or the market.

Codes, statuses and texts are Binance's documentation of 2026 or were seen by its users; what is assumed says so. Texts
may have fields in braces. The table is also what respx routes are built from, so this module imports nothing of the
rest.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

JSON: Final = "application/json"
HTML: Final = "text/html"


@dataclass(frozen=True, slots=True)
class ErrorBody:
    """An error as it goes over the wire. `text` is a template of `str.format`; for HTML it is the whole page.

    `code` None leaves the field out of the JSON, as in variants A and B of 503.
    """

    status: int
    text: str
    code: int | None = None
    content_type: str = JSON

    def body(self, **fields: object) -> bytes:
        """Return the body's bytes. Raises `KeyError` for a field that the template has and `fields` has not."""
        return encode(self.code, self.text.format(**fields), self.content_type)


def encode(code: int | None, text: str, content_type: str = JSON) -> bytes:
    """Return an error's body, `{"code": n, "msg": s}` or, for HTML, the page itself."""
    if content_type != JSON:
        return text.encode()
    told: dict[str, object] = {"msg": text} if code is None else {"code": code, "msg": text}
    return json.dumps(told, separators=(",", ":"), ensure_ascii=False).encode()


_TABLE: Final = (
    # General server and network issues. -1000 and -1001: status not documented; 500 is assumed for the first, and the
    # second is what users see as variant D of 503.
    ErrorBody(500, "An unknown error occured while processing the request.", -1000),
    ErrorBody(503, "Internal error; unable to process your request. Please try again.", -1001),
    ErrorBody(401, "You are not authorized to execute this request.", -1002),
    ErrorBody(
        429,
        "Too many requests; current limit of IP({ip}) is {limit} requests per {window}. "
        "Please use the websocket for live updates to avoid polling the API.",
        -1003,
    ),
    # -1006: status not documented; assumed. -1007: a backend timeout is 408.
    ErrorBody(400, "An unexpected response was received from the message bus. Execution status unknown.", -1006),
    ErrorBody(
        408,
        "Timeout waiting for response from backend server. Send status unknown; execution status unknown.",
        -1007,
    ),
    ErrorBody(
        503,
        "Request throttled by system-level protection. Reduce-only/close-position orders are exempt. Please try again.",
        -1008,
    ),
    ErrorBody(400, "Filter failure: {filter}", -1013),
    ErrorBody(400, "Unsupported order combination.", -1014),
    ErrorBody(429, "Too many new orders; current limit is {limit} orders per {window}.", -1015),
    ErrorBody(400, "This operation is not supported.", -1020),
    ErrorBody(400, "Timestamp for this request is outside of the recvWindow.", -1021),
    ErrorBody(400, "Signature for this request is not valid.", -1022),
    # The request itself.
    ErrorBody(400, "Illegal characters found in parameter '{name}'; legal range is '{range}'.", -1100),
    ErrorBody(400, "Duplicate values for a parameter detected.", -1101),
    ErrorBody(400, "Mandatory parameter '{name}' was not sent, was empty/null, or malformed.", -1102),
    ErrorBody(400, "An unknown parameter was sent.", -1103),
    ErrorBody(400, "Not all sent parameters were read; read '{read}' parameter(s) but was sent '{sent}'.", -1104),
    ErrorBody(400, "Parameter '{name}' was empty.", -1105),
    ErrorBody(400, "Parameter '{name}' sent when not required.", -1106),
    ErrorBody(400, "Precision is over the maximum defined for this asset.", -1111),
    ErrorBody(400, "TimeInForce parameter sent when not required.", -1114),
    ErrorBody(400, "Invalid timeInForce.", -1115),
    ErrorBody(400, "Invalid orderType.", -1116),
    ErrorBody(400, "Invalid side.", -1117),
    ErrorBody(400, "New client order ID was empty.", -1118),
    ErrorBody(400, "Original client order ID was empty.", -1119),
    ErrorBody(400, "Invalid interval.", -1120),
    ErrorBody(400, "Invalid symbol.", -1121),
    ErrorBody(400, "This listenKey does not exist.", -1125),
    ErrorBody(400, "Combination of optional parameters invalid.", -1128),
    ErrorBody(400, "Data sent for parameter '{name}' is not valid.", -1130),
    # Orders and the account.
    ErrorBody(400, "Account has insufficient balance for requested action.", -2010),
    ErrorBody(400, "Unknown order sent.", -2011),
    ErrorBody(400, "Order does not exist.", -2013),
    ErrorBody(401, "API-key format invalid.", -2014),
    ErrorBody(401, "Invalid API-key, IP, or permissions for action.", -2015),
    ErrorBody(400, "Margin is insufficient.", -2019),
    ErrorBody(400, "Unable to fill.", -2020),
    ErrorBody(400, "ReduceOnly Order is rejected.", -2022),
    ErrorBody(400, "Reach max open order limit.", -2025),
    # Futures' filters.
    ErrorBody(400, "Price less than 0.", -4001),
    ErrorBody(400, "Price greater than max price.", -4002),
    ErrorBody(400, "Quantity less than zero.", -4003),
    ErrorBody(400, "Quantity less than min quantity.", -4004),
    ErrorBody(400, "Quantity greater than max quantity.", -4005),
    ErrorBody(400, "Price less than min price.", -4013),
    ErrorBody(400, "Price not increased by tick size.", -4014),
    ErrorBody(400, "Client order id is not valid.", -4015),
    ErrorBody(400, "Limit price can't be higher than {price}.", -4016),
    ErrorBody(400, "{limit} is not valid depth limit.", -4021),
    ErrorBody(400, "Quantity not increased by step size.", -4023),
    ErrorBody(400, "Limit price can't be lower than {price}.", -4024),
    ErrorBody(400, "Leverage {leverage} is not valid", -4028),
    ErrorBody(400, "No need to change margin type.", -4046),
    ErrorBody(400, "No need to change position side.", -4059),
    ErrorBody(400, "Order's position side does not match user's setting.", -4061),
    ErrorBody(400, "Invalid number of batch place orders", -4082),
    ErrorBody(400, "ClientOrderId is duplicated.", -4116),
    ErrorBody(
        400,
        "Order type not supported for this endpoint. Please use the Algo Order API endpoints instead.",
        -4120,
    ),
    ErrorBody(400, "The counterparty's best price does not meet the PERCENT_PRICE filter limit.", -4131),
    ErrorBody(400, "Target strategy invalid for orderType {type},closePosition true", -4136),
    ErrorBody(400, "Invalid margin type", -4139),
    ErrorBody(400, "Order's notional must be no smaller than {notional} (unless you choose reduce only).", -4164),
    ErrorBody(400, "Unable to adjust to isolated-margin mode under the Multi-Assets mode.", -4168),
    ErrorBody(400, "No need to change Multi-Assets Mode.", -4171),
    # A path or a method that does not exist; seen, status included.
    ErrorBody(404, "Path {path}, Method {method} is invalid", -5000),
    ErrorBody(
        400,
        "Due to the order could not be filled immediately, the FOK order has been rejected. "
        "The order will not be recorded in the order history",
        -5021,
    ),
    ErrorBody(
        400,
        "Due to the order could not be executed as maker, the Post Only order will be rejected. "
        "The order will not be recorded in the order history",
        -5022,
    ),
    ErrorBody(400, "Exceed maximum modify order limit.", -5026),
    ErrorBody(400, "No need to modify the order.", -5027),
)

ERRORS: Final[Mapping[int, ErrorBody]] = {error.code: error for error in _TABLE if error.code is not None}
"""Each code with its usual status and text. The bodies below have a code of these and another status or text."""

BANNED: Final = ErrorBody(
    418,
    "Way too many requests; IP({ip}) banned until {until_ms}. Please use the websocket for live updates to avoid bans.",
    -1003,
)
TOO_MUCH_SPOT_WEIGHT: Final = ErrorBody(
    429,
    "Too much request weight used; current limit is {limit} request weight per {window}. "
    "Please use WebSocket Streams for live updates to avoid polling the API.",
    -1003,
)
BANNED_FROM_SPOT: Final = ErrorBody(
    418,
    "Way too much request weight used; IP banned until {until_ms}. "
    "Please use WebSocket Streams for live updates to avoid bans.",
    -1003,
)
AHEAD: Final = ErrorBody(400, "Timestamp for this request was 1000ms ahead of the server's time.", -1021)
RECV_WINDOW_TOO_LONG: Final = ErrorBody(400, "recvWindow must be less than 60000.", -1131)
DUPLICATE_SPOT_ORDER: Final = ErrorBody(400, "Duplicate order sent.", -2010)

UNKNOWN_ERROR: Final = ErrorBody(503, "Unknown error, please check your request or try again later.")
SERVICE_UNAVAILABLE: Final = ErrorBody(503, "Service Unavailable.")
"""Variants A and B: documented by their texts alone, and A was seen without a code. Only the text tells them apart."""
THROTTLED: Final = ERRORS[-1008]
INTERNAL_ERROR: Final = ERRORS[-1001]

FIREWALL: Final = ErrorBody(
    403,
    "<html>\n<head><title>403 Forbidden</title></head>\n<body>\n<center><h1>403 Forbidden</h1></center>\n"
    "</body>\n</html>\n",
    content_type=HTML,
)
NOT_FOUND: Final = ErrorBody(
    404,
    "<html>\n<head><title>404 Not Found</title></head>\n<body>\n<center><h1>404 Not Found</h1></center>\n"
    "<hr><center>nginx</center>\n</body>\n</html>\n",
    content_type=HTML,
)
"""Of paths outside the emulated APIs; inside of futures' it is -5000."""

UNAVAILABLE: Final[Mapping[str, ErrorBody]] = {
    "A": UNKNOWN_ERROR,
    "B": SERVICE_UNAVAILABLE,
    "C": THROTTLED,
    "D": INTERNAL_ERROR,
}
"""The four variants of 503, by the letters of the facts page. The outcome is unknown in A, and failed in the others."""

EXAMPLE_FIELDS: Final[Mapping[str, object]] = {
    "ip": "203.0.113.7",
    "limit": 2400,
    "window": "minute",
    "until_ms": 4_133_404_800_000,
    "filter": "LOT_SIZE",
    "name": "symbol",
    "range": "^[A-Z0-9-_.]{1,20}$",
    "read": 4,
    "sent": 5,
    "notional": 5,
    "price": 63000,
    "leverage": 126,
    "type": "LIMIT",
    "path": "/fapi/v1/order",
    "method": "PATCH",
}
"""Something for each field of the templates: for refusals that are armed, not caused."""


class Reject(Exception):  # noqa: N818 - an answer of the exchange, no error of the emulator
    """The exchange refuses a request with `code`; `text` and `status` are the table's unless given.

    `fields` fill the table's template, as `Reject(-1102, name="symbol")`. Raises `KeyError` for a code that is not in
    the table and has no `text`, and for a missing field. A `code` given with a text of its own defaults to status 400.
    """

    def __init__(self, code: int | None, text: str | None = None, status: int | None = None, **fields: object) -> None:
        known = ERRORS.get(code) if code is not None else UNKNOWN_ERROR
        if text is None:
            if known is None:
                raise KeyError(code)
            text = known.text.format(**fields)
        self.code = code
        self.text = text
        self.status = status if status is not None else known.status if known is not None else 400
        self.content_type = JSON
        super().__init__(code, text)

    @classmethod
    def of(cls, error: ErrorBody, **fields: object) -> "Reject":
        """Return the exception for one of the bodies of this module."""
        made = cls(error.code, error.text.format(**fields), error.status)
        made.content_type = error.content_type
        return made

    @property
    def body(self) -> bytes:
        """The answer's body."""
        return encode(self.code, self.text, self.content_type)
