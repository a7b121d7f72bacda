"""Patch 1: an outage that outlasts the buffer. Overflow is allowed here, silence about it is not."""

from harness.dependencies.redis import faults as redis
from harness.experiment import Exploring
from harness.invariants.needs import at_least
from harness.scenario import DependencySpec, Profile, Scenario, between, during
from harness.units import seconds
from scenarios.event_bus_hosts import GROUPS, TYPES, consumer, publisher
from scenarios.event_bus_invariants import REFERENCE, flawed, invariants

MODES = ("refuse", "crash", "hang")
_SHORT_OUTAGE = (during(seconds(1), between(seconds(8), seconds(9)), redis.outage(*MODES)),)

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
            schedule=_SHORT_OUTAGE,
            settle_ns=seconds(8),
            needs=(at_least(10_500, "publish", outcome="ok", inside="redis.outage"),),
        ),
        "explored": Profile(  # as many events, as a buffer is no smaller; each as cheap as can be
            hosts=(
                publisher(rate=1_500, types=TYPES[:1], pad_bytes=0, drain_ns=seconds(4)),
                consumer(groups=GROUPS[:1], types=TYPES[:1]),
            ),
            schedule=_SHORT_OUTAGE,
            settle_ns=seconds(8),
            needs=(at_least(10_500, "publish", outcome="ok", inside="redis.outage"),),
        ),
    },
    invariants=invariants(recovers_after="redis.outage"),
    explore=Exploring(profile="explored", span_ns=seconds(9)),
    flawed=(flawed("silent_overflow", "EB7"),),
)
