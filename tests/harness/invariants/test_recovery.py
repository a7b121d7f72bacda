"""EB6: after healing, the backlog is delivered within the limit and direct publishing has resumed."""

import pytest

from harness.history.events import SCHEMA, RunStarted
from harness.invariants.base import judge_all
from harness.invariants.recovery import recovers_within
from harness.units import seconds
from harness.verdict import Outcome


def judge(history, after="redis.outage"):
    """The result of a limit of 5 s."""
    return judge_all(history, [recovers_within(seconds(5), after=after)])[0]


@pytest.fixture
def outage(run):
    """An outage of 10..20 s; `old` was acked in it, `new` is published after recovery and delivered at once."""
    run.groups("risk").fault(10, 20).publish("old", 15, 15.1).publish("new", 30, 30.1).deliver("new", 30.2)
    return run


def test_observed_is_how_long_the_backlog_took(outage):
    """From healing to the last delivery of what had been acked before."""
    result = judge(outage.deliver("old", 20.8).end(40))
    assert (
        result.verdict,
        result.checked,
        pytest.approx(result.observed),
        result.limit,
        result.unit,
    ) == (Outcome.HOLDS, 1, 0.8, 5.0, "s")


def test_nothing_waiting_takes_no_time(outage):
    """Delivered before the fault was healed."""
    assert judge(outage.deliver("old", 16).end(40)).observed == 0


def test_a_backlog_that_takes_too_long(outage):
    """A moment after the limit."""
    result = judge(outage.deliver("old", 25.1).end(40))
    assert (Outcome.VIOLATED, pytest.approx(5.1)) == (result.verdict, result.observed)
    assert result.finding.sentence == (
        "1 acked event not yet in every group 5 s after redis.outage healed "
        "(what was acked before took 5.100 s, limit 5 s)"
    )
    assert [(row.event, row.time_s) for row in result.finding.rows if row.offending] == [
        ("due in every group: not everywhere yet", 25.0)
    ]


def test_a_backlog_that_never_comes(outage):
    """One group got it, the other did not."""
    outage.deliver("old", 20.5).groups("books").deliver("new", 30.3, group="books")
    result = judge(outage.end(40))
    assert (result.verdict, result.observed) == (Outcome.VIOLATED, "never")
    assert "due in every group: missing for good" in [row.event for row in result.finding.rows]


@pytest.mark.parametrize(("ack", "verdict"), [(24.0, Outcome.VIOLATED), (24.1, Outcome.HOLDS)])
def test_what_is_acked_until_a_second_before_the_limit_belongs_to_the_backlog(outage, ack, verdict):
    """Published during recovery, delivered after the limit."""
    outage.deliver("old", 20.5).publish("mid", 23.9, ack).deliver("mid", 25.2)
    assert verdict is judge(outage.end(40)).verdict


@pytest.mark.parametrize("delivered", [32.2, None])
def test_direct_publishing_must_have_resumed(outage, delivered):
    """Later than a second after its ack, or never."""
    outage.deliver("old", 20.5).publish("slow", 31, 31.1)
    if delivered:
        outage.deliver("slow", delivered)
    result = judge(outage.end(40))
    assert Outcome.VIOLATED is result.verdict
    assert result.finding.sentence == (
        "1 event published more than 5 s after redis.outage healed, and not in every group within 1 s of the ack"
    )


@pytest.mark.parametrize(("delivered", "verdict"), [(34.0, Outcome.HOLDS), (34.2, Outcome.VIOLATED)])
def test_a_real_machine_has_three_seconds(outage, delivered, verdict):
    """It stands still for one now and then; the sentence says by what it was judged."""
    outage.events[0] = RunStarted(0, "harness", 1, SCHEMA, "0", "s", "short", "real", 7, {}, [])
    outage.deliver("old", 20.5).publish("slow", 31, 31.1).deliver("slow", delivered)
    result = judge(outage.end(40))
    assert result.verdict is verdict
    assert result.finding is None or "within 3 s of the ack" in result.finding.sentence


def test_the_last_second_of_a_run_owes_nothing(outage):
    """An event published at its very end need not have arrived."""
    assert Outcome.HOLDS is judge(outage.deliver("old", 20.5).publish("x", 39.3, 39.4).end(40)).verdict


def test_announced_overflow_owes_nothing(outage):
    """Given up is not waiting."""
    result = judge(outage.overflow(16, "old").end(40))
    assert (result.verdict, result.observed) == (Outcome.HOLDS, 0)


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda run: run.end(40), "no redis.outage was healed"),
        (lambda run: run.fault(10).end(40), "no redis.outage was healed"),
        (lambda run: run.fault(10, 20, name="other").end(40), "no redis.outage was healed"),
        (lambda run: run.fault(10, 20).end(24), "no redis.outage was followed by 5 s undisturbed"),
        (lambda run: run.fault(10, 36).end(42), "nothing was published later than 5 s after the healing"),
        (lambda run: run.fault(10, 20).fault(24, name="x").end(90), "no redis.outage was followed by 5 s undisturbed"),
    ],
)
def test_what_was_not_seen_is_not_decided(run, make, reason):
    """No healing, no time, no other fault's end, or nothing published afterwards."""
    run.groups("risk").publish("a", 22, 22.1).deliver("a", 22.2)
    result = judge(make(run))
    assert (Outcome.INCONCLUSIVE, reason) == (result.verdict, result.reason)


@pytest.mark.parametrize(
    "disturb",
    [
        lambda run: run.fault(22, 28, name="network.latency"),
        lambda run: run.host("publisher", "killed", 22).host("publisher", "started", 28, incarnation=2),
        lambda run: run.host("consumer", "started", 0).host("consumer", "frozen", 22).host("consumer", "thawed", 28),
    ],
)
def test_a_disturbed_recovery_begins_anew(run, disturb):
    """The clock starts at the end of the disturbance; five seconds later it is up."""
    run.groups("risk").fault(10, 20).publish("old", 15, 15.1).publish("new", 34, 34.1).deliver("new", 34.2)
    disturb(run)
    result = judge(run.deliver("old", 32).end(40))
    assert (Outcome.HOLDS, pytest.approx(4)) == (result.verdict, result.observed)


def test_a_disturbed_recovery_still_ends(run):
    """The same, and too late."""
    run.groups("risk").fault(10, 20).publish("old", 15, 15.1).publish("new", 34, 34.1).deliver("new", 34.2)
    assert Outcome.VIOLATED is judge(run.fault(22, 28, name="x").deliver("old", 33.1).end(40)).verdict


def test_flapping_counts_once_from_the_last_healing(run):
    """Three outages within a few seconds are one recovery; one much later is another."""
    run.groups("risk").fault(10, 12).fault(13, 15).fault(17, 20).publish("old", 11, 11.1).deliver("old", 24)
    run.publish("new", 26, 26.1).deliver("new", 26.2).fault(50, 60).publish("newer", 70, 70.1).deliver("newer", 70.2)
    result = judge(run.end(90))
    assert (Outcome.HOLDS, 2, pytest.approx(4)) == (result.verdict, result.checked, result.observed)


def test_the_next_fault_ends_what_is_owed(run):
    """Published between the first recovery and the second fault, delivered after that one."""
    run.groups("risk").fault(10, 20).publish("a", 27, 27.1).deliver("a", 27.2)
    run.publish("b", 29.5, 29.6).fault(30, 40).deliver("b", 40.5).publish("c", 50, 50.1).deliver("c", 50.2)
    result = judge(run.end(60))
    assert (Outcome.HOLDS, 2, pytest.approx(0.5)) == (result.verdict, result.checked, result.observed)


def test_a_dead_bystander_disturbs_nothing(run):
    """Redis' own death and restart are the fault, not an interruption; the same for a host outside of the flow."""
    run.groups("risk").fault(10, 20).host("redis", "killed", 10).host("other", "killed", 22)
    run.publish("old", 15, 15.1).deliver("old", 26).publish("new", 30, 30.1).deliver("new", 30.2)
    assert Outcome.VIOLATED is judge(run.end(40)).verdict


def test_a_producer_that_finished_left_its_backlog_behind(run):
    """Finishing in good order is no interruption."""
    run.groups("risk").fault(10, 20).publish("old", 15, 15.1).host("publisher", "finished", 22)
    assert Outcome.VIOLATED is judge(run.end(40)).verdict


def test_a_cut_history_cannot_show_recovery(outage):
    """What was recorded is fine, what was not may not be."""
    assert Outcome.INCONCLUSIVE is judge(outage.deliver("old", 20.5).cut()).verdict


def test_the_limit_must_exceed_the_grace():
    """Otherwise no backlog would be owed."""
    with pytest.raises(ValueError, match="limit"):
        recovers_within(seconds(1), after="x")


@pytest.mark.parametrize(("after", "called"), [("*", "any fault"), ("network.*", "network.*")])
def test_recovery_may_be_owed_after_any_fault(run, after, called):
    """A pattern takes every fault that it matches, and the sentences say it in words."""
    wanted = recovers_within(seconds(5), after=after)
    history = run.groups("risk").fault(10, 20, name="network.latency").publish("old", 15, 15.1).end(40)

    result = wanted.judge(history)

    assert result.verdict is Outcome.VIOLATED
    assert f"not yet in every group 5 s after {called} healed" in result.finding.sentence
    assert f"<= 5 s after {called} is healed" in wanted.statement


def test_no_fault_at_all_is_said_so(run):
    """A pattern that matched nothing leaves recovery undecided."""
    result = judge(run.groups("risk").publish("a", 22, 22.1).deliver("a", 22.2).end(40), after="*")

    assert (result.verdict, result.reason) == (Outcome.INCONCLUSIVE, "no fault was healed")
