"""Patch 9: nobody knows whether an order was executed. The answer is lost, or says so, or the trader dies waiting."""

from harness.dependencies.binance import faults as binance
from harness.faults import network, process
from harness.invariants.answers import all_answered
from harness.invariants.needs import at_least, observed_at_least
from harness.scenario import DependencySpec, Profile, Scenario, between, during
from harness.units import ms, seconds
from scenarios.binance_hosts import trader
from scenarios.binance_invariants import REFERENCE, execution, flawed

_LANES = ("BTCUSDT", "ETHUSDT", "XRPUSDT", "SOLUSDT")

SCENARIO = Scenario(
    name="unknown-outcome",
    title="Nobody knows whether the order was executed",
    patch=9,
    priority="P1",
    ports=REFERENCE,
    dependencies=(DependencySpec(name="binance", kind="binance"),),
    profiles={
        "full": Profile(
            hosts=(trader(lanes=_LANES, intent_gap_ns=seconds(4), intent_deadline_ns=seconds(12)),),
            schedule=(
                during(
                    between(seconds(5), seconds(8)),
                    between(seconds(15), seconds(20)),
                    binance.unavailable("A-executed", "A-executed-late", "A-not-executed", share=0.4),
                    binance.unknown_status(share=0.4),
                ),
                during(
                    between(seconds(35), seconds(38)),
                    between(seconds(15), seconds(20)),
                    binance.timeouts("after", share=0.3),
                    binance.resets("after", share=0.3),
                    binance.timeouts("before", share=0.3),
                ),
                during(
                    between(seconds(64), seconds(70)),
                    between(seconds(6), seconds(10)),
                    network.half_open("trader", "binance"),
                    network.partition("trader", "binance", "downstream"),
                    network.reset("trader", "binance"),
                ),
                during(
                    between(seconds(88), seconds(100)),
                    between(ms(300), seconds(4)),
                    process.kill("trader"),
                ),
                during(
                    between(seconds(86), seconds(90)),
                    between(seconds(10), seconds(14)),
                    binance.timeouts("after", share=0.3),
                    binance.latency("all", latency_ms=1_500, jitter_ms=1_000),
                ),
            ),
            settle_ns=seconds(25),
            needs=(at_least(60, "execute", outcome="ok"), observed_at_least(60, "fill")),
        ),
        "short": Profile(
            hosts=(trader(lanes=_LANES, intent_gap_ns=ms(600), intent_deadline_ns=seconds(6)),),
            schedule=(
                during(
                    ms(500),
                    seconds(2),
                    binance.unavailable("A-executed", "A-executed-late", "A-not-executed", share=0.4),
                    binance.unknown_status(share=0.4),
                    binance.resets("after", share=0.3),
                    binance.timeouts("after", share=0.2),
                ),
                during(ms(4_000), ms(1_500), binance.latency("all", latency_ms=700, jitter_ms=500)),
                during(between(ms(4_500), ms(5_500)), ms(300), process.kill("trader")),
            ),
            settle_ns=seconds(5),
            needs=(at_least(10, "execute", outcome="ok"), observed_at_least(10, "fill")),
            options={"binance": {"windows": "short"}},
        ),
    },
    invariants=(*execution(), all_answered("execute")),
    flawed=(
        flawed("planned", "EX1", "EX2", "EX4"),
        flawed("retry_with_new_id_after_timeout", "EX1"),
        flawed("retry_same_id_after_fill", "EX1"),
        flawed("believes_first_absence", "EX1", "EX2"),
        flawed("forgets_on_restart", "EX1", "EX2"),
    ),
)
