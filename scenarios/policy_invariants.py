"""PS1 to PS7 of patch 8 as the policy scenarios state them, and the flawed variants that prove them."""

from typing import Final

from harness.invariants.base import Invariant
from harness.invariants.policy_age import fresh, safe
from harness.invariants.policy_converges import converges
from harness.invariants.policy_question import never_younger
from harness.invariants.policy_updates import no_lost_update
from harness.invariants.policy_versions import monotonic
from harness.scenario import FlawedVariant

REFERENCE: Final = {"policy": "reference_impl.policy_store:make"}
SNAPSHOTS: Final = "*.policy.json"
NO_EXCUSE: Final = ("clock.*", "network.delay_reply")
"""Faults in spite of which everybody must converge in time."""


def invariants(delay_ns: int | None = None) -> tuple[Invariant, ...]:
    """Return PS1 to PS5 and PS7; `delay_ns` is that of answers which come late, if any do."""
    return (
        fresh(),
        monotonic(),
        no_lost_update(),
        converges(despite=NO_EXCUSE),
        safe(),
        never_younger(delay_ns=delay_ns),
    )


def flawed(name: str, *caught_by: str) -> FlawedVariant:
    """Return the policy store's flawed variant of that name, to be caught by any of these invariants."""
    return FlawedVariant(
        port="policy", name=name, factory=f"reference_impl.flawed.policy_store:{name}", caught_by=caught_by
    )
