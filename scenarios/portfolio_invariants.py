"""PF1 to PF5 as the portfolio scenarios state them, and the flawed variants that prove them."""

from typing import Final

from harness.invariants.base import Invariant
from harness.invariants.portfolio_exact import conserved, exact
from harness.invariants.portfolio_sets import idempotent, order_free, replayed
from harness.scenario import FlawedVariant

REFERENCE: Final = {"portfolio": "reference_impl.portfolio:make"}


def invariants() -> tuple[Invariant, ...]:
    """Return PF1 to PF5."""
    return (exact(), conserved(), idempotent(), order_free(), replayed())


def flawed(name: str, *caught_by: str) -> FlawedVariant:
    """Return the portfolio's flawed variant of that name, to be caught by any of these invariants."""
    return FlawedVariant(
        port="portfolio", name=name, factory=f"reference_impl.flawed.portfolio:{name}", caught_by=caught_by
    )
