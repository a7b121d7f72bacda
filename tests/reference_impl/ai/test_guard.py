"""The guard of one model: when it is asked, and which answers count."""

import pytest

from reference_impl._ai.guard import Guard


def fresh(**settings):
    """A guard of a model that works."""
    guard = Guard(**({"failures_max": 3, "pause_s": 1.0, "pause_s_max": 4.0, "stuck_after": 4} | settings))
    assert guard.reason == "not_trained"
    assert guard.answered(0.4, 0) == 0.4
    assert guard.reason is None
    return guard


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (float("nan"), "not_a_number"),
        (float("inf"), "not_a_number"),
        (None, "not_a_number"),
        ("0.5", "not_a_number"),
        (True, "not_a_number"),
        (1.0001, "out_of_range"),
        (-0.1, "out_of_range"),
    ],
)
def test_what_is_no_probability_is_a_failure(answer, reason):
    """Unavailable at once, with the code; available with the next good answer."""
    guard = fresh()
    assert guard.answered(answer, 0) is None
    assert guard.reason == reason
    assert guard.answered(0.5, 0) == 0.5
    assert guard.reason is None


@pytest.mark.parametrize("answer", [0, 1, 0.0, 1.0])
def test_the_ends_of_the_range_count(answer):
    """A model may be certain."""
    assert fresh().answered(answer, 0) == answer


def test_the_circuit_opens_and_pauses_longer_each_time():
    """After three failures 1 s, then 2 s, 4 s, and no longer than 4 s; one answer closes it."""
    guard = fresh()
    for _ in range(2):
        guard.failed("raised", 10.0)
    assert guard.admits(10.0)
    now = 10.0
    for pause in (1.0, 2.0, 4.0, 4.0):
        guard.failed("raised", now)
        assert not guard.admits(now + pause - 0.001)
        now += pause
        assert guard.admits(now)
    guard.answered(0.5, now)
    guard.failed("raised", now)
    assert guard.admits(now)


def test_a_model_that_has_not_come_back_is_not_asked_again():
    """However long ago it was asked."""
    guard = fresh()
    guard.asked()
    guard.failed("timeout", 0)
    assert not guard.admits(1e9)
    guard.came_back()
    assert guard.admits(1e9)


def test_the_same_answer_again_and_again_is_stuck():
    """Not before the fourth in a row; any other answer ends it; it is asked all the while."""
    guard = fresh()
    assert [guard.answered(0.7, 0) for _ in range(5)] == [0.7, 0.7, 0.7, None, None]
    assert guard.reason == "stuck"
    assert guard.admits(0)
    assert guard.answered(0.70000001, 0) == 0.70000001
    assert guard.reason is None
