"""What the invariants of signal executors share: an offence, and the result that a list of them comes to."""

from collections.abc import Sequence
from dataclasses import dataclass

from harness.history.history import History
from harness.invariants.base import Invariant, result
from harness.invariants.findings import Moment, at, counted, finding
from harness.verdict import InvariantResult, Outcome


@dataclass(frozen=True, slots=True)
class Offence:
    """What is wrong with one signal (`name`) or with the executor as a whole, when, and the rows that show it."""

    name: str
    what: str
    time_ns: int
    moments: tuple[Moment, ...]
    badness: float = 0.0


def judged(
    invariant: Invariant,
    history: History,
    offences: Sequence[Offence],
    *,
    checked: int,
    noun: str,
    observed: float | None = None,
    limit: float = 0,
    unit: str = "",
    reason: str = "",
) -> InvariantResult:
    """Return the result: Holds without offences. Observed is their number (`noun`: what one is), unless told."""
    found = sorted(offences, key=lambda one: one.time_ns)
    explained = None
    if found:
        first = found[0]
        explained = finding(
            history,
            f"{counted(len(found), noun)} (limit 0): {first.name} {first.what}",
            found,
            label=lambda one: at(one.name, one.time_ns),
            moments=lambda one: one.moments,
            badness=lambda one: one.badness,
        )
    return result(
        invariant,
        Outcome.VIOLATED if found else Outcome.HOLDS,
        checked=checked,
        observed=len(found) if observed is None else observed,
        limit=limit,
        unit=unit or counted(0, noun).removeprefix("0 "),
        reason="" if found else reason,
        finding=explained,
    )
