"""Patch 7: trigger, cooldown, reset, and trip again, while clocks jump, Redis is gone and strangers call."""

from harness.dependencies.redis import faults as redis
from harness.experiment import Exploring
from harness.faults.clock import clock_step
from harness.invariants.needs import at_least, observed_at_least
from harness.scenario import DependencySpec, Profile, Scenario, between, during
from harness.units import ms, seconds
from scenarios.ess_hosts import desk, subscriber
from scenarios.ess_invariants import REFERENCE, always, flawed
from scenarios.ess_market import Phase

_AGENDA = (
    (ms(1_200), "attack"),
    (ms(3_300), "trigger"),
    (ms(3_600), "reset"),
    (ms(4_300), "race"),
    (ms(5_300), "replay"),
    (ms(6_100), "errors"),
    (ms(6_300), "reset"),
    (ms(7_600), "reset"),
    (ms(11_300), "reset"),
)
_AGENDAS = (
    _AGENDA,
    (*_AGENDA[:4], (ms(4_600), "late"), *_AGENDA[4:]),
    ((ms(1_000), "late"), (ms(1_200), "attack"), (ms(3_300), "errors"), (ms(3_400), "race"), (ms(7_600), "reset")),
)

SCENARIO = Scenario(
    name="ess-cycle",
    title="The emergency stop trips, cools down, is reset and trips again",
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
                        Phase(seconds(30), seconds(36), "fall", 0.08),
                        Phase(seconds(850), seconds(985), "fall", 0.06),  # past the cooldown of the first
                        Phase(seconds(1_220), seconds(1_232), "flap"),
                        Phase(seconds(1_270), seconds(1_274), "nan"),
                        Phase(seconds(1_310), seconds(1_314), "inf"),
                        Phase(seconds(1_340), seconds(1_358), "silence"),
                        Phase(seconds(1_400), seconds(1_405), "loss", 0.12),
                    ),
                    agenda=(
                        (seconds(250), "attack"),
                        (seconds(955), "reset"),
                        (seconds(1_020), "trigger"),
                        (seconds(1_030), "reset"),
                        (seconds(1_060), "race"),
                        (seconds(1_100), "replay"),
                        (seconds(1_140), "late"),
                        (seconds(1_180), "errors"),
                        (seconds(1_190), "reset"),
                        (seconds(1_222), "reset"),
                        (seconds(1_236), "reset"),
                        (seconds(1_280), "reset"),
                        (seconds(1_320), "reset"),
                        (seconds(1_364), "reset"),
                        (seconds(1_410), "reset"),
                        (seconds(1_430), "attack"),
                    ),
                    options={"cooldown_s": 900.0, "metrics_max_age_s": 10.0, "checkpoint_s": 5.0},
                    metrics_gap_ns=seconds(1),
                    order_gap_ns=seconds(2),
                    retry_ns=seconds(1),
                    jitter_ns=seconds(3),
                    drain_ns=seconds(3),
                ),
            ),
            schedule=(
                during(between(seconds(150), seconds(230)), seconds(200), clock_step("desk")),
                during(between(seconds(1_000), seconds(1_015)), between(seconds(60), seconds(120)), redis.outage()),
            ),
            settle_ns=seconds(375),
            needs=(
                at_least(8, "call", outcome="ok"),
                at_least(300, "order", outcome="ok"),
                observed_at_least(100, "ess", where={"state": "COOLING_DOWN"}),
            ),
        ),
        "short": Profile(
            hosts=(
                subscriber(),
                desk(
                    phases=(
                        Phase(ms(400), ms(800), "fall", 0.08),
                        Phase(ms(7_000), ms(10_200), "fall", 0.06),
                        Phase(ms(10_900), ms(11_100), "nan"),
                        Phase(ms(11_700), ms(13_000), "silence"),
                    ),
                    agenda=_AGENDA,
                    options={"cooldown_s": 2.0, "metrics_max_age_s": 0.8, "checkpoint_s": 0.3},
                    metrics_gap_ns=ms(100),
                    order_gap_ns=ms(150),
                    retry_ns=ms(100),
                    drain_ns=seconds(2),
                ),
            ),
            schedule=(
                during(ms(900), ms(1_000), clock_step("desk", "forward")),
                during(ms(3_100), ms(1_500), redis.outage("refuse", "hang", "flapping")),
            ),
            settle_ns=ms(9_000),
            needs=(
                at_least(8, "call", outcome="ok"),
                at_least(20, "order", outcome="ok"),
                observed_at_least(5, "ess", where={"state": "COOLING_DOWN"}),
            ),
        ),
    },
    invariants=always(),
    explore=Exploring(workload={"desk": {"agenda": _AGENDAS}}),
    flawed=(
        flawed("planned", "ES1", "ES2", "ES3", "ES4", "ES6", "ES7"),
        flawed("check_then_act_race", "ES1"),
        flawed("acks_before_cancelling_in_flight", "ES1"),
        flawed("audit_lost", "ES2"),
        flawed("cools_down_without_cancelling", "ES2"),
        flawed("wall_clock_cooldown", "ES3"),
        flawed("late_reset_resets_any_trip", "ES3"),
        flawed("resets_to_armed_while_breached", "ES4"),
        flawed("nan_never_trips", "ES4"),
        flawed("unauthenticated_reset", "ES7"),
        flawed("accepts_replayed_calls", "ES7"),
        flawed("refused_calls_not_audited", "ES7"),
    ),
)
