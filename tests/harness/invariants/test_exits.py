"""SF5: what lowers risk gets through in the time that the rate allows."""

import pytest

from harness.invariants.base import judge_all
from harness.invariants.exits import exits
from harness.verdict import Outcome


def judge(history):
    """The result."""
    return judge_all(history, [exits()])[0]


def leave(floor, name, time, **fields):
    """An exit."""
    return floor.offer(name, time, exit=True, ttl=60, **fields)


@pytest.mark.parametrize(("start", "verdict"), [(3, Outcome.HOLDS), (3.02, Outcome.HOLDS), (3.03, Outcome.VIOLATED)])
def test_two_seconds(floor, start, verdict):
    """And a margin of 20 ms."""
    result = judge(leave(floor, "x", 1).execute("x", start).end(9))
    assert (result.verdict, result.checked) == (verdict, 1)


@pytest.mark.parametrize(("start", "verdict"), [(3.4, Outcome.HOLDS), (3.6, Outcome.VIOLATED)])
def test_the_real_world_has_a_wider_margin(new_floor, start, verdict):
    """Half a second."""
    assert judge(leave(new_floor("real"), "x", 1).execute("x", start).end(9)).verdict is verdict


def test_one_that_still_waits_at_the_end(floor):
    """Never executed is late as well; one that was offered just before is not judged."""
    result = judge(leave(leave(floor, "x", 1), "y", 8).end(9))
    assert (result.verdict, result.checked, result.observed) == (Outcome.VIOLATED, 1, 1)
    assert "x still waited after 8 s in which trading was allowed (limit 2 s)" in result.finding.sentence


@pytest.mark.parametrize(("last", "verdict"), [(4, Outcome.HOLDS), (4.1, Outcome.VIOLATED)])
def test_more_exits_than_the_rate_allows(floor, last, verdict):
    """With four before it, the fifth has 3 s; with three, 2 s."""
    for number in range(5):
        leave(floor, f"x{number}", 1)
    for number in range(4):
        floor.execute(f"x{number}", 2 + number // 2)
    result = judge(floor.execute("x4", last).end(9))
    assert (result.verdict, result.checked) == (verdict, 5)
    if verdict is Outcome.VIOLATED:
        assert "behind 4 others (limit 3 s)" in result.finding.sentence


@pytest.mark.parametrize(("start", "verdict"), [(8.2, Outcome.HOLDS), (8.4, Outcome.VIOLATED)])
def test_halts_do_not_count_nor_does_the_moment_after(floor, start, verdict):
    """Half a second before the halt, a quarter to notice its end, one and a half after it."""
    leave(floor, "x", 1).trading(1.5, allowed=False).trading(6.5, allowed=True)
    assert judge(floor.execute("x", start).end(9)).verdict is verdict


def test_a_halt_that_lasts(floor):
    """Nothing is owed while it does."""
    assert judge(leave(floor, "x", 1).trading(1.5, allowed=False).end(60)).verdict is Outcome.INCONCLUSIVE


def test_one_that_inherits_a_turn_inherits_the_wait(floor):
    """A model that repeats itself every second does not make it any later."""
    leave(floor, "x", 1, symbol="X")
    for number in range(4):
        before = "x" if number == 0 else f"x{number - 1}"
        leave(floor, f"x{number}", 2 + number, symbol="X", ends=[(before, "superseded", f"x{number}")])
    result = judge(floor.execute("x3", 5.5).end(9))
    assert (result.verdict, result.finding.first) == (Outcome.VIOLATED, "x at 5.500 s")


def test_a_new_need_has_a_time_of_its_own(floor):
    """After the first was executed."""
    leave(floor, "x", 1, symbol="X").execute("x", 2)
    assert judge(leave(floor, "y", 3, symbol="X").execute("y", 5).end(9)).verdict is Outcome.HOLDS


@pytest.mark.parametrize(
    ("end", "words"),
    [
        (("x", "dropped", ""), "x was dropped"),
        (("x", "superseded", "e"), "x was superseded by entry e"),
    ],
)
def test_never_dropped_nor_superseded_by_an_entry(floor, end, words):
    """At any time."""
    leave(floor, "x", 1, symbol="X").offer("e", 1.1, symbol="X", ends=[end])
    result = judge(floor.end(9))
    assert (result.verdict, result.checked) == (Outcome.VIOLATED, 1)
    assert words in result.finding.sentence


@pytest.mark.parametrize(("time", "verdict"), [(2.9, Outcome.INCONCLUSIVE), (5, Outcome.VIOLATED)])
@pytest.mark.parametrize("reason", ["expired", "closed"])
def test_one_that_ended_otherwise(floor, reason, time, verdict):
    """Only if it should have been executed by then."""
    assert judge(leave(floor, "x", 1).end_of("x", reason, time=time).end(9)).verdict is verdict


def test_a_kill_ends_what_is_owed_and_not_what_was_owed_before(floor):
    """One that had waited for too long when the kill came is late."""
    leave(floor, "x", 1).killed(2, 3)
    assert judge(leave(floor, "y", 4).execute("y", 5).end(9)).verdict is Outcome.HOLDS
    leave(floor, "z", 5.5).killed(8, 8.5)
    result = judge(leave(floor, "w", 8.6).end(9))
    assert (result.verdict, result.finding.first) == (Outcome.VIOLATED, "z at 8.000 s")


def test_entries_are_owed_nothing(floor):
    """They may wait for as long as they live."""
    assert judge(floor.offer("a", 1).end(60)).verdict is Outcome.INCONCLUSIVE


def test_a_rate_of_nothing():
    """Could not be met."""
    with pytest.raises(ValueError, match="0 executions"):
        exits(per_second=0)
