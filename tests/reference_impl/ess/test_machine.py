"""The rules, one by one: where it stands, what happens and when in; a decision out."""

import math
from dataclasses import replace

import pytest

from reference_impl._ess.machine import (
    ArmAsked,
    DisableAsked,
    ExecutionSeen,
    MetricsSeen,
    ResetAsked,
    StopDone,
    Tick,
    TripAsked,
    decide,
    may_trade,
    next_at,
)
from reference_impl._ess.model import Limits, Reading, Standing, State

LIMITS = Limits()
CALM = MetricsSeen(0.01, 0.02)
RESET = ResetAsked("alice", "all is well", "o-7")


def standing(state, **fields):
    """One in that state since 0, whose metrics of 0 breach nothing, and whose last trip is o-7."""
    return Standing(origin="o", state=state, number=7, trip="o-7", reading=Reading((), 0.0), **fields)


ARMED, TRIPPED, COOLING, DISABLED = (
    standing(state) for state in (State.ARMED, State.TRIPPED, State.COOLING_DOWN, State.DISABLED)
)


def after(before, event, now=1.0):
    """The state that an event leads to."""
    return decide(before, event, now, LIMITS).standing.state


@pytest.mark.parametrize(
    ("drawdown", "loss", "trips"),
    [
        (0.0499999, 0.0999999, False),
        (0.05, 0.0, True),
        (0.0, 0.10, True),
        (-0.5, -0.5, False),
        (math.nan, 0.0, True),
        (0.0, math.nan, True),
        (math.inf, 0.0, True),
        (-math.inf, 0.0, True),
    ],
)
def test_limits_trip_when_reached(drawdown, loss, trips) -> None:
    """5 % and 10 % themselves are breaches, and so is what is no number, however far below a limit it would be."""
    decision = decide(ARMED, MetricsSeen(drawdown, loss), 1.0, LIMITS)
    assert decision.standing.state is (State.TRIPPED if trips else State.ARMED)
    assert (decision.transition is not None) is trips


@pytest.mark.parametrize("before", [DISABLED, TRIPPED, COOLING])
def test_limits_trip_in_armed_only(before) -> None:
    """What lasts is not a new trip each time that it is seen."""
    assert after(before, MetricsSeen(0.5, 0.5)) is before.state


def test_five_errors_in_a_row_trip() -> None:
    """A success in between begins the row anew, and so does a transition."""
    one = ARMED
    for ok in (False, False, False, False, True, False, False, False, False):
        one = decide(one, ExecutionSeen(ok), 1.0, LIMITS).standing
    assert (one.state, one.errors) == (State.ARMED, 4)
    tripped = decide(one, ExecutionSeen(ok=False), 1.0, LIMITS)
    assert (tripped.standing.state, tripped.standing.errors) == (State.TRIPPED, 0)
    assert tripped.transition is not None
    assert tripped.transition.reason == "5 executions failed in a row"


def test_silence_trips() -> None:
    """At the age that metrics may have; before that neither, but then they are not believed either."""
    assert after(ARMED, Tick(), 9.999) is State.ARMED
    assert after(ARMED, Tick(), 10.0) is State.TRIPPED
    assert may_trade(ARMED, 9.999, LIMITS)
    assert not may_trade(ARMED, 10.0, LIMITS)


def test_a_new_process_trades_with_metrics_of_its_own() -> None:
    """An armed one that starts again lets nothing out before it has seen some, and trips if none come."""
    started = Standing(**ARMED.saved(), since=100.0)
    assert not may_trade(started, 100.0, LIMITS)
    assert after(started, Tick(), 109.0) is State.ARMED
    assert after(started, Tick(), 110.0) is State.TRIPPED


@pytest.mark.parametrize("before", [DISABLED, ARMED, TRIPPED, COOLING])
def test_a_person_trips_in_every_state(before) -> None:
    """Each time it is a new trip, with that person and reason."""
    decision = decide(before, TripAsked("bob", "the feed is wrong"), 1.0, LIMITS)
    assert decision.transition is not None
    row = decision.transition
    assert (row.source, row.target, row.actor, row.reason) == (before.state, State.TRIPPED, "bob", "the feed is wrong")
    assert decision.standing.trip == row.id == row.trip == "o-8"


def test_only_the_stop_of_the_last_trip_cools_down() -> None:
    """The end of an earlier stop says nothing of a later one."""
    assert after(TRIPPED, StopDone("o-7")) is State.COOLING_DOWN
    assert after(TRIPPED, StopDone("o-6")) is State.TRIPPED
    assert after(ARMED, StopDone("o-7")) is State.ARMED


def test_nothing_but_a_carried_out_stop_leaves_tripped() -> None:
    """Not time, not metrics, not a person."""
    for event in (Tick(), CALM, ExecutionSeen(ok=True), RESET, ArmAsked("a", "r"), DisableAsked("a", "r")):
        assert after(TRIPPED, event, 1_000_000.0) is State.TRIPPED


def test_the_cooldown_ends_by_itself() -> None:
    """At 15 minutes, by a tick or by metrics, if those are fresh."""
    fresh = replace(COOLING, reading=Reading((), 899.0))
    assert after(fresh, Tick(), 899.9) is State.COOLING_DOWN
    assert after(fresh, Tick(), 900.0) is State.ARMED
    assert after(COOLING, CALM, 900.0) is State.ARMED
    assert after(COOLING, Tick(), 900.0) is State.COOLING_DOWN  # metrics of 0 are no fresh ones


@pytest.mark.parametrize("seen", [MetricsSeen(0.05, 0.0), MetricsSeen(0.0, 0.1), MetricsSeen(math.nan, 0.0)])
def test_a_breach_holds_it_for_ever(seen) -> None:
    """However long the cooldown has been over; then the first good figures arm it."""
    breached = decide(COOLING, seen, 5_000.0, LIMITS).standing
    assert after(breached, Tick(), 5_001.0) is State.COOLING_DOWN
    assert after(breached, CALM, 5_002.0) is State.ARMED


def test_a_cooldown_is_carried_over_a_restart() -> None:
    """What had been written down counts, downtime does not, and the clock of the new process may begin anywhere."""
    halfway = decide(COOLING, Tick(), 450.0, LIMITS).standing
    assert halfway.cooled_s == 450.0
    for start in (0.0, 1e9):
        again = Standing(**halfway.saved(), since=start)
        assert after(again, replace(CALM), start + 449.0) is State.COOLING_DOWN
        assert after(again, replace(CALM), start + 450.0) is State.ARMED


def test_checkpoints_write_the_cooldown_down() -> None:
    """Every five seconds, and no more once it is over."""
    assert next_at(COOLING, LIMITS) == 5.0
    assert decide(COOLING, Tick(), 4.0, LIMITS).standing is COOLING
    assert decide(COOLING, Tick(), 5.0, LIMITS).standing.cooled_s == 5.0
    over = decide(COOLING, Tick(), 900.0, LIMITS).standing
    assert (over.cooled_s, next_at(over, LIMITS)) == (900.0, None)


@pytest.mark.parametrize(
    ("before", "event", "refused"),
    [
        (COOLING, RESET, None),
        (COOLING, replace(RESET, trip="o-6"), "wrong_trip"),
        (COOLING, replace(RESET, trip=""), "wrong_trip"),
        (TRIPPED, RESET, "stopping"),
        (ARMED, RESET, "not_tripped"),
        (DISABLED, RESET, "not_tripped"),
        (replace(COOLING, reading=Reading(("open_loss",), 0.0)), RESET, "breached"),
        (replace(COOLING, reading=None), RESET, "no_metrics"),
        (replace(COOLING, reading=Reading((), -9.0)), RESET, "no_metrics"),
        (DISABLED, ArmAsked("a", "r"), None),
        (ARMED, ArmAsked("a", "r"), "not_disabled"),
        (COOLING, ArmAsked("a", "r"), "not_disabled"),
        (replace(DISABLED, reading=Reading(("open_loss",), 0.0)), ArmAsked("a", "r"), "breached"),
        (replace(DISABLED, reading=None), ArmAsked("a", "r"), "no_metrics"),
        (ARMED, DisableAsked("a", "r"), None),
        (COOLING, DisableAsked("a", "r"), "not_armed"),
        (TRIPPED, DisableAsked("a", "r"), "not_armed"),
    ],
)
def test_what_persons_may_do(before, event, refused) -> None:
    """A wish is granted with its actor and reason in the trail, or refused by name with nothing changed."""
    decision = decide(before, event, 1.0, LIMITS)
    assert decision.refused == refused
    if refused is None:
        assert decision.transition is not None
        assert (decision.transition.actor, decision.transition.reason) == (event.actor, event.reason)
    else:
        assert (decision.standing, decision.transition) == (before, None)


def test_a_second_reset_of_a_trip_does_nothing() -> None:
    """Of two at once one arms it; and neither touches a trip that comes in between."""
    armed = decide(COOLING, RESET, 1.0, LIMITS).standing
    assert decide(armed, RESET, 1.0, LIMITS).refused == "not_tripped"
    tripped = decide(armed, TripAsked("bob", "again"), 1.0, LIMITS).standing
    cooling = decide(tripped, StopDone(tripped.trip), 1.0, LIMITS).standing
    assert decide(cooling, RESET, 1.0, LIMITS).refused == "wrong_trip"


@pytest.mark.parametrize(
    "options",
    [
        {"daily_drawdown": 0.0},
        {"daily_drawdown": 5.0},
        {"open_loss": math.nan},
        {"cooldown_s": 0.0},
        {"cooldown_s": math.inf},
        {"metrics_max_age_s": math.nan},
        {"checkpoint_s": -1.0},
        {"consecutive_errors": 0},
    ],
)
def test_limits_that_mean_nothing_are_refused(options) -> None:
    """Percent for fractions, no limit, or one that nothing could keep to."""
    with pytest.raises(ValueError, match=r"limits|spans"):
        Limits(**options)
