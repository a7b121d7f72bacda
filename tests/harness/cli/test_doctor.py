"""`harness doctor`: says what works, says what to do about what does not, and cleans up on demand only."""

import json
import sys
from importlib import metadata
from pathlib import Path

import pytest

from harness import __version__
from harness.cli import checkup
from harness.cli.checkup import Check, size
from harness.errors import WorldError
from harness.world.real import leftovers
from harness.world.real.leftovers import LeftProcess, LeftRun
from harness.world.sim import disks


@pytest.fixture(autouse=True)
def state(tmp_path, monkeypatch):
    """Run records of their own, so that what is really running on the machine is neither shown nor touched."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setattr(leftovers, "find", list)
    (tmp_path / "shm").mkdir()
    monkeypatch.setattr(disks, "place", lambda: tmp_path / "shm")  # other tests' killed simulations leave theirs
    return tmp_path / "state"


@pytest.fixture
def quick(monkeypatch):
    """Replace the probes; to be given what they find."""

    def install(*checks: Check) -> None:
        monkeypatch.setattr("harness.cli.doctor_command.checkup", lambda: list(checks))

    install(Check(name="harness", state="ok", text="9"))
    return install


@pytest.fixture
def left(monkeypatch):
    """A killed run that left two processes and a folder; the second process cannot be ended."""
    processes = (
        LeftProcess(pid=101, started_s=1.0, command="valkey-server --port 0"),
        LeftProcess(pid=102, started_s=1.0, command="python -m harness.world.real.host_main \x1b[31m"),
    )
    run = LeftRun(run_id="77.1.ab", processes=processes, directories=(Path("/tmp/harness-77.1.ab"),), record=None)
    cleaned = []

    def clean(found):
        cleaned.extend(found)
        return [processes[1]]

    monkeypatch.setattr(leftovers, "find", lambda: [run])
    monkeypatch.setattr(leftovers, "clean", clean)
    return cleaned


@pytest.mark.real
def test_on_this_machine_all_that_is_needed_works(harness):
    """The real probes: versions, the embedded server started once, the interpreter started anew twice."""
    said = harness("doctor", "--json")
    document = json.loads(said.out)
    checks = {one["name"]: one for one in document["checks"]}

    assert (said.code, document["usable"], document["left"]) == (0, True, [])
    assert checks["harness"]["text"].startswith(f"{__version__}, CPython ")
    assert f"redis {metadata.version('redis')}" in checks["packages"]["text"]
    assert "torch" not in checks["packages"]["text"]
    assert "torch" in checks["extras"]["text"]
    assert checks["redis (embedded)"]["text"].endswith("valkey-server")
    assert checks["redis (embedded)"]["text"][0].isdecimal()
    assert checks["hash seed"]["text"].startswith("fixed")
    optional = {
        "extras",
        "redis (PATH)",
        "sim disks",
        "child processes",
        "run records",
        "chromium",
        "scenarios",
        "out folder",
    }
    assert optional <= set(checks)


def test_every_line_fits_80_columns_and_obeys_no_one(harness, quick, left):
    """Long paths are folded, and what a command line holds is never obeyed by the terminal."""
    quick(Check(name="packages", state="ok", text="/a-very/long-path" * 20))
    said = harness("doctor")

    assert max(len(line) for line in said.out.splitlines()) < 80
    assert "\x1b" not in said.out
    assert said.out.replace("\n", "").replace(" ", "").count("/a-very/long-path") == 20


def test_what_is_broken_is_exit_code_3_with_advice(harness, quick):
    """One needed thing that does not work is enough; what to do stands beside it."""
    quick(
        Check(name="harness", state="ok", text="9"),
        Check(name="packages", state="broken", text="missing: redis", advice="run `make setup`"),
    )
    said = harness("doctor")

    assert said.code == 3
    assert "BROKEN  packages          missing: redis; run `make setup`" in said.out.splitlines()
    assert said.out.splitlines()[-1] == "Something that is needed does not work: see above."


def test_what_is_optional_may_be_absent(harness, quick):
    """No Chromium is no reason to fail."""
    quick(Check(name="chromium", state="absent", text="none on PATH"))
    said = harness("doctor")

    assert said.code == 0
    assert "-       chromium          none on PATH" in said.out.splitlines()
    assert said.out.splitlines()[-2:] == ["No run left anything behind.", "All that is needed works."]


def test_what_was_left_is_shown_and_not_touched(harness, quick, left):
    """Without --clean nothing is ended, and it is said how to do that; leftovers alone are no failure."""
    said = harness("doctor")

    assert said.code == 0
    assert left == []
    assert "  run 77.1.ab" in said.out
    assert "    process 101: valkey-server --port 0" in said.out
    assert "    folder /tmp/harness-77.1.ab" in said.out
    assert "`harness doctor --clean` ends and removes them." in said.out


def test_clean_ends_it_and_says_what_would_not_end(harness, quick, left):
    """What could not be ended is exit code 3 and is named."""
    said = harness("doctor", "--clean")

    assert said.code == 3
    assert [run.run_id for run in left] == ["77.1.ab"]
    assert "    process 101: valkey-server --port 0" in said.out.splitlines()
    assert "    process 102 COULD NOT BE ENDED: python -m" in said.out


def test_as_json(harness, quick, left):
    """The same for scripts: checks, leftovers, and the ids of what would not end."""
    said = harness("doctor", "--json", "--clean")
    document = json.loads(said.out)

    assert said.code == 3
    assert document["checks"][0] == {"name": "harness", "state": "ok", "text": "9", "advice": ""}
    assert document["left"][0]["run"] == "77.1.ab"
    assert [one["pid"] for one in document["left"][0]["processes"]] == [101, 102]
    assert (document["cleaned"], document["could_not_be_ended"], document["usable"]) == (True, [102], False)


@pytest.mark.parametrize(
    ("scenarios", "text"),
    [
        ("['nosuch_package']", "no module named 'nosuch_package'"),
        ("[]", "none in no package"),
        ("['json']", "none in json"),
    ],
)
def test_scenarios_that_are_not_found_are_broken(harness, quick, project, scenarios, text):
    """The doctor judges the project's configuration as well, instead of stopping at it."""
    (project / "pyproject.toml").write_text(f"[tool.harness]\nscenarios = {scenarios}\n")
    said = harness("doctor")

    assert said.code == 3
    assert text in " ".join(said.out.split())


def test_the_out_folder_and_its_size(harness, quick, project):
    """Run folders and bytes are counted; links (`latest`) are not counted twice. A missing folder is fine."""
    assert "out folder        reports/out, not made yet" in harness("doctor").out

    run = project / "reports" / "out" / "20260101T000000Z-abc123"
    run.mkdir(parents=True)
    (run / "report.json").write_bytes(b"x" * 2_500)
    (run.parent / "latest").symlink_to(run.name, target_is_directory=True)
    assert "out folder        reports/out, 1 run folders, 2.5 kB" in harness("doctor").out


def test_a_file_in_the_way_of_the_out_folder_is_broken(harness, quick, project):
    """What `harness run` would refuse, the doctor finds beforehand."""
    (project / "reports").write_text("")
    said = harness("doctor")

    assert said.code == 3
    assert "reports/out cannot be written" in said.out


def test_a_probe_that_breaks_is_broken_itself(monkeypatch):
    """Neither an error on purpose nor an unexpected one ends the checkup; the other probes still answer."""

    def fail(error):
        raise error

    monkeypatch.setattr(checkup, "_records", lambda: fail(WorldError("no writable directory")))
    monkeypatch.setattr(checkup, "_chromium", lambda: fail(ZeroDivisionError("oops")))
    monkeypatch.setattr(checkup, "_ask", lambda command: None)
    found = {one.name: one for one in checkup.checkup()}

    assert (found["run records"].state, found["run records"].text) == ("broken", "no writable directory")
    assert found["chromium"].text == "could not be looked at: ZeroDivisionError: oops"
    assert found["redis (embedded)"].state == "broken"
    assert found["hash seed"].state == "broken"
    assert found["harness"].state == "ok"


def test_a_missing_package_is_broken(monkeypatch):
    """The list of packages is that of the distribution; one that is not installed is named."""
    required = ["click>=8", "nosuch-package[extra]>=1; python_version>'3'"]
    monkeypatch.setattr(checkup.metadata, "requires", lambda name: required)
    check = checkup._packages()

    assert (check.state, check.text) == ("broken", "missing: nosuch-package")
    assert check.advice == "run `make setup`"


def test_hashes_that_differ_are_broken(monkeypatch):
    """Two interpreters that disagree on hashes make sim runs incomparable; on addresses, only slower to debug."""
    answers = iter(["1 5\n", "2 5\n", "1 5\n", "1 6\n", "1 5\n", "1 5\n"])
    monkeypatch.setattr(checkup, "_ask", lambda command: next(answers))

    assert [checkup._stable_interpreter().state for _ in range(3)] == ["broken", "absent", "ok"]


@pytest.mark.real
def test_a_program_that_fails_or_does_not_start_gives_no_answer(tmp_path):
    """Only what ran to a good end counts as an answer."""
    assert checkup._ask([sys.executable, "-c", "print(7)"]) == "7\n"
    assert checkup._ask([sys.executable, "-c", "raise SystemExit(1)"]) is None
    assert checkup._ask([str(tmp_path / "nosuch")]) is None


@pytest.mark.parametrize(
    ("count", "text"), [(0, "0 bytes"), (999, "999 bytes"), (1000, "1 kB"), (2_500_000, "2.5 MB"), (7e12, "7 TB")]
)
def test_sizes_as_a_person_writes_them(count, text):
    """Each size has its unit."""
    assert size(count) == text
