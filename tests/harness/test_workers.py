"""Worker processes: what a worker does to itself is known, named, and stays with the piece it was doing."""

import operator
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import psutil
import pytest

from harness import interrupts
from harness.worker_process import Broken, Overdue, one_line
from harness.workers import Lane, spread

pytestmark = pytest.mark.real


def do(pieces: list[Any], work: Callable[[Any], Any], workers: int = 2) -> dict[Any, Any]:
    """Spread the pieces without limits; `work` is something from the standard library, which a worker can import."""
    return dict(spread([Lane(pieces=pieces, workers=workers)], work, may_start=lambda _: True, began=lambda _: None))


def children() -> set[int]:
    return {
        child.pid
        for child in psutil.Process().children(recursive=True)
        if "multiprocessing.spawn" in " ".join(child.cmdline())
    }


def wait_until(true: Callable[[], bool]) -> None:
    """Return once it is true; the timeout of the test ends a wait for what never comes."""
    while not true():
        time.sleep(0.01)


def test_every_piece_comes_back_with_its_own_result() -> None:
    """More pieces than workers: each result is that of its piece, and no worker is left."""
    before = children()

    assert {number: -number for number in range(20)} == do(list(range(20)), operator.neg, workers=3)
    assert children() <= before


def test_an_exception_is_the_result_of_its_piece_alone() -> None:
    """Work that raises is broken in one line; the same worker goes on with the next piece."""
    results = do(["7", "seven\nof nine", "9"], int, workers=1)

    assert (results["7"], results["9"]) == (7, 9)
    broken = results["seven\nof nine"]
    assert isinstance(broken, Broken)
    assert broken.reason.startswith("ValueError: invalid literal for int()")
    assert "\n" not in broken.reason


def test_a_worker_that_dies_names_its_piece_and_how() -> None:
    """`os._exit` in a worker is neither a hang nor a lost campaign: only that piece is broken, the rest is done."""
    results = do([0, 3, 0.5, 4], os._exit, workers=1)

    assert "exited with code 0" in results[0].reason
    assert "exited with code 3" in results[3].reason
    assert "TypeError" in results[0.5].reason
    assert "exited with code 4" in results[4].reason


def test_a_worker_that_is_killed_names_the_signal() -> None:
    """What the kernel's out-of-memory killer does to a worker is said by the signal's name."""
    results = do([signal.SIGKILL, signal.SIGCHLD], signal.raise_signal)

    assert "was killed by SIGKILL" in results[signal.SIGKILL].reason
    assert results[signal.SIGCHLD] is None


def test_a_piece_that_cannot_be_sent_is_broken() -> None:
    """A lambda in a scenario cannot be pickled; that is told of the piece it is in, and the others go on."""
    unsendable = ("a", lambda: None)
    results = do([unsendable, "abc"], len, workers=1)

    assert "cannot be sent to a worker process" in results[unsendable].reason
    assert results["abc"] == 3


def test_a_result_that_cannot_be_sent_is_broken() -> None:
    """A result that does not pickle is told of the piece that it belongs to."""
    results = do([b"a", b"bc"], memoryview, workers=1)

    assert list(results) == [b"a", b"bc"]
    assert all(one.reason.startswith("its result cannot be sent: TypeError: ") for one in results.values())


def test_no_piece_is_begun_once_told_not_to() -> None:
    """`may_start` is asked before each piece; what is under way is still awaited."""
    begun: list[int] = []
    results = dict(
        spread(
            [Lane(pieces=range(1, 9), workers=2)], operator.neg, may_start=lambda _: len(begun) < 3, began=begun.append
        )
    )

    assert begun == [1, 2, 3]
    assert results == {1: -1, 2: -2, 3: -3}


def test_closing_early_ends_busy_workers() -> None:
    """Ctrl-C in the middle: workers in the middle of a piece are ended, none is left, and it does not take long."""
    before = children()
    work = spread([Lane(pieces=[0, 600, 600], workers=3)], time.sleep, may_start=lambda _: True, began=lambda _: None)
    with closing(work):
        assert next(work) == (0, None)
        assert len(children() - before) == 3
        began = time.monotonic()

    assert time.monotonic() - began < 20
    assert children() <= before


def test_an_interrupt_ends_the_wait_for_workers() -> None:
    """Workers that will be busy for long are ended, results or not, without an exception."""
    before = children()
    sender = threading.Thread(target=os.kill, args=(os.getpid(), signal.SIGTERM))
    with interrupts.heeded(signal.SIGTERM):
        work = spread(
            [Lane(pieces=[600, 601], workers=2)],
            time.sleep,
            may_start=lambda _: True,
            began=lambda piece: sender.start() if piece == 601 else None,
        )
        assert list(work) == []
        sender.join()

    assert children() <= before


def test_lanes_have_processes_of_their_own() -> None:
    """A lane whose only worker is busy holds up no other lane, and lends it no worker."""
    lanes = [Lane(pieces=[600], workers=1), Lane(pieces=[0, 0.0], workers=1)]
    with closing(spread(lanes, time.sleep, may_start=lambda _: True, began=lambda _: None)) as work:
        assert [next(work), next(work)] == [(0, None), (0.0, None)]


def test_a_lane_that_gives_way_has_a_lower_priority() -> None:
    """Its processes are nicer than we are; those of other lanes are as we are."""
    lanes = [Lane(pieces=[0], workers=1, gives_way=True), Lane(pieces=[False], workers=1)]
    nice = [found for _, found in spread(lanes, os.nice, may_start=lambda _: True, began=lambda _: None)]

    assert sorted(nice) == [os.nice(0), min(os.nice(0) + 10, 19)]


INTERRUPTED = """
    import os
    import signal
    import sys
    from multiprocessing.connection import wait
    from harness import interrupts
    from harness.workers import Lane, spread

    def work(grace):
        if grace == "parent":
            return
        os.kill(os.getppid(), signal.SIGTERM)
        wait(interrupts.descriptors())
        return "in good order"

    if __name__ == "__main__":
        lanes = [Lane(pieces=["mine"], workers=1, grace_s=float(sys.argv[1])), Lane(pieces=["parent"], workers=1)]
        with interrupts.heeded(signal.SIGTERM):
            results = dict(spread(lanes, work, may_start=lambda _: True, began=lambda _: None))
        print(results.get("mine"))
"""


@pytest.mark.parametrize(("grace_s", "told"), [(60, "in good order"), (0, None)])
def test_an_interrupted_piece_with_grace_tells_what_it_came_to(
    tmp_path: Path, grace_s: float, told: str | None
) -> None:
    """A real run heals its faults and is judged as far as it came; without grace it is ended, and tells nothing."""
    script = tmp_path / "interrupted.py"
    script.write_text(textwrap.dedent(INTERRUPTED))
    done = subprocess.run([sys.executable, str(script), str(grace_s)], capture_output=True, text=True, check=True)

    assert (done.stdout, done.stderr) == (f"{told}\n", "")


def test_an_error_in_one_line() -> None:
    """Errors without a text are called by their type; line ends within a text become blanks."""
    assert one_line(KeyError("a\nb")) == "KeyError: 'a\\nb'"
    assert one_line(ValueError("a\n  b")) == "ValueError: a b"
    assert one_line(TimeoutError()) == "TimeoutError"


PARENT = """
    import sys
    import time
    from multiprocessing.connection import wait
    from pathlib import Path
    from harness import interrupts
    from harness.workers import Lane, spread

    def work(mark):
        try:
            Path(mark).touch()
            if "obedient" in mark:
                wait(interrupts.descriptors())
                return
            while True:
                try:
                    time.sleep(60)
                except BaseException:
                    pass
        finally:
            Path(mark).unlink()

    if __name__ == "__main__":
        for _ in spread([Lane(pieces=sys.argv[1:], workers=2)], work, may_start=lambda _: True, began=lambda _: None):
            raise AssertionError
"""


def test_a_killed_parent_leaves_no_worker(tmp_path: Path) -> None:
    """SIGKILL of the parent, which runs no cleanup: within 5 s its workers are gone, their own cleanup done.

    One that swallows the end (a target may catch everything) goes as well, without cleanup.
    """
    script = tmp_path / "parent.py"
    script.write_text(textwrap.dedent(PARENT))
    marks = [tmp_path / "obedient", tmp_path / "stubborn"]
    parent = subprocess.Popen([sys.executable, str(script), *map(str, marks)], stdout=subprocess.DEVNULL)
    try:
        wait_until(lambda: all(mark.exists() for mark in marks))
        family = psutil.Process(parent.pid).children(recursive=True)
        assert len([one for one in family if "spawn_main" in " ".join(one.cmdline())]) == 2
    finally:
        parent.kill()
        parent.wait()

    _, alive = psutil.wait_procs(family, timeout=5)
    assert alive == []
    assert [mark.exists() for mark in marks] == [False, True]


STARTING = """
import operator, os, sys, time
from pathlib import Path

if __name__ == "__main__":
    from harness.workers import Lane, spread
    print(list(spread([Lane(pieces=[1], workers=1)], operator.neg, may_start=lambda _: True, began=lambda _: None)))
else:
    Path("starting").write_text(str(os.getpid()))
    while not Path("go").exists():
        time.sleep(0.01)
"""


def test_an_interrupt_while_a_worker_starts_is_the_parents_alone(tmp_path: Path) -> None:
    """A worker that still imports neither dies of Ctrl-C nor shows a traceback: it is the parent that decides."""
    (tmp_path / "starting.py").write_text(STARTING)
    parent = subprocess.Popen(
        [sys.executable, "starting.py"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    wait_until(lambda: (tmp_path / "starting").exists() and (tmp_path / "starting").read_text() != "")
    os.kill(int((tmp_path / "starting").read_text()), signal.SIGINT)
    (tmp_path / "go").touch()

    assert parent.communicate(timeout=20) == ("[(1, -1)]\n", "")


def limited(pieces: list[Any], work: Callable[[Any], Any], limit_s: dict[Any, float], workers: int) -> dict[Any, Any]:
    """Spread the pieces, some of them with a limit."""
    lanes = [Lane(pieces=pieces, workers=workers)]
    return dict(spread(lanes, work, may_start=lambda _: True, began=lambda _: None, limit_s=limit_s.get))


def test_a_piece_that_takes_too_long_is_ended_alone() -> None:
    """One sleeps past its limit; those before, beside and after it have their results."""
    results = limited([0.0, 0.01, 60.0, 0.02], time.sleep, {60.0: 0.3}, workers=2)

    overdue = results.pop(60.0)
    assert results == {0.0: None, 0.01: None, 0.02: None}
    assert isinstance(overdue, Overdue)
    assert overdue.limit_s == 0.3


def test_a_piece_that_does_not_listen_is_killed() -> None:
    """Whatever holds the interpreter: nobody waits for it longer than its limit and its grace."""
    results = limited(["", "deaf"], deaf, {"deaf": 0.2}, workers=1)

    overdue = results["deaf"]
    assert isinstance(overdue, Overdue)
    assert isinstance(overdue.outcome, Broken)
    assert "was killed by SIGKILL" in overdue.outcome.reason


def deaf(how: str) -> None:
    """Hold every signal back that can be, and wait for one that never comes."""
    if how:
        signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        threading.Event().wait()
