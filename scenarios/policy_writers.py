"""Patch 8: two writers whose clocks differ change the policy at once, while everything between them breaks.

Replies are lost, links break, notifications are lost with a subscription that only looks alive, Redis crashes with its
last second of writes or with everything, writers die in the middle of an update.
"""

from harness.dependencies.redis import faults as redis
from harness.experiment import Exploring
from harness.faults import clock, network, process
from harness.faults.network import LinkFault
from harness.invariants.needs import at_least, observed_at_least
from harness.invariants.single_flight import single_flight
from harness.scenario import DependencySpec, Profile, Scenario, between, during
from harness.units import ms, seconds
from scenarios.policy_hosts import desk, writer
from scenarios.policy_invariants import REFERENCE, flawed, invariants

_DELAY_MS = 400


def unsure(host: str) -> tuple[LinkFault, ...]:
    """Return the ways in which that host does not hear what became of its update."""
    return (
        network.drop_reply(host, "redis", commands=["EXEC"], share=0.8),
        network.partition(host, "redis"),
        network.reset_mid_reply(host, "redis", commands=["EXEC"], share=0.8),
        network.half_open(host, "redis"),
    )


SCENARIO = Scenario(
    name="policy-writers",
    title="Two writers change the policy while everything between them breaks",
    patch=8,
    priority="P1",
    ports=REFERENCE,
    dependencies=(DependencySpec(name="redis", kind="redis", follow="redis"),),
    profiles={
        "full": Profile(
            hosts=(
                writer("risk", gap_ns=ms(900), number=1),
                writer("desk-head", gap_ns=ms(1_100), number=2, drain_ns=seconds(7)),
                desk("desk-1", gap_ns=ms(500)),
                desk("desk-2", gap_ns=ms(700), herd=20),
            ),
            schedule=(
                during(ms(200), seconds(105), clock.clock_skew("risk"), clock.clock_drift("risk")),
                during(ms(200), seconds(80), clock.clock_skew("desk-head", "behind")),
                during(between(seconds(8), seconds(10)), between(seconds(5), seconds(9)), *unsure("risk")),
                during(
                    between(seconds(24), seconds(26)),
                    between(seconds(2), seconds(4)),
                    network.half_open("desk-1", "redis"),
                    network.partition("desk-1", "redis", "downstream"),
                ),
                during(
                    between(seconds(38), seconds(40)),
                    between(ms(1_500), seconds(4)),
                    redis.outage("crash-lose-window", "crash-lose-all", "crash"),
                ),
                during(
                    between(seconds(52), seconds(54)),
                    between(seconds(2), seconds(5)),
                    process.kill_inside("risk", "update"),
                    process.kill_inside("desk-head", "update"),
                ),
                during(
                    between(seconds(64), seconds(66)),
                    seconds(6),
                    network.delay_reply("desk-2", "redis", commands=["GET"], delay_ms=_DELAY_MS),
                ),
                during(between(seconds(78), seconds(80)), between(seconds(5), seconds(8)), *unsure("desk-head")),
                during(
                    between(seconds(92), seconds(94)),
                    between(ms(1_000), seconds(2)),
                    redis.outage("crash-lose-all", "crash-lose-window"),
                ),
                during(between(seconds(92), seconds(96)), seconds(8), clock.clock_step("desk-head")),
            ),
            settle_ns=seconds(10),
            needs=(
                at_least(100, "update", outcome="ok"),
                at_least(1, "update", inside="redis.outage"),
                at_least(20, "herd"),
                observed_at_least(100, "policy_updated"),
            ),
        ),
        "short": Profile(
            hosts=(
                writer("risk", gap_ns=ms(120), number=1, poll_ns=ms(400)),
                writer("desk-head", gap_ns=ms(150), number=2, poll_ns=ms(400), drain_ns=seconds(2)),
                desk("desk-1", gap_ns=ms(50), poll_ns=ms(400)),
                desk("desk-2", gap_ns=ms(70), poll_ns=ms(400), herd=20, herd_gap_ns=ms(250)),
            ),
            schedule=(
                during(ms(100), ms(5_500), clock.clock_skew("risk"), clock.clock_step("risk", "jitter")),
                during(ms(100), ms(5_500), clock.clock_skew("desk-head", "behind")),
                during(ms(600), ms(1_500), *unsure("risk")),
                during(ms(800), ms(1_200), network.half_open("desk-1", "redis")),
                during(
                    ms(2_500), ms(1_200), network.delay_reply("desk-2", "redis", commands=["GET"], delay_ms=_DELAY_MS)
                ),
                during(ms(2_700), ms(500), process.kill_inside("desk-head", "update")),
                during(ms(4_200), ms(600), redis.outage("crash-lose-all", "crash-lose-window", "crash")),
            ),
            settle_ns=seconds(8),
            needs=(
                at_least(20, "update", outcome="ok"),
                at_least(1, "update", inside="redis.outage"),
                at_least(4, "herd"),
                observed_at_least(10, "policy_updated"),
            ),
        ),
    },
    invariants=(*invariants(ms(_DELAY_MS)), single_flight(delay_ns=ms(_DELAY_MS))),
    explore=Exploring(
        # What is owed of refreshes is known for this delay and this command.
        add=tuple(
            network.delay_reply(desk, "redis", commands=["GET"], delay_ms=_DELAY_MS) for desk in ("desk-1", "desk-2")
        ),
        without=("network.delay_reply/* on risk->*", "network.delay_reply/* on desk-head->*"),
    ),
    flawed=(
        flawed("planned", "PS2", "PS3", "PS4", "PS6"),
        flawed("last_writer_wins", "PS3"),
        flawed("version_from_wall_clock", "PS2", "PS4"),
        flawed("stampede", "PS6"),
        flawed("ages_from_the_answer", "PS7"),
        flawed("trusts_notifications", "PS4"),
        flawed("forgets_what_redis_lost", "PS2", "PS3", "PS4"),
        flawed("repeats_unconfirmed_updates", "PS3"),
        flawed("acks_before_redis", "PS3"),
    ),
)
