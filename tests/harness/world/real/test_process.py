"""No orphan survives: whatever ends the harness, its children, frozen or not, and theirs are gone in seconds."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest

from harness.errors import WorldError
from harness.world.real import guard, leftovers, process

pytestmark = pytest.mark.real

PROGRAMS = Path(__file__).parent / "programs"
SLEEPER = [sys.executable, "-I", "-S", "-c", "import time; time.sleep(600)"]
SPAWNER = [
    sys.executable,
    "-c",
    f"import subprocess; p = subprocess.Popen({SLEEPER!r}); print(p.pid, flush=True); p.wait()",
]


def wait_until(condition: Callable[[], bool], *, within_s: float = 5.0) -> float:
    """Return how many seconds it took until the condition held; fail after `within_s`."""
    began = time.monotonic()
    while not condition():
        assert time.monotonic() - began < within_s, "the condition did not come to hold in time"
        time.sleep(0.01)
    return time.monotonic() - began


def living(pid: int) -> guard.Status | None:
    """Return the status of a process that is alive: not gone, and not dead and unreaped."""
    status = guard.status_of(pid)
    return None if status is None or status.zombie else status


def marked(run_id: str) -> list[int]:
    """Return every process that carries the run's marker, as psutil finds them."""
    return [
        found.pid
        for found in psutil.process_iter(["environ"])
        if (found.info["environ"] or {}).get(guard.MARKER) == run_id
    ]


class Victim:
    """A harness in a process of its own, with all that it started."""

    def __init__(self, popen: subprocess.Popen[bytes]) -> None:
        self.popen = popen
        assert popen.stdout is not None
        told: dict[str, Any] = json.loads(popen.stdout.readline())
        self.run_id: str = told["run"]
        self.guard: int = told["guard"]
        self.far: int = told["pids"][-1]  # the grandchild in a session of its own
        self.scratch = Path(told["scratch"])
        self.record = Path(told["record"])
        self.started = {pid: status.start for pid in told["pids"] if (status := living(pid))}
        assert len(self.started) == len(told["pids"]) >= 5
        wait_until(lambda: set(self.started) <= set(marked(self.run_id)))  # those amid an exec show no environment

    def left(self) -> list[int]:
        """Return what is still alive of all that it started, its guard included."""
        alive = [pid for pid, start in self.started.items() if (s := living(pid)) and s.start == start]
        return sorted({*alive, *marked(self.run_id)}) + ([self.guard] if living(self.guard) else [])

    def end(self) -> None:
        """Make sure that a failing test leaves nothing either."""
        self.popen.kill()
        self.popen.communicate()
        guard.sweep(guard.Record(""), self.run_id)


@pytest.fixture
def victim(tmp_path: Path) -> Iterator[Victim]:
    """Start a harness with two hosts, one frozen, two grandchildren, one in its own session, a server, and proxies."""
    popen = subprocess.Popen(
        [sys.executable, str(PROGRAMS / "victim_harness.py"), str(tmp_path / "run")],
        stdout=subprocess.PIPE,
        process_group=0,
    )
    victim = Victim(popen)
    yield victim
    victim.end()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGHUP])
def test_nothing_outlives_a_harness_that_dies_at_once(victim: Victim, number: int) -> None:
    """A signal that ends the harness without a chance to clean up ends everything that it started within 5 s."""
    victim.popen.send_signal(number)
    assert victim.popen.wait(10) == -number
    wait_until(lambda: victim.left() == [], within_s=5)
    assert not victim.scratch.exists()
    assert not victim.record.exists()


def test_nothing_outlives_ctrl_c_on_a_terminal(victim: Victim) -> None:
    """Ctrl-C reaches the harness's process group alone; the harness ends the rest itself before it goes."""
    os.killpg(victim.popen.pid, signal.SIGINT)
    victim.popen.wait(5)
    assert victim.left() == []
    assert not victim.scratch.exists()
    assert not victim.record.exists()


def test_nothing_outlives_an_impatient_ctrl_c(victim: Victim) -> None:
    """Pressing Ctrl-C again and again, which cuts the harness's own cleaning short, leaves nothing either."""

    def press() -> bool:
        with suppress(ProcessLookupError):
            os.killpg(victim.popen.pid, signal.SIGINT)
        return victim.popen.poll() is not None

    wait_until(press)
    wait_until(lambda: victim.left() == [])
    wait_until(lambda: not victim.record.exists())
    assert not victim.scratch.exists()


def test_the_guard_is_deaf_to_polite_signals(victim: Victim) -> None:
    """SIGINT, SIGTERM and SIGHUP do not end the guard, so it is there when it is needed."""
    wait_until(lambda: b"SigIgn" in Path(f"/proc/{victim.guard}/status").read_bytes())
    ignored = next(
        int(line.split()[1], 16)
        for line in Path(f"/proc/{victim.guard}/status").read_text().splitlines()
        if line.startswith("SigIgn")
    )
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        assert ignored & (1 << (number - 1))
    assert os.getsid(victim.guard) == victim.guard


def test_a_running_harness_leaves_nothing_to_clean(victim: Victim) -> None:
    """What belongs to a harness that is alive is not a leftover, and `clean` does not touch it."""
    assert victim.run_id not in {found.run_id for found in leftovers.find()}
    run = leftovers.LeftRun(
        run_id=victim.run_id,
        processes=tuple(
            leftovers.LeftProcess(pid=pid, started_s=psutil.Process(pid).create_time(), command="")
            for pid in victim.started
        ),
        directories=(),
        record=victim.record,
    )
    assert leftovers.clean([run]) == []
    assert all(living(pid) for pid in victim.started)
    assert victim.record.exists()


def test_doctor_finds_and_ends_what_even_a_killed_guard_left(victim: Victim) -> None:
    """With the guard killed first, the death signal ends the children; the grandchildren are named, then ended."""
    os.kill(victim.guard, signal.SIGKILL)
    victim.popen.kill()
    victim.popen.wait()
    wait_until(lambda: len(victim.left()) <= 2)
    (found,) = (found for found in leftovers.find() if found.run_id == victim.run_id)
    assert found.directories == (victim.scratch,)
    assert found.record == victim.record
    pids = {left.pid for left in found.processes}
    assert pids == set(victim.left())
    assert victim.far in pids, "it is beyond the reach of the death signal"
    assert all("sleep" in left.command for left in found.processes)
    assert leftovers.clean([found]) == []
    assert victim.left() == []
    assert not victim.scratch.exists()
    assert not victim.record.exists()


def test_doctor_spares_a_process_that_only_has_the_pid(victim: Victim) -> None:
    """A process of another start time, or without the run's marker, is not ended, whatever the list says."""
    os.kill(victim.guard, signal.SIGKILL)
    victim.popen.kill()
    victim.popen.wait()
    bystander = subprocess.Popen(SLEEPER, env={})
    try:
        created = psutil.Process(bystander.pid).create_time()
        run = leftovers.LeftRun(
            run_id=victim.run_id,
            processes=(
                leftovers.LeftProcess(pid=bystander.pid, started_s=created, command=""),
                leftovers.LeftProcess(pid=victim.far, started_s=created + 99, command=""),
            ),
            directories=(),
            record=None,
        )
        assert leftovers.clean([run]) == []
        assert bystander.poll() is None
        assert living(victim.far)
    finally:
        bystander.kill()
        bystander.wait()


async def test_a_child_tells_its_exit_code() -> None:
    """`wait` gives the exit code, or minus the signal."""
    true, false = await process.spawn(["true"], name="t"), await process.spawn(["false"], name="f")
    assert (await true.wait(), await false.wait()) == (0, 1)
    sleeper = await process.spawn(SLEEPER, name="s")
    assert sleeper.returncode is None
    sleeper.send_signal(signal.SIGTERM)
    assert await sleeper.wait() == -signal.SIGTERM == sleeper.returncode
    sleeper.kill()  # does nothing, raises nothing


async def test_streams_environment_and_directory_reach_the_child(tmp_path: Path) -> None:
    """What `spawn` is given is what the program gets; the marker is added; streams that are not given are null."""
    reading, writing = os.pipe()
    code = "import os, sys; print(os.environ['COLOUR'], os.getcwd(), sys.stdin.read(), 'HARNESS_RUN' in os.environ)"
    env = {"COLOUR": "blue", "PATH": os.environ["PATH"]}
    child = await process.spawn([sys.executable, "-c", code], name="x", env=env, cwd=tmp_path, stdout=writing)
    os.close(writing)
    assert await child.wait() == 0
    with os.fdopen(reading) as file:
        assert file.read() == f"blue {tmp_path}  True\n"


async def test_the_death_of_a_child_ends_its_group() -> None:
    """When a child dies, what it started in its group dies with it, as on a machine that loses power."""
    reading, writing = os.pipe()
    child = await process.spawn(SPAWNER, name="x", stdout=writing)
    os.close(writing)
    with os.fdopen(reading) as file:
        grandchild = int(await asyncio.to_thread(file.readline))
    assert living(grandchild)
    child.send_signal(signal.SIGKILL)
    await child.wait()
    wait_until(lambda: living(grandchild) is None)


async def test_what_cannot_be_started_is_an_error_at_once(tmp_path: Path) -> None:
    """A program or directory that does not exist is a `WorldError` that names the child."""
    with pytest.raises(WorldError, match="cannot start redis: there is no program 'no-such-program'"):
        await process.spawn(["no-such-program"], name="redis")
    with pytest.raises(WorldError, match="cannot start redis: "):
        await process.spawn(["true"], name="redis", cwd=tmp_path / "nowhere")


async def test_a_child_that_cannot_be_written_down_does_not_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """If the record cannot be written (a full disk), the child is ended at once, since nothing would find it later."""
    run = process.Run()
    run.open()

    def full(_line: str) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(run, "_write", full)
        with pytest.raises(WorldError, match=r"cannot keep watch over x: .*No space left"):
            await run.spawn(SLEEPER, name="x")
    assert marked(run.id) == []
    await run.close()


async def test_a_run_inside_a_run_has_a_guard_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """The guard bears no marker, else the guard of a run around it would end it before its work is done."""
    monkeypatch.setenv(guard.MARKER, "an.outer.run")
    run = process.Run()
    run.open()
    child = await run.spawn(SLEEPER, name="x")
    # A process that is turning into another program shows no environment for a moment.
    wait_until(lambda: marked(run.id) == [child.pid])
    wait_until(lambda: bool(psutil.Process(run.guard_pid).environ()))
    assert run.guard_pid not in marked("an.outer.run")
    await run.close()


async def test_closing_a_run_ends_what_it_started() -> None:
    """Children, grandchildren beyond their group, temporary directories, record and guard are gone after `close`."""
    run = process.Run()
    run.open()
    directory = run.temporary_directory()
    (directory / "file").write_text("x")
    children = [await run.spawn(SLEEPER, name="x"), await run.spawn(SPAWNER, name="y")]
    children[0].signal_group(signal.SIGSTOP)
    began = time.monotonic()
    await run.close()
    assert time.monotonic() - began < 2
    assert [child.returncode for child in children] == [-9, -9]
    assert marked(run.id) == []
    assert living(run.guard_pid) is None
    assert not directory.exists()
    assert not run.record_path.exists()
