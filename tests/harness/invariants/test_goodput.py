"""RL5 and RL6: what is allowed is used while work waits, and after a wait work flows as before."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.invariants.base import judge_all
from harness.invariants.goodput import goodput
from harness.invariants.resumption import recovers
from harness.units import seconds
from harness.verdict import Outcome


def judge(history, invariant=None):
    """The result; of RL5 with one operation waiting unless told otherwise."""
    return judge_all(history, [invariant or goodput(waiting=1)])[0]


@pytest.fixture
def busy(market):
    """Work is waiting from 1 s to 29 s, and 95 of 100 are used in the window from 10 to 20 s."""
    market.do("read", 1, 29, deadline=60)
    return market.ask(11, used=45, weight=45).ask(19.9, used=95, weight=50)


def test_a_window_that_is_used(busy):
    """Only the one that was busy as a whole is judged, and counted."""
    result = judge(busy.end(30))
    assert (result.verdict, result.checked, result.observed) == (Outcome.HOLDS, 1, 95.0)


def test_a_window_that_is_wasted(market):
    """89 of 100, although work was waiting."""
    market.do("read", 1, 29).ask(11, used=89, weight=89)
    result = judge(market.end(30))
    assert (result.verdict, result.observed) == (Outcome.VIOLATED, 89.0)
    assert result.finding.sentence == (
        "1 window used too little although work was waiting: 89 of 100 weight, 89 % (limit 90 %)"
    )
    assert result.finding.first == "window at 10.000 s"


def test_what_others_used_could_not_be(market):
    """They had 40; 54 of the 60 left are 90 %."""
    market.do("read", 1, 29).ask(11, used=94, others=40, weight=54)
    assert Outcome.HOLDS is judge(market.end(30)).verdict


@pytest.mark.parametrize("gap", [(9.5, 9.8), (10, 10.5), (19, 25), (12, 12.001)])
def test_a_window_without_waiting_work_is_not_judged(market, gap):
    """Unless the gap lies outside of it."""
    market.do("read", 1, gap[0]).do("read", gap[1], 29).ask(11, used=50, weight=50)
    expected = Outcome.VIOLATED if gap[1] < 10 else Outcome.INCONCLUSIVE
    assert expected is judge(market.end(30)).verdict


def test_as_many_as_asked_for_must_wait(market):
    """Two were in flight at any time, and never three."""
    for start, end in ((1, 15), (1, 29), (15, 29)):
        market.do("read", start, end)
    history = market.ask(11, used=50, weight=50).end(30)
    assert Outcome.VIOLATED is judge(history, goodput(waiting=2)).verdict
    assert Outcome.INCONCLUSIVE is judge(history, goodput(waiting=3)).verdict


@pytest.mark.parametrize("what", ["fault", "wait", "death", "limits"])
def test_a_disturbed_window_is_not_judged(market, what):
    """Of a fault, a told wait, a host's death, or limits that change."""
    market.do("read", 1, 29).ask(11, used=50, weight=50)
    if what == "fault":
        market.fault(12, 13, name="binance.latency")
    elif what == "wait":
        market.ask(12, used=50, status=429, wait=2)
    elif what == "death":
        market.host("trader", "started", 0).host("trader", "killed", 12)
    else:
        market.limits(12, weight=50)
    history = market.end(30)
    assert Outcome.INCONCLUSIVE is judge(history).verdict
    if what == "fault":
        assert Outcome.VIOLATED is judge(history, goodput(waiting=1, despite=("binance.lat*",))).verdict


def test_nothing_need_wait_is_refused():
    """Any window would be busy."""
    with pytest.raises(ValueError, match="waiting"):
        goodput(waiting=0)


def steadily(market, start, end, gap=0.25):
    """Operations that take 0.1 s, one every `gap`."""
    for number in range(round((end - start) / gap)):
        market.do("read", start + number * gap, start + number * gap + 0.1)
    return market


def test_recovered_at_once(market):
    """Four a second before the wait, and after it."""
    steadily(market, 0, 20).ask(20, status=429, wait=10).fault(20, 21, name="binance.storm")
    result = judge(steadily(market, 30, 50).end(50), recovers())
    assert (result.verdict, result.checked, result.observed) == (Outcome.HOLDS, 1, 100.0)


@pytest.mark.parametrize(("resumed", "verdict"), [(39, Outcome.HOLDS), (41.5, Outcome.VIOLATED)])
def test_recovered_in_time(market, resumed, verdict):
    """It has 10 s."""
    steadily(market, 0, 20).ask(20, status=429, wait=10).fault(20, 21, name="binance.storm")
    result = judge(steadily(market, resumed, 60).end(60), recovers())
    assert result.verdict is verdict
    if verdict is Outcome.VIOLATED:
        assert result.finding.sentence.startswith("1 wait after which work did not come back to 80 % of 4.00/s within")


def test_half_the_rate_is_no_recovery(market):
    """Observed is what it came to."""
    steadily(market, 0, 20).ask(20, status=429, wait=10).fault(20, 21, name="binance.storm")
    result = judge(steadily(market, 30, 60, gap=0.5).end(60), recovers())
    assert (result.verdict, result.observed) == (Outcome.VIOLATED, 50.0)


def test_failures_are_no_work(market):
    """Operations that end in errors do not count, however many."""
    steadily(market, 0, 20).ask(20, status=429, wait=10).fault(20, 21, name="binance.storm")
    for number in range(200):
        market.do("read", 30 + number / 10, 30.05 + number / 10, outcome="fail")
    assert Outcome.VIOLATED is judge(market.end(50), recovers()).verdict


def test_a_disturbed_recovery_is_owed_after_the_disturbance(market):
    """Another fault from 35 to 60 s: what is owed is owed from then on."""
    steadily(market, 0, 20).ask(20, status=429, wait=10).fault(20, 21, name="binance.storm")
    market.fault(33, 60, name="binance.firewall")
    assert Outcome.INCONCLUSIVE is judge(market.end(70), recovers()).verdict
    assert Outcome.VIOLATED is judge(market.end(80), recovers()).verdict
    assert Outcome.HOLDS is judge(steadily(market, 69, 80).end(80), recovers()).verdict


def test_waits_for_orders_are_another_matter(market):
    """Judged by scope."""
    steadily(market, 0, 20).order(20, status=429, wait=10, scope="orders").fault(20, 21, name="binance.order_storm")
    history = steadily(market, 30, 50).end(50)
    assert Outcome.INCONCLUSIVE is judge(history, recovers()).verdict
    assert Outcome.HOLDS is judge(history, recovers(scope="orders")).verdict


def test_without_a_baseline_nothing_is_judged(market):
    """The fault was there from the beginning."""
    market.fault(0.1, 21, name="binance.storm").ask(20, status=429, wait=10)
    result = judge(steadily(market, 30, 50).end(50), recovers())
    assert (result.verdict, result.reason) == (Outcome.INCONCLUSIVE, "nothing was done before the first fault")


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(3_000, 5_500), max_size=60))
def test_recovery_agrees_with_trying_every_stretch(new_market, ends):
    """A stretch at every 10 ms, counted by hand."""
    market = steadily(new_market(), 0, 20).ask(20, status=429, wait=10).fault(20, 21, name="binance.storm")
    for number, end in enumerate(ends):
        market.do("read", 21 + number / 100, end / 100)
    starts = range(3_000, 4_001)
    best = max(sum(start <= end < start + 500 for end in ends) for start in starts)
    result = judge(market.end(56), recovers(stretch_ns=seconds(5)))
    assert result.observed == round(100 * best / 20, 1)
    assert result.verdict is (Outcome.HOLDS if best >= 16 else Outcome.VIOLATED)
