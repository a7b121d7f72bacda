"""Query strings and signatures: HMAC-SHA256 over the very bytes that are sent, made after every wait.

Nothing here shows the secret: not a repr, not an error. A signed query is as good as the order it stands for within its
window, so it is never logged either.
"""

import hashlib
import hmac
from collections.abc import Mapping
from decimal import Decimal
from typing import Any
from urllib.parse import quote_plus


class Signer:
    """Signs with one secret."""

    __slots__ = ("_mac",)

    def __init__(self, api_secret: str) -> None:
        self._mac = hmac.new(api_secret.encode(), digestmod=hashlib.sha256)

    def __repr__(self) -> str:
        return "<Signer>"

    def sign(self, params: Mapping[str, Any], *, timestamp_ms: int, recv_window_ms: int) -> str:
        """Return the query string with timestamp, window and signature. Raises `TypeError` for values unfit for one."""
        extra = f"recvWindow={recv_window_ms}&timestamp={timestamp_ms}"
        text = f"{encode(params)}&{extra}" if params else extra
        mac = self._mac.copy()
        mac.update(text.encode())
        return f"{text}&signature={mac.hexdigest()}"


def encode(params: Mapping[str, Any]) -> str:
    """Return a query string; values that are None are left out, booleans are `true` and `false`."""
    return "&".join(
        f"{quote_plus(name)}={quote_plus(_text(value))}" for name, value in params.items() if value is not None
    )


def _text(value: Any) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case str():
            return value
        case Decimal():
            return f"{value:f}"  # never an exponent, which the exchange does not take
        case int():
            return str(value)
        case _:
            raise TypeError(f"a parameter of type {type(value).__name__} cannot be sent; amounts are Decimal")
