"""Coverage: which faults met which operations, in which phase, with which outcome."""

from harness.explore.coverage import Coverage, Feature, features
from harness.history.events import SCHEMA, Event, Fail, FaultBegan, FaultHealed, Invoke, Ok, RunStarted
from harness.history.history import History
from harness.units import ms


def history(*events: Event) -> History:
    """Return a history of two faults, from 1 s to 2 s and from 1.5 s to 1.8 s, and these events."""
    return History.of(
        [
            RunStarted(0, "harness", 1, SCHEMA, "0", "bots", "short", "sim", 1, {}, []),
            FaultBegan(ms(1_000), "harness", 1, 0, "redis.outage", "hang", "redis"),
            FaultBegan(ms(1_500), "harness", 1, 1, "process.kill", "sigkill", "bot"),
            FaultHealed(ms(1_800), "harness", 1, 1),
            FaultHealed(ms(2_000), "harness", 1, 0),
            *events,
        ]
    )


def publish(op: int, start_ms: int, end_ms: int, *, ok: bool = True) -> list[Event]:
    """Return one operation."""
    end: Event = Ok(ms(end_ms), "bot", 1, op, {}) if ok else Fail(ms(end_ms), "bot", 1, op, "no")
    return [Invoke(ms(start_ms), "bot", 1, op, "publish", {}), end]


def of_outage(*events: Event) -> set[tuple[str, str]]:
    """Return phase and outcome of what met the outage."""
    reached = set(features(history(*events)))
    return {(one.phase, one.outcome) for one in reached if one.fault == "redis.outage/hang" and one.operation}


def test_phases_are_told_by_where_an_operation_begins_and_ends() -> None:
    """Cut by the beginning, inside, carried over the healing, begun within a second after it; else nothing."""
    assert of_outage(*publish(0, 900, 1_100)) == {("cut", "ok")}
    assert of_outage(*publish(0, 1_100, 1_200, ok=False)) == {("inside", "fail")}
    assert of_outage(*publish(0, 1_900, 2_100)) == {("inside", "ok"), ("carried", "ok")}
    assert of_outage(*publish(0, 900, 2_100)) == {("cut", "ok"), ("carried", "ok")}
    assert of_outage(*publish(0, 2_900, 2_950)) == {("after", "ok")}
    assert of_outage(*publish(0, 100, 200), *publish(1, 3_100, 3_200)) == set()


def test_what_never_came_back_is_unknown() -> None:
    """An operation without an end is cut, carried, and its outcome nobody knows."""
    assert of_outage(publish(0, 900, 0)[0]) == {("cut", "info"), ("carried", "info")}


def test_faults_that_hold_at_once_are_a_feature() -> None:
    """Overlaps count by themselves, whether or not an operation met them."""
    assert Feature("redis.outage/hang", "", "with process.kill/sigkill", "") in set(features(history()))


def test_only_what_was_not_reached_before_is_new() -> None:
    """The first execution's features are new, the same again are not; the table counts executions, not operations."""
    coverage = Coverage()
    reached = list(features(history(*publish(0, 1_100, 1_200), *publish(1, 1_300, 1_400))))

    assert coverage.note(reached) == len(set(reached)) == len(coverage)
    assert coverage.note(reached) == 0
    assert ("redis.outage/hang", "publish", {"inside": {"ok": 2}}) in coverage.table()
