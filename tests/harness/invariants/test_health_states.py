"""HM1 and HM5 on histories written by hand: what has to be shown, from when, until when."""

import pytest

from harness.invariants.base import judge_all
from harness.invariants.health_record import Watching
from harness.invariants.health_states import detects, recovers
from harness.verdict import Outcome

from .health_run import HealthRun

HOLDS, VIOLATED, INCONCLUSIVE = Outcome.HOLDS, Outcome.VIOLATED, Outcome.INCONCLUSIVE


def hm1(run: HealthRun, end: float = 100) -> tuple[Outcome, int]:
    """Judge HM1: the outcome, and how many outages were looked at."""
    (judged,) = judge_all(run.end(end), [detects()])
    return judged.verdict, judged.checked


def hm5(run: HealthRun, end: float = 100) -> tuple[Outcome, int]:
    """Judge HM5."""
    (judged,) = judge_all(run.end(end), [recovers()])
    return judged.verdict, judged.checked


@pytest.mark.parametrize(
    ("time", "state", "outcome"),
    [
        (15.0, "HEALTHY", INCONCLUSIVE),  # two intervals and a timeout are not over: nobody looked at what counts
        (15.2, "HEALTHY", VIOLATED),
        (15.2, "UNKNOWN", VIOLATED),
        (15.2, "absent", VIOLATED),
        (15.2, "CRITICAL", HOLDS),
        (15.2, "DEGRADED", HOLDS),
        (19.98, "HEALTHY", VIOLATED),
        (19.995, "HEALTHY", INCONCLUSIVE),  # it was over before the answer came
    ],
)
def test_an_outage_has_to_show(time: float, state: str, outcome: Outcome) -> None:
    """From 5 s (and the slack) after it began until it is over."""
    run = HealthRun().fault(10, 20, "monitor->feed").look(time, feed=state)
    assert hm1(run)[0] is outcome


@pytest.mark.parametrize(
    ("on", "name", "seen"),
    [
        ("feed", "process.freeze", "feed"),
        ("monitor->feed", "service.misbehaves", "feed"),
        ("store", "process.kill", "bot"),
        ("bot->store", "network.partition", "bot"),
    ],
)
def test_what_makes_a_service_ill(on: str, name: str, seen: str) -> None:
    """A fault of its own, of the link to it, of what it depends on, or of the link to that."""
    bad = {"feed": "CRITICAL", "store": "CRITICAL", "bot": "CRITICAL"}
    assert hm1(HealthRun().fault(10, 30, on, name).look(20, **bad))[0] is HOLDS
    assert hm1(HealthRun().fault(10, 30, on, name).look(20, **{**bad, seen: "HEALTHY"}))[0] is VIOLATED


@pytest.mark.parametrize(
    ("on", "name"),
    [
        ("monitor->feed", "network.latency"),
        ("monitor->feed", "service.flaps"),
        ("feed", "clock.step"),
        ("onlooker->monitor", "network.refuse"),
        ("monitor->store", "network.refuse"),  # bot is as well as ever, and store has no look that is wrong
    ],
)
def test_what_makes_nobody_ill(on: str, name: str) -> None:
    """Harmless faults, restless ones, and those that hit something else."""
    assert hm1(HealthRun().fault(10, 30, on, name).look(20, store="CRITICAL"))[0] in (HOLDS, INCONCLUSIVE)


@pytest.mark.parametrize(("on", "name"), [("monitor->feed", "network.partition"), ("feed", "process.kill")])
def test_what_is_only_said_to_happen_makes_nobody_ill(on: str, name: str) -> None:
    """Without an effect on record there is nothing to show."""
    assert hm1(HealthRun().fault(10, 30, on, name).look(20))[0] is VIOLATED
    assert hm1(HealthRun().fault(10, 30, on, name, bites=False).look(20))[0] is INCONCLUSIVE


def test_a_refusal_on_record_is_an_effect() -> None:
    """The kernel's word, as the link has it."""
    run = HealthRun().fault(10, 30, "monitor->feed", bites=False).link(12, "feed", "refused")
    assert hm1(run.look(20))[0] is VIOLATED


def test_the_worlds_record_of_hosts_counts_as_well() -> None:
    """Dead or frozen is ill, whoever did it."""
    dead = HealthRun().host("feed", "killed", 10).look(20)
    frozen = HealthRun().host("feed", "frozen", 10).host("feed", "thawed", 30).look(20)
    gone = HealthRun().leaves("feed", 10).look(20)
    assert [hm1(run)[0] for run in (dead, frozen, gone)] == [VIOLATED] * 3


def test_a_monitor_has_its_time_after_a_restart() -> None:
    """It cannot see what happens while it is dead or frozen; afterwards it has as long as ever."""

    def run() -> HealthRun:
        return HealthRun().fault(10, 60, "monitor->feed").host("monitor", "killed", 12).watch(20, 21, 2)

    assert hm1(run().look(26))[0] is INCONCLUSIVE
    assert hm1(run().look(26.2))[0] is VIOLATED
    assert hm1(run().look(26.2, feed="CRITICAL")) == (HOLDS, 1)
    frozen = HealthRun().fault(10, 60, "monitor->feed").host("monitor", "frozen", 12).host("monitor", "thawed", 30)
    assert hm1(frozen.look(34))[0] is INCONCLUSIVE
    assert hm1(frozen.look(35.2))[0] is VIOLATED


def test_the_real_world_has_more_slack() -> None:
    """Two seconds, as a busy machine needs them."""
    run = HealthRun("real").fault(10, 30, "monitor->feed")
    assert hm1(run.look(16.9))[0] is INCONCLUSIVE
    assert hm1(run.look(17.1))[0] is VIOLATED


@pytest.mark.parametrize(
    ("time", "state", "outcome"),
    [
        (24.1, "CRITICAL", INCONCLUSIVE),
        (24.2, "CRITICAL", VIOLATED),
        (24.2, "UNKNOWN", VIOLATED),
        (24.2, "DEGRADED", VIOLATED),
        (24.2, "HEALTHY", HOLDS),
    ],
)
def test_health_has_to_show(time: float, state: str, outcome: Outcome) -> None:
    """From 4 s (and the slack) after the fault was healed. Before the fault nobody looked."""
    run = HealthRun().fault(1, 20, "monitor->feed").fault(1, 30, "store", "process.kill").look(time, feed=state)
    assert hm5(run)[0] is outcome


def test_health_is_owed_under_latency_and_after_a_restart() -> None:
    """Latency is no excuse; being new is, for two intervals."""
    assert hm5(HealthRun().fault(10, 30, "monitor->feed", "network.latency").look(20, feed="CRITICAL"))[0] is VIOLATED
    restarted = HealthRun().host("monitor", "killed", 12).watch(20, 21, 2)
    assert hm5(restarted.look(25, feed="UNKNOWN"))[0] is INCONCLUSIVE
    assert hm5(restarted.look(25.3, feed="UNKNOWN"))[0] is VIOLATED


@pytest.mark.parametrize("name", ["service.flaps", "network.drop_http_reply", "network.reset_http"])
def test_while_it_flaps_nothing_is_owed(name: str) -> None:
    """Neither this nor that; a link that loses only a share of the exchanges makes its service flap as well."""
    run = HealthRun().fault(1, 40, "monitor->feed", name).look(15).look(20, 30, feed="CRITICAL")
    assert hm1(run)[0] is INCONCLUSIVE
    assert hm5(run.look(44.2))[0] is HOLDS


def test_a_finding_names_the_worst() -> None:
    """Service, what it was, how long it was not shown, and the limit."""
    run = HealthRun().fault(10, 40, "monitor->feed", "network.partition").look(16, 25).look(30, feed="CRITICAL")
    (judged,) = judge_all(run.end(50), [detects()])
    assert (judged.observed, judged.limit, judged.unit) == (15.01, 5.15, "s")
    assert judged.finding is not None
    assert judged.finding.sentence == (
        "1 outage not shown as DEGRADED or CRITICAL: feed was still HEALTHY 15.01 s after it was "
        "network.partition (m) (limit 5.15 s)"
    )
    assert [row.event for row in judged.finding.rows if row.offending] == ["was seen as HEALTHY"] * 2


def test_without_a_monitor_nothing_is_known() -> None:
    """A target that never began has not passed."""
    run = HealthRun().fault(10, 40, "monitor->feed").look(30)
    for invariant in (detects(watching=Watching(monitor="other")), recovers(watching=Watching(monitor="other"))):
        (judged,) = judge_all(run.end(50), [invariant])
        assert (judged.verdict, judged.reason) == (INCONCLUSIVE, "no monitor began to watch")
