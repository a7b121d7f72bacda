"""Patch 2: storms of -1003, others on the IP, lower limits, lost headers, a firewall, latency, resets, a stepped clock.

Ten minutes of a trader that uses half of the limit. The first fault is always a storm; of every further one each
run takes one of the menu; successive seeds go through it all. In the end the trader is killed while its clock is off,
so that its next life begins with a time that the exchange would refuse.
"""

from harness.dependencies.binance import faults as binance
from harness.experiment import Exploring
from harness.faults import clock, network, process
from harness.invariants.execution import agreed, no_overfill
from harness.invariants.needs import at_least, observed_at_least
from harness.invariants.resumption import recovers
from harness.scenario import DependencySpec, Profile, Scenario, between, during
from harness.units import ms, seconds
from scenarios.binance_hosts import HEAVY_READS, LIGHT_READS, trader
from scenarios.binance_invariants import REFERENCE, RISK_BUDGET, flawed, flawed_limits, limits

_REFUSED = {"status": 429, "code": -1003}

SCENARIO = Scenario(
    name="binance-storm",
    title="Binance refuses, bans, slows and hides, while work goes on",
    patch=2,
    priority="P0",
    ports=REFERENCE,
    dependencies=(DependencySpec(name="binance", kind="binance"),),
    profiles={
        "full": Profile(
            hosts=(
                trader(
                    reads_per_s=1.0,
                    menu=HEAVY_READS,
                    resting=("BNBUSDT",),
                    resting_gap_ns=seconds(8),
                    lanes=("BTCUSDT",),
                    intent_gap_ns=seconds(25),
                ),
            ),
            schedule=(
                during(between(seconds(40), seconds(50)), between(seconds(8), seconds(14)), binance.storm()),
                during(
                    between(seconds(130), seconds(150)),
                    between(seconds(50), seconds(70)),
                    binance.tenants("weight", share=0.4),
                    binance.lower_limits(factor=0.7),
                    binance.no_headers(),
                ),
                during(
                    between(seconds(240), seconds(260)),
                    between(seconds(8), seconds(14)),
                    binance.firewall(),
                    binance.storm("no-headers", "short", share=0.5, short_ms=3_000),
                ),
                during(
                    between(seconds(350), seconds(370)),
                    between(seconds(15), seconds(30)),
                    binance.latency(latency_ms=2_500, jitter_ms=1_500, share=0.4),
                    binance.resets("before", scope="all", share=0.3),
                    network.reset("trader", "binance"),
                ),
                during(between(seconds(430), seconds(436)), seconds(30), clock.clock_step("trader")),
                during(between(seconds(440), seconds(445)), between(ms(500), seconds(5)), process.kill("trader")),
                during(
                    between(seconds(480), seconds(485)),
                    seconds(9),
                    binance.storm("short", share=0.4, short_ms=4_000),
                ),
                during(seconds(480), seconds(15), binance.latency("all", latency_ms=500, jitter_ms=400)),
            ),
            settle_ns=seconds(100),
            needs=(
                at_least(400, "read", outcome="ok"),
                at_least(20, "cancel", outcome="ok"),
                observed_at_least(2, "request", where=_REFUSED),
            ),
        ),
        "short": Profile(
            hosts=(
                trader(
                    reads_per_s=14,
                    menu=LIGHT_READS,
                    read_deadline_ns=seconds(5),
                    resting=("BNBUSDT",),
                    resting_gap_ns=ms(400),
                    resting_deadline_ns=seconds(5),
                    lanes=("BTCUSDT",),
                    intent_gap_ns=seconds(1),
                    intent_deadline_ns=seconds(6),
                ),
            ),
            schedule=(
                during(seconds(3), between(seconds(1), seconds(2)), binance.storm("short", short_ms=1_000)),
                during(
                    ms(5_500),
                    ms(1_500),
                    binance.latency("all", latency_ms=500),
                    binance.no_headers(),
                ),
            ),
            settle_ns=seconds(6),
            needs=(
                at_least(60, "read", outcome="ok"),
                at_least(3, "cancel", outcome="ok"),
                observed_at_least(1, "request", where=_REFUSED),
            ),
            options={"binance": {"windows": "short"}},
        ),
    },
    invariants=(*limits(), recovers("read", stretch_ns=seconds(4)), no_overfill(), agreed()),
    explore=Exploring(budget=RISK_BUDGET),
    flawed=(
        flawed("planned", "RL1", "RL2", "RL4"),
        flawed_limits("resets_on_any_success", "RL1", "RL2"),
        flawed_limits("ignores_retry_after", "RL1", "RL2"),
        flawed_limits("retries_through_429", "RL1", "RL2"),
        flawed_limits("per_task_limiter", "RL1", "RL2", "RL3"),
        flawed_limits("no_jitter_herd", "RL1", "RL2"),
    ),
)
