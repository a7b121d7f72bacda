"""SF4: nothing is given up or kept waiting for what is worth less."""

import pytest

from harness.invariants.base import judge_all
from harness.invariants.dominance import dominance
from harness.verdict import Outcome


def judge(history, capacity=3):
    """The result for a queue of so many."""
    return judge_all(history, [dominance(capacity)])[0]


@pytest.fixture
def full(floor):
    """Three that wait: a at 0.4, b at 0.2, c at 0.6."""
    return floor.offer("a", 1, confidence=0.4).offer("b", 2, confidence=0.2).offer("c", 3, confidence=0.6)


@pytest.mark.parametrize(
    ("confidence", "lost", "verdict"),
    [
        (0.9, "b", Outcome.HOLDS),
        (0.1, "d", Outcome.HOLDS),
        (0.2, "d", Outcome.HOLDS),
        (0.2, "b", Outcome.HOLDS),
        (0.9, "a", Outcome.VIOLATED),
        (0.9, "d", Outcome.VIOLATED),
        (0.1, "b", Outcome.VIOLATED),
    ],
)
def test_who_may_be_given_up(full, confidence, lost, verdict):
    """The least confident, be it the newcomer; of equals any."""
    result = judge(full.offer("d", 4, confidence=confidence, ends=[(lost, "dropped")]).end(9))
    assert (result.verdict, result.checked) == (verdict, 1)


def test_the_finding_names_both(full):
    """The one that was given up, and the least that was kept."""
    finding = judge(full.offer("d", 4, confidence=0.9, ends=[("d", "dropped")]).end(9)).finding
    assert "d of confidence 0.9 was dropped, and b of 0.2 was kept" in finding.sentence


def test_a_drop_outside_of_a_call(full):
    """By a task of the executor's own: what is live then is compared."""
    full.offer("d", 4, confidence=0.9).end_of("a", "dropped", time=5)
    assert judge(full.end(9)).verdict is Outcome.VIOLATED


def test_nothing_is_given_up_while_there_is_room(full):
    """However little it is worth."""
    result = judge(full.offer("d", 4, confidence=0.1, ends=[("d", "dropped")]).end(9), capacity=4)
    assert "although only 3 of 4 places were taken" in result.finding.sentence


def test_exits_are_kept_whatever_their_confidence(floor):
    """They are not compared."""
    floor.offer("x", 1, confidence=0.0, exit=True).offer("a", 1, confidence=0.5).offer("b", 1, confidence=0.6)
    assert judge(floor.offer("c", 2, confidence=0.4, ends=[("c", "dropped")]).end(9)).verdict is Outcome.HOLDS


@pytest.mark.parametrize(("first", "verdict"), [("c", Outcome.HOLDS), ("a", Outcome.VIOLATED), ("b", Outcome.VIOLATED)])
def test_the_best_executes_first(full, first, verdict):
    """By confidence."""
    result = judge(full.execute(first, 4).end(9))
    assert (result.verdict, result.checked) == (verdict, 1)


def test_ties_oldest_first(floor):
    """Of equal confidence."""
    floor.offer("a", 1).offer("b", 2)
    assert judge(floor.execute("b", 3).end(9)).verdict is Outcome.VIOLATED
    assert "b of confidence 0.5 executed before entry a of 0.5" in judge(floor.end(9)).finding.sentence


def test_exits_before_entries(full):
    """Whatever their confidence."""
    full.offer("x", 4, confidence=0.0, exit=True)
    assert judge(full.execute("c", 5).end(9)).verdict is Outcome.VIOLATED


def test_an_exit_may_execute_before_all(full):
    """How exits stand among each other is SF5's business."""
    full.offer("x", 4, exit=True).offer("y", 4, exit=True)
    assert judge(full.execute("y", 5).end(9)).verdict is Outcome.HOLDS


def test_what_is_stale_is_not_passed_over(floor):
    """From the end of its ttl on."""
    floor.offer("a", 1, confidence=0.9, ttl=1).offer("b", 1, confidence=0.1)
    assert judge(floor.execute("b", 2).end(9)).verdict is Outcome.HOLDS
    assert judge(floor.execute("b", 1.999).end(9)).verdict is Outcome.VIOLATED


def test_nothing_dropped_nor_executed_is_nothing_known(full):
    """Inconclusive."""
    assert judge(full.end(9)).verdict is Outcome.INCONCLUSIVE
