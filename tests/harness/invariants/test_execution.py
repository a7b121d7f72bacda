"""EX1, EX2, EX4 and EX5: never too much, never another figure than the exchange's, never without saying why."""

from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.invariants.base import judge_all
from harness.invariants.execution import accounted, agreed, no_overfill, slippage
from harness.invariants.intents import read_intents
from harness.verdict import Outcome

ALL = (no_overfill(), agreed(), accounted(), slippage())


def judge(history, invariant):
    """The result of one of them."""
    return judge_all(history, [invariant])[0]


def violated(history):
    """The ids of those that the history violates."""
    return {one.id for one in judge_all(history, ALL) if one.verdict is Outcome.VIOLATED}


@pytest.fixture
def done(market):
    """Ten wanted; six, then four, filled and reported."""
    market.execute("i1", 1, 2, report=("filled", "10", "0"))
    return market.order(1.1, fills=[("6", "100")]).order(1.2, fills=[("3.5", "100.2"), ("0.5", "100.5")])


def test_done_and_reported(done):
    """Up to the limit of 50 bps, which counts as within."""
    results = judge_all(done.end(9), ALL)
    assert [one.verdict for one in results] == [Outcome.HOLDS] * 4
    assert [one.checked for one in results] == [1, 1, 1, 3]


def test_orders_belong_to_the_intent_begun_last(market):
    """By symbol and time; fills follow their order; other symbols belong to nobody."""
    market.execute("i1", 1, 3).order(2, quantity="1", fills=[("1", "100")])
    market.execute("e1", 1, 3, symbol="ETHUSDT").order(2.5, symbol="ETHUSDT").order(2.6, symbol="BNBUSDT")
    market.execute("i2", 4, 5).order(4.5, fills=[("2", "100")]).order(6)
    intents = {one.key: one for one in read_intents(market.end(9))}
    assert {key: len(one.attempts) for key, one in intents.items()} == {"i1": 1, "e1": 1, "i2": 2}
    assert {key: one.filled() for key, one in intents.items()} == {"i1": 1, "e1": 0, "i2": 2}


def test_a_late_fill_belongs_to_the_intent_of_its_order(market):
    """Although the next intent had begun."""
    market.execute("i1", 1, 2).order(1.5, order_id=7).execute("i2", 3, 4)
    market._see("fill", 3.5, {"symbol": "BTCUSDT", "side": "BUY", "order_id": 7, "price": "1", "quantity": "5"})
    assert [one.filled() for one in read_intents(market.end(9))] == [5, 0]


def test_an_intent_asked_for_again_after_a_crash_is_one(market):
    """Both calls, all orders."""
    market.execute("i1", 1).order(1.5, fills=[("6", "100")])
    market.execute("i1", 3, 4, incarnation=2, report=("filled", "10", "0")).order(3.5, fills=[("4", "100")])
    (intent,) = read_intents(market.end(9))
    assert (len(intent.calls), len(intent.attempts), intent.filled()) == (2, 2, 10)
    assert set() == violated(market.end(9))


def test_overfilled(done):
    """One contract too many."""
    result = judge(done.order(1.6, fills=[("1", "100")]).end(9), no_overfill())
    assert (result.verdict, result.observed) == (Outcome.VIOLATED, 1)
    assert result.finding.sentence == "1 intent filled too much (limit 0): i1 filled 11.0 of 10 in 3 orders"
    assert result.finding.worst == "i1 at 1.600 s"
    assert any("POST /fapi/v1/order -> 200 as c3, took effect" in row.event for row in result.finding.rows)


@pytest.mark.parametrize(
    ("report", "words"),
    [
        (("filled", "10", "0"), "result says filled 10; the exchange, 6"),
        (("abandoned", "0", "10", "deadline"), "result says filled 0; the exchange, 6"),
        (("unknown", "0", "10", "deadline"), "still unknown at the end; the exchange filled 6"),
        (None, "6 filled, and never reported"),
    ],
)
def test_reports_that_differ(market, report, words):
    """From what the exchange filled."""
    market.execute("i1", 1, 2, outcome="ok" if report else "fail", report=report).order(1.1, fills=[("6", "100")])
    result = judge(market.end(9), agreed())
    assert Outcome.VIOLATED is result.verdict
    assert result.finding.sentence == f"1 intent reported wrongly (limit 0): i1 {words}"


def test_a_fill_after_the_report(market):
    """It was right then, and is not in the end."""
    market.execute("i1", 1, 2, report=("partial", "6", "4", "deadline")).order(1.1, fills=[("6", "100")])
    result = judge(market.order(3, fills=[("1", "100")]).end(9), agreed())
    assert result.finding.sentence.endswith("i1 last reported as filled 6; in the end 7")


def test_what_was_unknown_may_be_settled_later(market):
    """By what was found out afterwards, also in another life of the host."""
    market.execute("i1", 1, 2, report=("unknown", "0", "10", "unreachable")).order(1.1, fills=[("6", "100")])
    market.execute("i2", 3).order(3.5, fills=[("2", "100")]).host("trader", "killed", 4)
    market.reconciled(
        5, i1=("partial", "6", "4", "unreachable"), i2=("partial", "2", "8", "restart"), x=("?", "1", "1")
    )
    assert set() == violated(market.end(9))


def test_settled_wrongly(market):
    """A correction is held to the same standard."""
    market.execute("i1", 1, 2, report=("unknown", "0", "10", "unreachable")).order(1.1, fills=[("6", "100")])
    result = judge(market.reconciled(5, i1=("abandoned", "0", "10", "gone")).end(9), agreed())
    assert result.finding.sentence.endswith("i1 reconciled says filled 0; the exchange, 6")


@pytest.mark.parametrize(
    ("report", "words"),
    [
        (("filled", "8.9", "1.1"), "called filled"),
        (("partial", "8.9", "1.1", ""), "without a reason"),
        (("unknown", "8.9", "1.1", "x"), "without a reason"),
        (("partial", "8.9", "1", "deadline"), "but 10 were asked for"),
        (("filled", "9.5", "0"), "but 10 were asked for"),
        (None, "ended without a typed outcome: TimeoutError"),
    ],
)
def test_not_accounted_for(market, report, words):
    """Called what it is not, without a reason, or not adding up."""
    market.execute("i1", 1, 2, outcome="ok" if report else "info", report=report)
    result = judge(market.end(9), accounted())
    assert Outcome.VIOLATED is result.verdict
    assert result.finding.sentence.endswith(words)


def test_an_order_of_no_form_accounts_for_nothing(market):
    """Unless a fault refused it."""
    report = ("rejected", "0", "10", "-1111")
    market.execute("i1", 1, 2, report=report).order(1.5, status=400, code=-1111, fault="reject")
    assert Outcome.HOLDS is judge(market.end(9), accounted()).verdict
    result = judge(market.order(1.6, status=400, code=-1111).end(9), accounted())
    assert result.finding.sentence.endswith("i1 sent an order that had to be refused: -1111")


@pytest.mark.parametrize("report", [("filled", "9", "1"), ("partial", "1", "9", "slippage"), None])
def test_accounted_for(market, report):
    """90 %, or less with a reason, or a typed error."""
    market.execute("i1", 1, 2, outcome="ok" if report else "fail", report=report)
    assert Outcome.HOLDS is judge(market.end(9), accounted()).verdict


@pytest.mark.parametrize(("side", "price"), [("BUY", "100.51"), ("SELL", "99.49")])
def test_slipped(market, side, price):
    """51 bps, of 50."""
    market.execute("i1", 1, 2, side=side).order(1.5, side=side, fills=[("1", "100"), ("1", price)])
    result = judge(market.end(9), slippage())
    assert (result.verdict, result.checked) == (Outcome.VIOLATED, 2)
    assert f"i1 filled at {price}, 51.0 bps beyond 100 (limit 50)" in result.finding.sentence


@pytest.mark.parametrize(("side", "price"), [("SELL", "150"), ("BUY", "50"), ("BUY", "100.50"), ("SELL", "99.50")])
def test_better_prices_are_welcome(market, side, price):
    """However far."""
    market.execute("i1", 1, 2, side=side).order(1.5, side=side, fills=[("1", price)])
    assert Outcome.HOLDS is judge(market.end(9), slippage()).verdict


def test_nothing_to_judge(market):
    """No intent, no fill, no decision price: nothing is proven."""
    market.order(1, fills=[("1", "1")])
    assert {Outcome.INCONCLUSIVE} == {one.verdict for one in judge_all(market.end(9), ALL)}
    market.execute("i1", 1, 2, decision_price=None).order(1.5, fills=[("1", "1")])
    assert Outcome.INCONCLUSIVE is judge(market.end(9), slippage()).verdict


amounts = st.lists(st.integers(1, 60), min_size=1, max_size=6)


@settings(max_examples=200, deadline=None)
@given(amounts, st.integers(0, 12), st.integers(95, 106))
def test_each_is_violated_exactly_when_its_rule_is_broken(new_market, tenths, said, price):
    """An oracle of three lines: sums and comparisons of integers."""
    market, total = new_market(), sum(tenths)
    missing = 10 - said
    report = ("filled" if said >= 9 else "partial", str(said), str(missing), "" if said >= 9 else "deadline")
    market.execute("i1", 1, 2, report=report)
    for number, tenth in enumerate(tenths):
        market.order(1.1 + number / 10, fills=[(str(Decimal(tenth) / 10), str(price))])
    expected = {"EX1"} if total > 100 else set()
    expected |= {"EX2"} if total != 10 * said else set()
    expected |= {"EX5"} if price > 100 else set()
    assert expected == violated(market.end(9))
