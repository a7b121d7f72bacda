"""Everything at once, over the whole stack: flash crash, Redis outage, ban, signal flood, dashboard stampede.

All ten patches, wired into services (port `stack`), each on a host of its own. While a model floods the bus with
signals the exchange's prices lose a fifth within seconds, Redis is gone, and the exchange bans the IP; a service dies,
and the way to the monitor is slow. What each patch promises by itself must hold for the stack as a whole.
"""

from typing import Final

from harness.dependencies.binance import faults as binance
from harness.dependencies.redis import faults as redis
from harness.faults import network, process
from harness.invariants.needs import at_least, observed_at_least
from harness.scenario import DependencySpec, Profile, Scenario, Step, between, during
from harness.units import ms, seconds
from harness.verdict import COMBINED
from scenarios import (
    ess_invariants,
    policy_invariants,
    portfolio_invariants,
    signal_invariants,
)
from scenarios.storm_hosts import MONITOR
from scenarios.storm_invariants import flawed, invariants
from scenarios.storm_record import FLOW
from scenarios.storm_sizes import BALANCE, FULL, SHORT, STAMPEDE, STAMPEDING

_SHORT_BANS: Final = (1_000, 1_500, 2_000)
_GONE: Final = ("refuse", "hang", "crash")

_NEEDS: Final = (
    at_least(3, "read", outcome="ok", inside="binance.flash_crash"),
    observed_at_least(2, "ess", where={"state": "COOLING_DOWN"}),
    observed_at_least(1, "heard", where={"to": "TRIPPED"}),
)
_SHORT_NEEDS: Final = (at_least(20, FLOW.publish, inside="redis.outage"), at_least(4, "execution"), *_NEEDS)


def _short_schedule(*, outage: int, crash: int, ban: int, freeze: int) -> tuple[Step, ...]:
    """Return the storm of the short sizes; given is how long each of its faults holds, in nanoseconds."""
    return (
        during(seconds(1), seconds(3), network.latency(MONITOR, "strategy", latency_ms=100, jitter_ms=50)),
        during(between(ms(5_000), ms(5_300)), outage, redis.outage("refuse", "hang")),
        during(between(ms(5_200), ms(5_500)), crash, binance.flash_crash(over_ms=700)),
        during(between(ms(7_800), ms(8_000)), ban, binance.ban("first", "second", lengths_ms=_SHORT_BANS)),
        during(between(ms(6_300), ms(6_500)), freeze, process.freeze("portfolio")),
    )


SCENARIO = Scenario(
    name="perfect-storm",
    title="Flash crash, Redis outage, ban, signal flood and dashboard stampede at once, over the whole stack",
    patch=COMBINED,
    priority="P0",
    ports={
        "stack": "reference_impl.stack:make",
        **signal_invariants.PORTS,
        **ess_invariants.REFERENCE,
        **policy_invariants.REFERENCE,
        **portfolio_invariants.REFERENCE,
        "ai": "reference_impl.ai_engine:make",
        "health": "reference_impl.health_service:make",
        "dashboard": "reference_impl.dashboard_ws:make",
    },
    dependencies=(
        DependencySpec(name="redis", kind="redis"),
        DependencySpec(name="binance", kind="binance", options={"balance": BALANCE}),
    ),
    profiles={
        "full": Profile(
            hosts=FULL,
            schedule=(
                during(
                    seconds(4),
                    seconds(7),
                    network.latency(MONITOR, "strategy", latency_ms=150, jitter_ms=80),
                ),
                during(between(ms(8_500), seconds(9)), between(seconds(9), seconds(10)), redis.outage(*_GONE)),
                during(between(ms(8_800), ms(9_300)), seconds(11), binance.flash_crash(over_ms=1_000)),
                during(
                    between(seconds(18), ms(18_500)),
                    seconds(5),
                    binance.ban("first", "second", "third", lengths_ms=(3_000, 4_000, 5_000)),
                ),
                during(between(seconds(11), ms(11_500)), seconds(6), process.kill("portfolio")),
            ),
            settle_ns=seconds(11),
            needs=(
                at_least(120, FLOW.publish, inside="redis.outage"),
                at_least(8, "execution"),
                *_NEEDS,
            ),
        ),
        "short": Profile(
            hosts=SHORT,
            schedule=_short_schedule(outage=ms(4_000), crash=ms(4_300), ban=ms(2_000), freeze=ms(6_500)),
            settle_ns=seconds(8),
            needs=_SHORT_NEEDS,
            options={"binance": {"windows": "short"}},
        ),
        # A thousand dashboards at the door keep their server from answering anything else for about a second: the
        # monitor is more patient here, and the portfolio is gone for longer, so that it must be noticed all the same.
        "stampede": Profile(
            hosts=STAMPEDE,
            schedule=_short_schedule(outage=seconds(6), crash=ms(6_300), ban=ms(3_000), freeze=seconds(13)),
            settle_ns=seconds(12),
            needs=(
                *_SHORT_NEEDS,
                at_least(STAMPEDING * 19 // 10, "connect", outcome="ok"),  # nearly all of them, twice
            ),
            options={"binance": {"windows": "short"}},
        ),
    },
    invariants=invariants(),
    flawed=flawed(),
)
