"""Which limit of an invariant belongs into which chart."""

from typing import Final

from harness.verdict import RunResult
from reports.timeline import Limit

_TO_MS: Final = {"ms": 1.0, "s": 1000.0, "us": 0.001}
_RATE_UNITS: Final = frozenset({"/s", "per second", "ops/s", "events/s"})
_DEPTH_UNITS: Final = frozenset({"rows", "entries", "buffered"})


def limits_of(run: RunResult) -> tuple[Limit, ...]:
    """Return the limits of a run's invariants that can be drawn.

    A limit in a unit of time is a latency limit (recovery times are not latencies); one in rows or entries
    belongs to the buffers, one per second to throughput. Which operation it is about, its name or statement
    says.
    """
    limits = []
    for invariant in run.invariants:
        limit = invariant.limit
        if isinstance(limit, (str, bool)) or limit is None:
            continue
        about = f"{invariant.name} {invariant.statement}"
        value = float(limit)
        if invariant.unit in _TO_MS and "recover" not in about.lower():
            chart, value = "latency", value * _TO_MS[invariant.unit]
        elif invariant.unit in _RATE_UNITS:
            chart = "throughput"
        elif invariant.unit in _DEPTH_UNITS and value > 0:
            chart = "depth"
        else:
            continue
        limits.append(Limit(chart=chart, about=about, label=f"limit {invariant.id}", value=value))
    return tuple(limits)
