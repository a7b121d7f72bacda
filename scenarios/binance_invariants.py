"""RL1 to RL7 and EX1 to EX6 as the Binance scenarios state them, and the flawed variants that prove them."""

from typing import Final

from harness.experiment import cannot_bear
from harness.invariants.answers import all_answered, risk_first
from harness.invariants.attempts import attempts, terminal_once
from harness.invariants.base import Invariant
from harness.invariants.execution import accounted, agreed, no_overfill, slippage
from harness.invariants.rate_limits import no_ban, silence
from harness.invariants.within_limits import within_limits
from harness.scenario import FlawedVariant

REFERENCE: Final = {"binance": "reference_impl.binance_adapter:make"}

SLOW: Final = (
    "network.*",
    "binance.ban",
    "binance.firewall",
    "binance.latency",
    "binance.recv_window",
    "binance.resets",
    "binance.timeouts",
    "binance.unavailable",
    "binance.unknown_status",
)
"""Faults that make any request slow or futile, so that no priority could help. Limits are none of them."""


DOUBTS: Final = (
    "network.*",
    "binance.unknown_status/*",
    "binance.unavailable/*",
    "binance.resets/*",
    "binance.timeouts/*",
    "binance.rejects/*",
    "binance.slippage/*",
    "binance.thin_book/*",
    "binance.flash_crash/*",
    "binance.no_headers/*",
)
RISK_BUDGET: Final = cannot_bear(*DOUBTS, invariants=("RL7",))
"""What RL7 does not judge when storms are explored: risk cannot be lowered within a second where the way to the
exchange is bad, where it leaves in doubt what became of an order, refuses or does not fill it, or does not say how long
to wait.
Each was found so, alone or with one other, in 5 to 150 drawn experiments; with this nothing was, in 150 of
`binance-storm`. Storms, bans, other tenants, latency, firewalls, kills and wrong clocks are borne.
"""


def limits() -> tuple[Invariant, ...]:
    """Return RL1 to RL4 and RL7: what holds in every storm."""
    return (no_ban(), silence(), within_limits(), all_answered(), risk_first(excused=SLOW))


def execution() -> tuple[Invariant, ...]:
    """Return EX1, EX2, EX4, EX5 and EX6: what holds whatever becomes of orders."""
    return (no_overfill(), agreed(), accounted(), slippage(), attempts())


def retried() -> tuple[Invariant, ...]:
    """Return EX1 to EX6."""
    return (*execution(), terminal_once())


def flawed(name: str, *caught_by: str) -> FlawedVariant:
    """Return the adapter's flawed variant of that name, to be caught by any of these invariants."""
    factory = f"reference_impl.flawed.binance_execution:{name}"
    return FlawedVariant(port="binance", name=name, factory=factory, caught_by=caught_by)


def flawed_limits(name: str, *caught_by: str) -> FlawedVariant:
    """Return the variant of that name whose limiter is flawed, to be caught by any of these invariants."""
    factory = f"reference_impl.flawed.binance_limits:{name}"
    return FlawedVariant(port="binance", name=name, factory=factory, caught_by=caught_by)
