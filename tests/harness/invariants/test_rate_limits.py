"""RL1 and RL2: no ban is earned, and nothing is sent while the exchange has said to wait."""

import pytest

from harness.invariants.base import judge_all
from harness.invariants.rate_limits import no_ban, silence
from harness.verdict import Outcome


def judge(history, invariant):
    """The result of one invariant."""
    return judge_all(history, [invariant])[0]


def test_no_ban_holds(market):
    """Requests were sent, and some were refused."""
    result = judge(market.ask(1).ask(2, status=429, code=-1003).end(9), no_ban())
    assert (result.verdict, result.checked, result.observed) == (Outcome.HOLDS, 2, 0)


def test_an_imposed_ban_is_not_the_clients(market):
    """It is the fault's own doing."""
    assert Outcome.HOLDS is judge(market.ask(1).ban(2, 122, earned=False).end(130), no_ban()).verdict


def test_an_earned_ban(market):
    """With what was refused before it."""
    for number in range(5):
        market.ask(1 + number, status=429, code=-1003)
    result = judge(market.ban(5, 125).end(130), no_ban())
    assert (result.verdict, result.observed) == (Outcome.VIOLATED, 1)
    assert result.finding.sentence == "1 earned ban of the IP (limit 0), the longest of 2 min"
    assert [row.event for row in result.finding.rows if row.offending] == ["IP banned for 2 min after 10 strikes"]
    assert sum("429 -1003" in row.event for row in result.finding.rows) == 3


def test_without_requests_nothing_is_proven(market):
    """An idle client earns no ban, and no verdict."""
    assert Outcome.INCONCLUSIVE is judge(market.end(9), no_ban()).verdict


def test_silence_holds(market):
    """Until the wait is over, and for as long as an answer takes to arrive."""
    market.ask(1, status=429, wait=4).ask(1.04).ask(4.9995).ask(5.0).ask(6)
    result = judge(market.end(9), silence())
    assert (result.verdict, result.checked, result.observed) == (Outcome.HOLDS, 1, 0)


def test_a_request_in_the_silence(market):
    """Said when, and into what."""
    result = judge(market.ask(1, status=429, code=-1003, wait=4).ask(3).ask(4).end(9), silence())
    assert (result.verdict, result.observed) == (Outcome.VIOLATED, 2)
    assert result.finding.sentence == (
        "2 requests sent while the exchange had said to wait (limit 0): the first 2 s into 4 s"
    )
    assert (result.finding.first, result.finding.last) == (
        "GET /fapi/v1/depth at 3.000 s",
        "GET /fapi/v1/depth at 4.000 s",
    )


def test_a_later_shorter_wait_does_not_end_a_longer_one(market):
    """The longest binds."""
    market.ask(1, status=418, wait=6).ask(1.02, status=418, wait=1)
    assert Outcome.VIOLATED is judge(market.ask(5).end(9), silence()).verdict


def test_a_wait_for_orders_stops_orders_only(market):
    """Reads and cancels go on."""
    market.order(1, status=429, code=-1015, wait=4, scope="orders").ask(2)
    market.ask(3, method="DELETE", path="/fapi/v1/order", risk=True)
    assert Outcome.HOLDS is judge(market.end(9), silence()).verdict
    assert Outcome.VIOLATED is judge(market.order(3.5).end(9), silence()).verdict


@pytest.mark.parametrize(
    "fields", [{"after_ns": -1}, {"fault": "silent_after"}, {"fault": "reset_before"}, {"after_ns": 2_990_000_000}]
)
def test_what_was_not_told_does_not_bind(market, fields):
    """No answer was sent, or not yet."""
    history = market.ask(1, status=429, wait=4, **fields).ask(3).end(9)
    assert Outcome.VIOLATED is not judge(history, silence()).verdict


def test_an_answer_lost_on_the_way_does_not_bind(market):
    """The link was down; another link is no excuse."""
    market.ask(1, status=429, wait=4).ask(3).fault(0.5, 2, name="network.partition", on="trader->binance")
    assert Outcome.INCONCLUSIVE is judge(market.end(9), silence()).verdict
    market.ask(4, status=429, wait=4).ask(6).fault(3.5, 5, name="network.partition", on="trader->redis")
    assert Outcome.VIOLATED is judge(market.end(9), silence()).verdict


def test_a_new_incarnation_was_not_told(market):
    """What was told died with its predecessor."""
    market.host("trader", "started", 0).ask(1, status=429, wait=4).host("trader", "killed", 2)
    assert Outcome.HOLDS is judge(market.ask(3).end(9), silence()).verdict


def test_the_real_world_has_a_margin_of_its_own(new_market):
    """0.3 s after the answer is too late in the sim world, and not in the real one."""
    for world, verdict in (("sim", Outcome.VIOLATED), ("real", Outcome.HOLDS)):
        history = new_market(world).ask(1, status=429, wait=4).ask(1.3).end(9)
        assert verdict is judge(history, silence()).verdict


def test_never_told_to_wait_is_no_silence(market):
    """There was nothing to obey."""
    result = judge(market.ask(1).end(9), silence())
    assert (result.verdict, result.reason) == (Outcome.INCONCLUSIVE, "the exchange never told to wait")
