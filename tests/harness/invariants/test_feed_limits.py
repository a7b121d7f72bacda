"""WS2, WS3, WS4, WS5, WS7 and WS8 on histories written by hand."""

from typing import Any

import pytest

from harness.invariants.base import Invariant, judge_all
from harness.invariants.feed_bounds import contained
from harness.invariants.feed_critical import critical_heard
from harness.invariants.feed_guard import guarded
from harness.invariants.feed_kept import kept
from harness.invariants.feed_latency import prompt
from harness.invariants.feed_rate import rated
from harness.units import seconds
from harness.verdict import InvariantResult, Outcome

from .feed_run import FeedRun

HOLDS, VIOLATED, INCONCLUSIVE = Outcome.HOLDS, Outcome.VIOLATED, Outcome.INCONCLUSIVE


def judge(invariant: Invariant, run: FeedRun) -> InvariantResult:
    """Judge one invariant."""
    (judged,) = judge_all(run.end(), [invariant])
    return judged


def sentence(judged: InvariantResult) -> str:
    """What is said of a violation."""
    assert judged.verdict is VIOLATED
    assert judged.finding is not None
    return judged.finding.sentence


# --- WS2 ------------------------------------------------------------------------------------------------------------


def handed(*times: float, size: int = 10, world: str = "sim") -> FeedRun:
    """A run in which batches of that size were handed over for w-1 at these times."""
    run = FeedRun(world)
    for number, time in enumerate(times):
        run.handed("w-1", time, *range(number * size + 1, (number + 1) * size + 1))
    return run.served("w-1", 0, 50)


def test_fifty_in_a_second_hold() -> None:
    """Half open: what was handed over exactly a second before does not count."""
    judged = judge(rated(), handed(1, 1.2, 1.4, 1.6, 1.8, 2, 2.2))
    assert (judged.verdict, judged.checked, judged.observed) == (HOLDS, 7, 50)


def test_fifty_one_in_a_second_do_not() -> None:
    """A nanosecond less than a second apart."""
    assert "60 events within a second" in sentence(judge(rated(), handed(1, 1.2, 1.4, 1.6, 1.8, 1.999999999)))


def test_the_real_world_may_bunch_a_little() -> None:
    """By 150 ms; not by more."""
    assert judge(rated(), handed(1, 1.2, 1.4, 1.6, 1.8, 1.9, world="real")).verdict is HOLDS
    assert judge(rated(), handed(1, 1.2, 1.4, 1.6, 1.8, 1.84, world="real")).verdict is VIOLATED


def test_batches_are_small() -> None:
    """Eleven events at once are too many."""
    assert "a batch of 11 events" in sentence(judge(rated(), handed(1, size=11)))


def test_connections_are_judged_by_themselves() -> None:
    """Two clients may have 50 each; without any there is nothing to judge."""
    run = handed(1, 1.1, 1.2, 1.3, 1.4).served("w-2", 0, 50, number=2)
    for number in range(5):
        run.handed("w-2", 1 + number / 10, *range(1, 11), number=2)
    assert judge(rated(), run).verdict is HOLDS
    assert judge(rated(), FeedRun()).verdict is INCONCLUSIVE


# --- WS3 ------------------------------------------------------------------------------------------------------------


def paced(count: int, late: dict[int, float], **at: Any) -> FeedRun:
    """A run in which so many events of as many keys were published, ten a second; each came after 0.1 s, or so late."""
    run = FeedRun(**at).connect("w-1", -2)
    for seq in range(1, count + 1):
        run.state(seq, seq / 10 + 1, f"K{seq}")
    for seq in range(1, count + 1):
        run.batch("w-1", seq / 10 + 1 + late.get(seq, 0.1), seq - 1, seq, seq)
    return run.left("w-1", 99)


def test_one_in_a_hundred_may_be_late() -> None:
    """Two may not."""
    judged = judge(prompt(), paced(200, {7: 3.0, 90: 3.0}))
    assert (judged.verdict, judged.checked) == (HOLDS, 200)
    judged = judge(prompt(), paced(200, {7: 3.0, 90: 3.0, 150: 0.26}))
    assert "3 offences later than 250 ms" in sentence(judged)


def test_a_newer_value_answers_for_an_older_one() -> None:
    """Measured from the older one's publishing."""
    run = FeedRun().connect("w-1", -2).state(1, 1).state(2, 1.2).batch("w-1", 1.24, 0, 2, 2, conflated=1)
    judged = judge(prompt(), run.left("w-1", 9))
    assert (judged.verdict, judged.observed) == (HOLDS, 240)
    run = FeedRun().connect("w-1", -2).state(1, 1).state(2, 1.2).batch("w-1", 1.26, 0, 2, 2, conflated=1)
    assert judge(prompt(), run.left("w-1", 9)).verdict is VIOLATED


def test_what_never_came_was_late() -> None:
    """By as long as the client waited; a client that soon left did not wait."""
    run = FeedRun().connect("w-1", -2).critical(1, 1)
    assert judge(prompt(), run.left("w-1", 9)).verdict is VIOLATED
    run = FeedRun().connect("w-1", -2).critical(1, 1)
    assert judge(prompt(), run.left("w-1", 1.1)).verdict is HOLDS


def test_a_bad_second_is_not_lost_in_the_run() -> None:
    """20 clients get 10 events a second for 50 s; once, four of them are late for all."""
    run = FeedRun()
    for client in range(20):
        run.connect(f"w-{client}", 0.5)
    for seq in range(1, 501):
        run.state(seq, seq / 10, f"K{seq}")
        for client in range(20):
            late = 0.4 if 300 <= seq < 304 else 0.1
            run.batch(f"w-{client}", seq / 10 + late, seq - 1, seq, seq)
    for client in range(20):
        run.left(f"w-{client}", 95)
    assert "80 offences" in sentence(judge(prompt(), run))


@pytest.mark.parametrize("on", ["watchers->dashboard", "watchers", "dashboard"])
def test_who_is_disturbed_is_not_measured(on: str) -> None:
    """By a fault of its link, its host, or the server, and for two seconds more."""
    name = "network.latency" if "->" in on else "process.freeze"
    late = dict.fromkeys(range(60, 90), 1.5)
    assert judge(prompt(), paced(200, late)).verdict is VIOLATED
    assert judge(prompt(), paced(200, late).fault(6, 9, on, name)).verdict is HOLDS
    assert judge(prompt(), paced(200, late).fault(6, 9, "other->dashboard")).verdict is VIOLATED


def test_the_slow_are_not_measured() -> None:
    """Nor is there anything to say if there is nobody else."""
    run = FeedRun().connect("s-1", 0.5, host="slow").state(1, 1).left("s-1", 9, host="slow")
    assert judge(prompt(), run).verdict is INCONCLUSIVE


# --- WS4 ------------------------------------------------------------------------------------------------------------


def stalled(ended: float | None, world: str = "sim", *, pings: bool = True) -> FeedRun:
    """A run in which s-1 stops to read at 10, and the server lets go of it then."""
    run = FeedRun(world).connect("s-1", 1, host="stalled")
    run.see("stalled", 10, "stall", client="s-1", session=1, pings=pings)
    return run.served("s-1", 1, ended).left("s-1", 60, "silent", host="stalled")


def test_who_does_not_read_is_let_go() -> None:
    """Within 7 s."""
    assert judge(contained(), stalled(16.9)).verdict is HOLDS
    assert "kept for 7.001 s although it did not read" in sentence(judge(contained(), stalled(17.1)))
    assert judge(contained(), stalled(None)).verdict is VIOLATED


def test_who_pings_is_not_missed_in_the_real_world() -> None:
    """A proxy and three kernels read for it; who does not ping is missed there too."""
    assert judge(contained(), stalled(None, "real")).verdict is HOLDS
    assert judge(contained(), stalled(None, "real", pings=False)).verdict is VIOLATED


@pytest.mark.parametrize(("name", "mode"), [("network.half_open", "half-open"), ("network.partition", "upstream")])
def test_who_cannot_be_reached_is_let_go(name: str, mode: str) -> None:
    """Unless it soon can again, or the server did not live to do it, or the link shows no effect; others may stay."""

    def run(until: float, ended: float | None = None, *, bites: bool = True) -> FeedRun:
        one = FeedRun().connect("w-1", 1).connect("r-1", 1, host="remote")
        one.fault(10, until, "watchers->dashboard", name, mode)
        one.served("w-1", 1, ended).served("r-1", 1, None, number=2).left("w-1", 60, "silent")
        toxic = {"to": "dashboard", "type": name.partition(".")[2], "bytes": 900}
        return one.see("watchers", until, "toxic", **toxic) if bites else one

    assert "out of reach" in sentence(judge(contained(), run(30)))
    assert judge(contained(), run(30, 15)).verdict is HOLDS
    assert judge(contained(), run(16.9)).verdict is HOLDS
    assert judge(contained(), run(30, bites=False)).verdict is HOLDS
    assert judge(contained(), run(30).host("dashboard", "killed", 15)).verdict is HOLDS


@pytest.mark.parametrize(("change", "again"), [("frozen", "thawed"), ("powered_off", "")])
def test_who_stands_still_is_let_go(change: str, again: str) -> None:
    """By the world's record of its host, not by what a fault claims."""

    def run(ended: float | None) -> FeedRun:
        one = FeedRun().host("watchers", "started", 0).connect("w-1", 1).host("watchers", change, 10)
        if again:
            one.host("watchers", again, 30).left("w-1", 60, "silent")
        return one.served("w-1", 1, ended)

    assert judge(contained(), run(None)).verdict is VIOLATED
    assert judge(contained(), run(15)).verdict is HOLDS
    claimed = FeedRun().connect("w-1", 1).fault(10, 30, "watchers", "process.freeze", "sigstop").served("w-1", 1, None)
    assert judge(contained(), claimed.left("w-1", 60)).verdict is HOLDS


def test_a_latency_takes_nobody_away() -> None:
    """A client that is slowly reached is reached."""
    run = FeedRun().connect("w-1", 1).fault(10, 40, "watchers->dashboard", "network.latency", "latency")
    assert judge(contained(), run.served("w-1", 1, None).left("w-1", 60)).verdict is HOLDS


def test_a_queue_shows_by_what_comes_out_of_it() -> None:
    """21 events that have had newer values for half a second had been queued; 20 may happen."""

    def run(count: int, delay: float) -> FeedRun:
        one = FeedRun()
        for seq in range(1, 41):
            one.state(seq, 1 + seq / 1_000)
        for seq in range(1, count + 1):
            one.handed("w-1", 1 + seq / 1_000 + delay, seq)
        return one.served("w-1", 0, 50)

    assert judge(contained(), run(20, 2)).verdict is HOLDS
    assert "21 outdated events" in sentence(judge(contained(), run(21, 2)))
    assert judge(contained(), run(40, 0.4)).verdict is HOLDS


def test_messages_do_not_heap_up_in_the_transport() -> None:
    """Nine that wait at once are too many."""
    assert judge(contained(), FeedRun().served("w-1", 0, 50, pending=8)).verdict is HOLDS
    assert "9 messages waited" in sentence(judge(contained(), FeedRun().served("w-1", 0, 50, pending=9)))
    assert judge(contained(), FeedRun()).verdict is INCONCLUSIVE


# --- WS5 ------------------------------------------------------------------------------------------------------------


def criticals(*came: tuple[float, int], left: float = 50) -> FeedRun:
    """A run in which 1, 2 and 3 were published at 1, 2 and 2.5 s, and these came."""
    run = FeedRun().connect("w-1", -2).critical(1, 1).critical(2, 2).critical(3, 2.5)
    for time, seq in came:
        run.batch("w-1", time, 0, 0, seq)
    return run.left("w-1", left)


def test_all_came_in_order() -> None:
    """Checked are the three."""
    judged = judge(critical_heard(), criticals((1.1, 1), (2.9, 2), (3.1, 3)))
    assert (judged.verdict, judged.checked) == (HOLDS, 3)


@pytest.mark.parametrize(
    ("came", "said"),
    [
        ([(1.1, 1), (2.6, 3), (2.7, 2)], "out of order: 2 came after 3"),
        ([(1.1, 1), (3.1, 3)], "2 (order.filled) was left out"),
        ([(1.1, 1), (2.1, 2)], "late: 3 (order.filled) did not come"),
        ([(2.1, 1), (2.2, 2), (3.1, 3)], "late: 1 (order.filled) came after 1.1 s"),
        ([(1.1, 1), (2.1, 2), (3.1, 3), (3.2, 3)], "out of order: 3 came after 3"),
    ],
)
def test_disorder_holes_and_delay_are_told(came: list[tuple[float, int]], said: str) -> None:
    """And what came twice."""
    assert said in sentence(judge(critical_heard(), criticals(*came)))


def test_the_end_of_a_session_excuses_what_was_not_yet_due() -> None:
    """But no hole."""
    assert judge(critical_heard(), criticals((1.1, 1), left=2.5)).verdict is HOLDS
    assert judge(critical_heard(), criticals((2.1, 2), left=2.5)).verdict is VIOLATED


def test_a_session_begins_where_the_client_was() -> None:
    """What it had, and what is gone for good, is not asked for."""
    run = FeedRun().critical(1, 1).critical(2, 2).critical(3, 3)
    run.connect("w-1", 5, 3, asked=(1, 1)).batch("w-1", 5.1, 3, 3, 2, 3).left("w-1", 50)
    assert judge(critical_heard(), run).verdict is HOLDS
    run = FeedRun().critical(1, 1).critical(2, 2).critical(3, 3)
    run.connect("w-1", 5, 3, asked=(1, 1)).batch("w-1", 5.1, 3, 3, 3).left("w-1", 50)
    assert "2 (order.filled) was left out" in sentence(judge(critical_heard(), run))
    run = FeedRun().critical(1, 1).critical(2, 2).critical(3, 3).connect("w-1", 5, 3, asked=(None, 1), critical_from=2)
    assert judge(critical_heard(), run.batch("w-1", 5.1, 3, 3, 3).left("w-1", 50)).verdict is HOLDS


def test_the_slow_and_the_disturbed_are_owed_order_alone() -> None:
    """A hole is one for them too."""
    late = criticals((1.1, 1), (9.0, 2), (9.1, 3)).fault(1.5, 9, "watchers->dashboard", "network.latency")
    assert judge(critical_heard(), late).verdict is HOLDS
    hole = criticals((1.1, 1), (9.1, 3)).fault(1.5, 9, "watchers->dashboard", "network.latency")
    assert judge(critical_heard(), hole).verdict is VIOLATED


# --- WS7 ------------------------------------------------------------------------------------------------------------


def intruder(
    kind: str, *, code: int | None = None, lasted: float = 1, events: int = 0, status: int | None = None
) -> FeedRun:
    """A run with one intruder."""
    told = {"code": code, "status": status, "events": events, "lasted_ns": seconds(lasted)}
    return FeedRun().call("intruders", "intrude", 5, 5 + lasted, {"client": "i-1", "kind": kind}, told)


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        ("wrong_token", 4401),
        ("late_hello", 4401),
        ("malformed", 4400),
        ("oversized", 1009),
        ("flood", 4429),
        ("flood", 1013),
    ],
)
def test_turned_away_with_a_reason(kind: str, code: int) -> None:
    """The one that fits, or that there is no room; an HTTP error is as good."""
    assert judge(guarded(), intruder(kind, code=code)).verdict is HOLDS
    assert judge(guarded(), intruder(kind, status=403)).verdict is HOLDS
    assert "was told 1000" in sentence(judge(guarded(), intruder(kind, code=1000)))
    assert "the connection just ended" in sentence(judge(guarded(), intruder(kind)))
    assert "was there for 5 s" in sentence(judge(guarded(), intruder(kind, code=code, lasted=5)))


def test_nothing_is_sent_without_a_token() -> None:
    """Who has one may misbehave afterwards and has seen events."""
    assert "was sent 3 events without a token" in sentence(judge(guarded(), intruder("no_token", code=4401, events=3)))
    assert judge(guarded(), intruder("flood", code=4429, events=3)).verdict is HOLDS


def test_a_server_that_is_closed_says_so() -> None:
    """1012 is a reason then; at other times it is not."""
    assert judge(guarded(), intruder("flood", code=1012)).verdict is VIOLATED
    closing = intruder("flood", code=1012).call("dashboard", "close", 5.5, 7, {}, {})
    assert judge(guarded(), closing).verdict is HOLDS
    closed = intruder("flood").call("dashboard", "close", 3, 4, {}, {})
    assert judge(guarded(), closed).verdict is HOLDS
    opened = closed.call("dashboard", "start", 4, 4.5, {}, {})
    assert judge(guarded(), opened).verdict is VIOLATED


def test_the_cap_holds() -> None:
    """Two at once where there is room for two; one leaves before the third comes, or not."""

    def run(first_left: float) -> FeedRun:
        one = FeedRun(max_clients=2).connect("w-1", 1).connect("w-2", 2).connect("w-3", 6)
        return one.left("w-1", first_left).left("w-2", 50).left("w-3", 50)

    judged = judge(guarded(), run(5))
    assert (judged.verdict, judged.checked) == (HOLDS, 3)
    assert "number 3, and there is room for 2" in sentence(judge(guarded(), run(7)))
    assert judge(guarded(), run(7).served("w-1", 1, 5)).verdict is HOLDS


def test_without_intruders_and_cap_nothing_is_judged() -> None:
    """However many clients there are."""
    assert judge(guarded(), FeedRun().connect("w-1", 1)).verdict is INCONCLUSIVE


# --- WS8 ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("why", ["closed", "lost", "silent"])
def test_a_client_that_keeps_up_is_kept(why: str) -> None:
    """Unless it was disturbed of late, or the server was closed, or it is slow on purpose."""
    lost = FeedRun().connect("w-1", 1).left("w-1", 20, why)
    assert "of w-1/1: " in sentence(judge(kept(), lost))
    assert judge(kept(), lost.fault(14, 14.5, "watchers->dashboard")).verdict is HOLDS
    early = FeedRun().connect("w-1", 1).left("w-1", 20, why).fault(5, 6, "watchers->dashboard")
    assert judge(kept(), early).verdict is VIOLATED
    closed = FeedRun().connect("w-1", 1).left("w-1", 20, why).call("dashboard", "close", 19.5, 19.9, {}, {})
    assert judge(kept(), closed).verdict is HOLDS
    slow = FeedRun().connect("s-1", 1, host="slow").left("s-1", 20, why, host="slow").connect("w-1", 1).left("w-1", 30)
    judged = judge(kept(), slow)
    assert (judged.verdict, judged.checked) == (HOLDS, 1)


def test_who_leaves_was_not_dropped() -> None:
    """And where nobody was, nobody was kept."""
    assert judge(kept(), FeedRun().connect("w-1", 1).left("w-1", 20, "leaves")).verdict is HOLDS
    assert judge(kept(), FeedRun()).verdict is INCONCLUSIVE
