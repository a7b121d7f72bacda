"""EB5: the limit holds in each phase, and only what says something about the target is measured."""

import dataclasses

import msgspec
import pytest

from harness.invariants.base import judge_all
from harness.invariants.bounds import bounded
from harness.units import ms, seconds
from harness.verdict import Outcome


def judge(history, **options):
    """The result of the 250 ms limit on `publish`."""
    return judge_all(history, [bounded("publish", ms(250), **options)])[0]


def steady(run, count, *, start=0.0, took=0.01):
    """`count` publishes, one after the other, 20 ms apart."""
    for number in range(count):
        begin = start + number * 0.02
        run.call("publish", begin, begin + took)
    return run


def test_the_limit_itself_is_allowed(run):
    """Observed and limit are in milliseconds."""
    result = judge(run.call("publish", 1, 1.25).end(5))
    assert (
        result.verdict,
        result.checked,
        result.observed,
        result.limit,
        result.unit,
    ) == (Outcome.HOLDS, 1, 250.0, 250.0, "ms")


@pytest.mark.parametrize("outcome", ["ok", "fail", "info"])
def test_every_outcome_must_come_in_time(run, outcome):
    """A slow no is as slow as a slow yes."""
    result = judge(run.call("publish", 1, 1.3, outcome).end(5))
    assert (result.verdict, result.observed) == (Outcome.VIOLATED, 300.0)
    assert result.finding.sentence == "publish took 300 ms at p99.9 overall (limit 250 ms)"


def test_one_in_a_thousand_is_allowed_at_p999_but_not_at_max(run):
    """Nearest rank: of 1,000 values the second largest."""
    steady(run, 999).call("publish", 30, 31)
    assert Outcome.HOLDS is judge(run.end(40)).verdict
    assert Outcome.VIOLATED is judge(run.end(40), at="max").verdict


@pytest.mark.parametrize(
    ("start", "phase"),
    [
        (50, "before any fault"),
        (99.8, "during redis.outage hang (fault 1)"),
        (120, "during redis.outage hang (fault 1)"),
        (170, "after redis.outage hang (fault 1)"),
        (205, "during process.kill sigkill (fault 2)"),
        (230, "after process.kill sigkill (fault 2)"),
    ],
)
def test_a_phase_cannot_hide_in_the_whole(run, start, phase):
    """One slow call in 3,000 is nothing overall, and too much in a phase of a few. In flight at the onset is inside."""
    run.fault(100, 150).fault(200, 210, name="process.kill", mode="sigkill", on="consumer")
    steady(run, 3_000, start=30 if start == 230 else 300)
    steady(run, 2, start=start - 1).call("publish", start, start + 0.4)
    result = judge(run.end(400))
    assert (result.verdict, result.observed) == (Outcome.VIOLATED, 400.0)
    assert f"at p99.9 {phase}" in result.finding.sentence


def test_several_bad_phases_are_counted(run):
    """The worst is named."""
    run.fault(10, 20).call("publish", 5, 6).call("publish", 12, 15).call("publish", 30, 31)
    sentence = judge(run.end(40)).finding.sentence
    assert sentence == "publish took 3 s at p99.9 overall, and in 3 more phases (limit 250 ms)"


def test_cut_short_by_its_own_hosts_death_is_left_out(run):
    """It was under the limit when its host died."""
    run.host("publisher", "started", 0).call("publish", 1, 1.1).call("publish", 2)
    result = judge(run.host("publisher", "killed", 2.2).end(40))
    assert (result.verdict, result.checked) == (Outcome.HOLDS, 1)
    assert result.reason == "left out: 1 cut short by the end of their host or of the run"


@pytest.mark.parametrize(
    "life", [[], [("killed", 2.3)], [("killed", 30)], [("finished", 30)], [("frozen", 2.1), ("thawed", 4)]]
)
def test_never_returned_is_a_violation(run, life):
    """Its host lived on, awake, for longer than the limit."""
    run.host("publisher", "started", 0).call("publish", 1, 1.1).call("publish", 2)
    for change, time in life:
        run.host("publisher", change, time)
    result = judge(run.end(40))
    assert (result.verdict, result.checked, result.observed) == (Outcome.VIOLATED, 2, 100.0)
    assert result.finding.sentence == "1 publish never returned (limit 250 ms)"
    assert [(row.event, row.offending) for row in result.finding.rows] == [("publish began and never returned", True)]


@pytest.mark.parametrize("changes", [["frozen"], ["frozen", "thawed"]])
def test_in_flight_while_its_host_was_frozen_is_left_out(run, changes):
    """Neither the completed one nor the unfinished one shows what the target would have done."""
    run.host("publisher", "started", 0).call("publish", 1, 1.1).call("publish", 2, 9).call("publish", 2.05)
    for number, change in enumerate(changes):
        run.host("publisher", change, 2.1 + 7.8 * number)
    result = judge(run.end(10))
    assert (result.verdict, result.checked) == (Outcome.HOLDS, 1)
    assert "1 in flight while their host was frozen" in result.reason


def test_another_hosts_death_is_no_excuse(run):
    """Nor that of another incarnation."""
    run.host("consumer", "killed", 1.1).host("publisher", "killed", 1.1, incarnation=2)
    assert Outcome.VIOLATED is judge(run.call("publish", 1, 2).call("publish", 1).end(9)).verdict


def test_no_operation_decides_nothing(run):
    """Nor does another operation."""
    assert Outcome.INCONCLUSIVE is judge(run.call("subscribe", 1, 2).end(9)).verdict


@pytest.mark.parametrize(("limit", "at"), [(0, "p99"), (-1, "p99"), (1, "p0"), (1, "p101"), (1, "99"), (1, "pp9")])
def test_a_limit_must_be_one(limit, at):
    """A declaration that could not be violated, or not be computed, is refused."""
    with pytest.raises(ValueError, match=r"limit|percentile"):
        bounded("publish", limit, at=at)


@pytest.mark.parametrize(
    ("world", "took", "verdict", "limit"),
    [
        ("sim", 0.3, Outcome.VIOLATED, 250.0),
        ("real", 0.3, Outcome.HOLDS, 1000.0),
        ("real", 1.1, Outcome.VIOLATED, 1000.0),
    ],
)
def test_the_real_world_has_a_limit_of_its_own(run, world, took, verdict, limit):
    """A busy machine may slow the real world down; the exact limit is for the sim world."""
    history = run.call("publish", 1, 1 + took).end(5)
    history = dataclasses.replace(history, header=msgspec.structs.replace(history.header, world=world))
    result = judge(history, real_limit_ns=seconds(1))
    assert (result.verdict, result.limit) == (verdict, limit)


def test_a_limit_of_the_real_world_below_the_exact_one_is_refused():
    """It would judge the noisier world more strictly."""
    with pytest.raises(ValueError, match="below"):
        bounded("publish", ms(250), real_limit_ns=ms(100))
