"""Which faults can hold side by side, and how many a scenario's invariants bear. Pure.

A host that is dead cannot be killed, and a server that is gone cannot go: two faults that claim the same thing follow
each other, with time between them for what restarts. A fault that would break a rule is left out, so that every draw
and every cut of an experiment is a possible one.
"""

from collections.abc import Iterable, Sequence
from typing import Final

from harness.experiment import AtMost, Held
from harness.explore.menu import Item, Menu

LENGTH_MS_MIN: Final = 50
GAP_MS: Final = 500
"""What a host or a server may take to come back, before the next fault may claim it."""

_LIFE: Final = frozenset(
    {"process.kill", "process.power_off", "process.freeze", "process.kill_inside", "disk.damage", "disk.full"}
)
_SERVER: Final = frozenset({"redis.outage", "redis.replies"})
_DOOR: Final = frozenset({"network.refuse", "service.flaps"})


def claims(item: Item) -> frozenset[str]:
    """Return what a fault needs for itself: that no other of its kind holds there, and no other that undoes it."""
    name, on = item.fault.name, item.fault.on
    own = {f"{name} {on}"}
    own |= {f"life of {on}"} if name in _LIFE else set()
    own |= {f"server {on}"} if name in _SERVER else set()
    own |= {f"door {on}"} if name in _DOOR else set()
    return frozenset(own)


def legal(faults: Iterable[Held], menu: Menu, budget: Sequence[AtMost], span_ms: int) -> tuple[Held, ...]:
    """Return those of the faults that can hold side by side, in order of time, each within the span.

    Of two that exclude each other the earlier stays; one that goes beyond the budget is left out.
    """
    kept: list[Held] = []
    for fault in sorted(_within(fault, span_ms) for fault in faults):
        if fault.length_ms < LENGTH_MS_MIN or any(_exclude(fault, other, menu) for other in kept):
            continue
        if all(_affordable(fault, kept, limit) for limit in budget):
            kept.append(fault)
    return tuple(kept)


def affordable(faults: Sequence[Held], budget: Sequence[AtMost]) -> bool:
    """Say whether these faults are within all of these limits."""
    return all(_affordable(fault, faults[:at], limit) for at, fault in enumerate(faults) for limit in budget)


def _within(fault: Held, span_ms: int) -> Held:
    start_ms = max(0, min(fault.start_ms, span_ms - LENGTH_MS_MIN))
    return Held(start_ms, min(fault.length_ms, span_ms - start_ms), fault.entry)


def _exclude(one: Held, other: Held, menu: Menu) -> bool:
    apart = one.start_ms >= other.end_ms + GAP_MS or other.start_ms >= one.end_ms + GAP_MS
    return not apart and bool(claims(menu.item(one.entry)) & claims(menu.item(other.entry)))


def _affordable(fault: Held, kept: Sequence[Held], limit: AtMost) -> bool:
    """Would the fault still be within that limit, next to what is there already?"""
    if not limit.covers(fault.entry):
        return True
    others = [other for other in kept if limit.covers(other.entry)]
    if not limit.ever:
        others = [other for other in others if other.start_ms < fault.end_ms and fault.start_ms < other.end_ms]
    return len(others) < limit.count
