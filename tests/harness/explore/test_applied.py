"""From an experiment to a scenario and back: what is run is what was drawn, and a schedule's run becomes one."""

from dataclasses import replace

import pytest

from harness.errors import UsageError
from harness.experiment import Experiment, Held
from harness.explore.applied import applied
from harness.explore.stored import experiment_of
from harness.faults import network, process
from harness.history.events import SCHEMA, RunStarted
from harness.runner import scenario_of
from harness.scenario import PlannedFault, Scenario, between, during, plan
from harness.tape import Tape
from harness.units import ms, seconds
from tests.harness.explore.bots import SCENARIO

EXPERIMENT = Experiment(
    profile="short",
    seed=3,
    span_ms=2_500,
    faults=(
        Held(500, 1_000, "network.drop_reply/drop-reply on bot->redis (most)"),
        Held(1_000, 700, "process.kill_inside/sigkill on bot in publish"),
    ),
    workload=(("bot", "gap_ns", 5),),
)


def header(**fields: object) -> RunStarted:
    """Return a history's first line."""
    known = {"scenario": "bots", "profile": "short", "world": "sim", "seed": 3, "targets": {}, "plan": []}
    return RunStarted(0, "harness", 1, SCHEMA, "0", **{**known, **fields})  # type: ignore[arg-type]


def times(planned: tuple[PlannedFault, ...]) -> list[tuple[int, int, str]]:
    """Return when each fault holds, and in which mode."""
    return [(one.start_ns, one.end_ns, one.mode) for one in planned]


def test_an_experiment_is_run_as_it_was_drawn() -> None:
    """Its faults at its times, its workload, its span; conversations are followed where a fault needs that."""
    scenario = applied(SCENARIO, EXPERIMENT)
    profile = scenario.profile("short")

    assert times(plan(profile, Tape(99))) == [
        (ms(500), ms(1_500), "drop-reply"),
        (ms(1_000), ms(1_700), "sigkill"),
    ]
    assert profile.schedule[1].faults[0].evidence.__self__.fault == process.kill_inside("bot", "publish")  # type: ignore[attr-defined]
    assert (profile.hosts[0].params, profile.span_ns) == ({"gap_ns": 5, "size": 1}, ms(2_500))
    assert [one.follow for one in scenario.dependencies] == ["redis"]
    assert [one.follow for one in SCENARIO.dependencies] == [None]


@pytest.mark.parametrize("workload", [(("nobody", "gap_ns", 5),), (("bot", "no_such", 5),)])
def test_a_workload_that_does_not_fit_is_a_usage_error(workload: tuple[tuple[str, str, int], ...]) -> None:
    """A host or a parameter that the scenario does not have any more."""
    with pytest.raises(UsageError, match="does not have"):
        applied(SCENARIO, replace(EXPERIMENT, workload=workload))


def test_a_history_gives_back_the_scenario_it_was_made_by() -> None:
    """From base and experiment alone, under the name that it had; without the base it is not known."""
    stored = header(scenario="bots-x1-abc", base="bots", experiment=EXPERIMENT.as_fields())
    scenario = scenario_of(stored, {"bots": SCENARIO})

    assert isinstance(scenario, Scenario)
    assert scenario.name == "bots-x1-abc"
    assert scenario.profile("short").hosts == applied(SCENARIO, EXPERIMENT).profile("short").hosts
    assert scenario_of(stored, {}) is None
    assert scenario_of(header(), {"bots": SCENARIO}) is SCENARIO


def test_a_run_of_a_schedule_becomes_an_experiment_that_does_the_same() -> None:
    """Same faults, same times, same modes, same seed; also for a fault with parameters that no menu has."""
    odd = network.latency("bot", "redis", latency_ms=7)
    schedule = (
        during(between(seconds(1), seconds(2)), between(ms(100), ms(900)), process.kill("bot"), odd),
        during(seconds(3), seconds(1), network.partition("bot", "redis")),
    )
    profile = replace(SCENARIO.profile("short"), schedule=schedule)
    scheduled = replace(SCENARIO, profiles={"short": profile})

    for seed in range(1, 7):
        experiment = experiment_of(header(seed=seed), scheduled)
        again = plan(applied(scheduled, experiment).profile("short"), Tape(seed))

        assert experiment.seed == seed
        assert times(again) == times(plan(profile, Tape(seed)))
        assert [(one.fault.name, one.fault.on) for one in again] == [
            (one.fault.name, one.fault.on) for one in plan(profile, Tape(seed))
        ]
