"""Figures of one run, computed from its history: what the JSON's `metrics` holds and baselines compare."""

from typing import Any

from harness.history.history import History
from harness.history.query import observations, operations, percentile
from harness.units import MILLISECOND, SECOND
from harness.verdict import InvariantResult


def metrics(history: History, results: tuple[InvariantResult, ...]) -> dict[str, float | int | None]:
    """Return counts, rate of success and latency percentiles (nearest rank) per operation, and the recovery time.

    Where Locust made a load, also what it came to (`load_*`).
    """
    figures: dict[str, float | int | None] = {"events": len(history.events)}
    every = operations(history)
    for name in sorted({operation.name for operation in every}):
        mine = [operation for operation in every if operation.name == name]
        figures[f"{name}_total"] = len(mine)
        for outcome in ("ok", "fail", "info"):
            figures[f"{name}_{outcome}"] = sum(operation.outcome == outcome for operation in mine)
        succeeded = figures[f"{name}_ok"] or 0
        figures[f"{name}_per_s"] = round(succeeded * SECOND / history.end_ns, 3) if history.end_ns else None
        took = sorted(one.end_ns - one.start_ns for one in mine if one.outcome == "ok" and one.end_ns is not None)
        for label, share in (("p50", 50.0), ("p99", 99.0), ("p999", 99.9), ("max", 100.0)):
            figures[f"{name}_{label}_ms"] = round(percentile(took, share) / MILLISECOND, 3) if took else None
    recovery = [one.observed for one in results if one.name == "recovers" and isinstance(one.observed, int | float)]
    figures["recovery_s"] = max(recovery, default=None)
    return figures | _load(history)


def _load(history: History) -> dict[str, float | int | None]:
    """Return the most users of a host at a time, all requests, and the worst host's response times.

    A host's requests are counted from Locust's start, so the last observation of each of its lives has them all.
    """
    last: dict[tuple[str, int], dict[str, Any]] = {}
    for seen in observations(history, "load_requests"):
        if seen.value["name"] == "Aggregated":
            last[seen.actor, seen.incarnation] = seen.value
    if not last:
        return {}
    figures: dict[str, float | int | None] = {
        "load_users_max": max((seen.value["users"] for seen in observations(history, "load_users")), default=None)
    }
    for name in ("requests", "failures"):
        figures[f"load_{name}"] = sum(one[name] for one in last.values())
    for name in ("p50_ms", "p90_ms", "p99_ms", "max_ms"):
        figures[f"load_{name}"] = max(one[name] for one in last.values())
    return figures
