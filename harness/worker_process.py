"""A worker's side of workers.py: does what comes through its pipe; leaves when asked to, or when its parent is dead."""

import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from typing import Final

from harness import interrupts
from harness.units import SECOND

LEAVE_S_MAX: Final = 1.5 * interrupts.SAME_NS / SECOND
"""How long a worker may take to leave before it is asked with more force: long enough for that to be a new request."""

HELD: Final = (signal.SIGINT, signal.SIGTERM)
"""Signals that a worker is started with held back."""


@dataclass(frozen=True, slots=True)
class Ready:
    """The first thing that a worker says: from now on, what it takes is its work's time, not its own."""


@dataclass(frozen=True, slots=True)
class Broken:
    """A piece of work that gave no result, and why, in one line. `crashed`: it took its process along."""

    reason: str
    crashed: bool = False


@dataclass(frozen=True, slots=True)
class Interrupted:
    """A piece of work that was left because its process was asked to end."""


@dataclass(frozen=True, slots=True)
class Overdue:
    """A piece of work that was ended after `limit_s`; `outcome` is what there was of it then, if anything."""

    limit_s: float
    outcome: object


def one_line(error: BaseException) -> str:
    """Return an error's type and text in one line."""
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def serve(connection: "Connection[object, object]", work: Callable[[object], object], nice: int) -> None:
    """Be a worker, until the other end of the pipe is closed, or until asked to leave."""
    os.nice(nice)
    try:
        with interrupts.heeded(signal.SIGTERM):
            _leave_with_parent()
            connection.send(Ready())
            while not interrupts.asked() and _serve_one(connection, work):
                pass
    except (KeyboardInterrupt, OSError):  # asked again, while it did not listen; or nobody is there
        sys.exit(1)


def _serve_one(connection: "Connection[object, object]", work: Callable[[object], object]) -> bool:
    """Do one piece of work; return whether there is somebody who may want another."""
    try:
        piece = connection.recv()
    except EOFError:
        return False
    try:
        result = work(piece)
    except KeyboardInterrupt:
        result = Interrupted()
    except Exception as error:  # noqa: BLE001 - it is the parent's to judge, in one line
        result = Broken(one_line(error))
    try:
        connection.send(result)
    except OSError:
        return False
    except Exception as error:  # noqa: BLE001 - pickling runs code of whatever the result is made of
        connection.send(Broken(f"its result cannot be sent: {one_line(error)}"))
    return True


def _leave_with_parent() -> None:
    """Leave once the parent has died, SIGKILL included: as if it had asked for it, with the same patience."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, HELD)
    parent = multiprocessing.parent_process()
    assert parent is not None
    pause = threading.Lock()
    pause.acquire()

    def watch(sentinel: int, kill: Callable[[int, int], None], end: Callable[[int], None]) -> None:
        wait([sentinel])
        for _ in range(2):
            kill(own_pid, signal.SIGTERM)
            pause.acquire(timeout=LEAVE_S_MAX)
        end(1)

    own_pid = os.getpid()
    real = (parent.sentinel, os.kill, os._exit)  # taken before a sim world puts its own in their place
    threading.Thread(target=watch, args=real, daemon=True).start()
