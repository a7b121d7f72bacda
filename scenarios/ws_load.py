"""Patch 6: 500 events in 10 s, for clients that stay, leave, come back, read slowly, and have no business there."""

from collections.abc import Sequence
from typing import Any

from harness.invariants.needs import at_least, observed_at_least
from harness.scenario import Profile, Scenario, between, during
from harness.units import ms, seconds
from harness.world.base import HostSpec
from scenarios.dashboard_hosts import dashboard
from scenarios.dashboard_invariants import (
    EXPLORED,
    OPTIONS,
    REFERENCE,
    REMOTE,
    broken_ways,
    flawed,
    invariants,
    slow_ways,
)
from scenarios.feed_hosts import watchers
from scenarios.feed_intruders import intruders
from scenarios.load import by_locust


def _hosts(clients: int, *, burst_ns: tuple[int, int], **more: Any) -> Sequence[HostSpec]:
    return (
        by_locust(watchers("watchers", clients=clients, leave_every_ns=seconds(5))),
        watchers("slow", clients=max(2, clients // 10), pace=(400, ms(250))),
        watchers(REMOTE, clients=3),
        intruders(gap_ns=ms(400), at_once=1),
        dashboard(burst_ns=burst_ns, burst_gap_ns=ms(20), options=OPTIONS, **more),
    )


_SCHEDULE = (
    during(between(seconds(3), seconds(4)), ms(5_500), *broken_ways()),
    during(between(seconds(10), seconds(11)), seconds(2), *slow_ways()),
)

SCENARIO = Scenario(
    name="ws-load",
    title="500 events in 10 s for clients that leave, come back, read slowly and intrude",
    patch=6,
    priority="P0",
    ports=REFERENCE,
    dependencies=(),
    profiles={
        "full": Profile(
            hosts=tuple(_hosts(18, burst_ns=(seconds(2), seconds(12)))),
            schedule=_SCHEDULE,
            settle_ns=seconds(4),
            needs=(
                at_least(520, "publish", outcome="ok"),
                at_least(30, "connect", outcome="ok"),
                at_least(20, "intrude", outcome="ok"),
                observed_at_least(200, "feed"),
            ),
        ),
        # What each client costs shows with many of them.
        "large": Profile(
            hosts=tuple(_hosts(300, burst_ns=(seconds(2), seconds(12)))),
            schedule=_SCHEDULE,
            settle_ns=seconds(4),
            needs=(
                at_least(520, "publish", outcome="ok"),
                at_least(400, "connect", outcome="ok"),
                observed_at_least(3_000, "feed"),
            ),
        ),
        "short": Profile(
            hosts=tuple(_hosts(18, burst_ns=(seconds(1), seconds(8)))),
            schedule=(during(ms(1_200), ms(4_500), *broken_ways(power=False), *slow_ways()),),
            settle_ns=seconds(3),
            needs=(
                at_least(150, "publish", outcome="ok"),
                at_least(20, "connect", outcome="ok"),
                at_least(5, "intrude", outcome="ok"),
                observed_at_least(50, "feed"),
            ),
        ),
    },
    invariants=invariants(),
    explore=EXPLORED,
    flawed=(
        flawed("planned", "WS1", "WS5", "WS6", "WS7"),
        flawed("no_sequence", "WS1"),
        flawed("conflates_critical", "WS5"),
        flawed("critical_out_of_order", "WS5"),
        flawed("rate_per_batch_not_per_second", "WS2"),
        flawed("batch_of_any_size", "WS2"),
        flawed("unauthenticated_feed", "WS7"),
        flawed("flooder_starves_others", "WS8"),
    ),
)
