"""`[tool.harness]`: the nearest pyproject.toml counts, from its own folder; the rest of the file is not ours."""

from pathlib import Path

import pytest

from harness.cli.config import Config, load_config
from harness.errors import UsageError
from harness.policy import GatePolicy


def write(folder: Path, text: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "pyproject.toml").write_text(text)
    return folder


def test_without_a_file_there_are_defaults(tmp_path):
    """A folder of no project can run what is shipped."""
    assert load_config(tmp_path) == Config()
    assert Config() == Config(scenarios=("scenarios",), targets={}, out=Path("reports/out"), gate=GatePolicy())


@pytest.mark.parametrize("text", ["", "[project]\nname = 'x'\n", "[tool.other]\nout = 7\n", "tool = 7\n"])
def test_a_file_without_our_table_is_defaults(tmp_path, text):
    """What other tools write into the file is not judged."""
    assert load_config(write(tmp_path, text)) == Config()


def test_everything_can_be_set(tmp_path):
    """Each key arrives with its type."""
    text = """
        [tool.harness]
        scenarios = ["scenarios", "own.scenarios"]
        out = "build/chaos"
        targets = {event_bus = "own:make"}
        [tool.harness.gate]
        scenarios = ["redis-outage"]
        sim_seeds = 5
        real_seeds = 1
        hunt_seeds = 3
        real_jobs = 2
        worlds = ["sim"]
        sim_seeds_min = 2
        real_hunt_seeds = 1
        real_variants = []
        require = ["P1", "P0"]
        budget_s = 300
        run_timeout_s = 2.5
        [tool.harness.gate.seeds]
        perfect-storm = 3
        [tool.harness.gate.limits.redis-outage]
        recovery_s = 3
        publish_per_s = 40
    """
    assert load_config(write(tmp_path, text)) == Config(
        scenarios=("scenarios", "own.scenarios"),
        targets={"event_bus": "own:make"},
        out=Path("build/chaos"),
        gate=GatePolicy(
            scenarios=("redis-outage",),
            sim_seeds=5,
            sim_seeds_min=2,
            real_seeds=1,
            hunt_seeds=3,
            real_hunt_seeds=1,
            real_variants=(),
            real_jobs=2,
            worlds=("sim",),
            require=("P0", "P1"),
            budget_s=300.0,
            run_timeout_s=2.5,
            seeds={"perfect-storm": 3},
            limits={"redis-outage": {"recovery_s": 3.0, "publish_per_s": 40.0}},
        ),
    )


def test_the_nearest_file_counts_and_its_folder_is_where_out_is_meant_from(tmp_path):
    """Run from a folder below, reports still go to the project's own place; a nearer file hides one above."""
    project = write(tmp_path, "[tool.harness]\nout = 'chaos'\n")
    below = project / "src" / "pkg"
    below.mkdir(parents=True)
    inner = write(tmp_path / "inner", "")

    assert load_config(below).out == project / "chaos"
    assert load_config(project).out == Path("chaos")
    assert load_config(inner).out == Path("reports/out")


def test_an_absolute_out_folder_stays(tmp_path):
    """An absolute path means the same from everywhere."""
    project = write(tmp_path, "[tool.harness]\nout = '/srv/chaos'\n")
    (project / "src").mkdir()

    assert load_config(project / "src").out == Path("/srv/chaos")


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    """Bytes that are no text are bad TOML, and the file is named."""
    (tmp_path / "pyproject.toml").write_bytes(b"\xff\xfe\x00")

    with pytest.raises(UsageError, match=rf"{tmp_path}/pyproject\.toml: not valid TOML"):
        load_config(tmp_path)
