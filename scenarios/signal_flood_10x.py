"""Patch 3: ten times the plan's flood, 5,000 signals in 10 s. Nine of ten are given up, and each has to be owned up to.

The queue is full all the time, so this is where dominance and the exits among so many entries are judged.
"""

from harness.dependencies.binance import faults as binance
from harness.faults import process
from harness.invariants.needs import at_least, observed_at_least
from harness.scenario import DependencySpec, Profile, Scenario, between, during
from harness.units import ms, seconds
from scenarios.signal_hosts import engine
from scenarios.signal_invariants import PORTS, flawed, invariants

SCENARIO = Scenario(
    name="signal-flood-10x",
    title="5,000 signals in 10 s, for two executions a second",
    patch=3,
    priority="P0",
    ports=PORTS,
    dependencies=(DependencySpec(name="binance", kind="binance"),),
    profiles={
        "full": Profile(
            hosts=(engine(count=5_000, per_s=500, exits=3, halt_at=(4_000, 4_400), halt_ms=(1_000, 2_500)),),
            schedule=(
                during(
                    between(seconds(1), ms(1_500)),
                    ms(2_500),
                    binance.latency("all", latency_ms=1_500, jitter_ms=1_000),
                    binance.timeouts("before", share=1.0),
                    binance.unavailable("B", "D", share=0.9),
                    binance.resets("before", share=0.9),
                ),
                during(ms(4_200), ms(1_800), binance.rejects(-2019, -4164, -1111, share=1.0)),
                during(between(ms(6_100), ms(7_400)), between(ms(100), ms(700)), process.kill("engine")),
            ),
            settle_ns=seconds(14),
            needs=(
                at_least(5_000, "offer"),
                at_least(12, "execution"),
                at_least(2, "execution", outcome="fail"),
                observed_at_least(200, "disposed", where={"reason": "rejected"}),
                observed_at_least(40, "disposed", where={"reason": "expired"}),
                observed_at_least(40, "disposed", where={"reason": "superseded"}),
                observed_at_least(1_000, "disposed", where={"reason": "dropped"}),
                observed_at_least(3, "disposed", where={"reason": "executed", "exit": True}),
                observed_at_least(1, "trading", where={"allowed": False}),
            ),
        ),
        "short": Profile(
            hosts=(engine(count=3_800, per_s=500, exits=3, halt_at=(3_000, 3_200), halt_ms=(700, 1_000)),),
            schedule=(
                during(
                    ms(500),
                    seconds(3),
                    binance.latency("all", latency_ms=700, jitter_ms=500),
                    binance.resets("before", share=0.9),
                ),
                during(ms(3_600), ms(1_700), binance.rejects(-2019, -4164, share=1.0)),
                during(between(ms(5_500), ms(5_900)), ms(200), process.kill("engine")),
            ),
            settle_ns=seconds(7),
            needs=(
                at_least(3_800, "offer"),
                at_least(6, "execution"),
                at_least(1, "execution", outcome="fail"),
                observed_at_least(100, "disposed", where={"reason": "rejected"}),
                observed_at_least(20, "disposed", where={"reason": "expired"}),
                observed_at_least(20, "disposed", where={"reason": "superseded"}),
                observed_at_least(1, "disposed", where={"reason": "executed", "exit": True}),
                observed_at_least(1, "trading", where={"allowed": False}),
            ),
            options={"binance": {"windows": "short"}},
        ),
    },
    invariants=invariants(),
    flawed=(
        flawed("planned", "SF3", "SF4", "SF5"),
        flawed("deque_maxlen_silently_drops_oldest", "SF3"),
        flawed("nan_confidence_wins", "SF3", "SF4"),
        flawed("drop_newest", "SF4"),
        flawed("drops_exits", "SF5"),
    ),
)
