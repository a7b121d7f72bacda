"""Patch 2: more orders than the account may send, and storms of -1015 at 429 and at 400; risk goes down all the same.

Several lanes place and cancel as fast as they are let, others buy and reduce. What lowers risk has a limit of its own
to meet: a second.
"""

from harness.dependencies.binance import faults as binance
from harness.experiment import Exploring, cannot_bear
from harness.invariants.needs import at_least, observed_at_least
from harness.scenario import DependencySpec, Profile, Scenario, between, during
from harness.units import ms, seconds
from scenarios.binance_hosts import trader
from scenarios.binance_invariants import DOUBTS, REFERENCE, flawed, flawed_limits, limits

_RESTING = ("BNBUSDT", "SOLUSDT", "XRPUSDT", "DOGEUSDT", "ADAUSDT", "LTCUSDT", "LINKUSDT", "DOTUSDT")

SCENARIO = Scenario(
    name="order-limit-storm",
    title="More orders than the account may send, and -1015 out of the blue",
    patch=2,
    priority="P0",
    ports=REFERENCE,
    dependencies=(DependencySpec(name="binance", kind="binance"),),
    profiles={
        "full": Profile(
            hosts=(
                trader(
                    resting=_RESTING,
                    resting_gap_ns=ms(120),
                    resting_deadline_ns=seconds(15),
                    lanes=("BTCUSDT", "ETHUSDT"),
                    intent_gap_ns=seconds(2),
                    intent_deadline_ns=seconds(15),
                ),
            ),
            schedule=(
                during(
                    between(seconds(13), seconds(15)),
                    between(seconds(3), seconds(5)),
                    binance.order_storm(),
                    binance.order_storm("at-429", retry_after_ms=2_000, share=0.5),
                ),
            ),
            settle_ns=seconds(12),
            needs=(
                at_least(300, "place", outcome="ok"),
                at_least(300, "cancel", outcome="ok"),
                at_least(4, "execute", outcome="ok"),
                observed_at_least(1, "request", where={"code": -1015}),
            ),
        ),
        "short": Profile(
            hosts=(
                trader(
                    resting=_RESTING,
                    resting_gap_ns=ms(100),
                    resting_deadline_ns=seconds(5),
                    lanes=("BTCUSDT",),
                    intent_gap_ns=ms(500),
                    intent_deadline_ns=seconds(6),
                ),
            ),
            schedule=(
                during(
                    seconds(4),
                    seconds(2),
                    binance.order_storm("at-429", retry_after_ms=1_000),
                    binance.order_storm("at-400", "no-headers"),
                ),
            ),
            settle_ns=seconds(5),
            needs=(
                at_least(100, "place", outcome="ok"),
                at_least(80, "cancel", outcome="ok"),
                observed_at_least(1, "request", where={"code": -1015}),
            ),
            options={"binance": {"windows": "short"}},
        ),
    },
    invariants=limits(),
    explore=Exploring(
        without=DOUBTS,  # this is about limits; what doubts do to orders is explored in unknown-outcome
        budget=cannot_bear("binance.lower_limits/*", invariants=("RL7",)),
    ),
    flawed=(
        flawed("signs_before_waiting", "RL4"),
        flawed_limits("per_task_limiter", "RL2", "RL3"),
        flawed_limits("bursts_at_window_edge", "RL3"),
        flawed_limits("no_priority_for_risk", "RL7"),
    ),
)
