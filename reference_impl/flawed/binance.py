"""Targets of the Binance scenarios with one known defect each, by the names of PATCHES.md 2 and 9.

Those of patch 2 are the reference adapter with a flawed limiter (rate_limiter.py); those of patch 9 are in
binance_execution.py and only named here, so that scenarios find all of them in one place.
"""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from reference_impl.binance_adapter import BinanceAdapter
from reference_impl.flawed import rate_limiter
from reference_impl.flawed.binance_execution import VARIANTS as EXECUTION_VARIANTS
from reference_impl.flawed.binance_execution import Factory


def _limited_by(limiter_type: type) -> Factory:
    adapter_type: type[BinanceAdapter] = type("LimitedAdapter", (BinanceAdapter,), {"limiter_type": limiter_type})

    def make(
        *, base_url: str, api_key: str, api_secret: str, directory: Path, name: str, **options: Any
    ) -> BinanceAdapter:
        return adapter_type(base_url, api_key, api_secret, directory=directory, name=name, **options)

    return make


VARIANTS: Mapping[str, Factory] = MappingProxyType(
    {
        **EXECUTION_VARIANTS,
        "planned_limiter": _limited_by(rate_limiter.PlannedLimiter),
        "resets_on_any_success": _limited_by(rate_limiter.ResetsOnAnySuccess),
        "ignores_retry_after": _limited_by(rate_limiter.IgnoresRetryAfter),
        "counts_requests_not_weight": _limited_by(rate_limiter.CountsRequestsNotWeight),
        "no_jitter_herd": _limited_by(rate_limiter.NoJitterHerd),
        "retries_through_429": _limited_by(rate_limiter.RetriesThrough429),
        "per_task_limiter": _limited_by(rate_limiter.PerTaskLimiter),
        "bursts_at_window_edge": _limited_by(rate_limiter.BurstsAtWindowEdge),
        "paces_too_timidly": _limited_by(rate_limiter.PacesTooTimidly),
        "never_shortens_backoff": _limited_by(rate_limiter.NeverShortensBackoff),
        "no_priority_for_risk": _limited_by(rate_limiter.NoPriorityForRisk),
    }
)
"""Factories of the shape of `reference_impl.binance_adapter.make`, by name of the defect."""


def __getattr__(name: str) -> Factory:
    """Find a factory by its name, as scenarios do: `reference_impl.flawed.binance:planned`."""
    try:
        return VARIANTS[name]
    except KeyError:
        raise AttributeError(f"no flawed variant {name!r}; known: {', '.join(sorted(VARIANTS))}") from None
