"""EB7: a buffer within its capacity, whose overflow is counted, announced and nothing else."""

import pytest

from harness.invariants.base import judge_all
from harness.invariants.bounds import capacity
from harness.verdict import Outcome


def judge(history, rows=3):
    """The result for a buffer of so many rows."""
    return judge_all(history, [capacity(rows)])[0]


@pytest.fixture
def overflown(run):
    """Five events while a buffer of three fills; `a` and `b` are given up, the rest is delivered."""
    run.groups("risk", "books")
    for number, key in enumerate("abcde"):
        run.publish(key, number, number + 0.1)
        run.stats(number + 0.5, buffered=min(3, number + 1), mode="fallback")
    for key in "cde":
        run.deliver(key, 10).deliver(key, 10, group="books")
    return run


def test_holds_without_overflow(run):
    """Observed is the most rows of any sample."""
    result = judge(run.publish("a", 1, 1.1).stats(2, 1).stats(3, 2).stats(4).end(9))
    assert (result.verdict, result.checked, result.observed, result.limit) == (Outcome.HOLDS, 3, 2, 3)


def test_too_many_rows(run):
    """One sample is enough."""
    result = judge(run.stats(1, 3).stats(2, 5).stats(3, 4).end(9))
    assert (result.verdict, result.observed) == (Outcome.VIOLATED, 5)
    assert "publisher held 5 rows; publisher held 4 rows (limit 3 rows" in result.finding.sentence


def test_overflow_counted_and_announced_is_allowed(overflown):
    """Dropped = counted = announced = 2."""
    assert Outcome.HOLDS is judge(overflown.overflow(4, "a", "b").stats(11, dropped=2).end(12)).verdict


def test_silent_overflow(overflown):
    """Neither counted nor announced: two acked events are just gone."""
    result = judge(overflown.stats(11).end(12))
    assert Outcome.VIOLATED is result.verdict
    assert "publisher gave up 2 acked events without announcing it" in result.finding.sentence
    assert (result.finding.count, result.finding.first) == (2, "a at 0.000 s")


@pytest.mark.parametrize(
    ("announced", "counted", "words"),
    [
        ("ab", 1, "counted 1 dropped event and announced 2"),
        ("ab", 0, "counted 0 dropped events and announced 2"),
        ("ab", 3, "counted 3 dropped events and announced 2"),
        ("a", 2, "counted 2 dropped events and announced 1"),
        ("a", 1, "gave up 1 acked event without announcing it"),
    ],
)
def test_figures_that_differ(overflown, announced, counted, words):
    """Counter and announcements must be equal, and cover what is missing."""
    result = judge(overflown.overflow(4, *announced).stats(11, dropped=counted).end(12))
    assert Outcome.VIOLATED is result.verdict
    assert words in result.finding.sentence


@pytest.mark.parametrize(
    ("announced", "counted", "verdict"),
    [("a", 2, Outcome.HOLDS), ("a", 1, Outcome.VIOLATED), ("ab", 1, Outcome.VIOLATED)],
)
def test_a_kill_may_cost_an_announcement_but_never_a_count(overflown, announced, counted, verdict):
    """The counter is on disk; the announcement died with the process."""
    overflown.host("publisher", "started", 0).host("publisher", "killed", 5)
    assert verdict is judge(overflown.overflow(4, *announced).stats(11, dropped=counted).end(12)).verdict


def test_a_counter_is_no_announcement_of_a_producer_that_lived(overflown):
    """Both things are wrong then: the figures differ, and an event went silently."""
    sentence = judge(overflown.overflow(4, "a").stats(11, dropped=2).end(12)).finding.sentence
    assert "counted 2 dropped events and announced 1" in sentence
    assert "gave up 1 acked event without announcing it" in sentence


def test_an_announced_event_that_arrived_is_no_offence(overflown):
    """A frozen Redis took it in and the bus could not know."""
    overflown.overflow(4, "a", "b").deliver("a", 11).deliver("a", 11, group="books")
    assert Outcome.HOLDS is judge(overflown.stats(11, dropped=2).end(12)).verdict


@pytest.mark.parametrize("how", [{"announced": "a", "counted": 1}, {"announced": "", "counted": 1}])
def test_overflow_of_a_buffer_that_was_never_full(run, how):
    """Announcing overflow is no way out of delivering; nor is counting it."""
    run.groups("risk").publish("a", 1, 1.1).publish("b", 2, 2.1).stats(0, 0).stats(2.2, 1, 0)
    if how["announced"]:
        run.overflow(3, how["announced"])
    result = judge(run.stats(4, 0, how["counted"]).end(9))
    assert Outcome.VIOLATED is result.verdict
    assert "gave up events although its buffer cannot have been full" in result.finding.sentence


def test_a_buffer_may_fill_between_two_samples(run):
    """Two rows, and two more offered before the next sample."""
    run.groups("risk").stats(1, 2).publish("a", 1.1, 1.2).publish("b", 1.3, 1.4).overflow(1.4, "a")
    run.deliver("b", 1.5)
    assert Outcome.HOLDS is judge(run.stats(2, 0, 1).end(9)).verdict


def test_plain_loss_is_not_overflow(run):
    """The buffer was far from full; that the event is missing is EB1's business."""
    run.groups("risk").publish("a", 1, 1.1).stats(0, 0).stats(2, 1).stats(3)
    assert Outcome.HOLDS is judge(run.end(9)).verdict


def test_producers_are_judged_apart(overflown):
    """Another producer's announcements do not cover this one's."""
    overflown.overflow(4, "a", "b").stats(11, dropped=2).stats(11, dropped=1, actor="other")
    assert "other counted 1 dropped event and announced 0" in judge(overflown.end(12)).finding.sentence


def test_without_samples_nothing_is_decided(run):
    """And the reason says so."""
    result = judge(run.publish("a", 1, 2).end(9))
    assert (result.verdict, result.reason) == (Outcome.INCONCLUSIVE, "the bus' own figures were never sampled")


def test_a_cut_history_decides_nothing_about_missing_events(overflown):
    """They may have been on their way."""
    assert Outcome.INCONCLUSIVE is judge(overflown.cut()).verdict


def test_a_capacity_must_be_positive():
    """A buffer of nothing is a mistake in the scenario."""
    with pytest.raises(ValueError, match="capacity"):
        capacity(0)
