"""SF3: every signal ends once, for a true reason, and the counts say so at every step."""

import pytest

from harness.invariants.base import judge_all
from harness.invariants.signal_conservation import conservation
from harness.verdict import Outcome


def judge(history, capacity=100):
    """The result."""
    return judge_all(history, [conservation(capacity)])[0]


def sentence(floor, capacity=100):
    """What is wrong."""
    result = judge(floor.end(20), capacity)
    assert result.verdict is Outcome.VIOLATED
    return result.finding.sentence


@pytest.fixture
def whole(floor):
    """One signal for each way to end, with samples in between."""
    floor.offer("a", 1).counted(1).offer("b", 1, symbol="X").counted(1)
    floor.offer("c", 2, symbol="X", ends=[("b", "superseded", "c")]).counted(2)
    floor.offer("nan", 2, "fail", flaw="nan confidence", ends=[("nan", "rejected", "bad_confidence")]).counted(2)
    floor.offer("d", 3, ends=[("a", "dropped")]).counted(3)
    floor.execute("d", 4, 5).counted(5)
    floor.end_of("c", "expired", time=7).counted(7)
    return floor.offer("e", 8).counted(8).closing(9).end_of("e", "closed", time=9).counted(9).finished(9)


def test_all_ways_to_end(whole):
    """Checked: offers, ends, and samples."""
    result = judge(whole.end(10))
    assert (result.verdict, result.observed, result.checked) == (Outcome.HOLDS, 0, 6 + 6 + 9)


@pytest.mark.parametrize("field", ["offered", "queued", "executed", "dropped", "expired", "superseded", "rejected"])
def test_a_count_that_is_off_by_one(whole, field):
    """Whichever it is, the sum is wrong as well."""
    words = sentence(whole.counted(9.5, **{field: whole.counts[field] + 1}))
    assert f"{field} {whole.counts[field] + 1}, by the recount {whole.counts[field]}" in words
    assert "and all ends and the queue come to" in words


def test_counts_that_add_up_and_are_false(floor):
    """A dropped one told as expired."""
    floor.offer("a", 1).offer("b", 2, ends=[("a", "dropped")])
    assert "dropped 0, by the recount 1; expired 1, by the recount 0" in sentence(
        floor.counted(3, dropped=0, expired=1)
    )


def test_silent_replacement(floor):
    """Nothing is announced, and the queue is shorter than what was taken in."""
    floor.offer("a", 1, symbol="X").counted(1).offer("b", 2, symbol="X")
    assert "offered 2, and all ends and the queue come to 1" in sentence(floor.counted(2, queued=1))


def test_what_never_ended(floor):
    """Closed, and not a word of it."""
    assert "a never ended, and nothing was said of it" in sentence(floor.offer("a", 1).closing(2).finished(3))


@pytest.mark.parametrize("how", ["killed", "cut"])
def test_a_kill_owes_nothing(floor, how):
    """What was live is gone, and a call that was cut short may have had any outcome."""
    floor.offer("a", 1).counted(1).offer("b", 2, None, ends=[("b", "dropped")] if how == "cut" else ())
    floor.killed(2, 3).offer("c", 4).counted(4)
    assert judge(floor.end(9)).verdict is Outcome.HOLDS


def test_counts_begin_anew(floor):
    """An executor that counts on over a kill is not one that this can follow."""
    floor.offer("a", 1).counted(1).killed(2, 3).offer("b", 4)
    assert "offered 2" in sentence(floor.counted(4, offered=2))


@pytest.mark.parametrize(
    ("outcome", "flaw", "words"),
    [
        ("ok", "nan confidence", "was taken in although it is malformed (nan confidence)"),
        ("info", "nan confidence", "was answered by an error without a reason: TypeError"),
        ("info", "", "was answered by an error without a reason: TypeError"),
        ("fail", "", "was refused although nothing is wrong with it"),
    ],
)
def test_refusals_are_typed_and_only_for_poison(floor, outcome, flaw, words):
    """Nothing malformed comes in, nothing good stays out, and errors have a reason."""
    assert words in sentence(floor.offer("a", 1, outcome, flaw=flaw))


def test_an_exit_may_be_refused_by_a_queue_full_of_exits(floor):
    """And an entry may not; nor may an exit, while there is an entry."""
    full = ("x", "rejected", "exits_full")
    floor.offer("a", 1, exit=True).offer("b", 1, exit=True)
    floor.offer("x", 2, "fail", exit=True, ends=[full]).counted(2)
    assert judge(floor.end(9), capacity=2).verdict is Outcome.HOLDS
    assert "x was refused" in sentence(floor, capacity=3)


@pytest.mark.parametrize(
    ("name", "reason", "detail", "words"),
    [
        ("a", "expired", "", "was announced as expired before the end of its ttl"),
        ("a", "closed", "", "was announced as closed although nobody closed"),
        ("a", "superseded", "", "was announced as superseded by , which cannot stand for it"),
        ("a", "superseded", "other", "superseded by other, which cannot stand for it"),
        ("b", "superseded", "a", "superseded by a, which cannot stand for it"),
        ("a", "executed", "", "was announced as executed although it was not executing"),
        ("ghost", "dropped", "", "was announced as dropped although it was never offered"),
        ("a", "bored", "", "ended for a reason that is none: bored"),
    ],
)
def test_reasons_must_be_true(floor, name, reason, detail, words):
    """Otherwise everything could be given up under a good name."""
    floor.counts["bored"] = 0
    floor.offer("a", 1, symbol="X").offer("b", 1.5, symbol="X").offer("other", 1.6, symbol="Y")
    assert words in sentence(floor.end_of(name, reason, detail, time=2))


def test_an_entry_may_be_superseded_by_an_older_exit(floor):
    """While that waits."""
    floor.offer("x", 1, symbol="X", exit=True).offer("e", 2, symbol="X", ends=[("e", "superseded", "x")]).counted(2)
    floor.execute("x", 3, 3.1)
    assert judge(floor.end(9)).verdict is Outcome.HOLDS
    floor.offer("f", 4, symbol="X", ends=[("f", "superseded", "x")])
    assert "f was announced as superseded by x" in sentence(floor)


@pytest.mark.parametrize("again", ["dropped", "execution"])
def test_nothing_ends_twice(floor, again):
    """Nor executes after it was given up."""
    floor.offer("a", 1).end_of("a", "dropped", time=2)
    if again == "execution":
        floor.execute("a", 3)
    else:
        floor.end_of("a", "dropped", time=3)
    assert "a ended twice" in sentence(floor)


def test_an_execution_of_nothing(floor):
    """What was never offered."""
    assert "ghost executed although it was never offered" in sentence(floor.offer("a", 1).execute("ghost", 2))


def test_an_end_may_come_before_the_call_returns(floor):
    """As when the executor has a task of its own that is quicker."""
    floor.offer("a", 1, ends=[("a", "superseded", "b")], symbol="X")
    floor.events[-2], floor.events[-1] = floor.events[-1], floor.events[-2]
    floor.offer("b", 2, symbol="X").counted(2)
    assert judge(floor.end(9)).verdict is Outcome.HOLDS


def test_a_cut_history_decides_nothing(floor):
    """The rest may be anything."""
    assert judge(floor.offer("a", 1).counted(1).cut()).verdict is Outcome.INCONCLUSIVE
