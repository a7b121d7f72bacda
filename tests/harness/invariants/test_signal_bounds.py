"""SF1 and SF2: a queue within its bound, executions that keep their distance."""

import pytest

from harness.invariants.base import judge_all
from harness.invariants.execution_rate import execution_rate
from harness.invariants.queue_bound import queue_bound
from harness.verdict import Outcome


def judge(history, invariant):
    """The result."""
    return judge_all(history, [invariant])[0]


def test_a_queue_at_its_bound(floor):
    """Observed is the most that waited; what executes waits no more."""
    for name in "abc":
        floor.offer(name, 1).counted(1)
    floor.execute("a", 2).counted(2).offer("d", 3).counted(3)
    result = judge(floor.end(9), queue_bound(3))
    assert (result.verdict, result.observed, result.limit, result.checked) == (Outcome.HOLDS, 3, 3, 9)


def test_one_too_many_by_the_recount(floor):
    """Also when the executor says otherwise."""
    for name in "abcd":
        floor.offer(name, 1)
    result = judge(floor.counted(2, queued=3).end(9), queue_bound(3))
    assert (result.verdict, result.observed) == (Outcome.VIOLATED, 4)
    assert "engine held 4 signals by the recount (limit 3)" in result.finding.sentence


def test_one_too_many_by_its_own_count(floor):
    """One sample is enough."""
    result = judge(floor.offer("a", 1).counted(1, queued=4).counted(2).end(9), queue_bound(3))
    assert result.verdict is Outcome.VIOLATED
    assert (result.finding.count, result.finding.first) == (1, "engine at 1.000 s")


def test_one_goes_for_one_that_comes(floor):
    """Announced within the call, it never was one too many."""
    for name in "abc":
        floor.offer(name, 1)
    floor.offer("d", 2, ends=[("a", "dropped")]).offer("e", 2, ends=[("e", "dropped")])
    assert judge(floor.end(9), queue_bound(3)).verdict is Outcome.HOLDS


def test_a_kill_empties_the_queue(floor):
    """The next life begins with nothing."""
    for name in "abc":
        floor.offer(name, 1)
    floor.killed(2, 3)
    for name in "def":
        floor.offer(name, 4)
    assert judge(floor.end(9), queue_bound(3)).verdict is Outcome.HOLDS


def test_nothing_offered_is_nothing_known(floor):
    """Inconclusive."""
    assert judge(floor.end(9), queue_bound(3)).verdict is Outcome.INCONCLUSIVE


@pytest.mark.parametrize(
    ("starts", "verdict", "most"),
    [
        ((1, 1, 2, 2, 3), Outcome.HOLDS, 2),
        ((1, 1.5, 2, 2.5), Outcome.HOLDS, 2),
        ((1, 1, 1.999_999_999), Outcome.VIOLATED, 3),
        ((1, 1.9, 1.95), Outcome.VIOLATED, 3),
        ((1, 1, 1, 1), Outcome.VIOLATED, 4),
        ((1,), Outcome.HOLDS, 1),
    ],
)
def test_windows_slide_and_are_half_open(floor, starts, verdict, most):
    """Failures count like all others."""
    for number, start in enumerate(starts):
        floor.execute(f"s{number}", start, start + 0.1, outcome="fail" if number % 2 else "ok")
    result = judge(floor.end(9), execution_rate())
    assert (result.verdict, result.observed, result.checked) == (verdict, most, len(starts))


def test_a_restart_is_no_excuse(floor):
    """Two before the kill and one after it within a second."""
    floor.execute("a", 1).execute("b", 1).killed(1.2, 1.5).execute("c", 1.9)
    result = judge(floor.end(9), execution_rate())
    assert "began 3 executions within 900 ms (limit 2)" in result.finding.sentence
    assert any("(life 2)" in row.event for row in result.finding.rows)


@pytest.mark.parametrize(("third", "verdict"), [(1.91, Outcome.HOLDS), (1.89, Outcome.VIOLATED)])
def test_the_real_world_has_a_margin(new_floor, third, verdict):
    """A tenth of a second."""
    floor = new_floor("real").execute("a", 1).execute("b", 1).execute("c", third)
    assert judge(floor.end(9), execution_rate()).verdict is verdict


def test_senseless_limits():
    """A mistake in the scenario."""
    with pytest.raises(ValueError, match="queue"):
        queue_bound(0)
    with pytest.raises(ValueError, match="rate"):
        execution_rate(0)
    with pytest.raises(ValueError, match="rate"):
        execution_rate(2, 10, real_margin_ns=10)
