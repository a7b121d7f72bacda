"""Units. Inside the harness every instant and duration is an `int` of nanoseconds; names end in `_ns`."""

from typing import Final

SECOND: Final = 1_000_000_000
MILLISECOND: Final = 1_000_000
MICROSECOND: Final = 1_000


def seconds(value: float) -> int:
    """Return `value` seconds as nanoseconds."""
    return round(value * SECOND)


def ms(value: float) -> int:
    """Return `value` milliseconds as nanoseconds."""
    return round(value * MILLISECOND)


def as_seconds(value_ns: int) -> float:
    """Return nanoseconds as seconds."""
    return value_ns / SECOND


def per_second(count: float) -> int:
    """Return the gap in nanoseconds between events that happen `count` times a second."""
    if count <= 0:
        raise ValueError(f"a rate must be positive, not {count}")
    return round(SECOND / count)


def human(value_ns: int) -> str:
    """Return a duration as a person writes it: 250 ms, 1.5 s, 2 min."""
    if value_ns < SECOND:
        return f"{value_ns / MILLISECOND:.4g} ms"
    if value_ns < 120 * SECOND:
        return f"{value_ns / SECOND:.4g} s"
    return f"{value_ns / (60 * SECOND):.4g} min"
