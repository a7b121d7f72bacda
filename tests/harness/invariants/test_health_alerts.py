"""HM2 and HM4 on histories written by hand: what may be told, and what has to be."""

import pytest

from harness.invariants.base import judge_all
from harness.invariants.health_alerts import once, quiet
from harness.verdict import InvariantResult, Outcome

from .health_run import HealthRun

HOLDS, VIOLATED, INCONCLUSIVE = Outcome.HOLDS, Outcome.VIOLATED, Outcome.INCONCLUSIVE


def hm2(run: HealthRun, end: float = 200) -> InvariantResult:
    """Judge HM2."""
    (judged,) = judge_all(run.end(end), [quiet()])
    return judged


def hm4(run: HealthRun, end: float = 200) -> InvariantResult:
    """Judge HM4."""
    (judged,) = judge_all(run.end(end), [once()])
    return judged


def slow() -> HealthRun:
    """A run in which the way to feed is slow from 10 to 30, and feed is checked meanwhile."""
    return HealthRun().fault(10, 30, "monitor->feed", "network.latency").checks("feed", 12, 14, 16)


def outage(*alerts: tuple[float, str]) -> HealthRun:
    """A run in which feed is ill from 10 to 40, and these are told of it."""
    run = HealthRun().fault(10, 40, "monitor->feed")
    for time, kind in alerts:
        run.alert(time, "feed", kind)
    return run


def test_silence_under_latency_holds() -> None:
    """Checked are the checks that were answered late."""
    judged = hm2(slow())
    assert (judged.verdict, judged.checked) == (HOLDS, 3)


def test_without_latency_silence_proves_nothing() -> None:
    """Nor does it if nobody was checked meanwhile."""
    assert hm2(HealthRun().checks("feed", 12)).verdict is INCONCLUSIVE
    assert hm2(HealthRun().fault(10, 30, "monitor->feed", "network.latency")).verdict is INCONCLUSIVE


@pytest.mark.parametrize("kind", ["down", "degraded", "flapping", "anything"])
def test_an_alert_of_a_healthy_service_is_false(kind: str) -> None:
    """Whatever it is called, unless it says that all is well."""
    assert hm2(slow().alert(20, "feed", kind)).verdict is VIOLATED
    assert hm2(slow().alert(20, "feed", "recovered")).verdict is HOLDS
    assert hm2(slow().alert(20, "nobody", kind)).verdict is VIOLATED


@pytest.mark.parametrize(
    ("time", "outcome"), [(49.9, VIOLATED), (50.1, HOLDS), (65, HOLDS), (70.0, HOLDS), (70.3, VIOLATED)]
)
def test_an_illness_excuses_an_alert_for_a_while(time: float, outcome: Outcome) -> None:
    """From its beginning until 10 s (and the slack) after its end."""
    assert hm2(slow().fault(50, 60, "monitor->feed").alert(time, "feed")).verdict is outcome


def test_a_cause_excuses_as_well() -> None:
    """For HM2; that the consequence was told is HM4's business."""
    assert hm2(slow().fault(50, 60, "store", "process.kill").alert(55, "bot")).verdict is HOLDS


def test_one_alert_and_one_all_clear_hold() -> None:
    """At any time until they are due."""
    assert hm4(outage((15, "down"), (43, "recovered"))).verdict is HOLDS
    assert hm4(outage((19, "down"), (50, "recovered"))).checked == 1


@pytest.mark.parametrize(
    ("alerts", "offence"),
    [
        ([], "missing: nothing was told of it by now"),
        ([(15, "down")], "missing: no all-clear by now"),
        ([(15, "down"), (51, "recovered")], "missing: no all-clear by now"),
        ([(15, "down"), (18, "down"), (43, "recovered")], "again: down, as told before"),
        ([(15, "down"), (43, "recovered"), (44, "recovered")], "again: recovered, as told before"),
        ([(9, "recovered"), (15, "down"), (43, "recovered")], "again: recovered, as told before"),
        (
            [(15, "down"), (20, "recovered"), (22, "down"), (43, "recovered")],
            "false all-clear: it was ill all the while",
        ),
        ([(15, "down"), (41, "recovered"), (42, "down"), (43, "recovered")], "too often: down for the 2. time"),
    ],
)
def test_offences(alerts: list[tuple[float, str]], offence: str) -> None:
    """Each by its name, in the finding."""
    judged = hm4(outage(*alerts))
    assert judged.verdict is VIOLATED
    assert judged.finding is not None
    assert offence in judged.finding.sentence


def test_an_escalation_is_told() -> None:
    """From degraded to down, and back."""
    run = outage((15, "degraded"), (20, "down"), (30, "degraded"), (43, "recovered"))
    assert hm4(run).verdict is HOLDS


def test_a_short_illness_may_be_told_or_not() -> None:
    """Twice what detection takes is 10 s; below that it is nobody's duty, and no offence."""
    assert hm4(HealthRun().fault(10, 20, "monitor->feed")).verdict is INCONCLUSIVE
    assert hm4(HealthRun().fault(10, 20.2, "monitor->feed")).verdict is VIOLATED
    told = HealthRun().fault(10, 18, "monitor->feed").alert(15, "feed").alert(20, "feed", "recovered")
    assert hm4(told).verdict is INCONCLUSIVE


def test_the_monitor_must_have_been_there_to_see_it() -> None:
    """For as long as it takes, in one piece."""
    run = HealthRun().fault(10, 40, "monitor->feed").host("monitor", "killed", 18).watch(32, 33, 2)
    assert hm4(run).verdict is INCONCLUSIVE
    seen = HealthRun().fault(10, 40, "monitor->feed").host("monitor", "killed", 18).watch(25, 26, 2)
    assert hm4(seen).verdict is VIOLATED


def test_a_restart_is_no_reason_to_tell_again() -> None:
    """Alerts of all lives are one sequence."""
    run = outage((15, "down")).host("monitor", "killed", 20).watch(22, 23, 2)
    run.alert(26, "feed", life=2).alert(43, "feed", "recovered", life=2)
    judged = hm4(run)
    assert judged.finding is not None
    assert "again: down" in judged.finding.sentence


def test_consequences_are_not_told() -> None:
    """The store is down, and bot with it: one alert."""

    def run() -> HealthRun:
        ill = HealthRun().fault(10, 40, "store", "process.kill")
        return ill.alert(15, "store").alert(43, "store", "recovered")

    assert (hm4(run()).verdict, hm4(run()).checked) == (HOLDS, 1)
    told = hm4(run().alert(16, "bot").alert(44, "bot", "recovered"))
    assert told.finding is not None
    assert "of bot: consequence: down" in told.finding.sentence


def test_what_looks_like_a_consequence_need_not_be_told() -> None:
    """The monitor cannot tell, while it does not reach the store, why bot is down."""
    run = HealthRun().fault(10, 40, "monitor->store").fault(10, 40, "bot", "process.kill")
    run.alert(15, "store").alert(43, "store", "recovered")
    assert hm4(run).verdict is HOLDS
    alone = HealthRun().fault(10, 40, "bot", "process.kill").alert(19, "bot").alert(43, "bot", "recovered")
    assert (hm4(alone).verdict, hm4(alone).checked) == (HOLDS, 1)


def test_flapping_is_damped() -> None:
    """Five alerts while it flaps and for 8 intervals more, not six; their order is free."""

    def flapping(count: int) -> HealthRun:
        run = HealthRun().fault(10, 40, "monitor->feed", "service.flaps")
        for number in range(count):
            run.alert(12 + 8 * number, "feed", "recovered" if number % 2 else "down")
        return run

    assert (hm4(flapping(5)).verdict, hm4(flapping(5)).checked) == (HOLDS, 1)
    judged = hm4(flapping(6))
    assert judged.finding is not None
    assert "undamped: 6 alerts while it flapped (limit 5)" in judged.finding.sentence
    assert hm4(flapping(0)).verdict is INCONCLUSIVE
