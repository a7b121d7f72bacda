"""Patch 1: the network between the buses and Redis breaks in every way TCP breaks, and Redis answers only errors.

One link after the other, then the server itself, then a link while the publisher's disk is full or its clock steps.
Each run takes one fault a step; successive seeds go through them all.
"""

from harness.dependencies.redis import faults as redis
from harness.experiment import Exploring
from harness.faults import clock, disk, network
from harness.faults.network import LinkFault
from harness.invariants.needs import at_least
from harness.scenario import DependencySpec, Profile, Scenario, between, during
from harness.units import ms, per_second, seconds
from scenarios.event_bus_hosts import GROUPS, consumer, publisher
from scenarios.event_bus_invariants import REFERENCE, flawed, invariants


def every_way(host: str) -> tuple[LinkFault, ...]:
    """Return every way in which the link from that host to Redis can break."""
    return (
        network.drop_reply(host, "redis"),
        network.partition(host, "redis"),
        network.latency(host, "redis", latency_ms=60, jitter_ms=40),
        network.reset(host, "redis"),
        network.bandwidth(host, "redis", rate_kb_s=1),
        network.reset_mid_reply(host, "redis"),
        network.half_open(host, "redis"),
        network.slices(host, "redis", average_bytes=40, variation_bytes=30, delay_us=2_000),
        network.refuse(host, "redis"),
    )


_SHORT_SCHEDULE = (
    during(seconds(2), between(seconds(2), seconds(3)), *every_way("publisher")),
    during(ms(2_500), seconds(2), clock.clock_step("publisher"), disk.disk_full("publisher")),
    during(seconds(8), between(seconds(2), seconds(3)), *every_way("consumer")),
    during(seconds(14), seconds(2), redis.replies()),
)

SCENARIO = Scenario(
    name="redis-flaky-network",
    title="The network to Redis breaks in every way TCP breaks",
    patch=1,
    priority="P0",
    ports=REFERENCE,
    dependencies=(DependencySpec(name="redis", kind="redis", follow="redis"),),
    profiles={
        "full": Profile(
            hosts=(publisher(rate=50, drain_ns=seconds(3)), consumer()),
            schedule=(
                during(between(seconds(8), seconds(12)), between(seconds(6), seconds(15)), *every_way("publisher")),
                during(between(seconds(36), seconds(40)), between(seconds(6), seconds(15)), *every_way("consumer")),
                during(between(seconds(64), seconds(68)), between(seconds(4), seconds(10)), redis.replies()),
                during(between(seconds(88), seconds(92)), between(seconds(10), seconds(15)), *every_way("publisher")),
                during(  # while the link is broken: else the buffer has nothing to write, and the disk refuses nothing
                    between(seconds(92), seconds(93)),
                    between(seconds(3), seconds(6)),
                    clock.clock_step("publisher"),
                    disk.disk_full("publisher"),
                ),
            ),
            settle_ns=seconds(25),
            needs=(
                at_least(200, "publish", outcome="ok", inside="network.*"),
                at_least(3_000, "publish", outcome="ok"),
            ),
        ),
        "short": Profile(
            hosts=(publisher(rate=100, drain_ns=seconds(2)), consumer()),
            schedule=_SHORT_SCHEDULE,
            settle_ns=seconds(8),
            needs=(
                at_least(100, "publish", outcome="ok", inside="network.*"),
                at_least(1_000, "publish", outcome="ok"),
            ),
        ),
        "explored": Profile(  # half the load, read by one group: an experiment takes a tenth of a second or two
            hosts=(publisher(rate=50, drain_ns=seconds(2)), consumer(groups=GROUPS[:1])),
            schedule=_SHORT_SCHEDULE,
            settle_ns=seconds(8),
            needs=(
                at_least(50, "publish", outcome="ok", inside="network.*"),
                at_least(500, "publish", outcome="ok"),
            ),
        ),
    },
    invariants=invariants(recovers_after="*"),
    explore=Exploring(
        profile="explored",
        span_ns=seconds(8),
        workload={"publisher": {"gap_ns": (per_second(50), per_second(200))}},  # what waits is more than one batch
    ),
    flawed=(
        flawed("planned", "EB1", "EB2", "EB4", "EB5", "EB6"),
        flawed("no_dedupe_on_lost_reply", "EB4"),
        flawed("treats_error_reply_as_sent", "EB1"),
        flawed("drops_what_redis_refuses", "EB1"),
        flawed("acks_what_the_disk_refused", "EB1"),
        flawed("replays_by_wall_clock", "EB1"),
    ),
)
