"""EX3 and EX6: what met a terminal error is not sent again, and nothing is tried without end."""

import pytest

from harness.invariants.attempts import attempts, terminal_once
from harness.invariants.base import judge_all
from harness.verdict import Outcome


def judge(history, invariant=None):
    """The result; of EX3 unless told otherwise."""
    return judge_all(history, [invariant or terminal_once()])[0]


def test_a_terminal_error_ends_it(market):
    """The next order is of the next intent."""
    market.execute("i1", 1, 2).order(1.1, status=400, code=-2019).execute("i2", 3, 4).order(3.1)
    result = judge(market.end(9))
    assert (result.verdict, result.checked) == (Outcome.HOLDS, 1)


def test_sent_again_after_a_terminal_error(market):
    """How often, and after which."""
    market.execute("i1", 1, 2).order(1.1, status=400, code=-2019).order(1.2).order(1.3)
    result = judge(market.end(9))
    assert (result.verdict, result.observed) == (Outcome.VIOLATED, 1)
    assert result.finding.sentence == "1 intent sent again (limit 0): i1 sent again 2 times after -2019"
    assert result.finding.first == "i1 at 1.200 s"


@pytest.mark.parametrize("code", [-1021, -1008, -1015, -4116, 0])
def test_other_errors_are_not_terminal(market, code):
    """There is nothing to judge."""
    market.execute("i1", 1, 2).order(1.1, status=400, code=code).order(1.2)
    result = judge(market.end(9))
    assert (result.verdict, result.reason) == (Outcome.INCONCLUSIVE, "no order met a terminal error")


def test_who_did_not_hear_of_it_may_ask_again(market):
    """The answer was lost on the way, or its host died."""
    market.execute("i1", 1, 2).order(1.1, status=400, code=-2019).order(1.2)
    market.fault(1, 1.15, name="network.drop_reply", on="trader->binance")
    assert Outcome.INCONCLUSIVE is judge(market.end(9)).verdict
    market.host("trader", "started", 0).execute("i2", 3).order(3.1, status=400, code=-2019)
    market.host("trader", "killed", 3.2).execute("i2", 4, 5, incarnation=2).order(4.1)
    assert Outcome.HOLDS is judge(market.end(9)).verdict


def test_tried_often_enough(market):
    """Eight orders, refused ones included, within the deadline."""
    market.execute("i1", 1, 6.1)
    for number in range(8):
        market.order(1.1 + number / 10, status=503)
    result = judge(market.end(9), attempts())
    assert (result.verdict, result.checked) == (Outcome.HOLDS, 1)
    result = judge(market.order(5, status=503).end(9), attempts())
    assert result.finding.sentence == "1 intent tried without end (limit 0): i1 9 orders sent (limit 8)"
    assert result.finding.worst == "i1 at 5.000 s"


def test_took_too_long(market):
    """Five seconds were given."""
    result = judge(market.execute("i1", 1, 6.2).end(9), attempts())
    assert result.finding.sentence == "1 intent tried without end (limit 0): i1 took 5.2 s (limit 5 s)"


def test_no_intents_no_verdict(market):
    """Orders alone are none."""
    assert Outcome.INCONCLUSIVE is judge(market.order(1).end(9), attempts()).verdict


def test_a_limit_must_be_one():
    """An intent that may not be tried cannot be executed."""
    with pytest.raises(ValueError, match="at most 0"):
        attempts(0)
