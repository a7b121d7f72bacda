"""SF6 and SF7: nothing stale executes, and nothing while trading is forbidden."""

import pytest

from harness.invariants.base import judge_all
from harness.invariants.freshness import freshness
from harness.invariants.halted import halted
from harness.verdict import Outcome


def judge(history, invariant=None):
    """The result."""
    return judge_all(history, [invariant or freshness()])[0]


@pytest.mark.parametrize(
    ("world", "start", "verdict"),
    [
        ("sim", 1.999_999_999, Outcome.HOLDS),
        ("sim", 2, Outcome.VIOLATED),
        ("real", 2.09, Outcome.HOLDS),
        ("real", 2.1, Outcome.VIOLATED),
    ],
)
def test_the_end_of_the_ttl(new_floor, world, start, verdict):
    """That moment is too late, in the real world a tenth of a second later."""
    result = judge(new_floor(world).offer("a", 1, ttl=1).execute("a", start).end(9))
    assert (result.verdict, result.checked) == (verdict, 1)


def test_how_late_is_said(floor):
    """In the sentence."""
    result = judge(floor.offer("a", 1, ttl=1).execute("a", 4.5).end(9))
    assert "a executed 2.5 s after its ttl" in result.finding.sentence


def test_one_that_was_superseded(floor):
    """A newer one for its symbol and side was taken in."""
    floor.offer("a", 1, symbol="X").offer("b", 2, symbol="X")
    result = judge(floor.execute("a", 3).end(9))
    assert "a executed although b had taken its place" in result.finding.sentence
    assert judge(floor.execute("b", 4).end(9)).finding.count == 1


@pytest.mark.parametrize("other", [{"symbol": "Y"}, {"symbol": "X", "side": "SELL"}])
def test_another_symbol_or_side_is_another_matter(floor, other):
    """Both stand."""
    floor.offer("a", 1, symbol="X").offer("b", 2, **other)
    assert judge(floor.execute("a", 3).execute("b", 3).end(9)).verdict is Outcome.HOLDS


def test_a_newer_one_that_was_given_up_at_once_does_not_stand(floor):
    """Nor does an entry that an exit superseded."""
    floor.offer("x", 1, symbol="X", exit=True).offer("e", 2, symbol="X", ends=[("e", "superseded", "x")])
    assert judge(floor.execute("x", 3).end(9)).verdict is Outcome.HOLDS


def test_an_exit_stands_for_an_entry_and_for_an_exit(floor):
    """And an entry for no exit: if it is taken in, the exit may execute all the same."""
    floor.offer("e", 1, symbol="X").offer("x", 2, symbol="X", exit=True).offer("y", 3, symbol="X", exit=True)
    for stale in ("e", "x"):
        floor.execute(stale, 4)
    assert judge(floor.end(9)).finding.count == 2
    floor.offer("f", 5, symbol="X").execute("y", 6)
    assert judge(floor.end(9)).finding.count == 2


def test_nothing_executed_is_nothing_known(floor):
    """Inconclusive."""
    assert judge(floor.offer("a", 1).end(9)).verdict is Outcome.INCONCLUSIVE


@pytest.mark.parametrize(
    ("start", "verdict"),
    [(2, Outcome.VIOLATED), (3.999, Outcome.VIOLATED), (4, Outcome.HOLDS), (1.9, Outcome.HOLDS)],
)
def test_a_halt_is_obeyed_from_its_first_moment(floor, start, verdict):
    """Until its end."""
    floor.offer("a", 1).offer("b", 1)
    events = [
        (2, lambda: floor.trading(2, allowed=False).counted(2)),
        (4, lambda: floor.trading(4, allowed=True)),
        (start, lambda: floor.execute("a", start)),
    ]
    for _, event in sorted(events, key=lambda one: one[0]):
        event()
    assert judge(floor.end(9), halted()).verdict is verdict


def test_the_real_world_has_a_margin(new_floor):
    """50 ms, as an emergency stop has them."""
    floor = new_floor("real").offer("a", 1).offer("b", 1).trading(2, allowed=False).counted(2).execute("a", 2.04)
    assert judge(floor.end(9), halted()).verdict is Outcome.HOLDS
    assert judge(floor.execute("b", 2.06).end(9), halted()).verdict is Outcome.VIOLATED


@pytest.mark.parametrize("waits", [False, True])
def test_a_halt_in_which_nothing_waits_proves_nothing(floor, waits):
    """Somebody must have been held back."""
    if waits:
        floor.offer("a", 1)
    else:
        floor.offer("a", 1).execute("a", 1.5, 1.6)
    result = judge(floor.trading(2, allowed=False).counted(2).end(9), halted())
    assert result.verdict is (Outcome.HOLDS if waits else Outcome.INCONCLUSIVE)


def test_a_halt_ends_with_the_life(floor):
    """The next one says anew what is allowed."""
    floor.offer("a", 1).trading(2, allowed=False).counted(2).killed(3, 4).offer("b", 4.5).execute("b", 5)
    assert judge(floor.end(9), halted()).verdict is Outcome.HOLDS
