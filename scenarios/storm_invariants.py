"""What must hold in `perfect-storm`: the invariants of all ten patches, and the flaws that they must catch in it.

Left out is what a storm leaves nothing to look at: goodput and its recovery (RL5, RL6: nobody works the limits to the
full here), one refresh at once (PS6), a crash of the emergency stop (ES5), and orders that meet a terminal error (EX3).
"""

from typing import Final

from harness.invariants.ai_absence import absent_is_absent
from harness.invariants.ai_freshness import fresh as fresh_figures
from harness.invariants.ai_metrics import causal, not_constant
from harness.invariants.answers import all_answered, risk_first
from harness.invariants.base import Invariant
from harness.invariants.bounds import bounded, capacity
from harness.invariants.delivery import delivered_once, no_acked_loss, no_phantoms, order_per_key
from harness.invariants.dominance import dominance
from harness.invariants.execution_rate import execution_rate
from harness.invariants.exits import exits
from harness.invariants.feed_latency import prompt
from harness.invariants.freshness import freshness
from harness.invariants.halted import halted
from harness.invariants.health_alerts import once, quiet
from harness.invariants.health_checks import honest, isolated
from harness.invariants.health_states import detects, recovers
from harness.invariants.queue_bound import queue_bound
from harness.invariants.rate_limits import no_ban, silence
from harness.invariants.recovery import recovers_within
from harness.invariants.signal_conservation import conservation
from harness.invariants.within_limits import within_limits
from harness.invariants.work_conserving import work_conserving
from harness.scenario import FlawedVariant
from harness.units import ms, seconds
from scenarios import (
    binance_invariants,
    dashboard_invariants,
    ess_invariants,
    policy_invariants,
    portfolio_invariants,
)
from scenarios.storm_record import FLOW

QUEUE: Final = 5
"""Signals that may wait: six symbols have at most twelve at once, and some are to be dropped."""
WINDOW: Final = 20
STUCK_AFTER: Final = 10
STALE_NS: Final = ms(1_500)

_BANNED: Final = (*binance_invariants.SLOW, "binance.flash_crash")


def invariants() -> tuple[Invariant, ...]:
    """Return them all."""
    return (
        *_event_bus(),
        *binance_invariants.execution(),
        no_ban(),
        silence(),
        within_limits(),
        all_answered("read", "cancel"),  # an order may be cut off by the emergency stop, in the midst of it
        risk_first(excused=_BANNED),
        *_signals(),
        *ess_invariants.always(),
        *policy_invariants.invariants(),
        *portfolio_invariants.invariants(),
        causal(window=WINDOW, stuck_after=STUCK_AFTER),
        not_constant(window=WINDOW, stuck_after=STUCK_AFTER),
        absent_is_absent(window=WINDOW, stuck_after=STUCK_AFTER),
        fresh_figures(STALE_NS, window=WINDOW, stuck_after=STUCK_AFTER),
        bounded("metrics", ms(200), id="AI5", at="p99", of="crowd", real_limit_ns=seconds(1)),
        detects(),
        quiet(),
        isolated(),
        once(),
        recovers(),
        honest(),
        *dashboard_invariants.invariants("WS1", "WS2", "WS4", "WS5", "WS6", "WS7"),
        prompt(
            limit_ns=seconds(1), real_limit_ns=seconds(3)
        ),  # the backlog of an outage comes at fifty events a second
        bounded("call", seconds(1), id="ST1", at="p99", name="risk-api", real_limit_ns=seconds(3)),
    )


def flawed() -> tuple[FlawedVariant, ...]:
    """Return the plan's sketch of each patch, and what can be wrong with the wiring."""
    return (
        _sketch("event_bus", "event_bus", "EB1", "EB2", "EB6"),
        _sketch("binance", "binance_execution", "EX4", "RL4"),
        _sketch("executor", "executor", "SF2", "SF4", "SF5"),
        _sketch("ess", "ess", "ES2", "ES3", "ES4", "ES6"),
        _sketch("policy", "policy_store", "PS1", "PS2", "PS3", "PS5"),
        _sketch("portfolio", "portfolio", "PF1", "PF2", "PF3"),
        _sketch("ai", "ai_engine", "AI1", "AI2", "AI3"),
        _sketch("health", "health_service", "HM3", "HM6"),
        _sketch("dashboard", "dashboard_ws", "WS1", "WS3", "WS6"),
        _wired("ignores_stop_while_redis_is_down", "ES1", "SF7"),
        _wired("executes_what_waited_on_the_bus", "SF6"),
        _wired("double_books_after_resync", "PF1"),
        _wired("limits_each_process_by_itself", "RL2"),
        _wired("door_blocks_risk_api", "ST1"),
    )


def _sketch(port: str, module: str, *caught_by: str) -> FlawedVariant:
    """Return the plan's own sketch of a patch. Named so that the gate does not hunt it for real, too."""
    return FlawedVariant(
        port=port, name="sketch", factory=f"reference_impl.flawed.{module}:planned", caught_by=caught_by
    )


def _wired(name: str, *caught_by: str) -> FlawedVariant:
    """Return the variant of the wiring of that name, to be caught by any of these invariants."""
    return FlawedVariant(port="stack", name=name, factory=f"reference_impl.flawed.stack:{name}", caught_by=caught_by)


def _event_bus() -> tuple[Invariant, ...]:
    """Return EB1 to EB7, of a history in which other patches have groups and figures as well."""
    return (
        no_acked_loss(flow=FLOW),
        order_per_key(flow=FLOW),
        no_phantoms(flow=FLOW),
        delivered_once(flow=FLOW),
        bounded(FLOW.publish, ms(250), real_limit_ns=seconds(1)),
        recovers_within(seconds(5), after="redis.outage", flow=FLOW),
        capacity(10_000, flow=FLOW),
    )


def _signals() -> tuple[Invariant, ...]:
    """Return SF1 to SF8 for the shorter queue."""
    return (
        queue_bound(QUEUE),
        execution_rate(),
        conservation(),
        dominance(QUEUE),
        exits(),
        freshness(),
        halted(),
        work_conserving(),
    )
