"""The guard's reading of records and processes: what is ours, and that nothing else ever is."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.world.real import guard

SLEEPER = [sys.executable, "-I", "-S", "-c", "import time; time.sleep(600)"]


@given(st.lists(st.tuples(st.integers(2, 9), st.booleans(), st.text(max_size=5))))
def test_a_record_holds_the_children_that_are_not_gone(steps: list[tuple[int, bool, str]]) -> None:
    """Reading gives exactly the children that were written and not written off, whatever their names."""
    expected: dict[int, int] = {}
    text = ""
    for index, (pid, starts, name) in enumerate(steps):
        if starts:
            expected[pid] = index
            text += f"child {pid} {index} " + name.replace("\n", " ") + "\n"
        else:
            expected.pop(pid, None)
            text += f"gone {pid}\n"
    assert guard.Record(text).children == expected
    assert guard.Record(text + "gone 1").children == expected, "a torn last line is ignored"


def test_a_record_holds_the_proxies_that_are_not_deleted() -> None:
    """What was made at a server that is not ours is there until it was written off."""
    text = "proxy 127.0.0.1 8474 harness-1-a.redis\nproxy localhost 99 harness-1-b.redis\ndeleted harness-1-a.redis\n"
    assert guard.Record(text).proxies == {"harness-1-b.redis": ("localhost", 99)}


def test_a_command_name_cannot_confuse_the_reading_of_a_status() -> None:
    """The command name may hold spaces and parentheses; the fields after the last parenthesis count."""
    stat = "77 (a) b (c) T 1 76 75 0 -1 4194304 1 2 3 4 5 6 7 8 20 0 1 0 4242 1 2"
    status = guard.Status(77, stat)
    assert (status.pid, status.session, status.start, status.still, status.zombie) == (77, 75, 4242, True, False)


@pytest.fixture
def stranger():
    """Start a process that belongs to no run, leading its own session."""
    popen = subprocess.Popen(SLEEPER, start_new_session=True, env={})
    yield popen
    popen.kill()
    popen.wait()


@pytest.mark.real
def test_a_recycled_pid_is_not_ours(stranger) -> None:
    """A record that names the pid with another start time does not make the process ours; with its own it does."""
    status = guard.status_of(stranger.pid)
    recycled = guard.Record(f"child {stranger.pid} {status.start - 1} x\n")
    assert guard.of_run(recycled, "no-such-run") == []
    ours = guard.Record(f"child {stranger.pid} {status.start} x\n")
    assert [found.pid for found in guard.of_run(ours, "no-such-run")] == [stranger.pid]


@pytest.mark.real
def test_end_leaves_a_replaced_process_alone_and_kills_a_frozen_one(stranger) -> None:
    """`end` compares start times once more; what it does end is dead when it returns, though it was frozen."""
    stranger.send_signal(signal.SIGSTOP)
    status = guard.status_of(stranger.pid)
    status.start -= 1
    guard.end([status])
    assert stranger.poll() is None
    status.start += 1
    guard.end([status])
    assert stranger.wait(0) == -signal.SIGKILL


def test_only_directories_that_bear_the_run_id_are_removed(tmp_path: Path) -> None:
    """A record cannot name somebody's home, nor reach it through a link."""
    ours, other, link = tmp_path / "harness-1.2.ab-x", tmp_path / "precious", tmp_path / "harness-1.2.ab-link"
    for directory in (ours, other):
        directory.mkdir()
        (directory / "file").touch()
    link.symlink_to(other)
    record = guard.Record("".join(f"directory {path}\n" for path in (ours, other, link)))
    guard.remove_directories(record, "1.2.ab")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["harness-1.2.ab-link", "precious"]
    assert (other / "file").exists()
