"""The status page: one HTML document that needs nothing else, for people who are in a hurry.

No script, no request to anywhere, everything escaped; a state is a word and a symbol before it is a colour.
"""

import base64
import hashlib
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import jinja2

from reference_impl._health.model import State
from reference_impl._health.snapshot import Snapshot

REFRESH_S: Final = 10
_ALERTS_SHOWN: Final = 20

_SYMBOLS: Final[Mapping[str, str]] = {
    State.HEALTHY: "\N{HEAVY CHECK MARK}",
    State.DEGRADED: "\N{BLACK UP-POINTING TRIANGLE}",
    State.CRITICAL: "\N{HEAVY MULTIPLICATION X}",
    State.UNKNOWN: "?",
}
_REASONS: Final[Mapping[str, str]] = {
    "": "",
    "timeout": "no answer in time",
    "refused": "connection refused",
    "unreachable": "cannot be reached",
    "broken_answer": "the answer broke off",
    "encoded": "the answer is encoded",
    "too_large": "the answer is too large",
    "not_json": "the answer is not JSON",
    "no_status": "the answer has no status",
    "says_degraded": "says that it is degraded",
    "says_down": "says that it is down",
    "not_checked": "no recent check",
}
_HERE: Final = Path(__file__).parent
_CSS: Final = (_HERE / "page.css").read_text(encoding="utf-8")
_TEMPLATE: Final = jinja2.Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True).from_string(
    (_HERE / "page.html.j2").read_text(encoding="utf-8")
)

CSP: Final = (
    f"default-src 'none'; style-src 'sha256-{base64.b64encode(hashlib.sha256(_CSS.encode()).digest()).decode()}'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""Nothing is allowed but the style sheet that this page was made with."""


def render_page(snapshot: Snapshot, alerts: Sequence[Mapping[str, Any]]) -> str:
    """Return the page; `alerts` are the record's, the oldest first."""
    return _TEMPLATE.render(
        snapshot=snapshot,
        alerts=list(alerts)[: -_ALERTS_SHOWN - 1 : -1],
        symbols=_SYMBOLS,
        reason=_in_words,
        clock=_clock,
        ago=_ago,
        refresh=REFRESH_S,
        css=_CSS,
    )


def _in_words(reason: str) -> str:
    return _REASONS.get(reason, reason.replace("http_", "HTTP status "))


def _clock(wall: float) -> str:
    try:
        return datetime.fromtimestamp(wall, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    except (ValueError, OverflowError, OSError):  # a record that was tampered with
        return "?"


def _ago(seconds: float | None) -> str:
    if seconds is None:
        return "never"
    return f"{seconds:.0f} s ago" if seconds < 120 else f"{seconds / 60:.0f} min ago"  # noqa: PLR2004 - two minutes
