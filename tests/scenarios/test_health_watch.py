"""`health-watch`: nine services fail at once in it, and a monitor that is not there does not pass."""

from harness.registry import discover
from harness.verdict import Outcome, Verdict
from scenarios import health_watch

SCENARIO = discover()["health-watch"]


def test_every_service_fails_at_once_in_the_full_profile() -> None:
    """Nine of them, from within a second of each other."""
    schedule = SCENARIO.profiles["full"].schedule
    at_once = [step for step in schedule if step.duration == schedule[-1].duration and step.start == schedule[-1].start]
    assert sorted(step.faults[0].on for step in at_once) == sorted(health_watch.ALL)
    assert len(health_watch.ALL) == 9


def test_a_monitor_that_cannot_start_is_no_pass(run_short, monkeypatch) -> None:
    """Nothing could be judged."""
    from reference_impl.health_service import HealthService  # noqa: PLC0415 - patched, not used

    async def fail(_: object) -> None:
        raise RuntimeError("no")

    monkeypatch.setattr(HealthService, "start", fail)
    result = run_short(SCENARIO)
    assert result.verdict is not Verdict.PASS
    assert {one.verdict for one in result.invariants} == {Outcome.INCONCLUSIVE}
