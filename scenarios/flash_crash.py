"""Patches 7, 1, 2 and 9 together: prices lose a fifth within seconds, while Redis is gone.

The emergency stop trips on what the exchange's account says, orders stop at the exchange, working orders are cancelled,
and whoever subscribed hears of it once Redis is back, although the desk died meanwhile.
"""

from harness.dependencies.binance import faults as binance
from harness.dependencies.redis import faults as redis
from harness.faults import process
from harness.invariants.execution import agreed, no_overfill
from harness.invariants.needs import at_least, observed_at_least
from harness.invariants.stop_arming import breach
from harness.invariants.stop_durable import durable
from harness.invariants.stop_heard import heard
from harness.invariants.stop_legal import legal
from harness.invariants.stop_orders import no_order_after_trip
from harness.scenario import DependencySpec, Profile, Scenario, between, during
from harness.units import ms, seconds
from scenarios.binance_invariants import flawed as flawed_adapter
from scenarios.crash_desk import crash_desk
from scenarios.ess_hosts import subscriber
from scenarios.ess_invariants import REFERENCE, flawed

_LANES = ("BTCUSDT", "ETHUSDT", "SOLUSDT")
_ACCOUNT = {"balance": 100_000}

SCENARIO = Scenario(
    name="flash-crash",
    title="Prices lose a fifth within seconds, and Redis is gone",
    patch=7,
    priority="P1",
    ports={**REFERENCE, "binance": "reference_impl.binance_adapter:make"},
    dependencies=(
        DependencySpec(name="redis", kind="redis"),
        DependencySpec(name="binance", kind="binance", options=_ACCOUNT),
    ),
    profiles={
        "full": Profile(
            hosts=(
                crash_desk(
                    lanes=_LANES,
                    resting="BNBUSDT",
                    hold=24_000,
                    part=6_000,
                    gap_ns=seconds(1),
                    metrics_gap_ns=ms(500),
                    options={"cooldown_s": 900.0, "metrics_max_age_s": 10.0, "checkpoint_s": 5.0},
                ),
                subscriber(),
            ),
            schedule=(
                during(
                    between(seconds(28), seconds(33)),
                    between(seconds(40), seconds(60)),
                    redis.outage(),
                ),
                during(between(seconds(34), seconds(36)), between(seconds(30), seconds(50)), binance.flash_crash()),
                during(
                    between(seconds(34), seconds(36)),
                    between(seconds(5), seconds(10)),
                    binance.latency("all", latency_ms=300, jitter_ms=200),
                ),
                during(between(seconds(46), seconds(52)), between(ms(500), seconds(4)), process.kill("desk")),
            ),
            settle_ns=seconds(20),
            needs=(
                at_least(20, "execute", outcome="ok"),
                at_least(10, "account", outcome="ok", inside="binance.flash_crash"),
                observed_at_least(3, "ess", where={"state": "COOLING_DOWN"}),
                observed_at_least(1, "working_cancelled"),
                observed_at_least(2, "heard", where={"to": "TRIPPED"}),
            ),
        ),
        "short": Profile(
            hosts=(
                crash_desk(
                    lanes=_LANES,
                    resting="BNBUSDT",
                    hold=24_000,
                    part=6_000,
                    gap_ns=ms(300),
                    metrics_gap_ns=ms(150),
                    options={"cooldown_s": 900.0, "metrics_max_age_s": 5.0, "checkpoint_s": 0.5},
                ),
                subscriber(),
            ),
            schedule=(
                during(ms(2_500), ms(2_500), redis.outage("refuse", "hang")),
                during(ms(3_000), ms(3_500), binance.flash_crash(over_ms=600)),
                during(ms(2_800), ms(1_500), binance.latency("all", latency_ms=200, jitter_ms=100)),
                during(between(ms(4_400), ms(4_600)), ms(200), process.kill("desk")),
            ),
            settle_ns=ms(3_500),
            needs=(
                at_least(10, "execute", outcome="ok"),
                at_least(3, "account", outcome="ok", inside="binance.flash_crash"),
                observed_at_least(2, "ess", where={"state": "COOLING_DOWN"}),
                observed_at_least(1, "working_cancelled"),
                observed_at_least(2, "heard", where={"to": "TRIPPED"}),
            ),
            options={"binance": {**_ACCOUNT, "windows": "short"}},
        ),
    },
    invariants=(
        no_order_after_trip(),
        legal(cancel="cancel_all"),
        breach(),
        durable(),
        heard(),
        no_overfill(),
        agreed(),
    ),
    flawed=(
        flawed("planned", "ES1", "ES2", "ES4", "ES5"),
        flawed("acks_before_cancelling_in_flight", "ES1"),
        flawed("forgets_on_restart", "ES5"),
        flawed_adapter("sends_on_when_cancelled", "ES1"),
    ),
)
