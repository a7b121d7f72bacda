"""What an answer says about limits: refused or not, for which requests, and how long to keep silent.

Binance says how long in two ways, and in either or both: a `Retry-After` header (seconds, or an HTTP date), and
"banned until <ms>" in the text of the error. Values that make no sense are set aside or cut, and the verdict says so.
"""

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Any, Final, Literal, TypeAlias

Ruling: TypeAlias = Literal["fine", "refused", "orders_refused", "banned", "firewall", "throttled"]

LONGEST: Final = 3 * 86_400.0
"""Seconds of the longest ban that is documented: nobody is told to wait longer than that."""

_TOO_MANY_REQUESTS: Final = -1003
_TOO_MANY_ORDERS: Final = -1015
_THROTTLED: Final = -1008
_FIRST_ERROR: Final = 400
_BANNED_UNTIL: Final = re.compile(r"banned until (-?\d{1,30})")
_LIMIT: Final = re.compile(
    r"current limit (?:of IP\([^)]*\) )?is (\d{1,12}) (?:requests|orders) per (?:(\d{1,6}) )?(\w+)", re.IGNORECASE
)
_UNITS: Final = {"second": 1, "minute": 60, "hour": 3_600, "day": 86_400}
_NUMBERS: Final = {"five": 5, "ten": 10, "fifteen": 15, "thirty": 30}
_CAP_MAX: Final = 10**9
_BODY_MAX: Final = 4_096
"""Bytes of an error's body that are looked at: Binance's are a few hundred."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """`retry_after`: seconds from the answer on. `until_ms`: the server's time. `cap`: (seconds of the window, limit).

    `note` says which value was not believed, and why; empty if all were.
    """

    ruling: Ruling
    retry_after: float | None = None
    until_ms: int | None = None
    cap: tuple[int, int] | None = None
    note: str = ""


FINE: Final = Verdict(ruling="fine")


def read_verdict(status: int, headers: Mapping[str, str], body: bytes, *, server_s: float) -> Verdict:
    """Return what the answer says about limits. `headers` by lower-case names; `server_s`: the server's time, about."""
    if status < _FIRST_ERROR:
        return FINE
    code, text = _error(body)
    ruling = _ruling(status, code)
    if ruling == "fine":
        return FINE
    retry_after, note = _retry_after(headers.get("retry-after"), server_s)
    until_ms, doubt = _banned_until(text, server_s)
    notes = "; ".join(filter(None, (note, doubt)))
    return Verdict(ruling=ruling, retry_after=retry_after, until_ms=until_ms, cap=_cap(text), note=notes)


def _ruling(status: int, code: int | None) -> Ruling:
    if status == 418:  # noqa: PLR2004 - an IP ban
        return "banned"
    if code == _TOO_MANY_ORDERS:
        return "orders_refused"  # at 429, and at 400 as well
    if status == 429 or code == _TOO_MANY_REQUESTS:  # noqa: PLR2004 - too many requests
        return "refused"
    if status == 403 and code is None:  # noqa: PLR2004 - a firewall's page: the exchange itself answers in JSON
        return "firewall"
    return "throttled" if code == _THROTTLED else "fine"


def _error(body: bytes) -> tuple[int | None, str]:
    try:
        error: Any = json.loads(body[:_BODY_MAX])
        return int(error["code"]), str(error.get("msg", ""))
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None, body[:_BODY_MAX].decode("utf-8", "replace")


def _cap(text: str) -> tuple[int, int] | None:
    """Read "current limit is 300 orders per TEN_SECONDS", "... 2400 requests per minute", "... per 5 seconds"."""
    said = _LIMIT.search(text)
    if said is None:
        return None
    word, _, unit = said[3].lower().rpartition("_")
    number = int(said[2] or _NUMBERS.get(word, 0 if word else 1))
    seconds = number * _UNITS.get(unit.removesuffix("s"), 0)
    cap = int(said[1])
    return (seconds, cap) if 0 < seconds <= _UNITS["day"] and 0 < cap <= _CAP_MAX else None


def _retry_after(text: str | None, server_s: float) -> tuple[float | None, str]:
    if text is None:
        return None, ""
    try:
        seconds = float(text)
    except ValueError:
        try:
            until = parsedate_to_datetime(text)
            seconds = (until if until.tzinfo else until.replace(tzinfo=UTC)).timestamp() - server_s
        except (ValueError, TypeError, OverflowError):
            return None, f"Retry-After {text[:40]!r} is not understood"
    return _believe(seconds, f"Retry-After {text[:40]!r}")


def _banned_until(text: str, server_s: float) -> tuple[int | None, str]:
    said = _BANNED_UNTIL.search(text)
    if said is None:
        return None, ""
    seconds = float(said[1]) / 1_000 - server_s
    believed, note = _believe(seconds, f"banned until {said[1][:20]}")
    if believed is None:
        return None, note
    return int((server_s + believed) * 1_000) if note else int(said[1]), note


def _believe(seconds: float, what: str) -> tuple[float | None, str]:
    if not math.isfinite(seconds) or seconds < 0:
        return None, f"{what} is no wait"
    if seconds > LONGEST:
        return LONGEST, f"{what} is cut to {LONGEST:.0f} s, the longest ban there is"
    return seconds, ""
