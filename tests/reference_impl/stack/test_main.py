"""`python -m reference_impl`, as a person runs it: it comes up, heals itself, and leaves nothing behind."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

TIMEOUT_S = 90.0
"""On a machine that is busy with other tests; alone it takes five seconds."""

pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc"),
]


def until(done: Callable[[], bool], what: str) -> None:
    """Ask again and again; fail when it takes too long."""
    until_s = time.monotonic() + TIMEOUT_S
    while not done():
        assert time.monotonic() < until_s, what
        time.sleep(0.1)


def answers(url: str) -> bool:
    """Say whether that is answered well."""
    try:
        return httpx.get(url, timeout=2.0, trust_env=False).is_success
    except httpx.HTTPError:
        return False


def running(pid: int) -> bool:
    """Say whether there is such a process."""
    return Path(f"/proc/{pid}").exists()


def children_of(process: subprocess.Popen[str]) -> set[int]:
    """Return the processes that it has started and that are there."""
    return {int(one) for one in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()}


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Return the running program, and what it said once it was up."""
    process = subprocess.Popen(
        [sys.executable, "-m", "reference_impl", "--directory", str(tmp_path / "state")],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    said: list[str] = []
    try:
        assert process.stdout is not None
        for line in process.stdout:
            said.append(line)
            if "Ctrl-C ends it all" in line:
                break
        yield process, "".join(said)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
        assert process.stdout is not None
        process.stdout.close()


@pytest.mark.timeout(4 * TIMEOUT_S)
def test_it_comes_up_heals_itself_and_leaves_nothing(stack: tuple[subprocess.Popen[str], str]) -> None:
    """The dashboard and the monitor answer, a killed service comes back at its address, Ctrl-C ends every process."""
    process, said = stack
    assert process.poll() is None, said
    dashboard = re.search(r"dashboard +(http\S+)/#token=\S{20,}", said)
    health = re.search(r"health +(http\S+)/\n", said)
    execution = re.search(r"(http\S+)/api/ess/trigger", said)
    portfolio = re.search(r"kill -9 (\d+) .*execution is (\d+), dashboard (\d+)", said)
    assert dashboard and health and execution and portfolio, said  # noqa: PT018 - all are read from one text
    assert "<title>" in httpx.get(dashboard[1], trust_env=False).text
    pids = children_of(process)
    assert len(pids) == 7

    os.kill(int(portfolio[1]), signal.SIGKILL)
    states = f"{health[1]}/api/health"
    until(lambda: bool(children_of(process) - pids), "it was not started again")
    until(lambda: "CRITICAL" not in httpx.get(states, trust_env=False).text, "it did not come back")
    assert answers(f"{execution[1]}/health")

    children = children_of(process)
    process.send_signal(signal.SIGINT)
    assert process.wait(TIMEOUT_S) == 0
    until(lambda: not any(running(pid) for pid in pids | children), "a process was left behind")


@pytest.mark.timeout(TIMEOUT_S)
def test_what_is_missing_is_said(tmp_path: Path) -> None:
    """Without the emulator's command there is nothing to trade on: one line, and an exit code."""
    code = (
        "import sys; from reference_impl._stack import programs; from reference_impl import __main__ as stack\n"
        "def missing(): raise programs.MissingError('no emulated exchange')\n"
        f"programs.emulator = missing; sys.argv[1:] = ['--directory', {str(tmp_path)!r}]; sys.exit(stack.main())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.strip() == "reference_impl: no emulated exchange"
