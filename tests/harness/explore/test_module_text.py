"""A failure as a file: a module that declares the same experiment again, whatever its texts are made of."""

from pathlib import Path

from harness.experiment import Experiment, Held
from harness.explore.module_text import module_text, name_of
from harness.registry import scenario_in
from tests.harness.explore.bots import SCENARIO

EXPERIMENT = Experiment(
    profile="short",
    seed=7,
    span_ms=1_500,
    faults=(Held(1_000, 500, "redis.outage/refuse on redis"), Held(0, 300, "process.kill_inside/sigkill on bot in a")),
    workload=(("bot", "gap_ns", 5),),
    calm=("link/*",),
    edits=(("schedule", 4, 5),),
)


def write(path: Path, sentence: str) -> Path:
    """Write the module."""
    text = module_text(
        SCENARIO,
        EXPERIMENT,
        name="bots-x1-abc",
        module="tests.harness.explore.bots",
        targets={},
        invariants=["X1"],
        sentence=sentence,
    )
    path.write_text(text, encoding="utf-8")
    return path


def test_the_file_declares_the_same_experiment(tmp_path: Path) -> None:
    """Name, experiment, base and invariants come back from the file; its schedule is the experiment's."""
    scenario = scenario_in(write(tmp_path / "found.py", "It is broken"))

    assert scenario.pinned is not None
    assert (scenario.name, scenario.pinned.base, scenario.pinned.experiment) == ("bots-x1-abc", "bots", EXPERIMENT)
    assert [one.id for one in scenario.invariants] == ["X1"]
    assert [step.choices[0][1] for step in scenario.profile("short").schedule] == ["refuse", "sigkill"]
    assert scenario.profile("short").hosts[0].params["gap_ns"] == 5


def test_hostile_text_stays_text(tmp_path: Path) -> None:
    """A finding's sentence holds what targets say: it neither ends the docstring nor runs."""
    path = write(tmp_path / "found.py", 'x"""\nraise SystemExit(1)\n"""\\N{no such}\x00')

    assert scenario_in(path).name == "bots-x1-abc"


def test_a_failure_has_a_name_of_its_own() -> None:
    """The same failure gets the same name, another experiment or target another."""
    name = name_of(SCENARIO, "X1", EXPERIMENT, {})

    assert name == name_of(SCENARIO, "X1", EXPERIMENT, {})
    assert name.startswith("bots-x1-")
    assert name != name_of(SCENARIO, "X1", EXPERIMENT, {"event_bus": "a:b"})
