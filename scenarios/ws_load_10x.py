"""Patch 6: 5,000 events in 10 s, of which a client is sent 50 a second: the latest of each key, all critical ones."""

from collections.abc import Sequence

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
from scenarios.load import by_locust


def _hosts(clients: int, *, burst_ns: tuple[int, int]) -> Sequence[HostSpec]:
    # As many keys as 50 events a second can keep fresh beside five critical ones, one in 100.
    return (
        by_locust(watchers("watchers", clients=clients, leave_every_ns=seconds(5))),
        watchers("slow", clients=1, pace=(400, ms(250))),
        watchers(REMOTE, clients=2),
        dashboard(burst_ns=burst_ns, burst_gap_ns=ms(2), keys=4, critical_every=100, options=OPTIONS),
    )


SCENARIO = Scenario(
    name="ws-load-10x",
    title="5,000 events in 10 s for clients that are sent 50 a second",
    patch=6,
    priority="P0",
    ports=REFERENCE,
    dependencies=(),
    profiles={
        "full": Profile(
            hosts=tuple(_hosts(9, burst_ns=(seconds(2), seconds(12)))),
            schedule=(
                during(between(seconds(3), seconds(4)), ms(5_500), *broken_ways(), *slow_ways()),
                during(between(seconds(10), seconds(11)), seconds(2), *slow_ways()),
            ),
            settle_ns=seconds(4),
            needs=(
                at_least(5_000, "publish", outcome="ok"),
                at_least(15, "connect", outcome="ok"),
                observed_at_least(100, "feed"),
            ),
        ),
        "short": Profile(
            hosts=tuple(_hosts(9, burst_ns=(seconds(1), seconds(7)))),
            schedule=(during(ms(1_200), ms(4_500), *broken_ways(power=False), *slow_ways()),),
            settle_ns=seconds(3),
            needs=(
                at_least(800, "publish", outcome="ok"),
                at_least(9, "connect", outcome="ok"),
                observed_at_least(25, "feed"),
            ),
        ),
    },
    invariants=invariants("WS1", "WS2", "WS3", "WS4", "WS5", "WS6", "WS8"),
    explore=EXPLORED,
    flawed=(
        flawed("planned", "WS1", "WS3", "WS5", "WS6"),
        flawed("critical_waits_behind_state", "WS5"),
        flawed("newest_first", "WS3"),
    ),
)
