"""EB1 to EB7 of patch 1, as the event-bus scenarios state them, and the flawed variants that prove them."""

from harness.invariants.base import Invariant
from harness.invariants.bounds import bounded, capacity
from harness.invariants.delivery import delivered_once, no_acked_loss, no_phantoms, order_per_key
from harness.invariants.recovery import recovers_within
from harness.scenario import FlawedVariant
from harness.units import ms, seconds

REFERENCE = {"event_bus": "reference_impl.event_bus:make"}


def invariants(*, recovers_after: str) -> tuple[Invariant, ...]:
    """Return EB1 to EB7; recovery is owed after the faults of that name (or pattern)."""
    return (
        no_acked_loss(id="EB1"),
        order_per_key(id="EB2"),
        no_phantoms(id="EB3"),
        delivered_once(id="EB4"),
        bounded("publish", ms(250), id="EB5", at="p99.9", real_limit_ns=seconds(1)),
        recovers_within(seconds(5), id="EB6", after=recovers_after),
        capacity(10_000, id="EB7"),
    )


def flawed(name: str, *caught_by: str) -> FlawedVariant:
    """Return the event bus's flawed variant of that name, to be caught by any of these invariants."""
    return FlawedVariant(
        port="event_bus", name=name, factory=f"reference_impl.flawed.event_bus:{name}", caught_by=caught_by
    )
