"""PS1 to PS7: histories written by hand that hold, and that violate."""

import pytest

from harness.history.events import FaultHealed, Observation
from harness.invariants.base import judge_all
from harness.invariants.policy_age import fresh, safe
from harness.invariants.policy_converges import converges
from harness.invariants.policy_question import never_younger
from harness.invariants.policy_updates import no_lost_update
from harness.invariants.policy_versions import monotonic
from harness.invariants.single_flight import single_flight
from harness.units import ms, seconds
from harness.verdict import Outcome

NORMAL, DEFENSIVE, AGGRESSIVE = [200, 500, 30], [100, 300, 10], [300, 800, 50]


def judge(history, invariant):
    """The result of one invariant."""
    return judge_all(history, [invariant])[0]


def see(run, name, time, host="desk", **value):
    """An observation."""
    run.events.append(Observation(seconds(time), host, 1, name, value))
    return run


def ages(run, host="desk", max_age=600, hard_limit=900):
    """What the host's store was told."""
    return see(run, "policy_ages", 0, host, max_age_ns=seconds(max_age), hard_limit_ns=seconds(hard_limit))


def read(run, time, version=1, host="desk", stale=False, limits=NORMAL, source="redis", **caps):
    """A read."""
    return see(
        run, "policy", time, host, version=version, stale=stale, source=source, profile="X", limits=limits, caps=caps
    )


def update(run, start, end=None, outcome="ok", version=1, host="risk", adds=None, **sets):
    """An update of caps."""
    value = {"sets": {f"cap:{name}": one for name, one in sets.items()}, "adds": adds or {}}
    return run.call("update", start, end, outcome, value, {"version": version}, actor=host)


def gone(run, start, end, host="desk"):
    """An outage in which a host was refused."""
    run.fault(start, end, mode="refuse")
    return see(run, "link", start + 0.1, host, to="redis", outcome="refused")


@pytest.fixture
def aging(run):
    """Version 1 acked at 1 s, Redis gone from 10 s to 2,000 s."""
    ages(run)
    update(run, 0.5, 1)
    return gone(run, 10, 2_000)


@pytest.mark.parametrize(
    ("time", "stale", "verdict"),
    [
        (9, False, Outcome.HOLDS),
        (610.9, False, Outcome.HOLDS),
        (611.1, False, Outcome.VIOLATED),
        (611.1, True, Outcome.HOLDS),
        (1_999, False, Outcome.VIOLATED),
        (2_001, False, Outcome.HOLDS),
        (50, True, Outcome.HOLDS),
    ],
)
def test_ps1_counts_from_the_last_moment_at_which_redis_could_be_heard(aging, time, stale, verdict) -> None:
    """600 s and a second of margin; saying stale too soon is no offence."""
    result = judge(read(aging, time, stale=stale).end(2_100), fresh())
    assert (result.verdict, result.checked) == (verdict, 1)


def test_ps1_believes_a_reader_from_the_begin_of_healing_on(aging) -> None:
    """A server answers before the harness can say that it does again."""
    healed = aging.events.index(next(one for one in aging.events if isinstance(one, FaultHealed)))
    aging.events[healed] = FaultHealed(seconds(2_000), "harness", 1, aging.events[healed].fault, seconds(1_995))
    assert judge(read(aging, 1_996).end(2_100), fresh()).verdict is Outcome.HOLDS


def test_ps1_takes_a_superseded_version_for_old_from_the_ack_on(run) -> None:
    """Redis answers all the while; the reader goes on with what was superseded 602 s ago."""
    update(update(ages(run), 0.5, 1), 4, 5, version=2)
    assert judge(read(run, 600, 1).end(700), fresh()).verdict is Outcome.HOLDS
    result = judge(read(run, 607, 1).end(700), fresh())
    assert (result.verdict, result.observed) == (Outcome.VIOLATED, 1)
    assert result.finding.sentence == "1 read not flagged stale (limit 0), the oldest of 10.03 min"


@pytest.mark.parametrize("fault", ["network.partition", "network.half_open"])
def test_ps1_knows_whose_link_was_broken_and_that_it_was(run, fault) -> None:
    """Another host's partition ages nobody else's policy, nor does one without effect."""
    update(ages(ages(run), "other"), 0.5, 1)
    run.fault(10, 800, name=fault, mode="both-ways", on="desk->redis")
    read(read(run, 700, host="other"), 700)
    assert judge(run.end(900), fresh()).verdict is Outcome.HOLDS
    see(run, "toxic", 800, to="redis", toxic="x", type=fault.rpartition(".")[2], stream="upstream", held=9, dropped=9)
    result = judge(run.end(900), fresh())
    assert (result.verdict, result.observed) == (Outcome.VIOLATED, 1)


def test_ps1_and_ps5_without_reads_or_without_ages_decide_nothing(run) -> None:
    """There is nothing to look at, or to measure by."""
    assert judge(update(run, 1, 2).end(5), fresh()).verdict is Outcome.INCONCLUSIVE
    assert judge(read(run, 3).end(5), fresh()).verdict is Outcome.INCONCLUSIVE
    assert judge(run.end(5), safe()).verdict is Outcome.INCONCLUSIVE


@pytest.mark.parametrize(
    ("time", "limits", "verdict"),
    [
        (910, NORMAL, Outcome.INCONCLUSIVE),
        (912, NORMAL, Outcome.VIOLATED),
        (912, [100, 301, 10], Outcome.VIOLATED),
        (912, DEFENSIVE, Outcome.HOLDS),
        (912, [1, 1, 1], Outcome.HOLDS),
    ],
)
def test_ps5_beyond_the_hard_limit_nothing_is_laxer_than_defensive(aging, time, limits, verdict) -> None:
    """In any of the three limits; stricter is fine."""
    assert judge(read(aging, time, limits=limits, stale=True).end(2_100), safe()).verdict is verdict


def test_ps5_without_any_policy(run) -> None:
    """Version 0 is none, however healthy Redis is."""
    assert judge(read(run, 1, 0, limits=DEFENSIVE).end(5), safe()).verdict is Outcome.HOLDS
    assert judge(read(run, 2, 0, limits=NORMAL).end(5), safe()).verdict is Outcome.VIOLATED


def test_ps5_a_host_whose_files_were_damaged_knows_nothing_until_it_hears(aging) -> None:
    """Whatever version it claims; after the outage it may know again."""
    aging.fault(100, 101, name="disk.damage", mode="garbled", on="desk")
    read(aging, 102, limits=NORMAL, stale=True)
    read(aging, 2_001, limits=NORMAL)
    assert judge(aging.end(2_100), safe()).verdict is Outcome.INCONCLUSIVE  # nothing was damaged
    see(aging, "damage", 100, file="x", mode="garbled", bytes=9, changed=2)
    result = judge(aging.end(2_100), safe())
    assert (result.verdict, result.checked, result.observed) == (Outcome.VIOLATED, 1, 1)


def test_ps2_versions_only_grow(run) -> None:
    """Equal is fine; each host by itself."""
    for time, version, host in [(1, 0, "a"), (2, 3, "a"), (3, 2, "b"), (4, 3, "a"), (5, 7, "a"), (6, 2, "b")]:
        read(run, time, version, host)
    result = judge(run.end(9), monotonic())
    assert (result.verdict, result.checked) == (Outcome.HOLDS, 5)


@pytest.mark.parametrize("version", [2, 0])
def test_ps2_a_version_that_goes_backwards(run, version) -> None:
    """Over a restart too; none at all is below all."""
    read(run, 1, 3).host("desk", "killed", 2).host("desk", "started", 3, incarnation=2)
    result = judge(read(run, 4, version).end(9), monotonic())
    assert (result.verdict, result.observed) == (Outcome.VIOLATED, 1)
    assert result.finding.sentence == "1 read below a version read before (limit 0)"


def test_ps2_a_version_with_two_meanings(run) -> None:
    """Other caps are; other limits are not, as age makes them DEFENSIVE."""
    read(read(run, 1, 3, x=1), 2, 3, limits=DEFENSIVE, x=1)
    assert judge(run.end(9), monotonic()).verdict is Outcome.HOLDS
    result = judge(read(run, 3, 3, x=2).end(9), monotonic())
    assert result.finding.sentence == "1 read of a version that had meant something else (limit 0)"


def test_ps2_forgives_a_host_whose_files_were_damaged(run) -> None:
    """Once, and only if they were."""
    read(run, 1, 3).fault(2, 3, name="disk.damage", mode="emptied", on="desk")
    read(run, 4, 0)
    assert judge(run.end(9), monotonic()).verdict is Outcome.VIOLATED
    see(run, "damage", 2, file="x", mode="emptied", bytes=9, changed=9)
    assert judge(run.end(9), monotonic()).verdict is Outcome.HOLDS
    assert judge(read(read(run, 5, 4), 6, 3).end(9), monotonic()).verdict is Outcome.VIOLATED


SUM = {"cap:sum": 5}


@pytest.mark.parametrize(
    ("held", "verdict"), [(5, Outcome.VIOLATED), (10, Outcome.HOLDS), (13, Outcome.HOLDS), (15, Outcome.VIOLATED)]
)
def test_ps3_a_figure_is_the_sum_of_what_was_acked_and_of_some_of_what_is_unknown(run, held, verdict) -> None:
    """One lost, none, none with the unknown one in it, one made twice."""
    update(update(run, 1, 2, adds=SUM), 3, 4, version=2, adds=SUM)
    update(run, 5, 6, "info", adds={"cap:sum": 3})
    update(run, 7, 8, "fail", adds={"cap:sum": 2})
    result = judge(read(run, 9, 2, sum=held).end(20), no_lost_update())
    assert (result.verdict, result.checked) == (verdict, 2)


def test_ps3_a_field_holds_what_was_set_last(run) -> None:
    """Of updates at once either; never one that was over when another began, or that failed, or nobody's."""
    update(update(run, 1, 2, x=1), 3, 5, version=2, x=2)
    update(run, 4, 6, version=3, x=3)
    update(run, 7, 8, "fail", x=4)
    for held, verdict in [(2, Outcome.HOLDS), (3, Outcome.HOLDS), (1, Outcome.VIOLATED), (4, Outcome.VIOLATED)]:
        read(run, 9 + held, 3, x=held)
        assert judge(run.end(20), no_lost_update()).verdict is verdict, held
        run.events.pop()
    assert judge(read(run, 9, 3).end(20), no_lost_update()).verdict is Outcome.VIOLATED


def test_ps3_what_is_unknown_may_be_made_late(run) -> None:
    """An update whose outcome nobody knows may supersede any other."""
    update(update(run, 1, 2, "info", x=1), 3, 4, version=2, x=2)
    assert judge(read(run, 9, 2, x=1).end(20), no_lost_update()).verdict is Outcome.HOLDS


def test_ps3_needs_an_ack_and_a_read(run) -> None:
    """Otherwise nothing is decided."""
    assert judge(read(update(run, 1, 2, "fail"), 3).end(9), no_lost_update()).verdict is Outcome.INCONCLUSIVE
    assert judge(update(run, 4, 5).cut(), no_lost_update()).verdict is Outcome.INCONCLUSIVE


@pytest.mark.parametrize(
    ("time", "version", "stale", "verdict"),
    [
        (24.9, 1, True, Outcome.INCONCLUSIVE),
        (25.1, 2, False, Outcome.HOLDS),
        (25.1, 1, False, Outcome.VIOLATED),
        (25.1, 2, True, Outcome.VIOLATED),
    ],
)
def test_ps4_everybody_is_on_the_newest_version_after_calm(run, time, version, stale, verdict) -> None:
    """Five seconds after the healing, and knows it."""
    update(update(run, 0.5, 1), 7, 8, version=2).fault(10, 20)
    assert judge(read(run, time, version, stale=stale).end(40), converges()).verdict is verdict


def test_ps4_a_death_disturbs_and_a_wrong_clock_does_not(run) -> None:
    """What is excused is a host that was dead; a skew may last for ever."""
    update(update(run, 0.5, 1), 7, 8, version=2)
    run.fault(1, 100, name="clock.skew", mode="ahead", on="desk")
    run.host("desk", "started", 0).host("desk", "killed", 15).host("desk", "started", 17, incarnation=2)
    read(run, 20, 1)
    assert judge(run.end(40), converges()).verdict is Outcome.INCONCLUSIVE
    assert judge(run.end(40), converges(despite=("clock.*",))).verdict is Outcome.INCONCLUSIVE
    read(run, 23, 1)
    result = judge(run.end(40), converges(despite=("clock.*",)))
    assert (result.verdict, result.checked) == (Outcome.VIOLATED, 1)


def flight(run, matched, *, size=20, times=(10.5, 11, 12)):
    """Two seconds of replies that are 400 ms late, and herds that ask."""
    run.fault(10, 12.4, name="network.delay_reply", mode="delay-reply", on="desk->redis")
    for time in times:
        run.call("herd", time, time + 0.4, value={"size": size}, actor="desk")
    return see(run, "toxic", 12.4, to="redis", toxic="x", type="redis_match", stream="downstream", matched=matched)


@pytest.mark.parametrize(("matched", "verdict"), [(8, Outcome.HOLDS), (9, Outcome.VIOLATED), (60, Outcome.VIOLATED)])
def test_ps6_as_many_as_fit_one_after_the_other(run, matched, verdict) -> None:
    """Six in 2.4 s of 400 ms, and two at the ends."""
    result = judge(flight(run, matched).end(20), single_flight(delay_ns=ms(400)))
    assert (result.verdict, result.checked) == (verdict, 1)


def test_ps6_is_not_shown_where_nobody_asked_or_something_else_was_broken(run, new_run) -> None:
    """Nothing is decided then."""
    assert judge(flight(run, 3, size=2).end(20), single_flight(delay_ns=ms(400))).verdict is Outcome.INCONCLUSIVE
    other = flight(new_run().fault(11, 12), 90)
    assert judge(other.end(20), single_flight(delay_ns=ms(400))).verdict is Outcome.INCONCLUSIVE
    assert judge(new_run().end(20), single_flight(delay_ns=ms(400))).verdict is Outcome.INCONCLUSIVE


def told(run, time, age, host="desk", looked=None):
    """A read that tells its age, in seconds."""
    read(run, time, host=host)
    value = run.events[-1].value
    value |= {"age_ns": None if age is None else seconds(age), "looked_ns": seconds(time if looked is None else looked)}
    return run


def late(run, start=10, end=14, host="desk", matched=5):
    """Answers to a host that come 400 ms late."""
    run.fault(start, end, name="network.delay_reply", mode="delay-reply", on=f"{host}->redis")
    return see(run, "toxic", end, host, to="redis", toxic="x", type="redis_match", stream="downstream", matched=matched)


@pytest.mark.parametrize(
    ("time", "age", "verdict"),
    [
        (12, 0.4, Outcome.HOLDS),
        (12, 0.39, Outcome.HOLDS),
        (12, 0.38, Outcome.VIOLATED),
        (12, 0, Outcome.VIOLATED),
        (10.2, 0.19, Outcome.HOLDS),
        (10.2, 0.1, Outcome.VIOLATED),
        (10.005, 0, Outcome.INCONCLUSIVE),
        (9, 0, Outcome.INCONCLUSIVE),
        (14, 0, Outcome.INCONCLUSIVE),
        (12, None, Outcome.INCONCLUSIVE),
    ],
)
def test_ps7_an_answer_that_comes_late_is_as_old_as_its_question(run, time, age, verdict) -> None:
    """400 ms, less 10 ms of margin; at the beginning of the fault what was asked before it can be the last."""
    result = judge(late(told(run, time, age)).end(20), never_younger(delay_ns=ms(400)))
    assert (result.verdict, result.checked) == (verdict, int(verdict is not Outcome.INCONCLUSIVE))


def test_ps7_needs_a_delay_that_was_met_and_is_known(run, new_run) -> None:
    """Of this host, by a request at least, and long enough to show something."""
    for other in (late(told(run, 12, 0), host="other"), late(told(new_run(), 12, 0), matched=0)):
        assert judge(other.end(20), never_younger(delay_ns=ms(400))).verdict is Outcome.INCONCLUSIVE
    assert judge(late(told(new_run(), 12, 0)).end(20), never_younger()).verdict is Outcome.INCONCLUSIVE
    with pytest.raises(ValueError, match="within the margin"):
        never_younger(delay_ns=ms(200))


@pytest.mark.parametrize(("age", "verdict"), [(40, Outcome.HOLDS), (39.9, Outcome.VIOLATED)])
def test_ps7_nothing_is_asked_of_a_redis_that_is_gone(run, age, verdict) -> None:
    """Since 10 s, and it is 50 s; whatever holds the reader up after it looked at the clock is no offence."""
    gone(told(run, 50.5, age, looked=50), 10, 60)
    result = judge(run.end(90), never_younger())
    assert (result.verdict, result.checked) == (verdict, 1)
    if verdict is Outcome.VIOLATED:
        assert result.finding.sentence == "1 read younger than the question (limit 0), the worst by 100 ms"


def test_ps7_a_view_that_came_with_the_answer_to_an_update_is_not_judged(run) -> None:
    """It may have been asked for in the outage, and answered after it."""
    gone(told(run, 50, 0), 10, 60)
    next(one for one in run.events if isinstance(one, Observation) and one.name == "policy").value["looked_ns"] = None
    assert judge(run.end(90), never_younger()).verdict is Outcome.INCONCLUSIVE
