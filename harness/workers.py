"""Worker processes that do one piece of work at a time, so that it is known which piece a dying one took along.

`concurrent.futures` has a pool for this, but when one of its workers dies every piece under way is lost and none is
named, and there is no public way to end a busy worker. Here each worker has a pipe of its own.

Nothing outlives its parent: a worker leaves when the parent ends it, and also, by watching the parent's sentinel, when
the parent is killed. It is asked with SIGTERM, once in the way of `interrupts.py`, which a sim run answers within a
moment; then in a way that gets work out of any loop or wait; then it is killed. Ctrl-C reaches a terminal's whole
process group; workers ignore it, the parent decides. That holds from a worker's first moment: it is started with the
signals held back, and hears of them once it knows what to do.
"""

import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from typing import Final, Generic, TypeVar, cast

from harness import interrupts
from harness.units import SECOND

T = TypeVar("T")
R = TypeVar("R")

_LEAVE_S_MAX: Final = 1.5 * interrupts.SAME_NS / SECOND
"""How long a worker may take to leave before it is asked with more force: long enough for that to be a new request."""

_HELD: Final = (signal.SIGINT, signal.SIGTERM)
_CONTEXT: Final = multiprocessing.get_context("spawn")


@dataclass(frozen=True, slots=True)
class Broken:
    """A piece of work that gave no result, and why, in one line."""

    reason: str


@dataclass(frozen=True, slots=True)
class Interrupted:
    """A piece of work that was left because its process was asked to end."""


class _Worker(Generic[T, R]):
    """One process and the pipe to it."""

    def __init__(self, work: Callable[[T], R]) -> None:
        self.connection, theirs = _CONTEXT.Pipe()
        self._process = _CONTEXT.Process(target=_serve, args=(theirs, work), daemon=True)
        self._process.start()
        theirs.close()
        self.piece: T | None = None

    def give(self, piece: T) -> Broken | None:
        """Hand over a piece of work; return why that is not possible, if it is not."""
        try:
            self.connection.send(piece)
        except OSError:
            return Broken(self._death())
        except Exception as error:  # noqa: BLE001 - pickling runs code of whatever the piece is made of
            return Broken(f"cannot be sent to a worker process: {one_line(error)}")
        self.piece = piece
        return None

    def take(self) -> R | Broken | Interrupted:
        """Return what came back. To be called when the pipe is readable, which it also is when the process is gone."""
        self.piece = None
        try:
            return cast("R | Broken | Interrupted", self.connection.recv())
        except (EOFError, OSError):
            return Broken(self._death())
        except Exception as error:  # noqa: BLE001 - unpickling runs code of whatever came back
            return Broken(f"its result cannot be read: {one_line(error)}")

    @property
    def alive(self) -> bool:
        return self._process.is_alive()

    def ask_to_leave(self) -> None:
        """Have it leave: an idle worker sees the end of its pipe, a busy one gets SIGTERM. May be asked again."""
        if self.piece is not None:
            self._process.terminate()
        self.connection.close()

    def left(self, within_s: float) -> bool:
        """Wait that long at most; has it left?"""
        self._process.join(within_s)
        return not self._process.is_alive()

    def kill(self) -> None:
        """Have it gone."""
        self._process.kill()
        self._process.join()

    def _death(self) -> str:
        if not self.left(_LEAVE_S_MAX):
            self.kill()
        code = self._process.exitcode
        assert code is not None
        how = f"exited with code {code}" if code >= 0 else f"was killed by {signal.Signals(-code).name}"
        return f"its worker process (pid {self._process.pid}) {how}"


def spread(
    pieces: Sequence[T],
    work: Callable[[T], R],
    *,
    workers: int,
    may_start: Callable[[], bool],
    began: Callable[[T], None],
) -> Generator[tuple[T, R | Broken | Interrupted], None, None]:
    """Do the pieces in order of their list, each in one of at most `workers` processes; yield results as they come.

    `may_start` is asked before each piece; once it says no, only what is under way is awaited. An interrupt, or closing
    the generator, ends every worker. `work` and the pieces must be picklable.
    """
    waiting = list(reversed(pieces))
    crew: list[_Worker[T, R]] = []
    try:
        while not interrupts.woken():
            while waiting and _free(crew, workers) and may_start():
                piece = waiting.pop()
                began(piece)
                if (broken := _idle(crew, work).give(piece)) is not None:
                    yield piece, broken
            busy = {worker.connection: worker for worker in crew if worker.piece is not None}
            if not busy:
                return
            for ready in wait([*busy, *interrupts.descriptors()]):
                if isinstance(ready, int):
                    continue
                worker = busy[cast("Connection[T, R | Broken | Interrupted]", ready)]
                done = cast("T", worker.piece)
                outcome = worker.take()
                if not worker.alive:
                    crew.remove(worker)
                yield done, outcome
    finally:
        _disband(crew)


def one_line(error: BaseException) -> str:
    """Return an error's type and text in one line."""
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _disband(crew: Sequence[_Worker[T, R]]) -> None:
    """Have all of them leave, at the same time."""
    left: list[_Worker[T, R]] = list(crew)
    for _ in range(2):
        for worker in left:
            worker.ask_to_leave()
        until_s = time.monotonic() + _LEAVE_S_MAX
        left = [worker for worker in left if not worker.left(max(0.0, until_s - time.monotonic()))]
    for worker in left:
        worker.kill()


def _free(crew: Sequence[_Worker[T, R]], workers: int) -> bool:
    return len(crew) < workers or any(worker.piece is None for worker in crew)


def _idle(crew: list[_Worker[T, R]], work: Callable[[T], R]) -> _Worker[T, R]:
    for worker in list(crew):
        if worker.piece is None and worker.alive:
            return worker
        if worker.piece is None:
            crew.remove(worker)
    with _signals_held():
        crew.append(_Worker(work))
    return crew[-1]


@contextmanager
def _signals_held() -> Iterator[None]:
    """Have interrupts wait, so that none meets a process half started; a process started meanwhile inherits that."""
    resource_tracker.ensure_running()  # else the first process would start it, and that lets the signals go
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _HELD)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _serve(connection: "Connection[object, object]", work: Callable[[object], object]) -> None:
    """Be a worker, until the other end of the pipe is closed, or until asked to leave."""
    try:
        with interrupts.heeded(signal.SIGTERM):
            _leave_with_parent()
            while not interrupts.asked() and _serve_one(connection, work):
                pass
    except KeyboardInterrupt:  # asked again, while it did not listen
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
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _HELD)
    parent = multiprocessing.parent_process()
    assert parent is not None
    pause = threading.Lock()
    pause.acquire()

    def watch(sentinel: int, kill: Callable[[int, int], None], end: Callable[[int], None]) -> None:
        wait([sentinel])
        for _ in range(2):
            kill(own_pid, signal.SIGTERM)
            pause.acquire(timeout=_LEAVE_S_MAX)
        end(1)

    own_pid = os.getpid()
    real = (parent.sentinel, os.kill, os._exit)  # taken before a sim world puts its own in their place
    threading.Thread(target=watch, args=real, daemon=True).start()
