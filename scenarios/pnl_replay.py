"""Patch 5: 2,000 trades come twice, late, shuffled and with gaps, and an account is traded on a bad network.

Two portfolios that must be exact to the last digit. One books the tape of `portfolio_tape.py`; at the end a third gets
the same trades in another order. The other is that of the desk: its trades are made by the emulated exchange, some are
withheld from it, and it has to find them by asking the exchange, through a link that breaks.
"""

from harness.dependencies.binance import faults as binance
from harness.faults import network
from harness.invariants.needs import at_least, observed_at_least
from harness.scenario import DependencySpec, Profile, Scenario, between, during
from harness.units import ms, seconds
from scenarios.portfolio_hosts import desk, keeper
from scenarios.portfolio_invariants import REFERENCE, flawed, invariants

_SYMBOLS = ("BTCUSDT", "XRPUSDT")
_DESK = desk(symbols=_SYMBOLS, gap_ns=ms(1_500))
_SCHEDULE = (
    during(
        between(seconds(4), seconds(7)),
        between(seconds(4), seconds(7)),
        network.drop_http_reply("desk", "binance", share=0.8),
        network.reset_http("desk", "binance", "after", "mid-reply", share=0.8),
        binance.timeouts("after", scope="reads", share=0.8),
    ),
    during(
        between(seconds(17), seconds(20)),
        between(seconds(3), seconds(6)),
        network.partition("desk", "binance"),
        network.half_open("desk", "binance"),
        network.reset("desk", "binance"),
        network.latency("desk", "binance", latency_ms=400, jitter_ms=300),
    ),
)
_NEEDS = (
    at_least(200, "apply", outcome="ok"),
    at_least(3, "reconcile", outcome="ok"),
    observed_at_least(8, "fill"),
)

SCENARIO = Scenario(
    name="pnl-replay",
    title="2,000 trades come twice, late, shuffled and with gaps",
    patch=5,
    priority="P0",
    ports={**REFERENCE, "binance": "reference_impl.binance_adapter:make"},
    dependencies=(DependencySpec(name="binance", kind="binance", follow="http"),),
    profiles={
        "full": Profile(
            hosts=(keeper(trades=2_000, batch=8, gap_ns=ms(150)), _DESK),
            schedule=_SCHEDULE,
            settle_ns=seconds(14),
            needs=_NEEDS,
        ),
        # The size at which float sums have drifted, and a memory of all ids would show.
        "large": Profile(
            hosts=(keeper(trades=100_000, batch=400, gap_ns=ms(100)), _DESK),
            schedule=_SCHEDULE,
            settle_ns=seconds(14),
            needs=_NEEDS,
        ),
        "short": Profile(
            hosts=(
                keeper(trades=500, batch=8, gap_ns=ms(60), reload_every=25),
                desk(symbols=_SYMBOLS, gap_ns=ms(500)),
            ),
            schedule=(
                during(
                    ms(1_500),
                    seconds(2),
                    network.drop_http_reply("desk", "binance", share=0.8),
                    binance.timeouts("after", scope="reads", share=0.8),
                    network.partition("desk", "binance"),
                    network.latency("desk", "binance", latency_ms=400, jitter_ms=300),
                ),
            ),
            settle_ns=seconds(6),
            needs=(
                at_least(60, "apply", outcome="ok"),
                at_least(1, "reconcile", outcome="ok"),
                observed_at_least(4, "fill"),
            ),
            options={"binance": {"windows": "short"}},
        ),
    },
    invariants=invariants(),
    flawed=(
        flawed("planned", "PF1", "PF2", "PF3", "PF4"),
        flawed("rounds_each_trade", "PF1"),
        flawed("double_counts_redelivery", "PF3"),
        flawed("wrong_on_flip", "PF1"),
        flawed("fee_asset_ignored", "PF1"),
        flawed("values_at_last_trade", "PF2"),
        flawed("counts_in_order_of_arrival", "PF4"),
        flawed("drops_what_is_late", "PF1"),
        flawed("reconciles_without_backfill", "PF1"),
        flawed("says_nothing_was_taken", "PF1"),
    ),
)
