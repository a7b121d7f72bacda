"""Error replies are a fault of their own: what only they show, no other fault of `redis-outage` shows instead."""

from dataclasses import replace

import pytest

from harness.dependencies.redis import faults as redis
from harness.registry import discover
from harness.verdict import Verdict


@pytest.mark.parametrize("variant", ["treats_error_reply_as_sent", "drops_what_redis_refuses"])
def test_only_error_replies_catch_it(run_short, variant: str) -> None:
    """While Redis is just gone, both behave as the reference does; `redis-flaky-network` catches them by errors."""
    scenario = discover()["redis-outage"]
    profile = scenario.profiles["short"]
    outage, *others = profile.schedule
    profile = replace(profile, schedule=(replace(outage, faults=(redis.outage("refuse"),)), *others))
    scenario = replace(scenario, profiles={"short": profile})
    target = f"event_bus=reference_impl.flawed.event_bus:{variant}"
    assert run_short(scenario, target=target).verdict is Verdict.PASS
