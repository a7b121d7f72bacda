"""Patch 9: orders that fill partly, slip, are refused for now or for good, or never arrive."""

from harness.dependencies.binance import faults as binance
from harness.invariants.answers import all_answered
from harness.invariants.needs import at_least, observed_at_least
from harness.scenario import DependencySpec, Profile, Scenario, between, during
from harness.units import ms, seconds
from scenarios.binance_hosts import trader
from scenarios.binance_invariants import REFERENCE, flawed, retried

_LANES = ("BTCUSDT", "ETHUSDT", "XRPUSDT", "SOLUSDT")

SCENARIO = Scenario(
    name="execution-retry",
    title="Orders fill partly, slip, are refused or never arrive",
    patch=9,
    priority="P1",
    ports=REFERENCE,
    dependencies=(DependencySpec(name="binance", kind="binance"),),
    profiles={
        "full": Profile(
            hosts=(trader(lanes=_LANES, intent_gap_ns=seconds(4), intent_deadline_ns=seconds(9)),),
            schedule=(
                during(
                    between(seconds(5), seconds(8)),
                    between(seconds(12), seconds(16)),
                    binance.unavailable("B", "C", "D", share=0.9),
                    binance.resets("before", share=0.3),
                ),
                during(
                    between(seconds(30), seconds(32)),
                    between(seconds(12), seconds(16)),
                    binance.rejects(-2019, -4164, -4003, -2022, share=0.5),
                ),
                during(
                    between(seconds(55), seconds(58)),
                    between(seconds(15), seconds(20)),
                    binance.thin_book(factor=0.002, refill_ms=3_000),
                    binance.slippage(bps=80),
                    binance.thin_book(factor=0.005, refill_ms=1_000),
                    binance.slippage(bps=30),
                ),
                during(
                    between(seconds(84), seconds(88)),
                    between(seconds(8), seconds(12)),
                    binance.recv_window(share=0.3),
                    binance.rejects(-4116, share=0.4),
                ),
            ),
            settle_ns=seconds(15),
            needs=(
                at_least(60, "execute", outcome="ok"),
                observed_at_least(60, "fill"),
                observed_at_least(2, "request", where={"fault": "reject"}),
            ),
        ),
        "short": Profile(
            hosts=(trader(lanes=_LANES, intent_gap_ns=ms(600), intent_deadline_ns=seconds(5)),),
            schedule=(
                during(
                    ms(500),
                    ms(1_500),
                    binance.unavailable("B", "C", "D", share=0.9),
                    binance.resets("before", share=0.3),
                ),
                during(ms(2_400), ms(2_000), binance.rejects(-2019, -4164, -4003, -2022, share=0.9)),
                during(
                    ms(4_500),
                    ms(1_500),
                    binance.thin_book(factor=0.002, refill_ms=500),
                    binance.slippage(bps=80),
                    binance.recv_window(share=0.3),
                ),
            ),
            settle_ns=seconds(4),
            needs=(
                at_least(15, "execute", outcome="ok"),
                observed_at_least(15, "fill"),
                observed_at_least(1, "request", where={"fault": "reject"}),
            ),
            options={"binance": {"windows": "short"}},
        ),
    },
    invariants=(*retried(), all_answered()),
    flawed=(
        flawed("planned", "EX1", "EX2", "EX3", "EX4", "EX5"),
        flawed("retries_full_quantity", "EX1"),
        flawed("retries_terminal", "EX3"),
        flawed("ignores_lot_size", "EX4", "EX3"),
        flawed("trusts_ack_as_fill", "EX2"),
        flawed("ignores_slippage", "EX5"),
        flawed("retries_without_end", "EX6"),
        flawed("gives_no_reason", "EX4"),
    ),
)
