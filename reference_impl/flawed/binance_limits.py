"""Adapters that are the reference but for their rate limiter: one of `flawed.rate_limiter`, one defect each."""

from pathlib import Path
from typing import Any

from reference_impl.binance_adapter import BinanceAdapter
from reference_impl.flawed import rate_limiter as flawed
from reference_impl.flawed.binance_execution import Factory
from reference_impl.rate_limiter import BinanceRateLimiter


def _factory(flawed_type: type[BinanceRateLimiter]) -> Factory:
    class _Adapter(BinanceAdapter):
        limiter_type = flawed_type

    def make(*, base_url: str, api_key: str, api_secret: str, directory: Path, name: str, **options: Any) -> _Adapter:
        return _Adapter(base_url, api_key, api_secret, directory=directory, name=name, **options)

    return make


resets_on_any_success = _factory(flawed.ResetsOnAnySuccess)
ignores_retry_after = _factory(flawed.IgnoresRetryAfter)
counts_requests_not_weight = _factory(flawed.CountsRequestsNotWeight)
no_jitter_herd = _factory(flawed.NoJitterHerd)
retries_through_429 = _factory(flawed.RetriesThrough429)
bursts_at_window_edge = _factory(flawed.BurstsAtWindowEdge)
per_task_limiter = _factory(flawed.PerTaskLimiter)
paces_too_timidly = _factory(flawed.PacesTooTimidly)
never_shortens_backoff = _factory(flawed.NeverShortensBackoff)
no_priority_for_risk = _factory(flawed.NoPriorityForRisk)
