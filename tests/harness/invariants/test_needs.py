"""Needs count what happened, where it happened, and cannot be met by nothing."""

import pytest

from harness.invariants.needs import at_least, observed_at_least
from harness.verdict import NeedResult


@pytest.fixture
def history(run):
    """Publishes at 1 (ok), 12 (fail), 15 (ok), 20 (ok), 33 (info); faults at 10..20 and 30..end; three links."""
    run.fault(10, 20).fault(30)
    run.call("publish", 1, 2).call("publish", 12, 13, "fail").call("publish", 15, 16).call("publish", 20, 21)
    run.call("publish", 33)
    run.stats(5, 1).stats(15, 2).stats(16, 2)
    return run.end(40)


@pytest.mark.parametrize(
    ("options", "observed"),
    [
        ({}, 5),
        ({"outcome": "ok"}, 3),
        ({"outcome": "info"}, 1),
        ({"inside": "redis.outage"}, 3),
        ({"inside": "redis.outage", "outcome": "ok"}, 1),
        ({"inside": "never.happened"}, 0),
    ],
)
def test_operations_are_counted(history, options, observed):
    """By outcome and by fault; the instant of healing is outside, an unhealed fault reaches to the end."""
    result = at_least(3, "publish", **options).check(history)
    assert (observed, observed >= 3) == (result.observed, result.met)


def test_the_text_says_what_is_needed(history):
    """For the report."""
    need = at_least(1_000, "publish", outcome="ok", inside="redis.outage")
    assert NeedResult(text="at least 1,000 publish ok inside redis.outage", met=False, observed=1) == need.check(
        history
    )


@pytest.mark.parametrize(
    ("options", "observed"),
    [
        ({}, 3),
        ({"where": {"buffered": 2}}, 2),
        ({"where": {"buffered": 2, "mode": "resync"}}, 0),
        ({"where": {"missing": None}}, 0),
        ({"inside": "redis.outage"}, 2),
    ],
)
def test_observations_are_counted(history, options, observed):
    """By what they hold and by fault; a field that is not there equals nothing."""
    result = observed_at_least(2, "stats", **options).check(history)
    assert (observed, observed >= 2) == (result.observed, result.met)


@pytest.mark.parametrize("make", [at_least, observed_at_least])
def test_a_need_of_nothing_is_refused(make):
    """It could not fail."""
    with pytest.raises(ValueError, match="could not fail"):
        make(0, "publish")
