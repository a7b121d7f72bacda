"""RL3: the exchange's counters stay within their limits, but for what nobody could know."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.invariants.base import judge_all
from harness.invariants.within_limits import within_limits
from harness.verdict import Outcome


def judge(history):
    """The result."""
    return judge_all(history, [within_limits()])[0]


def test_up_to_the_limit(market):
    """All of it may be used, window after window."""
    market.ask(1, used=60, weight=60).ask(2, used=100, weight=40).ask(11, used=100, weight=100)
    result = judge(market.end(20))
    assert (result.verdict, result.checked, result.observed) == (Outcome.HOLDS, 3, 0)


def test_beyond_by_its_own_doing(market):
    """Nobody else was there."""
    result = judge(market.ask(1, used=60, weight=60).ask(2, used=120, weight=60, status=429).end(9))
    assert (result.verdict, result.observed) == (Outcome.VIOLATED, 1)
    assert result.finding.sentence == (
        "1 request beyond a limit (limit 0): weight reached 120 of 100 per 10 s, unseen of it 0"
    )
    assert [row.event for row in result.finding.rows] == [
        "told: weight used 60",
        "GET /fapi/v1/depth -> 429: weight used 120 of 100",
    ]


def test_beyond_by_what_others_did_unseen(market):
    """The last answer told 50; since then others took 40, and it asked for 20."""
    market.ask(1, used=50, weight=50).ask(2, used=110, others=40, weight=20, status=429)
    assert Outcome.HOLDS is judge(market.end(9)).verdict


@pytest.mark.parametrize(
    ("fields", "verdict"),
    [
        ({}, Outcome.VIOLATED),
        ({"fault": "no_headers"}, Outcome.HOLDS),
        ({"fault": "silent_after", "after_ns": -1}, Outcome.HOLDS),
        ({"after_ns": 990_000_000}, Outcome.HOLDS),
    ],
)
def test_what_others_did_must_be_heeded_once_told(market, fields, verdict):
    """They had 40 of 90 already when the answer was given; whoever read it would not have asked for 20 more."""
    market.ask(1, used=50, weight=50).ask(2, used=90, others=40, **fields)
    assert verdict is judge(market.ask(3, used=110, others=40, weight=20, status=429).end(9)).verdict


def test_a_new_window_forgets(market):
    """What was told of the last one says nothing of this one, whose beginning others used up."""
    market.ask(9, used=90, others=10, weight=80).ask(11, used=105, others=85, weight=20, status=429)
    assert Outcome.HOLDS is judge(market.end(20)).verdict


def test_a_new_incarnation_knows_nothing(market):
    """Its predecessor's use is as unseen as others'."""
    market.host("trader", "started", 0).ask(1, used=90, weight=90)
    market.ask(3, used=110, weight=20, status=429)
    assert Outcome.VIOLATED is judge(market.end(9)).verdict
    assert Outcome.HOLDS is judge(market.host("trader", "killed", 2).end(9)).verdict


@pytest.mark.parametrize(
    ("told", "verdict"),
    [
        ({"path": "/fapi/v1/exchangeInfo"}, Outcome.VIOLATED),
        ({"status": 429}, Outcome.VIOLATED),
        ({}, Outcome.HOLDS),
        ({"path": "/fapi/v1/exchangeInfo", "status": 403, "fault": "firewall"}, Outcome.HOLDS),
    ],
)
def test_a_lowered_limit_binds_once_told(market, told, verdict):
    """Until then it is the old one that could be known."""
    market.ask(1, used=10, weight=10).ask(2, used=20, weight=10, limit=50, **told)
    assert verdict is judge(market.ask(3, used=60, weight=40, limit=50).end(9)).verdict


def test_a_lowered_limit_does_not_raise_the_old_one(market):
    """Beyond both is beyond."""
    market.ask(1, used=10, weight=10).ask(2, used=110, weight=100, limit=50)
    assert Outcome.VIOLATED is judge(market.end(9)).verdict


@pytest.mark.parametrize("used", [9, 10, 11])
def test_orders_are_counted_by_themselves(market, used):
    """A counter of orders, with a limit of 10."""
    for number in range(1, used + 1):
        market.order(number / 10, orders=1, counts=[[10_000, number, 10], [60_000, number, 100]])
    result = judge(market.end(9))
    assert result.verdict is (Outcome.VIOLATED if used > 10 else Outcome.HOLDS)
    assert result.checked == 2 * used


def test_a_refused_order_is_one_too_many(market):
    """It is not counted at the exchange, and had no place there; unless a fault refused it."""
    for number in range(1, 11):
        market.order(number / 10, orders=1, counts=[[10_000, number, 10]])
    refused = {"status": 429, "code": -1015}
    assert Outcome.HOLDS is judge(market.order(1.5, fault="too_many_orders", **refused).end(9)).verdict
    assert Outcome.VIOLATED is judge(market.order(2, **refused).end(9)).verdict


def test_nothing_counted_decides_nothing(market):
    """Requests that never came to be counted."""
    assert Outcome.INCONCLUSIVE is judge(market.ask(1, limit=0).end(9)).verdict


steps = st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)), min_size=1, max_size=30)


@settings(max_examples=200, deadline=None)
@given(steps)
def test_a_client_that_believes_the_counter_is_never_blamed(new_market, asked):
    """Whatever others do between its requests: it asks only for what the last answer left."""
    run, used, known, others = new_market(), 0, 0, 0
    for number, (weight, theirs) in enumerate(asked):
        used, others = used + theirs, others + theirs
        if known + weight <= 100:
            used += weight
            run.ask(number * 0.3, used=used, others=others, weight=weight)
            known = used
    assert Outcome.VIOLATED is not judge(run.end(10)).verdict


@settings(max_examples=200, deadline=None)
@given(steps)
def test_a_client_that_asks_for_more_than_was_left_is_blamed(new_market, asked):
    """It is blamed for the first request beyond what it knew to be left, and only if that is beyond the limit."""
    run, used, known, others, guilty = new_market(), 0, 0, 0, False
    for number, (weight, theirs) in enumerate(asked):
        used, others = used + theirs + weight, others + theirs
        guilty = guilty or used - 100 > theirs
        run.ask(number * 0.3, used=used, others=others, weight=weight)
        known = used
    assert known == used
    assert (Outcome.VIOLATED is judge(run.end(10)).verdict) == guilty
