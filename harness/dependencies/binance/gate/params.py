"""A request's parameters and its signature, from the raw bytes.

Parameters come in the query, in a form body, or in both; where both have one, the query wins (documented for spot).
Twice in the same place is -1101. The signature is HMAC-SHA256 over query and body as they were sent, without the
`signature` parameter itself: clients put it last, and where one does not, everything else is still covered.
"""

import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote_to_bytes

from harness.dependencies.binance.gate.errors import AHEAD, RECV_WINDOW_TOO_LONG, Reject
from harness.dependencies.binance.wire import Request

AHEAD_MS: Final = 1_000
"""A timestamp must be less than this ahead of the exchange's clock."""
RECV_WINDOW_MS: Final = 5_000
RECV_WINDOW_MS_MAX: Final = 60_000
PARAMETERS_MAX: Final = 256
"""No endpoint takes as many; a bound on what one request may cost."""

_INTEGER: Final = re.compile(r"[0-9]{1,19}\Z")
_KEY: Final = re.compile(r"[A-Za-z0-9_-]{1,128}\Z")
_MICROSECONDS: Final = 10**15


@dataclass(slots=True)
class Params:
    """What a request says. `values` lacks `signature`; `refusal` is what is wrong with it, to be raised in its turn.

    The refusal waits because limits are counted first: a malformed request costs its weight, too.
    """

    values: dict[str, str]
    payload: bytes
    signature: str | None
    refusal: Reject | None


def parse(request: Request) -> Params:
    """Take the raw query and body apart; never raises."""
    values: dict[str, str] = {}
    query, body = request.query, request.body
    made = Params(values, query, None, None)
    if body and not request.headers.get("content-type", "").startswith("application/json"):
        query_payload = _add(query, made, {}) if query else b""
        made.payload = query_payload + _add(body, made, dict(values))
    elif query:
        made.payload = _add(query, made, {}) + body
    else:
        made.payload = body
    made.signature = values.pop("signature", None)
    if made.refusal is None and "" in values.values():
        made.refusal = Reject(-1105, name=next(name for name, value in values.items() if not value))
    return made


def _add(raw: bytes, made: Params, earlier: Mapping[str, str]) -> bytes:
    """Add the parameters of `raw` that are not in `earlier`; return `raw` without the signature."""
    pairs = _split(raw, made)
    given = dict(pairs)
    if len(given) < len(pairs):
        made.refusal = made.refusal or Reject(-1101)
    made.values.update({**given, **earlier} if earlier else given)
    if "signature" not in given:
        return raw
    head, mark, last = raw.rpartition(b"&signature=")
    if mark and b"&" not in last:
        return head
    return b"&".join([pair for pair in raw.split(b"&") if pair.partition(b"=")[0] != b"signature"])


def _split(raw: bytes, made: Params) -> list[tuple[str, str]]:
    """Return names and values in order, decoded; those beyond `PARAMETERS_MAX` are a refusal."""
    if raw.count(b"&") >= PARAMETERS_MAX:
        made.refusal = made.refusal or Reject(-1101, "Too many parameters sent for this endpoint.")
        return []
    if b"%" in raw or b"+" in raw:
        parted = [pair.partition(b"=") for pair in raw.split(b"&") if pair]
        return [(_decode(name), _decode(value)) for name, _, value in parted]
    # Most requests have nothing to decode, and this is half of the parser's time.
    whole = [pair.partition("=") for pair in raw.decode("utf-8", "replace").split("&") if pair]
    return [(name, value) for name, _, value in whole]


def _decode(raw: bytes) -> str:
    return unquote_to_bytes(raw.replace(b"+", b" ")).decode("utf-8", "replace")


def authenticate(
    params: Params,
    headers: Mapping[str, str],
    wall_ms: int,
    *,
    key: str,
    secret: bytes,
    signed: bool,
    microseconds: bool = False,
) -> None:
    """Check the API key and, if `signed`, signature and timestamp, in that order.

    `microseconds`: timestamps may be in microseconds as well.

    Raises `Reject`: -2014 and -2015 for the key, -1102 for what is missing, -1022, -1021, -1100 and -1131.
    """
    given = headers.get("x-mbx-apikey", "")
    if given != key:
        raise Reject(-2015 if _KEY.match(given) else -2014)
    if not signed:
        return
    signature = params.signature
    timestamp = params.values.get("timestamp")
    if timestamp is None:
        raise Reject(-1102, name="timestamp")
    if not signature:
        raise Reject(-1102, name="signature")
    expected = hmac.digest(secret, params.payload, "sha256").hex().encode()
    if not hmac.compare_digest(expected, signature.lower().encode()):
        raise Reject(-1022)
    check_time(timestamp, params.values.get("recvWindow"), wall_ms, microseconds=microseconds)


def check_time(timestamp: str, recv_window: str | None, wall_ms: int, *, microseconds: bool = True) -> None:
    """Apply the timestamp rule: `ts < server + 1000 and server - ts <= recvWindow`.

    `microseconds`: 16 digits are microseconds, as spot takes them. Raises `Reject` -1021, -1100, -1131.
    """
    window_ms = RECV_WINDOW_MS
    if recv_window is not None:
        window_ms = _integer("recvWindow", recv_window)
        if window_ms > RECV_WINDOW_MS_MAX:
            raise Reject.of(RECV_WINDOW_TOO_LONG)
    sent_ms = _integer("timestamp", timestamp)
    if microseconds and sent_ms >= _MICROSECONDS:
        sent_ms //= 1_000
    if sent_ms >= wall_ms + AHEAD_MS:
        raise Reject.of(AHEAD)
    if wall_ms - sent_ms > window_ms:
        raise Reject(-1021)


def _integer(name: str, text: str) -> int:
    if not _INTEGER.match(text):
        raise Reject(-1100, name=name, range="^[0-9]{1,20}$")
    return int(text)
