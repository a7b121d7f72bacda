"""From Locust's statistics to the fields of observations (`harness/load/__init__.py` documents them)."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from locust.stats import RequestStats, StatsEntry, StatsError

from harness.world.real.secrets_mask import masked

_PERCENTILES: Final = (("p50_ms", 0.5), ("p90_ms", 0.9), ("p99_ms", 0.99))
_ERROR_MAX: Final = 200
_KINDS_MAX: Final = 100
"""So many kinds of failure are told; a locustfile that puts numbers into its errors has thousands."""


def requests(stats: RequestStats) -> Iterator[dict[str, Any]]:
    """Yield the fields of `load_requests`: one kind after another, and all together last. Nothing before a request."""
    for entry in [*stats.entries.values(), stats.total]:
        if entry.num_requests:
            yield _fields(entry)


def failures(stats: RequestStats) -> Iterator[dict[str, Any]]:
    """Yield the fields of `load_failures`, the most frequent first."""
    for error in sorted(stats.errors.values(), key=lambda one: -one.occurrences)[:_KINDS_MAX]:
        text = masked(" ".join(StatsError.parse_error(error.error).split()))[:_ERROR_MAX]
        yield {"method": error.method, "name": error.name, "error": text, "count": error.occurrences}


def counts(report: Mapping[str, Any]) -> tuple[int, int]:
    """Return the requests and failures that a worker's report to the master adds."""
    total = report.get("stats_total", {})
    return int(total.get("num_requests", 0)), int(total.get("num_failures", 0))


def _fields(entry: StatsEntry) -> dict[str, Any]:
    percentiles = {name: round(entry.get_response_time_percentile(share), 1) for name, share in _PERCENTILES}
    return {
        "method": entry.method or "",
        "name": entry.name,
        "requests": entry.num_requests,
        "failures": entry.num_failures,
        **percentiles,
        "max_ms": round(entry.max_response_time, 1),
    }
