"""Patch 8: Redis is gone until the policy is older than 10 minutes, in some runs than what can be relied on.

Desks read all the while. One of them dies in the outage and has only its snapshot to go by, another one's snapshot is
damaged, and the clocks of both are wrong for some of the time. When it is over, Redis flaps for a while.
"""

from harness.dependencies.redis import faults as redis
from harness.experiment import Exploring
from harness.faults import clock, disk, process
from harness.invariants.needs import at_least, observed_at_least
from harness.scenario import DependencySpec, Profile, Scenario, between, during
from harness.units import ms, seconds
from scenarios.policy_hosts import desk, writer
from scenarios.policy_invariants import REFERENCE, SNAPSHOTS, flawed, invariants

_GONE = ("refuse", "hang", "crash", "crash-lose-all", "crash-lose-window")
_SHORT = {"max_age_ns": seconds(2), "hard_limit_ns": seconds(3), "poll_ns": ms(400)}

SCENARIO = Scenario(
    name="policy-aging",
    title="Redis is gone until the policy is too old",
    patch=8,
    priority="P1",
    ports=REFERENCE,
    dependencies=(DependencySpec(name="redis", kind="redis"),),
    profiles={
        "full": Profile(
            hosts=(
                writer("risk", gap_ns=seconds(6), drain_ns=seconds(7)),
                desk("desk-1", gap_ns=ms(1_000), herd=3, herd_gap_ns=seconds(10)),
                desk("desk-2", gap_ns=ms(2_000)),
                desk("desk-3", gap_ns=ms(2_000)),
            ),
            schedule=(
                during(between(seconds(25), seconds(35)), between(seconds(650), seconds(1_050)), redis.outage(*_GONE)),
                during(between(seconds(100), seconds(600)), between(seconds(1), seconds(60)), process.kill("desk-1")),
                during(
                    between(seconds(100), seconds(660)),
                    between(seconds(1), seconds(10)),
                    disk.damage("desk-2", SNAPSHOTS),
                ),
                during(
                    between(seconds(5), seconds(15)),
                    between(seconds(620), seconds(700)),
                    clock.clock_step("desk-1", "backward", "forward"),
                ),
                during(seconds(1_095), between(seconds(10), seconds(20)), redis.outage("flapping")),
            ),
            settle_ns=seconds(14),
            needs=(
                at_least(6, "update", outcome="ok"),
                observed_at_least(20, "policy", where={"stale": True, "source": "redis"}, inside="redis.outage"),
                observed_at_least(20, "policy", where={"stale": False}),
            ),
        ),
        "short": Profile(
            hosts=(
                writer("risk", gap_ns=ms(300), drain_ns=ms(500), **_SHORT),
                desk("desk-1", gap_ns=ms(40), herd=3, herd_gap_ns=ms(300), **_SHORT),
                desk("desk-2", gap_ns=ms(50), **_SHORT),
                desk("desk-3", gap_ns=ms(50), **_SHORT),
            ),
            schedule=(
                during(between(ms(1_000), ms(1_500)), between(ms(5_000), ms(5_500)), redis.outage(*_GONE)),
                during(between(ms(2_000), ms(3_000)), ms(300), process.kill("desk-1")),
                during(between(ms(2_000), ms(3_000)), ms(300), disk.damage("desk-2", SNAPSHOTS)),
                during(ms(500), ms(4_000), clock.clock_step("desk-1", "backward", "forward")),
            ),
            settle_ns=seconds(7),
            needs=(
                at_least(6, "update", outcome="ok"),
                observed_at_least(10, "policy", where={"stale": True, "source": "redis"}, inside="redis.outage"),
                observed_at_least(20, "policy", where={"stale": False}),
            ),
        ),
    },
    invariants=invariants(),
    explore=Exploring(add=tuple(disk.damage(f"desk-{number}", SNAPSHOTS) for number in (1, 2, 3))),
    flawed=(
        flawed("planned", "PS1", "PS2", "PS3", "PS5"),
        flawed("serves_stale_forever", "PS1"),
        flawed("no_hard_limit", "PS5"),
        flawed("snapshot_not_atomic", "PS5"),
        flawed("ages_by_wall_clock", "PS1", "PS5", "PS7"),
        flawed("forgets_on_restart", "PS2"),
    ),
)
