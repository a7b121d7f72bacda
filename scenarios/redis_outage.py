"""Patch 1: Redis is gone for 60 to 120 s while events keep coming, and the publisher is killed in the middle of it."""

from harness.dependencies.redis import faults as redis
from harness.experiment import Exploring
from harness.faults import process
from harness.invariants.needs import at_least
from harness.scenario import DependencySpec, Profile, Scenario, between, during
from harness.units import ms, per_second, seconds
from scenarios.event_bus_hosts import GROUPS, consumer, publisher
from scenarios.event_bus_invariants import REFERENCE, flawed, invariants

_SHORT_SCHEDULE = (
    during(seconds(2), between(seconds(5), seconds(6)), redis.outage()),
    during(between(ms(3_500), ms(4_500)), ms(500), process.kill("publisher")),
)

SCENARIO = Scenario(
    name="redis-outage",
    title="Redis is gone for 60-120 s while events keep coming",
    patch=1,
    priority="P0",
    ports=REFERENCE,
    dependencies=(DependencySpec(name="redis", kind="redis"),),
    profiles={
        "full": Profile(
            hosts=(publisher(rate=50, drain_ns=seconds(3)), consumer()),
            schedule=(
                during(between(seconds(28), seconds(32)), between(seconds(60), seconds(120)), redis.outage()),
                during(between(seconds(45), seconds(75)), between(ms(500), seconds(3)), process.kill("publisher")),
            ),
            settle_ns=seconds(30),
            needs=(
                at_least(1_000, "publish", outcome="ok", inside="redis.outage"),
                at_least(3_000, "publish", outcome="ok"),
            ),
        ),
        "short": Profile(
            hosts=(publisher(rate=100, drain_ns=seconds(2)), consumer()),
            schedule=_SHORT_SCHEDULE,
            settle_ns=seconds(8),
            needs=(
                at_least(200, "publish", outcome="ok", inside="redis.outage"),
                at_least(600, "publish", outcome="ok"),
            ),
        ),
        "explored": Profile(  # half the load, read by one group: an experiment takes a tenth of a second or two
            hosts=(publisher(rate=50, drain_ns=seconds(2)), consumer(groups=GROUPS[:1])),
            schedule=_SHORT_SCHEDULE,
            settle_ns=seconds(8),
            needs=(
                at_least(100, "publish", outcome="ok", inside="redis.outage"),
                at_least(300, "publish", outcome="ok"),
            ),
        ),
    },
    invariants=invariants(recovers_after="redis.outage"),
    explore=Exploring(
        profile="explored",
        span_ns=seconds(8),
        workload={"publisher": {"gap_ns": (per_second(50), per_second(200))}},  # what waits is more than one batch
    ),
    flawed=(
        flawed("planned", "EB1", "EB2", "EB4", "EB5", "EB6"),
        flawed("deletes_all_after_partial_resync", "EB1"),
        flawed("live_overtakes_buffered", "EB2"),
        flawed("no_socket_timeout", "EB5"),
        flawed("ack_before_commit", "EB1"),
        flawed("no_dedupe_on_lost_reply", "EB4"),
        flawed("in_memory_buffer", "EB1"),
        flawed("garbles_buffered_text", "EB3"),
        flawed("forgets_to_leave_fallback", "EB6"),
    ),
)
