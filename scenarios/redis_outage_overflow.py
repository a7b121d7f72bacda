"""Patch 1: an outage that outlasts the buffer. Overflow is allowed here, silence about it is not."""

from harness.dependencies.redis import faults as redis
from harness.invariants.needs import at_least
from harness.scenario import DependencySpec, Profile, Scenario, between, during
from harness.units import seconds
from scenarios.event_bus_hosts import consumer, publisher
from scenarios.event_bus_invariants import REFERENCE, flawed, invariants

MODES = ("refuse", "crash", "hang")

SCENARIO = Scenario(
    name="redis-outage-overflow",
    title="Redis is gone until more than 10,000 events wait",
    patch=1,
    priority="P0",
    ports=REFERENCE,
    dependencies=(DependencySpec(name="redis", kind="redis"),),
    profiles={
        "full": Profile(
            hosts=(publisher(rate=200, drain_ns=seconds(3)), consumer()),
            schedule=(during(seconds(5), between(seconds(55), seconds(60)), redis.outage(*MODES)),),
            settle_ns=seconds(12),
            needs=(at_least(10_500, "publish", outcome="ok", inside="redis.outage"),),
        ),
        "short": Profile(
            hosts=(publisher(rate=1_500, drain_ns=seconds(4)), consumer()),
            schedule=(during(seconds(1), between(seconds(8), seconds(9)), redis.outage(*MODES)),),
            settle_ns=seconds(8),
            needs=(at_least(10_500, "publish", outcome="ok", inside="redis.outage"),),
        ),
    },
    invariants=invariants(recovers_after="redis.outage"),
    flawed=(flawed("silent_overflow", "EB7"),),
)
