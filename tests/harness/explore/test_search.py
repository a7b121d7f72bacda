"""The search: what failed before comes first, what breaks is told apart from what fails, and it knows when to stop."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from harness.experiment import Experiment, Held
from harness.explore.execute import Laboratory, Outcomes
from harness.explore.failures import Failures
from harness.explore.menu import menu_of
from harness.explore.search import Searched, search
from harness.history.events import (
    SCHEMA,
    Event,
    Fail,
    FaultBegan,
    FaultHealed,
    Invoke,
    Observation,
    Ok,
    RunEnded,
    RunStarted,
)
from harness.history.history import History
from harness.runner import Made
from harness.tape import Tape
from harness.units import MILLISECOND, ms
from harness.verdict import RunResult, Verdict
from tests.harness.explore.bots import SCENARIO

KILL = "process.kill/sigkill on bot"


class Pretended(Laboratory):
    """Experiments that nobody carries out: a rule says what they come to, and one operation meets each fault."""

    def __init__(self, violates: Callable[[Experiment], bool], breaks: Callable[[Experiment], bool]) -> None:
        super().__init__(SCENARIO, {}, Path("nowhere"))
        self.made: list[Experiment] = []
        self._violates = violates
        self._breaks = breaks

    def make(self, experiment: Experiment) -> tuple[Outcomes, Made]:
        """Come to what the rule says."""
        self.count += 1
        self.made.append(experiment)
        errors = ("host bot failed",) if self._breaks(experiment) else ()
        outcomes = Outcomes(("X1",) if self._violates(experiment) and not errors else (), errors)
        self._known[experiment] = outcomes
        result = RunResult(
            scenario="bots",
            title="",
            patch=1,
            priority="P0",
            world="sim",
            profile="short",
            seed=experiment.seed,
            target={},
            verdict=Verdict.PASS,
        )
        return outcomes, Made(result, _history(experiment), Tape(experiment.seed))


def _history(experiment: Experiment) -> History:
    events: list[Event] = [RunStarted(0, "harness", 1, SCHEMA, "0", "bots", "short", "sim", 1, {}, [])]
    events.append(RunEnded(ms(20_000), "harness", 1, "", 0))
    for number, fault in enumerate(experiment.faults):
        name, _, mode = fault.entry.partition(" ")[0].partition("/")
        start_ns = fault.start_ms * MILLISECOND
        events += [
            FaultBegan(start_ns, "harness", 1, number, name, mode, "bot"),
            Invoke(start_ns + 1, "bot", 1, number, "publish", {}),
            Fail(start_ns + 2, "bot", 1, number, "no") if number % 2 else Ok(start_ns + 2, "bot", 1, number, {}),
            FaultHealed(fault.end_ms * MILLISECOND, "harness", 1, number),
        ]
    return History.of(events)


def never(_: Experiment) -> bool:
    """Say no."""
    return False


def killed(experiment: Experiment) -> bool:
    """Fail if the bot is killed in the second half."""
    return any(fault.entry == KILL and fault.start_ms > 4_000 for fault in experiment.faults)


def explored(laboratory: Laboratory, folder: Path | None = None, executions: int = 60, **rest: object) -> Searched:
    """Search with seed 1."""
    failures = Failures(folder, "bots", {})
    return search(laboratory, failures, executions=executions, seed=1, **rest)  # type: ignore[arg-type]


def test_a_failure_ends_the_search() -> None:
    """It is the last experiment made, and it is told what it violates."""
    laboratory = Pretended(killed, never)
    done = explored(laboratory, executions=400)

    assert (done.found, done.violated) == (laboratory.made[-1], ("X1",))
    assert done.executions == len(laboratory.made) == laboratory.count
    assert len(done.coverage) > 20


def test_the_first_experiment_is_without_faults_and_none_is_made_twice() -> None:
    """What nobody hurts tells what there is to hurt; the same again would be a wasted execution."""
    laboratory = Pretended(never, never)
    done = explored(laboratory)

    assert laboratory.made[0].faults == ()
    assert (done.executions, done.found, done.stopped) == (60, None, "executions")
    assert len(set(laboratory.made)) == 60


def test_the_same_search_makes_the_same_experiments() -> None:
    """A seed decides all that is drawn and mutated; another seed draws another."""
    one, other, third = Pretended(never, never), Pretended(never, never), Pretended(never, never)
    explored(one)
    explored(other)
    search(third, Failures(None, "bots", {}), executions=60, seed=2)

    assert one.made == other.made != third.made


def test_what_breaks_is_no_finding() -> None:
    """An experiment that breaks is told by itself, and the search goes on."""
    done = explored(Pretended(killed, killed), executions=400)

    assert done.found is None
    assert done.errors
    assert all(killed(broken.experiment) for broken in done.errors)


def test_only_the_wanted_invariants_count() -> None:
    """A violation of another invariant does not end a search for one."""
    assert explored(Pretended(killed, never), wanted=("X2",), executions=100).found is None


def test_a_failure_is_tried_first_the_next_time(tmp_path: Path) -> None:
    """Out of the database it takes one execution; once repaired, it is forgotten."""
    explored(Pretended(killed, never), tmp_path, executions=400)
    again = explored(Pretended(killed, never), tmp_path)
    repaired = Pretended(never, never)
    explored(repaired, tmp_path, executions=3)
    later = Pretended(never, never)
    explored(later, tmp_path, executions=3)

    assert (again.executions, again.remembered) == (1, True)
    assert killed(repaired.made[0])
    assert later.made[0].faults == ()


def test_a_search_for_one_invariant_keeps_the_failures_of_others(tmp_path: Path) -> None:
    """What fails otherwise than wanted is no find of that search, and stays for the next one."""
    explored(Pretended(killed, never), tmp_path, executions=400)
    explored(Pretended(killed, never), tmp_path, wanted=("X2",), executions=5)
    explored(Pretended(never, killed), tmp_path, executions=5)

    assert explored(Pretended(killed, never), tmp_path).remembered


def test_what_the_scenario_no_longer_has_is_forgotten(tmp_path: Path) -> None:
    """A stored experiment with a fault that is not on the menu, or that is no experiment, does not stop a search."""
    failures = Failures(tmp_path, "bots", {})
    failures.keep(Experiment(profile="short", seed=1, span_ms=1_000, faults=(Held(0, 100, "no.such/fault on bot"),)))

    class Strict(Pretended):
        def make(self, experiment: Experiment) -> tuple[Outcomes, Made]:
            for fault in experiment.faults:
                menu_of(SCENARIO, "short").item(fault.entry)
            return super().make(experiment)

    assert explored(Strict(never, never), tmp_path, executions=3).executions == 3
    assert failures.kept() == []


def test_the_time_budget_is_asked_before_each_execution() -> None:
    """Whoever says no ends the search, with the reason."""
    answers = iter(["", "", "time is up"])
    done = explored(Pretended(never, never), go_on=lambda: next(answers))

    assert (done.executions, done.stopped) == (2, "time is up")


@pytest.mark.parametrize("executions", [1, 2, 7])
def test_no_more_executions_than_asked_for(executions: int) -> None:
    """However few."""
    assert explored(Pretended(never, never), executions=executions).executions == executions


def test_what_came_into_a_rare_state_is_mutated_most() -> None:
    """Of two things that have to happen one after the other, the second is looked for where the first did."""

    def trips(experiment: Experiment) -> bool:
        return any(fault.entry == "disk.full/full on bot" for fault in experiment.faults)

    class Tripping(Pretended):
        """A desk that comes into a state of its own when its disk is full."""

        def make(self, experiment: Experiment) -> tuple[Outcomes, Made]:
            outcomes, made = super().make(experiment)
            states = ["ARMED", "TRIPPED"] if trips(experiment) else ["ARMED"]
            seen = [Observation(ms(5_000 + at), "bot", 1, "desk", {"state": state}) for at, state in enumerate(states)]
            return outcomes, replace(made, history=History.of([*made.history.events, *seen]))

    def tripped(laboratory: Pretended) -> int:
        explored(laboratory, executions=300)
        return sum(map(trips, laboratory.made))

    assert tripped(Tripping(never, never)) > 1.5 * tripped(Pretended(never, never))
