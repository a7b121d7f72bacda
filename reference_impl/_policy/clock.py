"""The clocks. The one ages are measured on runs through restarts of the program and suspends, and nobody sets it.

It begins anew when the machine boots, so instants of it are comparable only within one boot, which has a name.
"""

import time
from pathlib import Path
from typing import Final

_CLOCK: Final = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
_BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")


def now() -> float:
    """Return seconds since the machine booted."""
    return time.clock_gettime(_CLOCK)


def boot() -> str:
    """Return the name of this boot; empty where there is none."""
    try:
        return _BOOT_ID.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        return ""


def wall_ms() -> int:
    """Return the wall clock in milliseconds since 1970: a stamp for persons, which decides nothing."""
    return time.time_ns() // 1_000_000
