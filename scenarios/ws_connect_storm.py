"""Patch 6: a crowd connects all at once, again and again, and there is not room for all of it."""

from collections.abc import Sequence
from dataclasses import replace

from harness.experiment import cannot_bear
from harness.faults import network
from harness.invariants.needs import at_least, observed_at_least
from harness.scenario import Profile, Scenario, between, during
from harness.units import ms, seconds
from harness.world.base import HostSpec
from scenarios.dashboard_hosts import DASHBOARD, dashboard
from scenarios.dashboard_invariants import EXPLORED, OPTIONS, REFERENCE, flawed, invariants
from scenarios.feed_hosts import watchers
from scenarios.feed_intruders import intruders
from scenarios.load import by_locust

CROWD = "crowd"


def _hosts(*, burst_ns: tuple[int, int], storms_ns: Sequence[int]) -> Sequence[HostSpec]:
    # Afterwards nothing is published, and hardly anybody pings: only heartbeats tell that the server is there.
    return (
        watchers("watchers", clients=8),
        by_locust(watchers(CROWD, clients=30, storms_ns=storms_ns, from_ns=ms(800)), spawn_rate=100.0),
        intruders(gap_ns=ms(500), at_once=2),
        dashboard(
            burst_ns=burst_ns,
            burst_gap_ns=ms(20),
            gap_ns=seconds(5),
            keys=30,
            options={**OPTIONS, "max_clients": 34, "hello_max": 30, "ping_every": 6.0, "silence_timeout": 15.0},
        ),
    )


SCENARIO = Scenario(
    name="ws-connect-storm",
    title="A crowd connects all at once, again and again, and there is not room for all",
    patch=6,
    priority="P0",
    ports=REFERENCE,
    dependencies=(),
    profiles={
        "full": Profile(
            hosts=tuple(_hosts(burst_ns=(0, seconds(8)), storms_ns=(seconds(3), seconds(5), ms(5_300), ms(7_500)))),
            schedule=(
                during(
                    between(seconds(6), seconds(7)),
                    seconds(1),
                    network.reset(CROWD, DASHBOARD),
                    network.refuse(CROWD, DASHBOARD),
                ),
            ),
            settle_ns=seconds(4),
            needs=(
                at_least(100, "connect", outcome="ok"),
                at_least(20, "connect", outcome="fail"),
                at_least(10, "intrude", outcome="ok"),
                observed_at_least(100, "feed"),
            ),
        ),
        "short": Profile(
            hosts=tuple(_hosts(burst_ns=(0, seconds(6)), storms_ns=(seconds(2), ms(3_500), ms(3_800)))),
            schedule=(
                during(ms(4_500), seconds(1), network.reset(CROWD, DASHBOARD), network.refuse(CROWD, DASHBOARD)),
            ),
            settle_ns=seconds(4),
            needs=(
                at_least(40, "connect", outcome="ok"),
                at_least(10, "connect", outcome="fail"),
                at_least(4, "intrude", outcome="ok"),
                observed_at_least(40, "feed"),
            ),
        ),
    },
    invariants=invariants(),
    explore=replace(
        EXPLORED,  # nobody here publishes again what a server knew that died; ws-restart does, and judges it
        budget=(*EXPLORED.budget, *cannot_bear("process.* on dashboard", invariants=("WS6",))),
    ),
    flawed=(
        flawed("planned", "WS1", "WS5", "WS6", "WS7"),
        flawed("no_cap", "WS7"),
        flawed("no_heartbeat", "WS8"),
    ),
)
