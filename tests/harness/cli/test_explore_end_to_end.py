"""`harness explore` as a person uses it: a flawed variant is found, shrunk, written down, run and replayed."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

HARNESS = Path(sys.executable).with_name("harness")
VARIANT = "executor:forgets_rate_on_restart"

pytestmark = [pytest.mark.real, pytest.mark.xdist_group("explore end to end")]


def harness(folder: Path, *words: str | Path) -> subprocess.CompletedProcess[str]:
    """Run the program in that folder, without the HARNESS_* of this machine."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("HARNESS_", "PYTHONHASHSEED"))}
    return subprocess.run(
        [HARNESS, *words], cwd=folder, env=kept, capture_output=True, text=True, check=False, timeout=100
    )


def explore(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Explore the cheapest scenario against a variant that only a restart shows."""
    return harness(
        folder, "explore", "signal-flood", "--target", VARIANT, "--executions", "40", "--seed", "2", "-q", *words
    )


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A project of its own where the variant has been found without a database; what was printed."""
    folder = tmp_path_factory.mktemp("project")
    (folder / "pyproject.toml").write_text("[tool.harness]\n")
    done = explore(folder, "--shrinks", "12", "--no-database")
    assert (done.returncode, done.stderr) == (1, "")
    return folder, done.stdout


def test_the_flaw_is_found_from_no_schedule_and_shrunk(found: tuple[Path, str]) -> None:
    """Its own invariant is violated, one restart is left, and the timeline, the difference and the file are told."""
    _, said = found

    assert "VIOLATED  SF2 rate  signal-flood, executor=reference_impl.flawed.executor:forgets_rate_on_restart" in said
    assert "to 1 fault\n" in said
    left = said.partition("\nExperiment")[2].partition("\nTimeline")[0]
    assert re.search(r" process\.(kill|kill_inside|power_off)/\S+ on engine", left)
    timeline = said.partition("\nTimeline\n")[2].partition("\n\n")[0].splitlines()
    assert 2 <= len(timeline) <= 25
    assert "\nNearest experiment that passes\n  - " in said
    assert "\nFirst recorded differently (- fails, + passes)\n  - " in said


def test_the_same_command_prints_the_same(found: tuple[Path, str]) -> None:
    """Byte for byte, in another process; what failed is kept in Hypothesis' database."""
    folder, said = found
    again = explore(folder, "--shrinks", "12", "--database", "kept")

    assert again.stdout == said
    assert [path for path in (folder / "kept").rglob("*") if path.is_file()]


def test_the_scenario_file_fails_in_the_same_way(found: tuple[Path, str]) -> None:
    """Run by its path it violates the same invariant; the reference in the place of the variant passes it."""
    folder, _ = found
    file = next(folder.glob("reports/out/found/*/scenario.py"))
    fails = harness(folder, "run", file, "--json", "--out", "run")
    passes = harness(folder, "run", file, "--json", "--out", "run", "--target", "executor=reference_impl.executor:make")
    (run,) = json.loads(fails.stdout)["runs"]
    (first,) = json.loads((file.parent / "report.json").read_text())["runs"]

    assert (fails.returncode, passes.returncode) == (1, 0)
    assert [one["id"] for one in run["invariants"] if one["verdict"] == "VIOLATED"] == ["SF2"]
    assert run["trace_digest"] == first["trace_digest"]


def test_a_replay_is_the_same_run(found: tuple[Path, str]) -> None:
    """By run folder and finding, from what its history alone says of the experiment."""
    folder, _ = found
    run = next(folder.glob("reports/out/found/*-sf2-*"))
    (first,) = json.loads((run / "report.json").read_text())["runs"]
    done = harness(folder, "replay", f"{run}#SF2", "--out", "replayed")

    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == f"replay: same trace ({first['trace_digest']})"
