"""What becomes of each signal: one decision after the other."""

import pytest

from reference_impl._executor.machine import NEVER, Policy
from reference_impl._executor.signals import MalformedSignalError


def test_highest_confidence_first_then_the_oldest(bench):
    """Two at once, then a second's wait."""
    for name, confidence in (("a", 0.5), ("b", 0.9), ("c", 0.5)):
        bench.offer(name, confidence)
    assert [bench.take(), bench.take(), bench.take()] == ["b", "a", None]
    bench.now = 0.999_999_999
    assert bench.take() is None
    bench.now = 1.0
    assert bench.take() == "c"


def test_after_a_start_the_limit_counts_as_used_up(new_bench):
    """Nobody knows what a killed life did in its last moment."""
    bench = new_bench()
    bench.machine = type(bench.machine)(bench.machine.policy, 0)
    bench.offer("a")
    bench.now = 0.999
    assert bench.take() is None
    bench.now = 1.0
    assert bench.take() == "a"


def test_a_full_queue_gives_up_the_least_confident(bench):
    """The newcomer itself, if it is that; of equals the newest."""
    for name, confidence in (("a", 0.4), ("b", 0.3), ("c", 0.5)):
        assert bench.offer(name, confidence)
    assert not bench.offer("d", 0.2)
    assert not bench.offer("e", 0.3)
    assert bench.offer("f", 0.31)
    assert bench.ended() == [("d", "dropped", ""), ("e", "dropped", ""), ("b", "dropped", "")]
    assert sorted(bench.queued) == ["a", "c", "f"]
    assert bench.machine.counts["dropped"] == 3


def test_newer_supersedes_whatever_its_confidence(bench):
    """Of one symbol and side; the other side is another matter."""
    bench.offer("a", 0.9, symbol="S1")
    bench.offer("b", 0.8, symbol="S1", side="SELL")
    assert bench.offer("c", 0.1, symbol="S1")
    assert bench.ended() == [("a", "superseded", "c")]
    assert sorted(bench.queued) == ["b", "c"]


def test_nothing_is_dropped_for_one_that_supersedes(bench):
    """A full queue stays as long as it is."""
    for number in range(3):
        bench.offer(f"a{number}", 0.9, symbol=f"S{number}")
    assert bench.offer("b", 0.0, symbol="S0")
    assert bench.ended() == [("a0", "superseded", "b")]


def test_an_entry_does_not_take_the_place_of_an_exit(bench):
    """It is what is superseded."""
    bench.offer("exit", 0.1, symbol="S1", exit=True)
    assert not bench.offer("entry", 0.9, symbol="S1")
    assert bench.ended() == [("entry", "superseded", "exit")]
    assert bench.queued == ["exit"]


def test_an_exit_takes_the_place_of_an_entry_and_of_an_exit(bench):
    """In the second case with its turn."""
    bench.offer("entry", 0.9, symbol="S1")
    bench.offer("first", symbol="S1", exit=True)
    bench.offer("other", symbol="S2", exit=True)
    bench.offer("again", symbol="S1", exit=True)
    assert bench.ended() == [("entry", "superseded", "first"), ("first", "superseded", "again")]
    assert [bench.take(), bench.take()] == ["again", "other"]


def test_exits_go_first_and_push_out_entries(bench):
    """However little confidence they have."""
    for name in "abc":
        bench.offer(name, 0.9)
    assert bench.offer("exit", 0.0, exit=True)
    assert bench.ended() == [("c", "dropped", "")]
    assert [bench.take(), bench.take()] == ["exit", "a"]


def test_a_queue_full_of_exits(bench):
    """Entries are dropped; another exit is refused, visibly; one for the same symbol and side takes its place."""
    for number in range(3):
        bench.offer(f"e{number}", symbol=f"S{number}", exit=True)
    assert not bench.offer("entry", 1.0, symbol="S7")
    with pytest.raises(MalformedSignalError) as caught:
        bench.offer("one more", symbol="S8", exit=True)
    assert caught.value.reason == "exits_full"
    assert bench.offer("again", symbol="S2", exit=True)
    reasons = [("entry", "dropped", ""), ("one more", "rejected", "exits_full"), ("e2", "superseded", "again")]
    assert bench.ended() == reasons


def test_an_id_is_taken_in_once(bench):
    """Also when the first of that id has been executed; until it is forgotten, after so many others."""
    bench.machine.policy = Policy(symbols=["S0"], remembered=2)
    bench.offer("a", symbol="S0")
    assert bench.take() == "a"
    with pytest.raises(MalformedSignalError, match="duplicate"):
        bench.offer("a", symbol="S0")
    bench.offer("b", symbol="S0")
    bench.offer("c", symbol="S0")
    assert bench.offer("a", symbol="S0")


def test_the_end_of_the_ttl_is_stale_and_the_moment_before_is_not(bench):
    """To the nanosecond."""
    bench.offer("a", ttl=1.0)
    bench.offer("b", ttl=2.0)
    bench.now = 0.999_999_999
    assert bench.take() == "a"
    bench.now = 2.0
    assert bench.take() is None
    assert bench.ended() == [("b", "expired", "")]


def test_a_slot_that_comes_late_does_not_revive_a_signal(bench):
    """Two executions use up the second in which the third goes stale."""
    for name, ttl in (("a", 9.0), ("b", 9.0), ("c", 0.9)):
        bench.offer(name, 0.9, ttl=ttl)
    assert [bench.take(), bench.take()] == ["a", "b"]
    bench.now = 1.0
    assert bench.take() is None
    assert bench.machine.counts["expired"] == 1


def test_what_is_stale_is_shed_before_anything_is_dropped(bench):
    """A full queue of corpses is not full."""
    for name in "abc":
        bench.offer(name, 0.9, ttl=1.0)
    bench.now = 1.0
    assert bench.offer("d", 0.1)
    assert [reason for _, reason, _ in bench.ended()] == ["expired"] * 3


def test_executions_at_once_are_bounded_and_some_are_for_exits(new_bench):
    """With one of three reserved, two entries at most execute; an exit gets the third, and a second exit waits."""
    bench = new_bench(max_queue_size=10, max_running=3, reserved=1, max_per_second=9)
    for name in "abc":
        bench.offer(name)
    assert [bench.take(), bench.take(), bench.take()] == ["a", "b", None]
    assert bench.machine.ready_at == NEVER
    bench.offer("x", exit=True)
    bench.offer("y", exit=True)
    leaving = bench.machine.take(bench.ns)
    assert (leaving.id, bench.take()) == ("x", None)
    bench.machine.ended(leaving, "ok")
    assert bench.take() == "y"


def test_a_failure_counts_against_the_rate(bench):
    """It is an execution like all others."""
    for name in "abc":
        bench.offer(name)
    first, second = bench.machine.take(0), bench.machine.take(0)
    bench.machine.ended(first, "failed")
    bench.machine.ended(second, "timed_out")
    assert bench.take() is None
    assert bench.ended() == [("a", "executed", "failed"), ("b", "executed", "timed_out")]
    assert bench.machine.outcomes == {"ok": 0, "failed": 1, "timed_out": 1, "aborted": 0}


def test_close_disposes_of_all(bench):
    """Exits included."""
    bench.offer("a")
    bench.offer("b", exit=True)
    bench.machine.close()
    assert bench.ended() == [("b", "closed", ""), ("a", "closed", "")]
    assert (bench.machine.ready_at, bench.machine.stale_at, len(bench.machine.queue)) == (NEVER, NEVER, 0)


@pytest.mark.parametrize(
    "limits",
    [
        {"max_queue_size": 0},
        {"max_per_second": 0},
        {"remembered": 0},
        {"max_running": 4, "reserved": 4},
        {"reserved": -1},
        {"symbols": ()},
        {"symbols": "BTCUSDT"},
    ],
)
def test_senseless_limits_are_refused(limits):
    """One string is no list of symbols either: each of its letters would be one."""
    with pytest.raises(ValueError, match=r"executor|executions|symbols"):
        Policy(**{"symbols": ["S0"]} | limits)
