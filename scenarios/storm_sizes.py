"""Sizes of `perfect-storm`: all of its hosts, for the sim world, for the real one, and for a thousand dashboards.

A Locust process carries a thousand WebSockets where asyncio's clients would take the processor from who is judged, so
in the real world it makes the crowd of `STAMPEDE`; a handful is not worth its start.
"""

from functools import partial
from typing import Final

from harness.units import as_seconds, ms, seconds
from harness.world.base import HostSpec
from scenarios import dashboard_invariants
from scenarios.dashboard_hosts import DASHBOARD
from scenarios.feed_hosts import watchers
from scenarios.load import by_locust
from scenarios.storm_crowd import crowd, pager
from scenarios.storm_hosts import MONITOR, SERVICES, STRATEGIES, SYMBOLS, host
from scenarios.storm_invariants import QUEUE, STALE_NS, STUCK_AFTER, WINDOW

BALANCE: Final = 100_000
STAMPEDING: Final = 1_000
"""Dashboard clients that come at once in `STAMPEDE`."""
_CLIENTS_MAX: Final = 1_200
_ASYNCIO_MAX: Final = 100
"""More clients than these are users of Locust in the real world."""
_SPAWN_RATE: Final = 500.0
"""Users a second: all are there, and wait, before the stampede begins."""


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
    notional_max: int = 25_000,
    stop_bps: int = 500,
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
        "notional_max": notional_max,
        "stop_bps": stop_bps,
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
    crowding = watchers("watchers", clients=clients, from_ns=stampede_at_ns, storms_ns=(stampede_again_ns,))
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
            {"deposit": str(BALANCE), "reconcile_every_s": compare_s},
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
        by_locust(crowding, spawn_rate=_SPAWN_RATE) if clients > _ASYNCIO_MAX else crowding,
        watchers("slow", clients=2, from_ns=stampede_at_ns, pace=(1_000, ms(400))),
        host(MONITOR, "health", {"options": {"health": watching}}, watches=SERVICES),
    )


FULL: Final = _hosts(
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

_SHORT_AGENDA: Final = (
    (ms(300), "policy"),
    (ms(600), "attack"),
    (ms(1_300), "trigger"),
    (ms(1_700), "reset"),
    (ms(3_500), "policy"),
    (seconds(6), "policy"),
)
_short: Final = partial(
    _hosts,
    signals=300,
    per_s=40,
    exit_every=80,
    every_ns=ms(250),
    cooldown_s=600.0,
    metrics_max_age_s=5.0,
    pace_s=0.5,
    compare_s=9.0,  # a comparison takes most of what may be read in five seconds
    policy_s=(2.0, 3.0, 0.4),
    removes_at_ns=seconds(3),
    removes_ns=ms(3_500),
)

SHORT: Final = _short(
    flood_at_ns=ms(1_000),
    agenda=(
        *_SHORT_AGENDA,
        (seconds(11), "policy"),
        (ms(11_500), "reset"),
        (ms(12_500), "leave"),
        (seconds(15), "policy"),
    ),
    interval_ns=ms(700),
    timeout_ns=ms(500),
    notional_max=100_000,  # by the crash enough is held for a loss that trips the emergency stop, on a slow machine too
    stop_bps=200,
    clients=20,
    stampede_at_ns=seconds(5),
    stampede_again_ns=ms(7_500),
)

STAMPEDE: Final = _short(
    flood_at_ns=ms(500),
    agenda=(
        *_SHORT_AGENDA,
        (seconds(13), "policy"),
        (ms(13_500), "reset"),
        (ms(14_500), "leave"),
        (seconds(17), "policy"),
    ),
    interval_ns=ms(1_500),
    timeout_ns=ms(1_500),
    notional_max=40_000,  # by the crash enough is held for a loss that trips the emergency stop
    clients=STAMPEDING,
    stampede_at_ns=seconds(3),
    stampede_again_ns=ms(10_500),
)
