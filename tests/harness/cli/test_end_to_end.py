"""The installed program as a person uses it: run, replay, check, a flawed variant, Ctrl-C; in the sim world."""

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import psutil
import pytest

HARNESS = Path(sys.executable).with_name("harness")

pytestmark = [pytest.mark.real, pytest.mark.xdist_group("end to end")]


def harness(folder: Path, *words: str | Path) -> subprocess.CompletedProcess[str]:
    """Run the program in that folder, without the HARNESS_* of this machine."""
    return subprocess.run(
        [HARNESS, *words], cwd=folder, env=environment(), capture_output=True, text=True, check=False, timeout=100
    )


def environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith(("HARNESS_", "PYTHONHASHSEED"))}


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A project of its own, where the shipped scenario has been run once; its JSON as printed."""
    folder = tmp_path_factory.mktemp("project")
    (folder / "pyproject.toml").write_text("[tool.harness]\n")
    done = harness(folder, "run", "redis-outage", "--profile", "short", "--json", "--out", "first")
    assert (done.returncode, done.stderr) == (0, "")
    return folder, json.loads(done.stdout)


def test_the_reference_passes_and_shows_that_it_was_hurt(project):
    """PASS, with every fault bitten and healed, every need met and every invariant held."""
    folder, document = project
    (run,) = document["runs"]

    assert (document["verdict"], run["verdict"], run["world"], run["seed"]) == ("PASS", "PASS", "sim", 1)
    assert run["faults"]
    assert all(fault["bit"] and fault["end_s"] is not None for fault in run["faults"])
    assert run["needs"]
    assert all(need["met"] for need in run["needs"])
    assert {one["verdict"] for one in run["invariants"]} == {"HOLDS"}
    assert (folder / "first/latest/report.html").stat().st_size > 1_000


def test_a_replay_in_another_process_is_the_same_run(project):
    """The interpreter is started anew with a fixed hash seed, so the trace is that of the first process."""
    folder, document = project
    done = harness(folder, "replay", "first/latest", "--out", "second")

    assert done.returncode == 0
    assert done.stderr.splitlines()[-1] == f"replay: same trace ({document['runs'][0]['trace_digest']})"


def test_check_comes_to_the_same_judgement_from_the_file_alone(project):
    """Needs, faults and invariants are those of the run."""
    folder, document = project
    (path,) = (folder / "first/latest/histories").iterdir()
    done = harness(folder, "check", path, "--json")
    (judged,), (run,) = json.loads(done.stdout)["runs"], document["runs"]

    assert done.returncode == 0
    for part in ("verdict", "needs", "faults", "invariants", "trace_digest"):
        assert judged[part] == run[part]


def test_a_flawed_variant_fails_and_its_replay_command_too(project):
    """Exit code 1; the last line is a command that comes to the same."""
    folder, _ = project
    done = harness(
        folder, "run", "redis-outage", "--profile", "short", "--target", "event_bus:planned", "--out", "third"
    )
    label, _, replay = done.stdout.splitlines()[-1].partition(": harness ")
    again = harness(folder, *replay.split(), "--out", "fourth", "-q")

    assert (done.returncode, label, again.returncode) == (1, "replay", 1)
    assert again.stdout.startswith("FAIL")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_ends_workers_and_still_reports(project, number):
    """As a terminal sends it (to the group) or CI does (to the program): exit code 2, a report, no process left."""
    folder, _ = project
    words = ["run", "redis-outage", "--profile", "short", "--seeds", "500", "--jobs", "2", "-v", "--out", number.name]
    going = subprocess.Popen(
        [HARNESS, *words],
        cwd=folder,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert going.stderr is not None
    assert going.stderr.readline().startswith("redis-outage [sim] seed ")
    family = psutil.Process(going.pid).children(recursive=True)
    if number is signal.SIGINT:
        os.killpg(going.pid, number)
    else:
        going.send_signal(number)
    out, err = going.communicate(timeout=60)

    assert going.returncode == 2
    assert "Traceback" not in out + err
    assert psutil.wait_procs(family, timeout=5)[1] == []
    document = json.loads((folder / number.name / "latest/report.json").read_text())
    assert document["exit_code"] == 2
    assert 0 < len(document["runs"]) < 500


ILL_TIMED = """
    import os
    import signal
    import weakref
    from reference_impl import event_bus

    class Thing:
        pass

    def interrupt(_):
        signal.raise_signal(signal.SIGTERM)
        for _ in range(2):
            pass  # here at the latest the handler runs

    def make(**options):
        thing = Thing()
        kept = weakref.ref(thing, interrupt)
        del thing
        return event_bus.make(**options)
"""


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_an_interrupt_at_the_worst_moment_is_neither_lost_nor_loud(project, jobs):
    """SIGTERM within a weakref callback, where exceptions are printed and forgotten: the run ends early all the same.

    It is in the report, alone, and its history is kept.
    """
    folder, _ = project
    (folder / "ill_timed.py").write_text(textwrap.dedent(ILL_TIMED))
    out = f"ill-timed-{jobs}"
    words = ["--seeds", "9", "--jobs", jobs, "--target", "event_bus=ill_timed:make", "--out", out]
    done = harness(folder, "run", "redis-outage", "--profile", "short", *words)

    assert (done.returncode, "Traceback" in done.stderr, "ignored" in done.stderr) == (2, False, False)
    (run,) = json.loads((folder / out / "latest/report.json").read_text())["runs"]
    assert (run["verdict"], run["doubts"][0]) == ("INCONCLUSIVE", "interrupted before it ended")
    assert Path(folder / out / "latest" / run["history"]).is_file()


def test_an_interrupt_ends_a_real_run_and_still_reports(project):
    """Servers and hosts are stopped, what was recorded is kept, and the second run is never begun."""
    folder, _ = project
    words = ["run", "redis-outage", "--world", "real", "--seeds", "2", "--out", "real", "-q"]
    going = subprocess.Popen(
        [HARNESS, *words], cwd=folder, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    program = psutil.Process(going.pid)
    while not (family := program.children(recursive=True)):
        time.sleep(0.01)
    going.send_signal(signal.SIGTERM)
    out, err = going.communicate(timeout=60)

    assert (going.returncode, "Traceback" in out + err) == (2, False)
    assert psutil.wait_procs(family, timeout=5)[1] == []
    (run,) = json.loads((folder / "real/latest/report.json").read_text())["runs"]
    assert (run["verdict"], run["errors"], run["doubts"][0]) == ("INCONCLUSIVE", [], "interrupted before it ended")
    assert (folder / "real/latest" / run["history"]).is_file()


def test_an_interrupt_ends_real_runs_beside_each_other_and_reports_both(tmp_path):
    """Each is in a process of its own, which has the time to heal, to stop what it started, and to tell."""
    (tmp_path / "pyproject.toml").write_text("[tool.harness.gate]\nreal_jobs = 2\nreal_seeds = 2\n")
    going = subprocess.Popen(
        [HARNESS, "gate", "--world", "real", "-k", "binance-ban", "--out", "real", "-q"],
        cwd=tmp_path,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    program = psutil.Process(going.pid)
    while sum(map(serves_a_host, family := program.children(recursive=True))) < 2:
        time.sleep(0.01)
    going.send_signal(signal.SIGTERM)
    out, err = going.communicate(timeout=60)

    assert (going.returncode, "Traceback" in out + err) == (2, False)
    assert psutil.wait_procs(family, timeout=5)[1] == []
    runs = json.loads((tmp_path / "real/latest/report.json").read_text())["runs"]
    assert [(run["seed"], run["verdict"], run["doubts"][0]) for run in runs] == [
        (1, "INCONCLUSIVE", "interrupted before it ended"),
        (2, "INCONCLUSIVE", "interrupted before it ended"),
    ]
    assert all((tmp_path / "real/latest" / run["history"]).is_file() for run in runs)


def serves_a_host(process: psutil.Process) -> bool:
    """Is it a host of a real run? Such a run has begun, and there is something to stop."""
    try:
        return "harness.world.real.host_main" in process.cmdline()
    except psutil.Error:  # gone meanwhile
        return False
