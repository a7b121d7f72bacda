"""What must stay within a limit: how long an operation takes, how much a buffer holds."""

from harness.invariants.capacity import Capacity
from harness.invariants.flow import DEFAULT_FLOW, Flow
from harness.invariants.latency import Bounded
from harness.units import human


def bounded(
    operation: str,
    limit_ns: int,
    *,
    id: str = "EB5",  # noqa: A002 - the word of PATCHES.md
    at: str = "p99.9",
    of: str = "",
    real_limit_ns: int | None = None,
    name: str = "",
    statement: str = "",
) -> Bounded:
    """Declare how long an operation may take, `of` one host if given.

    Raises ValueError on a limit or a percentile that is none.
    """
    in_real = f" ({human(real_limit_ns)} in the real world)" if real_limit_ns is not None else ""
    return Bounded(
        id=id,
        name=name or f"bounded-{operation}",
        statement=statement or f"{operation} returns within {human(limit_ns)} at {at} in every phase{in_real}",
        operation=operation,
        limit_ns=limit_ns,
        real_limit_ns=real_limit_ns,
        at=at,
        of=of,
    )


def capacity(
    rows: int,
    *,
    id: str = "EB7",  # noqa: A002
    name: str = "capacity",
    statement: str = "",
    flow: Flow = DEFAULT_FLOW,
) -> Capacity:
    """Declare how many rows a buffer may hold, and that overflow is owned up to. Raises ValueError below 1."""
    statement = statement or f"buffer <= {rows:,} rows; dropped = counter = announced"
    return Capacity(id=id, name=name, statement=statement, rows=rows, flow=flow)
