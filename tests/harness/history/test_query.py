"""Queries pair what belongs together and refuse what cannot be paired."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import HistoryError
from harness.history import query
from harness.history.events import (
    SCHEMA,
    Fail,
    FaultBegan,
    FaultHealed,
    HostChanged,
    Info,
    Invoke,
    Observation,
    Ok,
    RunStarted,
)
from harness.history.history import History
from harness.history.query import (
    FaultWindow,
    Lifetime,
    fault_windows,
    lifetimes,
    link_counts,
    observations,
    operations,
    parse_percentile,
    percentile,
    toxic_counts,
)

HEADER = RunStarted(0, "harness", 1, SCHEMA, "0", "s", "full", "sim", 7, {}, [])


def of(*events):
    """A history of these events."""
    return History.of([HEADER, *events])


def test_operations_are_paired_by_actor_incarnation_and_number():
    """Four that share their number, with each outcome there is."""
    history = of(
        Invoke(1, "a", 1, 0, "publish", {"key": "k"}),
        Invoke(2, "b", 1, 0, "publish", {}),
        Ok(3, "a", 1, 0, {"id": "x"}),
        Invoke(4, "a", 2, 0, "other", {}),
        Fail(5, "b", 1, 0, "full"),
        Info(6, "a", 2, 0, "timeout"),
        Invoke(7, "b", 2, 0, "publish", {}),
    )
    found = [
        (one.name, one.actor, one.incarnation, one.outcome, one.start_ns, one.end_ns, one.result, one.error)
        for one in operations(history)
    ]
    assert found == [
        ("publish", "a", 1, "ok", 1, 3, {"id": "x"}, None),
        ("publish", "b", 1, "fail", 2, 5, None, "full"),
        ("other", "a", 2, "info", 4, 6, None, "timeout"),
        ("publish", "b", 2, "info", 7, None, None, None),
    ]
    assert [one.actor for one in operations(history, "publish")] == ["a", "b", "b"]
    assert [one.duration_ns for one in operations(history, "publish")] == [2, 3, None]
    assert operations(history, "unknown") == ()


def test_positions_tell_apart_what_shares_an_instant():
    """An ack and the next invocation at the same time."""
    history = of(Invoke(1, "a", 1, 0, "p", {}), Ok(1, "a", 1, 0, {}), Invoke(1, "a", 1, 1, "p", {}))
    first, second = operations(history, "p")
    assert (first.start_at, first.end_at, second.start_at, second.end_at) == (1, 2, 3, None)


@pytest.mark.parametrize(
    ("events", "words"),
    [
        ([Ok(1, "a", 1, 0, {})], "without having been invoked"),
        ([Invoke(1, "a", 1, 0, "p", {}), Invoke(2, "a", 1, 0, "p", {})], "twice"),
        ([Invoke(1, "a", 1, 0, "p", {}), Ok(2, "a", 1, 0, {}), Info(3, "a", 1, 0, "")], "twice"),
        ([Invoke(2, "a", 1, 0, "p", {}), Ok(1, "a", 1, 0, {})], "without having been invoked"),
        ([FaultHealed(1, "harness", 1, 1)], "did not hold"),
        ([FaultBegan(1, "harness", 1, 1, "f", "", "x"), FaultBegan(2, "harness", 1, 1, "f", "", "x")], "began twice"),
        (
            [FaultBegan(1, "harness", 1, 1, "f", "", "x"), FaultHealed(2, "h", 1, 1), FaultHealed(3, "h", 1, 1)],
            "did not hold",
        ),
    ],
)
def test_what_cannot_be_paired_is_refused(events, words):
    """A history that contradicts itself is no ground for a verdict."""
    with pytest.raises(HistoryError, match=words):
        operations(of(*events))


def test_observations_by_name_in_order():
    """Others are left out."""
    one, two = Observation(2, "a", 1, "x", {"n": 1}), Observation(3, "b", 1, "x", {"n": 2})
    assert observations(of(two, one, Observation(2, "a", 1, "y", {})), "x") == (one, two)


def test_fault_windows():
    """Healed or not, all or by name, half-open; healing begins when it is said, or else with the end of it."""
    history = of(
        FaultBegan(10, "harness", 1, 1, "redis.outage", "hang", "redis"),
        FaultBegan(12, "harness", 1, 2, "process.kill", "sigkill", "p"),
        FaultHealed(20, "harness", 1, 1, 18),
    )
    outage = FaultWindow(1, "redis.outage", "hang", "redis", 10, 20, 18)
    kill = FaultWindow(2, "process.kill", "sigkill", "p", 12, None)
    assert fault_windows(history) == (outage, kill)
    assert fault_windows(history, "process.kill") == (kill,)
    assert fault_windows(history, "redis.*") == (outage,)
    assert fault_windows(history, "*") == (outage, kill)
    assert fault_windows(history, "redis") == ()
    assert [outage.holds_at(time) for time in (9, 10, 19, 20)] == [False, True, True, False]
    assert [kill.holds_at(time) for time in (11, 12, 999)] == [False, True, True]
    (unsaid,) = fault_windows(of(FaultBegan(1, "harness", 1, 1, "f", "", "x"), FaultHealed(2, "harness", 1, 1)))
    assert unsaid.healing_ns == 2


def test_link_counts_by_window_and_destination():
    """A window is half-open; None is the whole run."""
    history = of(
        *(
            Observation(time, "p", 1, "link", {"to": to, "outcome": outcome})
            for time, to, outcome in [
                (1, "redis", "connected"),
                (10, "redis", "refused"),
                (11, "redis", "refused"),
                (12, "other", "refused"),
                (13, "redis", "reset"),
                (20, "redis", "connected"),
            ]
        )
    )
    assert link_counts(history, None, "redis") == {"connected": 2, "refused": 2, "reset": 1}
    assert link_counts(history, (10, 20), "redis") == {"refused": 2, "reset": 1}
    assert link_counts(history, FaultWindow(1, "f", "", "x", 13, None), "redis") == {"reset": 1, "connected": 1}
    assert link_counts(history, (10, 20), "nowhere") == {}


def test_link_counts_of_one_host():
    """What another host met on its own link proves nothing about this one."""
    history = of(
        Observation(1, "p", 1, "link", {"to": "redis", "outcome": "refused"}),
        Observation(2, "c", 1, "link", {"to": "redis", "outcome": "refused", "count": 4}),
    )
    assert link_counts(history, None, "redis") == {"refused": 5}
    assert link_counts(history, None, "redis", of="p") == {"refused": 1}


def test_toxic_counts_by_window_link_and_type():
    """What ended within the window counts, its last instant included: a toxic is removed as its fault heals."""
    history = of(
        *(
            Observation(
                time, host, 1, "toxic", {"to": to, "toxic": "x", "type": kind, "stream": "upstream", "bytes": 5}
            )
            for time, host, to, kind in [
                (9, "p", "redis", "latency"),
                (10, "p", "redis", "latency"),
                (20, "p", "redis", "bandwidth"),
                (15, "c", "redis", "latency"),
                (15, "p", "other", "latency"),
                (21, "p", "redis", "latency"),
            ]
        )
    )
    window = FaultWindow(1, "network.latency", "latency", "p->redis", 10, 20)
    assert toxic_counts(history, window, "p", "redis", {"latency"}) == {"bytes": 5}
    assert toxic_counts(history, window, "p", "redis", {"latency", "bandwidth"}) == {"bytes": 10}
    assert toxic_counts(history, window, "p", "redis", {"partition"}) == {}


def test_lifetimes():
    """Each incarnation by itself, with how it ended and when it stood still."""
    history = of(
        HostChanged(0, "p", 1, "started"),
        HostChanged(1, "c", 1, "started"),
        HostChanged(5, "p", 1, "killed"),
        HostChanged(6, "c", 1, "frozen"),
        HostChanged(7, "p", 2, "started"),
        HostChanged(8, "c", 1, "thawed"),
        HostChanged(9, "c", 1, "frozen"),
        HostChanged(20, "p", 2, "stopped"),
        HostChanged(21, "p", 2, "finished"),
    )
    assert lifetimes(history) == (
        Lifetime("p", 1, 0, 5, "killed"),
        Lifetime("c", 1, 1, None, None, ((6, 8), (9, None))),
        Lifetime("p", 2, 7, 21, "finished"),
    )


def test_a_freeze_ends_with_its_host_at_the_latest():
    """Killed while frozen."""
    history = of(HostChanged(0, "p", 1, "started"), HostChanged(3, "p", 1, "frozen"), HostChanged(9, "p", 1, "killed"))
    assert lifetimes(history)[0].frozen == ((3, 9),)


@given(st.lists(st.integers(0, 1_000), min_size=1), st.integers(1, 1_000))
def test_a_percentile_is_the_least_value_that_enough_do_not_exceed(values, per_mille):
    """The definition of nearest rank, against counting."""
    values.sort()
    least = min(value for value in values if sum(one <= value for one in values) * 1_000 >= per_mille * len(values))
    assert percentile(values, Fraction(per_mille, 10)) == least
    assert percentile(values, per_mille / 10) == least


def test_percentiles_are_exact():
    """99.9 % of 1,000 is 999, not a float's 1,000; binary fractions would round up."""
    values = list(range(1, 1_001))
    assert percentile(values, 99.9) == 999
    assert percentile(values, parse_percentile("p99.9")) == 999
    assert percentile(values, parse_percentile("max")) == 1_000
    assert percentile(values, 50) == 500


@pytest.mark.parametrize(("values", "percent"), [([], 50), ([1], 0), ([1], 101), ([1], -1)])
def test_what_is_no_percentile_is_refused(values, percent):
    """Nothing, or outside of 0 to 100."""
    with pytest.raises(ValueError, match="percentile"):
        percentile(values, percent)


@pytest.mark.parametrize("text", ["", "p", "99", "p0", "p100.1", "p-1", "p1/2", "pnan", "p1.2.3", "median", "p1e1"])
def test_what_does_not_name_a_percentile_is_refused(text):
    """Only p followed by a decimal in (0, 100], and max."""
    with pytest.raises(ValueError, match="not a percentile"):
        parse_percentile(text)


def test_each_history_is_indexed_once(monkeypatch):
    """Seven invariants, one pass."""
    passes = []
    real = query._build
    monkeypatch.setattr(query, "_build", lambda events: passes.append(1) or real(events))
    history = of(Invoke(1, "a", 1, 0, "p", {}))
    for _ in range(3):
        operations(history)
        observations(history, "x")
        fault_windows(history)
        lifetimes(history)
    assert passes == [1]
