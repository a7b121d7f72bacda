"""Landmarks: what is a state and what only has a name, when it changed, and when operations began."""

from harness.explore.coverage import Feature, features
from harness.explore.landmarks import landmarks, met
from harness.explore.menu import inside_entry
from harness.history.events import (
    SCHEMA,
    Event,
    FaultBegan,
    FaultHealed,
    HostChanged,
    Invoke,
    Observation,
    Ok,
    RunStarted,
)
from harness.history.history import History
from harness.units import ms


def seen(at_ms: int, **value: object) -> Observation:
    return Observation(ms(at_ms), "desk", 1, "ess", value)


def history(*events: Event) -> History:
    started = [
        RunStarted(0, "harness", 1, SCHEMA, "0", "bots", "short", "sim", 1, {}, []),
        HostChanged(ms(100), "subscriber", 1, "started"),
        HostChanged(ms(500), "desk", 1, "started"),
        HostChanged(ms(2_000), "desk", 2, "started"),
    ]
    return History.of([*started, *events])


TRIPS = (
    seen(600, state="ARMED", ready=True, trip="t-0"),
    seen(900, state="ARMED", ready=True, trip="t-1"),
    seen(1_300, state="TRIPPED", ready=True, trip="t-2"),
    seen(1_800, state="ARMED", ready=True, trip="t-3"),
    seen(9_500, state="TRIPPED", ready=True, trip="t-4"),
    *(seen(9_600 + number, trip=f"t-{number}") for number in range(5, 10)),
)


def test_a_state_has_few_values_and_its_changes_are_landmarks() -> None:
    """They count from when every host was first started, within the span; ids and what never changes are no states."""
    assert landmarks(history(*TRIPS), span_ms=6_000).changes == ((800,), (1_300,))
    assert landmarks(history(*TRIPS), span_ms=60_000).changes == ((800, 9_000), (1_300,))


def test_what_flickers_is_no_state() -> None:
    """A field that changes all the time would make every moment a landmark."""
    flickers = [seen(600 + at, ready=bool(at % 2)) for at in range(40)]

    assert landmarks(history(*flickers), span_ms=6_000).changes == ()


def test_operations_are_landmarks_for_kills_inside_them() -> None:
    """Each begin of one, by host and operation."""
    trips = (Invoke(ms(700), "desk", 1, 1, "trip", {}), Ok(ms(720), "desk", 1, 1, {}))
    later = (Invoke(ms(1_700), "desk", 1, 2, "trip", {}), Invoke(ms(1_750), "subscriber", 1, 1, "read", {}))

    begins = landmarks(history(*trips, *later), span_ms=6_000).begins

    assert begins == {inside_entry("desk", "trip"): (200, 1_200), inside_entry("subscriber", "read"): (1_250,)}


def test_a_fault_that_begins_in_another_state_reached_something_new() -> None:
    """What things began in is nothing new; what they came into is."""
    past = history(
        *TRIPS,
        FaultBegan(ms(700), "harness", 1, 0, "process.kill", "sigkill", "desk"),
        FaultHealed(ms(710), "harness", 1, 0),
        FaultBegan(ms(1_400), "harness", 1, 1, "process.kill", "sigkill", "desk"),
        FaultHealed(ms(1_410), "harness", 1, 1),
    )

    assert [list(met(past, ms(at_ms))) for at_ms in (700, 1_299, 1_300, 1_900)] == [
        [],
        [],
        [("ess.state", "TRIPPED")],
        [],
    ]
    reached = [feature for feature in features(past) if feature.phase == "in"]
    assert reached == [Feature("process.kill/sigkill", "ess.state", "in", "TRIPPED")]
