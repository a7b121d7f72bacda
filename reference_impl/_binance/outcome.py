"""What an answer of the exchange means: did it take effect, may it be sent again, must it be asked about?

This is the one table of the retry policy's knowledge of error codes. Sources: Binance's USD-M futures documentation of
error codes and of the four variants of 503 (2026). Where the documentation is silent an outcome counts as unknown, as
asking costs one request and guessing costs a position.
"""

import json
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias

Kind: TypeAlias = Literal[
    "done", "unknown", "failed", "unreachable", "limited", "clock", "duplicate", "absent", "blocked", "rejected"
]
"""Kinds of outcomes.

- `done`: an answer of 2xx with JSON.
- `unknown`: it may or may not have taken effect, now or later.
- `failed`: it did not take effect; may be sent again after a pause.
- `unreachable`: the same, as there was no connection.
- `limited`: it did not take effect; may be sent again when the limiter lets it.
- `clock`: it did not take effect, its timestamp was out of bounds.
- `duplicate`: an order of this client id is open.
- `absent`: no order of this client id is known.
- `blocked`: the firewall's answer; it did not take effect.
- `rejected`: it did not take effect and never will.
"""

_BACKEND_TIMEOUT: Final = 408
_UNAVAILABLE: Final = 503
_OK: Final = range(200, 300)
_CLIENT: Final = range(400, 500)

_BY_STATUS: Final[dict[int, Kind]] = {403: "blocked", 418: "limited", 429: "limited"}
_BY_CODE: Final[dict[int, Kind]] = {
    -1000: "unknown",  # "an unknown error occured while processing the request": says nothing about how far it got
    -1003: "limited",
    -1006: "unknown",
    -1007: "unknown",
    -1008: "failed",
    -1015: "limited",  # at 429, and seen at 400
    -1021: "clock",
    -2011: "absent",
    -2013: "absent",
    -4116: "duplicate",
}
_FAILED_TEXTS: Final = ("Service Unavailable", "Internal error; unable to process your request")
_DUPLICATE_TEXT: Final = "Duplicate order sent"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one request. `data` is the decoded JSON of `done`; `code` and `text` those of an error.

    `status` is that of the HTTP answer; 0 if there was none.
    """

    kind: Kind
    code: int | None = None
    text: str = ""
    data: Any = None
    status: int = 0

    @property
    def name(self) -> str:
        """A short code for reports: the exchange's code, else the kind."""
        return self.kind if self.code is None else str(self.code)


def classify(status: int, body: bytes) -> Outcome:
    """Return what an HTTP answer means. Never raises, whatever the body is."""
    decoded = _decode(body)
    if status in _OK:
        if decoded is None:  # it is not the exchange's own answer; whether that got the request nobody knows
            return Outcome("unknown", text="an answer that is no JSON", status=status)
        return Outcome("done", data=decoded, status=status)
    code, text = _error(decoded)
    return Outcome(_kind(status, code, text), code, text or f"HTTP {status}", status=status)


def _kind(status: int, code: int | None, text: str) -> Kind:
    if status in _BY_STATUS:
        return _BY_STATUS[status]
    if text.startswith(_FAILED_TEXTS) and (status == _UNAVAILABLE or code is not None):
        return "failed"
    if code in _BY_CODE:
        return _BY_CODE[code]
    if text.startswith(_DUPLICATE_TEXT):
        return "duplicate"
    return "rejected" if status in _CLIENT and status != _BACKEND_TIMEOUT else "unknown"


def _decode(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        return None


def _error(decoded: Any) -> tuple[int | None, str]:
    if not isinstance(decoded, dict):
        return None, ""
    code, text = decoded.get("code"), decoded.get("msg")
    return code if isinstance(code, int) else None, text if isinstance(text, str) else ""
