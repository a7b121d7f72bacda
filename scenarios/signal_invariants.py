"""SF1 to SF8 of patch 3, as the floods state them, and the flawed variants that prove them."""

from typing import Final

from harness.invariants.base import Invariant
from harness.invariants.dominance import dominance
from harness.invariants.execution_rate import execution_rate
from harness.invariants.exits import exits
from harness.invariants.freshness import freshness
from harness.invariants.halted import halted
from harness.invariants.queue_bound import queue_bound
from harness.invariants.signal_conservation import conservation
from harness.invariants.work_conserving import work_conserving
from harness.scenario import FlawedVariant

PORTS: Final = {"executor": "reference_impl.executor:make", "binance": "reference_impl.binance_adapter:make"}


def invariants() -> tuple[Invariant, ...]:
    """Return SF1 to SF8. SF7 (a halt of trading is obeyed) is what the emergency stop of patch 7 relies on."""
    return (
        queue_bound(),
        execution_rate(),
        conservation(),
        dominance(),
        exits(),
        freshness(),
        halted(),
        work_conserving(),
    )


def flawed(name: str, *caught_by: str) -> FlawedVariant:
    """Return the executor's flawed variant of that name, to be caught by any of these invariants."""
    return FlawedVariant(
        port="executor", name=name, factory=f"reference_impl.flawed.executor:{name}", caught_by=caught_by
    )
