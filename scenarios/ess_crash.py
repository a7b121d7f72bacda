"""Patch 7: the desk's host dies in every state of the emergency stop, in the middle of a trip, its files are damaged.

It also trips while its disk takes nothing, and dies then; it starts again when there is space, which the bus needs.
"""

from harness.dependencies.redis import faults as redis
from harness.experiment import Exploring
from harness.faults import process
from harness.faults.disk import damage, disk_full
from harness.invariants.needs import at_least, observed_at_least
from harness.scenario import DependencySpec, Profile, Scenario, between, during
from harness.units import ms, seconds
from scenarios.ess_hosts import desk, subscriber
from scenarios.ess_invariants import REFERENCE, flawed, with_crashes
from scenarios.ess_market import Phase

_STATE = "*.ess.sqlite3*"
_DAMAGES = ("truncated", "emptied", "garbled", "removed")  # zeros written over zeros would damage nothing

SCENARIO = Scenario(
    name="ess-crash",
    title="The host of the emergency stop dies in every state, and its files are damaged",
    patch=7,
    priority="P1",
    ports=REFERENCE,
    dependencies=(DependencySpec(name="redis", kind="redis"),),
    profiles={
        "full": Profile(
            hosts=(
                subscriber(),
                desk(
                    phases=(
                        Phase(seconds(70), seconds(90), "fall", 0.08),
                        Phase(seconds(420), seconds(424), "nan"),
                    ),
                    agenda=(
                        (seconds(10), "trigger"),
                        (seconds(20), "attack"),
                        (seconds(30), "reset"),
                        (seconds(45), "trip"),
                        (seconds(60), "reset"),
                        (seconds(110), "reset"),
                        (seconds(140), "trip"),
                        (seconds(155), "reset"),
                        (seconds(180), "trip"),
                        (seconds(190), "trip"),
                        (seconds(230), "reset"),
                        (seconds(270), "trigger"),
                        (seconds(330), "reset"),
                        (seconds(375), "trip"),
                        (seconds(400), "reset"),
                        (seconds(440), "reset"),
                        (seconds(460), "attack"),
                        (seconds(470), "trip"),
                    ),
                    options={"cooldown_s": 900.0, "metrics_max_age_s": 10.0, "checkpoint_s": 5.0},
                    metrics_gap_ns=seconds(1),
                    order_gap_ns=seconds(1),
                    retry_ns=seconds(1),
                    drain_ns=seconds(3),
                ),
            ),
            schedule=(
                during(between(seconds(5), seconds(9)), between(ms(200), seconds(3)), process.kill("desk")),
                during(seconds(42), seconds(8), process.kill_inside("desk", "trip")),
                during(between(seconds(71), seconds(73)), between(ms(200), seconds(5)), process.kill("desk")),
                during(seconds(108), seconds(10), process.kill_inside("desk", "call")),
                during(seconds(130), seconds(14), redis.outage("hang")),  # so that nobody has heard of the trip yet
                during(seconds(138), seconds(8), process.kill_inside("desk", "cancel_all")),
                during(between(seconds(181), seconds(185)), ms(300), process.power_off("desk")),
                during(
                    between(seconds(196), seconds(205)), between(ms(200), seconds(3)), damage("desk", _STATE, *_DAMAGES)
                ),
                during(between(seconds(262), seconds(268)), between(seconds(15), seconds(25)), disk_full("desk")),
                during(between(seconds(272), seconds(276)), seconds(22), process.kill("desk")),
                during(
                    between(seconds(345), seconds(355)), between(ms(200), seconds(3)), damage("desk", _STATE, *_DAMAGES)
                ),
                during(seconds(419), seconds(7), process.kill_inside("desk", "metrics")),
                during(between(seconds(500), seconds(1_200)), between(seconds(10), seconds(60)), process.kill("desk")),
            ),
            settle_ns=seconds(400),
            needs=(
                at_least(5, "trip"),
                at_least(30, "order", outcome="ok"),
                observed_at_least(50, "ess", where={"state": "COOLING_DOWN"}),
            ),
        ),
        "short": Profile(
            hosts=(
                subscriber(),
                desk(
                    phases=(
                        Phase(ms(150), ms(500), "fall", 0.08),
                        Phase(ms(4_800), ms(6_400), "fall", 0.08),
                    ),
                    agenda=(
                        (ms(600), "trip"),
                        (ms(3_800), "reset"),
                        (ms(4_200), "attack"),
                        (ms(6_600), "reset"),
                        (ms(7_000), "trip"),
                        (ms(7_500), "trip"),
                        (ms(9_200), "reset"),
                        (ms(10_300), "trip"),
                        (ms(10_800), "attack"),
                    ),
                    options={"cooldown_s": 3.0, "metrics_max_age_s": 1.0, "checkpoint_s": 0.3},
                    metrics_gap_ns=ms(100),
                    order_gap_ns=ms(150),
                    retry_ns=ms(100),
                    drain_ns=seconds(2),
                ),
            ),
            schedule=(
                during(ms(200), ms(3_000), process.kill_inside("desk", "trip")),
                during(between(ms(5_000), ms(5_400)), ms(300), process.kill("desk")),
                during(between(ms(7_800), ms(8_200)), ms(300), damage("desk", _STATE, *_DAMAGES)),
            ),
            settle_ns=seconds(6),
            needs=(
                at_least(2, "trip"),
                at_least(8, "order", outcome="ok"),
                observed_at_least(5, "ess", where={"state": "COOLING_DOWN"}),
            ),
        ),
    },
    invariants=with_crashes(),
    explore=Exploring(add=(damage("desk", _STATE, *_DAMAGES),)),
    flawed=(
        flawed("planned", "ES2", "ES5"),
        flawed("forgets_on_restart", "ES5"),
        flawed("acks_before_commit", "ES5"),
        flawed("unreadable_is_a_fresh_start", "ES5"),
        flawed("publishes_without_outbox", "ES6"),
    ),
)
