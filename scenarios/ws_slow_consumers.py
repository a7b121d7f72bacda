"""Patch 6: one client in three reads slowly, stops to read, or cannot be reached, and each event has 4.5 kB."""

from collections.abc import Sequence

from harness.faults import network, process
from harness.invariants.needs import at_least, observed_at_least
from harness.scenario import Profile, Scenario, between, during
from harness.units import ms, seconds
from harness.world.base import HostSpec
from scenarios.dashboard_hosts import DASHBOARD, dashboard
from scenarios.dashboard_invariants import EXPLORED, OPTIONS, REFERENCE, REMOTE, flawed, invariants
from scenarios.feed_hosts import watchers

_GONE = (
    network.half_open(REMOTE, DASHBOARD),
    process.freeze(REMOTE),
    network.partition(REMOTE, DASHBOARD, "both-ways", "upstream"),
)


def _hosts(*, burst_ns: tuple[int, int], stall_after_ns: int) -> Sequence[HostSpec]:
    # 50 events of 4.5 kB a second fill what the kernels between server and client hold within two seconds.
    return (
        watchers("watchers", clients=9, leave_every_ns=seconds(6)),
        watchers("slow", clients=2, pace=(8_000, ms(250))),
        watchers("stalled", clients=2, stall_after_ns=stall_after_ns),
        watchers(REMOTE, clients=1),
        dashboard(burst_ns=burst_ns, burst_gap_ns=ms(20), filler_bytes=4_500, options=OPTIONS),
    )


SCENARIO = Scenario(
    name="ws-slow-consumers",
    title="One client in three reads slowly, stops to read, or cannot be reached",
    patch=6,
    priority="P0",
    ports=REFERENCE,
    dependencies=(),
    profiles={
        "full": Profile(
            hosts=tuple(_hosts(burst_ns=(seconds(1), seconds(16)), stall_after_ns=seconds(2))),
            schedule=(during(between(seconds(4), seconds(5)), seconds(10), *_GONE, process.power_off(REMOTE)),),
            settle_ns=seconds(4),
            needs=(
                at_least(600, "publish", outcome="ok"),
                observed_at_least(2, "stall"),
                observed_at_least(100, "feed"),
            ),
        ),
        "short": Profile(
            hosts=tuple(_hosts(burst_ns=(seconds(1), seconds(10)), stall_after_ns=ms(500))),
            schedule=(during(seconds(1), ms(8_400), *_GONE),),
            settle_ns=seconds(2),
            needs=(
                at_least(150, "publish", outcome="ok"),
                observed_at_least(2, "stall"),
                observed_at_least(40, "feed"),
            ),
        ),
    },
    invariants=invariants("WS1", "WS2", "WS3", "WS4", "WS5", "WS6", "WS8"),
    explore=EXPLORED,
    flawed=(
        flawed("planned", "WS3", "WS4", "WS5", "WS6"),
        flawed("blocking_broadcast", "WS3"),
        flawed("unbounded_client_queue", "WS4"),
        flawed("never_drops_half_open", "WS4"),
    ),
)
