"""When to trip, to cool down and to arm again. Pure: where it stands, what happened and the time in; a decision out.

```
DISABLED --arm--> ARMED --limit, silence, errors, person--> TRIPPED --stop carried out--> COOLING_DOWN --15 min--> ARMED
```

COOLING_DOWN becomes ARMED when the cooldown is over or an operator resets that trip, but never without fresh metrics
that breach nothing. A person can trip in every state, and each time it is a new trip, so that whoever resets an earlier
one resets nothing. Metrics and errors trip in ARMED only: in COOLING_DOWN they hold it there.

Time is seconds on a monotonic clock. How much of a cooldown has passed is carried over restarts as a span, so neither a
stepped wall clock nor a downtime of unknown length can shorten it.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeAlias

from reference_impl._ess.model import SYSTEM, Limits, Reading, Standing, State, Transition


@dataclass(frozen=True, slots=True)
class MetricsSeen:
    """The portfolio's figures: what was lost since the day's highest equity, and what open positions have lost."""

    daily_drawdown: float
    open_loss: float


@dataclass(frozen=True, slots=True)
class ExecutionSeen:
    """An order was executed, or failed to be."""

    ok: bool


@dataclass(frozen=True, slots=True)
class TripAsked:
    """Somebody, or something that knows better, wants everything stopped."""

    actor: str
    reason: str


@dataclass(frozen=True, slots=True)
class StopDone:
    """No order of that trip's is under way or working any more."""

    trip: str


@dataclass(frozen=True, slots=True)
class ResetAsked:
    """An operator wants to trade again after that trip."""

    actor: str
    reason: str
    trip: str


@dataclass(frozen=True, slots=True)
class ArmAsked:
    """An operator puts it into service."""

    actor: str
    reason: str


@dataclass(frozen=True, slots=True)
class DisableAsked:
    """An operator takes it out of service."""

    actor: str
    reason: str


@dataclass(frozen=True, slots=True)
class Tick:
    """Time has passed."""


Event: TypeAlias = MetricsSeen | ExecutionSeen | TripAsked | StopDone | ResetAsked | ArmAsked | DisableAsked | Tick


@dataclass(frozen=True, slots=True)
class Decision:
    """Where it stands now, the transition that led there, or why a wish was refused (a `RefusedError` code)."""

    standing: Standing
    transition: Transition | None = None
    refused: str | None = None


def breaches(seen: MetricsSeen, limits: Limits) -> tuple[str, ...]:
    """Return the limits that these metrics breach; what is no number breaches too."""
    if not (math.isfinite(seen.daily_drawdown) and math.isfinite(seen.open_loss)):
        return ("metrics_invalid",)
    named = {
        "daily_drawdown": seen.daily_drawdown >= limits.daily_drawdown,
        "open_loss": seen.open_loss >= limits.open_loss,
    }
    return tuple(name for name, breached in named.items() if breached)


def is_fresh(standing: Standing, now: float, limits: Limits) -> bool:
    """Say whether the last metrics are young enough to be believed."""
    return standing.reading is not None and now - standing.reading.at < limits.metrics_max_age_s


def may_trade(standing: Standing, now: float, limits: Limits) -> bool:
    """Say whether an order may go out."""
    return standing.state is State.ARMED and is_fresh(standing, now, limits)


def cooled(standing: Standing, now: float) -> float:
    """Return how many seconds of the cooldown have passed for certain."""
    return standing.cooled_s + max(0.0, now - standing.since)


def next_at(standing: Standing, limits: Limits) -> float | None:
    """Return when a `Tick` will matter, unless something happens before; None: never."""
    if standing.state is State.ARMED:
        return (standing.reading.at if standing.reading else standing.since) + limits.metrics_max_age_s
    left = limits.cooldown_s - standing.cooled_s
    if standing.state is State.COOLING_DOWN and left > 0:
        return standing.since + min(left, limits.checkpoint_s)
    return None


def decide(standing: Standing, event: Event, now: float, limits: Limits) -> Decision:
    """Return what follows from the event."""
    match event:
        case MetricsSeen():
            return _metrics(standing, event, now, limits)
        case ExecutionSeen(ok):
            return _execution(standing, now, limits, ok=ok)
        case TripAsked(actor, reason):
            return _to(standing, State.TRIPPED, actor, reason, now)
        case StopDone(trip):
            carried_out = standing.state is State.TRIPPED and trip == standing.trip
            reason = "the stop is carried out"
            return _to(standing, State.COOLING_DOWN, SYSTEM, reason, now) if carried_out else Decision(standing)
        case ResetAsked() | ArmAsked() | DisableAsked():
            return _wish(standing, event, now, limits)
    return _tick(standing, now, limits)


def _metrics(standing: Standing, seen: MetricsSeen, now: float, limits: Limits) -> Decision:
    breached = breaches(seen, limits)
    standing = replace(standing, reading=Reading(breached, now))
    if standing.state is State.ARMED and breached:
        return _to(standing, State.TRIPPED, SYSTEM, _said(seen, breached), now)
    return _tick(standing, now, limits)


def _said(seen: MetricsSeen, breached: tuple[str, ...]) -> str:
    figures = f"drawdown {seen.daily_drawdown:.2%}, open loss {seen.open_loss:.2%}"
    return f"{' and '.join(breached)}: {figures}"


def _execution(standing: Standing, now: float, limits: Limits, *, ok: bool) -> Decision:
    errors = 0 if ok else standing.errors + 1
    standing = replace(standing, errors=errors)
    if standing.state is State.ARMED and errors >= limits.consecutive_errors:
        return _to(standing, State.TRIPPED, SYSTEM, f"{errors} executions failed in a row", now)
    return Decision(standing)


def _wish(standing: Standing, event: ResetAsked | ArmAsked | DisableAsked, now: float, limits: Limits) -> Decision:
    """Grant an operator's wish, or say why not."""
    if isinstance(event, DisableAsked):
        refused, target = None if standing.state is State.ARMED else "not_armed", State.DISABLED
    else:
        target = State.ARMED
        if isinstance(event, ResetAsked):
            refused = _why_no_reset(standing, event.trip)
        else:
            refused = None if standing.state is State.DISABLED else "not_disabled"
        refused = refused or _why_not_armed(standing, now, limits)
    if refused is not None:
        return Decision(standing, refused=refused)
    return _to(standing, target, event.actor, event.reason, now)


def _tick(standing: Standing, now: float, limits: Limits) -> Decision:
    if standing.state is State.ARMED:
        seen_at = standing.reading.at if standing.reading else standing.since
        if now - seen_at >= limits.metrics_max_age_s:
            reason = f"no metrics for {now - seen_at:.1f} s"
            return _to(standing, State.TRIPPED, SYSTEM, reason, now)
    elif standing.state is State.COOLING_DOWN:
        passed = cooled(standing, now)
        if passed >= limits.cooldown_s and _why_not_armed(standing, now, limits) is None:
            return _to(standing, State.ARMED, SYSTEM, "the cooldown is over", now)
        if now - standing.since >= limits.checkpoint_s or passed >= limits.cooldown_s > standing.cooled_s:
            return Decision(replace(standing, cooled_s=passed, since=now))
    return Decision(standing)


def _why_no_reset(standing: Standing, trip: str) -> str | None:
    if standing.state not in {State.TRIPPED, State.COOLING_DOWN}:
        return "not_tripped"
    if trip != standing.trip:
        return "wrong_trip"
    return "stopping" if standing.state is State.TRIPPED else None


def _why_not_armed(standing: Standing, now: float, limits: Limits) -> str | None:
    if not is_fresh(standing, now, limits):
        return "no_metrics"
    assert standing.reading is not None
    return "breached" if standing.reading.breaches else None


def _to(standing: Standing, target: State, actor: str, reason: str, now: float) -> Decision:
    number = standing.number + 1
    moved = replace(standing, state=target, number=number, errors=0, cooled_s=0.0, since=now)
    if target is State.TRIPPED:
        moved = replace(moved, trip=moved.transition, reason=reason)
    transition = Transition(
        number=number,
        id=moved.transition,
        trip=moved.trip,
        source=standing.state,
        target=target,
        actor=actor,
        reason=reason,
    )
    return Decision(moved, transition)


Decide: TypeAlias = Callable[[Standing, Event, float, Limits], Decision]
"""The shape of `decide`."""
