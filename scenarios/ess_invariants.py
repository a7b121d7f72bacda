"""ES1 to ES7 of patch 7, as the emergency-stop scenarios state them, and the flawed variants that prove them."""

from typing import Final

from harness.invariants.base import Invariant
from harness.invariants.stop_arming import breach, cooldown
from harness.invariants.stop_authorised import authorised
from harness.invariants.stop_durable import durable
from harness.invariants.stop_heard import heard
from harness.invariants.stop_legal import legal
from harness.invariants.stop_orders import no_order_after_trip
from harness.scenario import FlawedVariant

REFERENCE: Final = {"ess": "reference_impl.ess:make", "event_bus": "reference_impl.event_bus:make"}


def always() -> tuple[Invariant, ...]:
    """Return ES1 to ES4, ES6 and ES7."""
    return (no_order_after_trip(), legal(cancel="cancel_all"), cooldown(), breach(), heard(), authorised())


def with_crashes() -> tuple[Invariant, ...]:
    """Return ES1 to ES7."""
    return (*always(), durable())


def flawed(name: str, *caught_by: str) -> FlawedVariant:
    """Return the emergency stop's flawed variant of that name, to be caught by any of these invariants."""
    return FlawedVariant(port="ess", name=name, factory=f"reference_impl.flawed.ess:{name}", caught_by=caught_by)
