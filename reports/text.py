"""Untrusted text made visible, and numbers made readable.

Names, payload ids and error texts come from the code under test. A terminal obeys escape sequences, a reader
is misled by bidirectional overrides, an XML parser stops at a null byte; so every renderer but JSON (whose
encoder escapes them all) passes text through `visible` before its own escaping.
"""

import math
import unicodedata
from typing import Final

TEXT_MAX: Final = 400
"""Characters of one piece of foreign text that a report shows; a report that no browser opens helps nobody."""

NOT_MEASURED: Final = "not measured"

_INVISIBLE = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
_CONTROL_PICTURES = 0x2400
_CONTROL_END = 0x20
_DELETE = 0x7F


def visible(value: object, limit: int = TEXT_MAX) -> str:
    """Return `value` as one line of text in which nothing acts: no control, bidi, format or unassigned character.

    ASCII controls become their control pictures (ESC is shown as U+241B), everything else that is invisible
    becomes `<U+202E>` and the like; what is longer than `limit` characters is cut, and the cut is counted.
    """
    text = str(value)
    cut = len(text) - limit
    if cut > 0:
        text = text[:limit]
    shown = text if text.isascii() and text.isprintable() else "".join(map(_shown, text))
    return f"{shown} [{cut:,} more characters]" if cut > 0 else shown


def _shown(char: str) -> str:
    if unicodedata.category(char) not in _INVISIBLE:
        return char
    code = ord(char)
    if code < _CONTROL_END:
        return chr(_CONTROL_PICTURES + code)
    if code == _DELETE:
        return chr(_CONTROL_PICTURES + 0x21)
    return f"<U+{code:04X}>"


def figure(value: object, unit: str = "") -> str:
    """Return a measured value as a person reads it: thousands grouped, four significant digits, its unit behind it."""
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return NOT_MEASURED
    shown = number(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else visible(value)
    return f"{shown} {visible(unit)}" if unit else shown


def number(value: float) -> str:
    """Return a number with grouped thousands and at most four significant digits behind the point."""
    if isinstance(value, int) or value.is_integer():
        return f"{int(value):,}"
    if abs(value) >= 1000:  # noqa: PLR2004 - from here on decimals are noise
        return f"{value:,.0f}"
    return f"{value:.4g}"


def duration(value_s: float | None) -> str:
    """Return a duration given in seconds as a person writes it, or `not measured`."""
    if value_s is None or not math.isfinite(value_s):
        return NOT_MEASURED
    if 0 < value_s < 1:
        return f"{value_s * 1000:.3g} ms"
    if value_s < 600:  # noqa: PLR2004 - ten minutes; beyond that seconds are hard to read
        return f"{value_s:,.4g} s"
    minutes, rest = divmod(round(value_s), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {rest:02d} s"


def plural(count: int, noun: str, many: str = "") -> str:
    """Return `1 run`, `2 runs`."""
    return f"{count:,} {noun if count == 1 else many or noun + 's'}"
