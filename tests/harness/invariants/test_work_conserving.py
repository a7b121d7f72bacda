"""SF8: what may begin, begins."""

import pytest

from harness.invariants.base import judge_all
from harness.invariants.work_conserving import work_conserving
from harness.verdict import Outcome


def judge(history, **limits):
    """The result."""
    return judge_all(history, [work_conserving(**limits)])[0]


@pytest.mark.parametrize(
    ("world", "start", "verdict"),
    [
        ("sim", 2.02, Outcome.HOLDS),
        ("sim", 2.03, Outcome.VIOLATED),
        ("real", 4, Outcome.HOLDS),
        ("real", 4.01, Outcome.VIOLATED),
    ],
)
def test_what_may_begin_begins_at_once(new_floor, world, start, verdict):
    """In the sim world within 20 ms, in the real world within two seconds."""
    result = judge(new_floor(world).offer("a", 2).execute("a", start).end(9))
    assert (result.verdict, result.observed) == (verdict, int(verdict is Outcome.VIOLATED))


def test_what_never_begins(floor):
    """The end of its ttl ends the time: nothing waited any more, whether or not it was announced."""
    result = judge(floor.offer("a", 2, ttl=3).offer("b", 8, ttl=9).execute("b", 8).end(9))
    assert (result.verdict, result.checked, result.observed) == (Outcome.VIOLATED, 2, 1)
    assert "engine began nothing for 3 s although it might have (limit 20 ms)" in result.finding.sentence
    assert "1 wait, 0 of 8 places taken" in result.finding.rows[-1].event


@pytest.mark.parametrize(("start", "verdict"), [(3, Outcome.HOLDS), (3.03, Outcome.VIOLATED)])
def test_the_rate_is_an_excuse_for_as_long_as_it_has_no_room(floor, start, verdict):
    """Two a second: the third may begin a second after the first, and not only after the second."""
    for name in "abc":
        floor.offer(name, 2)
    floor.execute("a", 2, 2.1).execute("b", 2.01, 2.2)
    assert judge(floor.execute("c", start).end(start + 0.01)).verdict is verdict


@pytest.mark.parametrize(("start", "verdict"), [(5.26, Outcome.HOLDS), (5.28, Outcome.VIOLATED)])
def test_a_halt_is_an_excuse_and_so_is_the_moment_after(floor, start, verdict):
    """A quarter of a second to hear that trading is allowed again."""
    floor.trading(1.5, allowed=False).offer("a", 2).trading(5, allowed=True)
    assert judge(floor.execute("a", start).end(9)).verdict is verdict


@pytest.mark.parametrize(("places", "verdict"), [(3, Outcome.VIOLATED), (2, Outcome.INCONCLUSIVE)])
def test_places_that_are_taken_are_an_excuse(floor, places, verdict):
    """Two are under way until 6 s: whoever has three places has one left."""
    floor.call("execution", 0.5, 6, "fail", {"key": "y"}, actor="engine", incarnation=1)
    floor.call("execution", 1, 6, "fail", {"key": "z"}, actor="engine", incarnation=1)
    floor.events.sort(key=lambda event: event.time_ns)
    floor.offer("a", 2)
    floor.events.sort(key=lambda event: event.time_ns)
    assert judge(floor.end(5), places=places).verdict is verdict


def test_a_place_is_free_again_when_an_execution_has_ended(floor):
    """However it ended: here it timed out, and nothing begins after it."""
    floor.execute("z", 1, 3, "info").offer("a", 3.5, ttl=1)
    result = judge(floor.end(9), places=1)
    assert (result.verdict, result.observed) == (Outcome.VIOLATED, 1)


def test_one_offer_after_another_that_went_stale_begins_a_new_time(floor):
    """Nothing waited between the two."""
    floor.offer("a", 1.99, ttl=0.01).offer("b", 5).execute("b", 5.01)
    assert judge(floor.end(9)).verdict is Outcome.HOLDS


def test_a_new_life_cannot_know_what_the_last_one_did(floor):
    """So its first second is its own, and what the dead one had under way takes no place of it."""
    floor.offer("a", 2).execute("a", 2).killed(3, 4).offer("b", 4).execute("b", 5.01)
    assert judge(floor.end(9), places=1).verdict is Outcome.HOLDS
    floor.offer("c", 7).execute("c", 7.5)
    assert judge(floor.end(9), places=2).verdict is Outcome.VIOLATED


def test_one_that_was_asked_to_close_owes_nothing(floor):
    """What waits is disposed of."""
    floor.offer("a", 2).execute("a", 2, 2.1).offer("b", 3.99).closing(4)
    assert judge(floor.end(9)).verdict is Outcome.HOLDS


def test_nothing_that_waited_is_nothing_known(floor, new_floor):
    """Inconclusive, as is a flood in a halt."""
    assert judge(floor.end(9)).verdict is Outcome.INCONCLUSIVE
    assert judge(new_floor().trading(1, allowed=False).offer("a", 2).end(9)).verdict is Outcome.INCONCLUSIVE


def test_senseless_limits():
    """A mistake in the scenario."""
    with pytest.raises(ValueError, match="none is owed"):
        work_conserving(places=0)
