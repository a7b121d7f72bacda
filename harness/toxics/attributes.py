"""What values the attributes of a toxic may have: declared beside each field, checked whenever a toxic is made.

Toxiproxy takes whatever JSON says and crashes on some of it. Here a toxic that exists is one that works, whether it
was declared by a scenario or over the API.
"""

from dataclasses import field, fields
from typing import Any, Final

DAY_MS: Final = 24 * 60 * 60 * 1000
"""The longest delay; beyond it the original overflows, and nobody waits that long on purpose."""
LONG_MS: Final = 10**12
"""The longest timeout (thirty years): what people write who mean never."""
RATE_MAX: Final = 10**9
"""The highest rate in kB/s (a terabyte a second): what people write who mean no limit."""
SIZE_MAX: Final = 2**50
"""The most bytes an attribute can count; twice that is still within what a tape can draw."""


class BadToxic(ValueError):  # noqa: N818 - reads as what it is where it is caught
    """No such toxic can be made; the text says why, for the person who asked for it."""


def whole(*, most: int, least: int = 0) -> int:
    """Declare a dataclass field: a whole number in `[least, most]`, 0 if it is not given."""
    declared: int = field(default=0, metadata={"least": least, "most": most})
    return declared


def check(toxic: Any) -> None:
    """Raise `BadToxic` if an attribute declared by `whole` is out of its range."""
    for each in fields(toxic):
        if "most" not in each.metadata:
            continue
        value, least, most = getattr(toxic, each.name), each.metadata["least"], each.metadata["most"]
        if value < least:
            raise BadToxic(f"{toxic.type}: {each.name} must be at least {least}, not {value}")
        if value > most:
            raise BadToxic(f"{toxic.type}: {each.name} must be at most {most}, not {value}")
