"""The suite's own machinery, shown on small suites that run under the same conftest."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

CONFTEST = Path(__file__).with_name("conftest.py")
# Two pairs, in an order in which xdist hands the tests of a pair to different workers unless it knows the groups.
PAIRS = """
    import os, pathlib, pytest

    @pytest.mark.parametrize("pair", [pytest.param(name, marks=pytest.mark.xdist_group(name)) for name in "abba"])
    def test_where(pair):
        with pathlib.Path({folder!r}, pair).open("a") as file:
            file.write(os.environ["PYTEST_XDIST_WORKER"] + " ")
"""
SEARCHES = """
    import collections, hypothesis, pytest
    from hypothesis import stateful, strategies as st

    counts = collections.Counter()

    @hypothesis.given(st.integers())
    def test_own_number_not_set(number):
        counts["profile"] += 1

    @pytest.mark.parametrize("both", [1, 2])
    @hypothesis.settings(max_examples=7)
    @hypothesis.given(st.integers())
    def test_own_number(both, number):
        counts[f"own {{both}}"] += 1

    class Machine(stateful.RuleBasedStateMachine):
        @stateful.initialize()
        def begin(self):
            counts["machine"] += 1

        @stateful.rule(number=st.integers())
        def step(self, number):
            pass

    TestMachine = Machine.TestCase
    TestMachine.settings = hypothesis.settings(max_examples=5, stateful_step_count=2)

    def test_count():
        print(sorted(counts.items()))
        assert dict(counts) == {expected}
        assert hypothesis.settings.default.derandomize is {same_each_time}
"""


SIGNALS = """
    import os, signal, subprocess, sys

    ENDED = "import os, signal; os.kill(os.getpid(), signal.{name}); print('alive')"

    def test_signals():
        assert subprocess.run([sys.executable, "-c", ENDED]).returncode == -signal.{name}
        os.kill(os.getpid(), signal.{name})
"""


def run_suite(folder: Path, tests: str, *options: str, conftest: bool = True) -> "subprocess.CompletedProcess[str]":
    """Run a suite of one file in an interpreter of its own."""
    if conftest:
        shutil.copy(CONFTEST, folder)
    lines = tests.splitlines()
    (folder / "test_small.py").write_text("\n".join(line.removeprefix("    ") for line in lines))
    (folder / "pytest.ini").write_text("[pytest]\n")
    settings = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    argv = [sys.executable, "-m", "pytest", "-q", "-s", "-p", "no:cacheprovider", *options, str(folder)]
    return subprocess.run(argv, capture_output=True, text=True, env=settings, cwd=folder, timeout=100, check=False)


@pytest.mark.parametrize(("conftest", "workers_each"), [(True, 1), (False, 2)])
def test_a_group_stays_on_one_worker(tmp_path: Path, conftest: bool, workers_each: int) -> None:
    """Both tests of a group run on the same worker, and the other worker runs the other group.

    Without our conftest xdist tears the pairs apart; when that case fails, xdist and pytest work together again and
    `join_group` can go.
    """
    tests = PAIRS.format(folder=str(tmp_path))
    done = run_suite(tmp_path, tests, "-n", "2", "--dist", "loadgroup", conftest=conftest)
    assert done.returncode == 0, done.stdout + done.stderr
    ran = {pair: (tmp_path / pair).read_text().split() for pair in "ab"}
    assert [len(workers) for workers in ran.values()] == [2, 2]
    assert [len(set(workers)) for workers in ran.values()] == [workers_each, workers_each]
    assert {worker for workers in ran.values() for worker in workers} == {"gw0", "gw1"}


@pytest.mark.parametrize(("profile", "factor"), [("default", 1), ("long", 20)])
def test_a_long_search_is_long_everywhere(tmp_path: Path, profile: str, factor: int) -> None:
    """The profile `long` draws anew, and twenty times as many examples, also where a test or machine sets a number."""
    counts = {"profile": 100, "own 1": 7, "own 2": 7, "machine": 5}
    expected = {name: count * factor for name, count in counts.items()}
    tests = SEARCHES.format(expected=expected, same_each_time=profile == "default")
    done = run_suite(tmp_path, tests, f"--hypothesis-profile={profile}")
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("name", ["SIGINT", "SIGHUP"])
def test_programs_hear_signals_that_the_suite_was_started_deaf_to(
    tmp_path: Path, request: pytest.FixtureRequest, name: str
) -> None:
    """A suite under nohup, or in the background of a script, starts programs that end by a signal; itself does not."""
    before = signal.signal(signal.Signals[name], signal.SIG_IGN)
    request.addfinalizer(lambda: signal.signal(signal.Signals[name], before))
    done = run_suite(tmp_path, SIGNALS.format(name=name))
    assert done.returncode == 0, done.stdout + done.stderr
