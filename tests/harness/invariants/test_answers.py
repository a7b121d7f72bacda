"""RL4 and RL7: every request ends in time and typed, and what lowers risk goes first."""

import pytest

from harness.invariants.answers import all_answered, risk_first
from harness.invariants.base import judge_all
from harness.verdict import Outcome

EXCUSED = ("network.*", "binance.latency")


def judge(history, invariant=None):
    """The result; of RL4 unless told otherwise."""
    return judge_all(history, [invariant or all_answered()])[0]


def risk(history):
    """The result of RL7."""
    return judge(history, risk_first(excused=EXCUSED))


def test_answered_in_time(market):
    """Well, in a typed error, at the deadline."""
    market.do("read", 1, 2).do("execute", 1, 5, outcome="fail").do("cancel", 1, 6.1).do("place", 1, 1)
    result = judge(market.do("other", 1).end(20))
    assert (result.verdict, result.checked) == (Outcome.HOLDS, 4)


@pytest.mark.parametrize(
    ("end", "outcome", "words"),
    [
        (6.2, "ok", "read-1 ended 100 ms late"),
        (6.2, "fail", "read-1 ended 100 ms late"),
        (2, "info", "read-1 ended in an error without a reason: TimeoutError"),
        (None, "ok", "read-1 never ended"),
    ],
)
def test_not_answered(market, end, outcome, words):
    """Late, untyped, or never."""
    result = judge(market.do("read", 1, end, outcome).do("read", 2, 3).end(20))
    assert (result.verdict, result.checked, result.observed) == (Outcome.VIOLATED, 2, 1)
    assert result.finding.sentence == f"1 operation without a typed answer by the deadline (limit 0): {words}"
    assert any(row.offending for row in result.finding.rows)


@pytest.mark.parametrize("life", [[("killed", 4)], [("finished", 6)], [("frozen", 2), ("thawed", 9)]])
def test_a_host_that_was_gone_owes_nothing(market, life):
    """It died, ended or stood still before an answer was due."""
    market.host("trader", "started", 0).do("read", 1).do("read", 0, 1)
    for change, time in life:
        market.host("trader", change, time)
    result = judge(market.end(20))
    assert (result.verdict, result.checked) == (Outcome.HOLDS, 1)


def test_a_run_that_ended_before_the_deadline_decides_nothing(market):
    """The answer may have been about to come."""
    assert Outcome.INCONCLUSIVE is judge(market.do("read", 1).end(6)).verdict


def test_the_real_world_has_a_grace_of_its_own(new_market):
    """Half a second late is late in the sim world only."""
    for world, verdict in (("sim", Outcome.VIOLATED), ("real", Outcome.HOLDS)):
        assert verdict is judge(new_market(world).do("read", 1, 6.5).end(20)).verdict


def test_a_request_that_grew_old_in_the_client(market):
    """Refused for its timestamp, although nothing delayed it, and the caller heard of nothing but failure."""
    market.do("read", 1, 2).ask(1.5).ask(1.6, status=400, code=-1021)
    result = judge(market.end(20))
    assert (result.verdict, result.observed, result.unit) == (Outcome.VIOLATED, 1, "requests")
    assert result.finding.sentence.startswith("1 request refused for an old timestamp although nothing delayed them")
    assert any(row.offending for row in result.finding.rows)


def test_a_request_that_was_made_old(market):
    """By a fault of the exchange's, by what delayed it until five seconds before, or by a clock."""
    market.do("read", 1, 2).ask(1.6, status=400, code=-1021, fault="recv_window")
    market.fault(6, 8, name="network.latency").ask(12.9, status=400, code=-1021)
    market.fault(16, None, name="clock.clock_step").ask(19, status=400, code=-1021)
    assert judge(market.end(20)).verdict is Outcome.HOLDS
    market.ask(13.1, status=400, code=-1021)
    assert judge(market.end(20)).verdict is Outcome.VIOLATED


def test_a_busy_machine_may_hold_a_few_up(new_market):
    """In the real world three are forgiven."""
    for count, verdict in ((3, Outcome.HOLDS), (4, Outcome.VIOLATED)):
        market = new_market("real").do("read", 1, 2)
        for number in range(count):
            market.ask(2 + number, status=400, code=-1021)
        assert judge(market.end(20)).verdict is verdict


def test_risk_goes_first(market):
    """A second, and the way there and back; entries may take longer."""
    market.do("cancel", 1, 2.05).do("execute", 1, 2.05, reduce_only=True).do("execute", 1, 6, reduce_only=False)
    result = risk(market.end(20))
    assert (result.verdict, result.checked) == (Outcome.HOLDS, 2)


@pytest.mark.parametrize("fields", [{"name": "cancel"}, {"name": "execute", "reduce_only": True}])
def test_risk_that_waited(market, fields):
    """Named, with how long it took."""
    result = risk(market.do(start=1, end=2.5, **fields).end(20))
    assert Outcome.VIOLATED is result.verdict
    name = fields["name"]
    assert result.finding.sentence == (
        f"1 risk-lowering operation took more than 1 s: {name} {name}-1 took 1.5 s although nothing barred it"
    )


def test_a_cancel_that_never_ended(market):
    """It waited until the end."""
    assert Outcome.VIOLATED is risk(market.do("cancel", 1).end(20)).verdict
    assert Outcome.INCONCLUSIVE is risk(market.cut()).verdict


@pytest.mark.parametrize(
    ("name", "scope", "verdict"),
    [
        ("cancel", "ip", Outcome.HOLDS),
        ("execute", "ip", Outcome.HOLDS),
        ("cancel", "orders", Outcome.VIOLATED),
        ("execute", "orders", Outcome.HOLDS),
    ],
)
def test_waits_that_were_told_are_not_counted(market, name, scope, verdict):
    """A wait for orders is no excuse for a cancel."""
    market.order(2, status=429, wait=4, scope=scope).do(name, 1.5, 6.5, reduce_only=True)
    assert verdict is risk(market.end(20)).verdict


def test_each_stretch_between_waits_counts_by_itself(market):
    """Refused again after a wait, it has done what it could; another matter is a second without anything."""
    market.ask(1, status=429, wait=2).ask(3.8, status=429, wait=2).do("cancel", 0.5, 6.7)
    assert Outcome.HOLDS is risk(market.end(20)).verdict
    market.ask(8, status=429, wait=2).ask(11.2, status=429, wait=2).do("cancel", 8, 13.5)
    assert Outcome.VIOLATED is risk(market.end(20)).verdict


def test_an_answer_that_the_exchange_sat_on_is_not_the_clients(market):
    """It had asked at once, and was answered 4 s later."""
    market.ask(1.5, method="DELETE", after_ns=4_000_000_000).do("cancel", 1, 5.6)
    assert Outcome.HOLDS is risk(market.end(20)).verdict


def test_a_cancel_is_done_when_the_exchange_carries_it_out(market):
    """Its answer was lost, and finding out took long; a cancel of another order, or one refused, is not this one's."""
    market.ask(1.5, method="DELETE", client_id="mine", executed=True).do("cancel", 1, 5.6, client_id="mine")
    assert Outcome.HOLDS is risk(market.end(20)).verdict
    market.ask(7.5, method="DELETE", client_id="other", executed=True).do("cancel", 7, 9.6, client_id="mine")
    assert risk(market.end(20)).observed == 1


def test_a_cancel_that_was_carried_out_late(market):
    """What the client was told in the end does not matter: it waited."""
    market.ask(2.5, method="DELETE", client_id="mine", executed=True).do("cancel", 1, 2.6, client_id="mine")
    market.ask(2.7, method="DELETE", client_id="mine", code=-2011)
    assert risk(market.end(20)).observed == 1


def test_a_firewall_shuts_out_until_it_answers(market):
    """Nobody said for how long; a minute is the most."""
    market.ask(1, status=403, fault="firewall").ask(5).do("cancel", 1, 5.5)
    assert Outcome.HOLDS is risk(market.end(20)).verdict
    market.do("cancel", 5, 6.5)
    assert Outcome.VIOLATED is risk(market.end(20)).verdict


def test_a_firewall_is_no_excuse_for_ever(market):
    """Whoever never asks again is late after a minute and a second."""
    market.ask(1, status=403, fault="firewall").do("cancel", 1, 63, deadline=100)
    assert Outcome.VIOLATED is risk(market.end(100)).verdict


def test_a_ban_and_an_excused_fault_are_not_counted(market):
    """Any other fault is no excuse."""
    market.ban(2, 5, earned=False).do("cancel", 1.5, 5.5)
    assert Outcome.HOLDS is risk(market.end(20)).verdict
    market.fault(8, 12, name="network.partition", on="trader->binance").do("cancel", 7.5, 12.5)
    assert Outcome.HOLDS is risk(market.end(20)).verdict
    market.fault(13, 16, name="binance.tenants").do("cancel", 13, 15)
    assert Outcome.VIOLATED is risk(market.end(20)).verdict


def test_entries_prove_nothing_of_risk(market):
    """Nothing was cancelled or reduced."""
    assert Outcome.INCONCLUSIVE is risk(market.do("execute", 1, 2, reduce_only=False).end(9)).verdict
