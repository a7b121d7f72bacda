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
from harness.scenario import DependencySpec, Profile, Scenario, between, during
from harness.units import as_seconds, ms, seconds
from harness.verdict import COMBINED
from harness.world.base import HostSpec
from scenarios import (
    dashboard_invariants,
    ess_invariants,
    policy_invariants,
    portfolio_invariants,
    signal_invariants,
)
from scenarios.dashboard_hosts import DASHBOARD
from scenarios.feed_hosts import watchers
from scenarios.storm_crowd import crowd, pager
from scenarios.storm_hosts import MONITOR, SERVICES, STRATEGIES, SYMBOLS, host
from scenarios.storm_invariants import QUEUE, STALE_NS, STUCK_AFTER, WINDOW, flawed, invariants
from scenarios.storm_record import FLOW

_BALANCE: Final = 100_000
_CLIENTS_MAX: Final = 1_200
_SHORT_BANS: Final = (1_000, 1_500, 2_000)
_GONE: Final = ("refuse", "hang", "crash")


def _hosts(
    *,
    signals: int,
    per_s: float,
    flood_at_ns: int,
    exit_every: int,
    agenda: tuple[tuple[int, str], ...],
    every_ns: int,
    cooldown_s: float,
    metrics_max_age_s: float,
    pace_s: float,
    compare_s: float,
    policy_s: tuple[float, float, float],
    interval_ns: int,
    timeout_ns: int,
    removes_at_ns: int,
    removes_ns: int,
    clients: int,
    stampede_at_ns: int,
    stampede_again_ns: int,
) -> tuple[HostSpec, ...]:
    """Return all hosts in the order in which they start and stop: who publishes stops before who listens.

    The storm begins when the last one is up. `pace_s` is the pace of reads.
    """
    max_age_s, hard_limit_s, poll_s = policy_s
    models = {
        "models": "small",
        "window": WINDOW,
        "stuck_after": STUCK_AFTER,
        "stale_after_s": as_seconds(STALE_NS),
        "folds": 0,
    }
    trading = {
        "arm_as": "alice",
        "account_every_s": pace_s,
        "prices_every_s": pace_s,
        "notional_max": 25_000,
        "stop_bps": 500,
        "options": {
            "executor": {"max_queue_size": QUEUE},
            "ess": {"cooldown_s": cooldown_s, "metrics_max_age_s": metrics_max_age_s, "checkpoint_s": 0.5},
            "policy": {"max_age": max_age_s, "hard_limit": hard_limit_s, "poll": poll_s},
        },
    }
    strategies = tuple(
        host(
            name,
            "strategy",
            {
                "market_seed": number + 1,
                "candle_s": pace_s / 4,
                "symbols": [SYMBOLS[number]],
                "options": {"ai": models},
            },
            removes_at_ns=removes_at_ns,
            removes_ns=removes_ns if not number else 0,
        )
        for number, name in enumerate(STRATEGIES)
    )
    showing = {**dashboard_invariants.OPTIONS, "max_clients": _CLIENTS_MAX}
    watching = {"interval": as_seconds(interval_ns), "timeout": as_seconds(timeout_ns)}
    return (
        crowd(
            signals=signals,
            per_s=per_s,
            flood_at_ns=flood_at_ns,
            exit_every=exit_every,
            agenda=agenda,
            every_ns=every_ns,
            policy={
                "max_age_ns": seconds(max_age_s),
                "hard_limit_ns": seconds(hard_limit_s),
                "poll_ns": seconds(poll_s),
            },
        ),
        *strategies,
        host("execution", "execution", trading, drain_ns=seconds(1)),
        host(
            "portfolio",
            "portfolio",
            {"deposit": str(_BALANCE), "reconcile_every_s": compare_s},
            watches=("execution",),
            drain_ns=seconds(1),
        ),
        host(
            DASHBOARD,
            "dashboard",
            {"options": {"dashboard": showing}, "ask_every_s": 2 * pace_s},
            watches=("strategy",),
            drain_ns=seconds(1),
        ),
        pager(),
        watchers("watchers", clients=clients, from_ns=stampede_at_ns, storms_ns=(stampede_again_ns,)),
        watchers("slow", clients=max(1, clients // 10), from_ns=stampede_at_ns, pace=(1_000, ms(400))),
        host(MONITOR, "health", {"options": {"health": watching}}, watches=SERVICES),
    )


_FULL: Final = _hosts(
    signals=420,
    per_s=40,
    flood_at_ns=seconds(2),
    exit_every=80,
    agenda=(
        (seconds(1), "policy"),
        (ms(1_500), "attack"),
        (ms(2_500), "policy"),
        (seconds(4), "trigger"),
        (seconds(5), "reset"),
        (seconds(7), "policy"),
        (seconds(13), "policy"),
        (seconds(15), "attack"),
        (seconds(18), "reset"),
        (seconds(24), "leave"),
        (seconds(28), "policy"),
        (seconds(30), "policy"),
    ),
    every_ns=ms(600),
    cooldown_s=600.0,
    metrics_max_age_s=8.0,
    pace_s=1.0,
    compare_s=4.5,
    policy_s=(4.0, 7.0, 1.0),
    interval_ns=seconds(1),
    timeout_ns=ms(500),
    removes_at_ns=seconds(10),
    removes_ns=seconds(4),
    clients=24,
    stampede_at_ns=seconds(10),
    stampede_again_ns=seconds(15),
)

_SHORT: Final = _hosts(
    signals=300,
    per_s=40,
    flood_at_ns=ms(1_000),
    exit_every=80,
    agenda=(
        (ms(300), "policy"),
        (ms(600), "attack"),
        (ms(1_300), "trigger"),
        (ms(1_700), "reset"),
        (ms(3_500), "policy"),
        (seconds(6), "policy"),
        (seconds(11), "policy"),
        (ms(11_500), "reset"),
        (ms(12_500), "leave"),
        (seconds(15), "policy"),
    ),
    every_ns=ms(250),
    cooldown_s=600.0,
    metrics_max_age_s=5.0,
    pace_s=0.5,
    compare_s=9.0,  # a comparison takes most of what may be read in five seconds
    policy_s=(2.0, 3.0, 0.4),
    interval_ns=ms(700),
    timeout_ns=ms(500),
    removes_at_ns=seconds(3),
    removes_ns=ms(3_500),
    clients=20,
    stampede_at_ns=seconds(5),
    stampede_again_ns=ms(7_500),
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
        DependencySpec(name="binance", kind="binance", options={"balance": _BALANCE}),
    ),
    profiles={
        "full": Profile(
            hosts=_FULL,
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
                at_least(3, "read", outcome="ok", inside="binance.flash_crash"),
                observed_at_least(2, "ess", where={"state": "COOLING_DOWN"}),
                observed_at_least(1, "heard", where={"to": "TRIPPED"}),
            ),
        ),
        "short": Profile(
            hosts=_SHORT,
            schedule=(
                during(seconds(1), seconds(3), network.latency(MONITOR, "strategy", latency_ms=100, jitter_ms=50)),
                during(between(ms(5_000), ms(5_300)), ms(4_000), redis.outage("refuse", "hang")),
                during(between(ms(5_200), ms(5_500)), ms(4_300), binance.flash_crash(over_ms=700)),
                during(
                    between(ms(7_800), ms(8_000)), ms(2_000), binance.ban("first", "second", lengths_ms=_SHORT_BANS)
                ),
                during(between(ms(6_300), ms(6_500)), ms(5_500), process.freeze("portfolio")),
            ),
            settle_ns=seconds(8),
            needs=(
                at_least(20, FLOW.publish, inside="redis.outage"),
                at_least(4, "execution"),
                at_least(3, "read", outcome="ok", inside="binance.flash_crash"),
                observed_at_least(2, "ess", where={"state": "COOLING_DOWN"}),
                observed_at_least(1, "heard", where={"to": "TRIPPED"}),
            ),
            options={"binance": {"windows": "short"}},
        ),
    },
    invariants=invariants(),
    flawed=flawed(),
)
