"""HM3 and HM6 on histories written by hand: that checks are made, and that nothing is claimed without one."""

from math import ceil

import pytest

from harness.invariants.base import judge_all
from harness.invariants.health_checks import honest, isolated
from harness.verdict import InvariantResult, Outcome

from .health_run import SERVICES, HealthRun

HOLDS, VIOLATED, INCONCLUSIVE = Outcome.HOLDS, Outcome.VIOLATED, Outcome.INCONCLUSIVE


def hm3(run: HealthRun, end: float = 30) -> InvariantResult:
    """Judge HM3."""
    (judged,) = judge_all(run.end(end), [isolated()])
    return judged


def hm6(run: HealthRun, end: float = 30) -> InvariantResult:
    """Judge HM6."""
    (judged,) = judge_all(run.end(end), [honest()])
    return judged


def steadily(run: HealthRun, *names: str, start: float = 1.0, until: float = 30.0, gap: float = 2.0) -> HealthRun:
    """Check these as often as an interval asks."""
    for name in names or SERVICES:
        run.checks(name, *(start + gap * number for number in range(ceil((until - start) / gap))))
    return run


def test_steady_checks_hold_while_another_is_ill() -> None:
    """Only gaps during another's illness count as looked at."""
    judged = hm3(steadily(HealthRun()).fault(10, 20, "monitor->feed", "network.partition"), 29.5)
    assert (judged.verdict, judged.checked) == (HOLDS, 12)
    assert judged.observed == 2_000.0


def test_without_an_illness_there_is_nothing_to_isolate() -> None:
    """Inconclusive, not a pass."""
    assert hm3(steadily(HealthRun()), 29.5).verdict is INCONCLUSIVE


def test_a_check_that_is_late_is_seen() -> None:
    """By the service itself; the finding names who was ill meanwhile."""
    run = steadily(HealthRun().fault(10, 20, "monitor->feed"), "store", "feed")
    run.checks("bot", 1, 3, 5, 7, 9, 11, 13.2, 15.2, 17.2, 19.2, 21.2, 23.2, 25.2, 27.2, 29.2)
    judged = hm3(run)
    assert judged.verdict is VIOLATED
    assert judged.finding is not None
    assert judged.finding.sentence == "1 check late: bot was not checked for 2.2 s while feed was ill (limit 2.15 s)"


@pytest.mark.parametrize("missing", ["first", "last", "all"])
def test_checks_that_never_come_are_late_as_well(missing: str) -> None:
    """Before the first, behind the last, and in place of all."""
    run = steadily(HealthRun().fault(10, 20, "monitor->feed"), "store", "feed")
    if missing != "all":
        run = steadily(run, "bot", start=5 if missing == "first" else 1, until=30 if missing == "first" else 25)
    assert hm3(run).verdict is VIOLATED


def test_a_service_is_owed_no_check_that_cannot_reach_it() -> None:
    """Nor one while the monitor is dead or frozen; the illness of its cause is no such reason."""
    ill = steadily(HealthRun().fault(9.5, 20.5, "monitor->feed"), "store", "bot")
    ill.checks("feed", 1, 3, 5, 7, 9, 21, 23, 25, 27, 29)
    assert hm3(ill, 29.5).verdict is HOLDS
    frozen = HealthRun().host("monitor", "frozen", 9.5).host("monitor", "thawed", 20.5).fault(5, 8, "bot->store")
    for name in SERVICES:
        frozen.checks(name, 1, 3, 5, 7, 9, 21, 23, 25, 27, 29)
    assert hm3(frozen, 29.5).verdict is HOLDS
    cause = steadily(HealthRun().fault(9.5, 20.5, "store", "process.freeze"), "feed")
    cause.checks("store", 1, 3, 5, 7, 9, 21, 23, 25, 27, 29).checks("bot", 1, 3, 5, 7, 9, 21, 23, 25, 27, 29)
    assert hm3(cause, 29.5).verdict is VIOLATED


def test_what_was_checked_may_be_healthy() -> None:
    """For three intervals and a timeout: 7 s, and the slack."""
    run = HealthRun().checks("store", 5).checks("bot", 5).checks("feed", 5)
    assert hm6(run.look(6, 12.1)).verdict is INCONCLUSIVE  # whoever was seen had been checked
    assert hm6(run.look(12.2, store="UNKNOWN", bot="CRITICAL", feed="UNKNOWN")).verdict is HOLDS
    judged = hm6(run.look(12.3, store="UNKNOWN", bot="UNKNOWN"))
    assert (judged.verdict, judged.observed, judged.checked) == (VIOLATED, 1, 6)
    assert judged.finding is not None
    assert judged.finding.sentence.startswith("1 state HEALTHY without a check: feed had last said so 7.3 s before")


def test_an_answer_that_says_otherwise_is_none() -> None:
    """HEALTHY needs one that says so."""
    run = HealthRun().checks("store", 5).checks("bot", 5).checks("feed", 5, status="unhealthy").look(6)
    judged = hm6(run)
    assert (judged.verdict, judged.observed) == (VIOLATED, 1)


def test_an_earlier_life_proves_nothing() -> None:
    """A monitor that was restarted has to ask again."""
    run = HealthRun()
    for name in SERVICES:
        run.checks(name, 5)
    run.host("monitor", "killed", 5.5).watch(6, 6.5, 2)
    assert hm6(run.look(7)).observed == 3
    for name in SERVICES:
        run.checks(name, 7.2)
    judged = hm6(run.look(7.5))
    assert (judged.observed, judged.checked) == (3, 3)


def test_nothing_known_at_all_is_never_healthy() -> None:
    """Before the first check."""
    assert hm6(HealthRun().look(1.1)).observed == 3
    assert hm6(HealthRun().look(1.1, store="UNKNOWN", bot="UNKNOWN", feed="UNKNOWN")).verdict is HOLDS
