"""Worker processes that do one piece of work at a time, so that it is known which piece a dying one took along.

`concurrent.futures` has a pool for this, but when one of its workers dies every piece under way is lost and none is
named, and there is no public way to end a busy worker. Here each worker has a pipe of its own.

Nothing outlives its parent: a worker leaves when the parent ends it, and also, by watching the parent's sentinel, when
the parent is killed. It is asked with SIGTERM, once in the way of `interrupts.py`, which a sim run answers within a
moment; then in a way that gets work out of any loop or wait; then it is killed. So is one whose piece takes longer
than it may; the process goes with it, as nobody knows what state it is in. Ctrl-C reaches a terminal's whole
process group; workers ignore it, the parent decides. That holds from a worker's first moment: it is started with the
signals held back, and hears of them once it knows what to do. (worker_process.py is the worker's side of all this.)
"""

import multiprocessing
import signal
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from typing import Final, Generic, TypeVar, cast

from harness import interrupts
from harness.worker_process import HELD, LEAVE_S_MAX, Broken, Interrupted, Overdue, Ready, one_line, serve

T = TypeVar("T")
R = TypeVar("R")

_NICE: Final = 10
"""How far workers that give way step back: on Linux to a tenth of the weight of any other process (sched(7))."""

_CONTEXT: Final = multiprocessing.get_context("spawn")


@dataclass(frozen=True, slots=True, kw_only=True)
class Lane(Generic[T]):
    """Pieces of one kind, and the at most `workers` processes that do them, in order of their list, and nothing else.

    Processes that give way compute only while no other lane's have to: their pieces have no deadline. Once interrupted,
    or overdue, a piece has `grace_s` to end in good order and tell what it came to.
    """

    pieces: Sequence[T]
    workers: int
    gives_way: bool = False
    grace_s: float = 0.0


class _Worker(Generic[T, R]):
    """One process and the pipe to it."""

    def __init__(self, work: Callable[[T], R], nice: int) -> None:
        self.connection, theirs = _CONTEXT.Pipe()
        self._process = _CONTEXT.Process(target=serve, args=(theirs, work, nice), daemon=True)
        self._process.start()
        theirs.close()
        self.piece: T | None = None
        self.until_s: float | None = None
        self._limit_s: float | None = None
        self._is_ready = self._is_ending = False

    def give(self, piece: T, limit_s: float | None) -> Broken | None:
        """Hand over a piece of work, and how long it may take; return why that is not possible, if it is not."""
        try:
            self.connection.send(piece)
        except OSError:
            return Broken(self._death(), crashed=True)
        except Exception as error:  # noqa: BLE001 - pickling runs code of whatever the piece is made of
            return Broken(f"cannot be sent to a worker process: {one_line(error)}")
        self.piece = piece
        self._limit_s = limit_s
        if self._is_ready:
            self._start_clock()
        return None

    def _start_clock(self) -> None:
        self.until_s = None if self._limit_s is None else time.monotonic() + self._limit_s

    def take(self) -> R | Broken | Interrupted | Overdue | Ready:
        """Return what came back. To be called when the pipe is readable, which it also is when the process is gone."""
        outcome = self._received()
        if isinstance(outcome, Ready):
            self._is_ready = True
            self._start_clock()
            return outcome
        self.piece = self.until_s = None
        if not self._is_ending:
            return outcome
        assert self._limit_s is not None
        self.kill()  # it was asked to leave, and must not be given anything more on its way out
        return Overdue(self._limit_s, outcome)

    def end_if_overdue(self, now_s: float, grace_s: float) -> None:
        """Ask it to end if its time is over; kill it if it was asked before, and its grace is over as well."""
        if self.until_s is None or now_s < self.until_s:
            return
        if self._is_ending:
            self.until_s = None
            self.kill()
            return
        self._is_ending = True
        self.until_s = now_s + grace_s
        self.interrupt()

    def _received(self) -> R | Broken | Interrupted | Ready:
        try:
            return cast("R | Broken | Interrupted | Ready", self.connection.recv())
        except (EOFError, OSError):
            return Broken(self._death(), crashed=True)
        except Exception as error:  # noqa: BLE001 - unpickling runs code of whatever came back
            return Broken(f"its result cannot be read: {one_line(error)}")

    @property
    def alive(self) -> bool:
        return self._process.is_alive()

    def interrupt(self) -> None:
        """Have it end what it does; it can still tell what that came to."""
        self._process.terminate()

    def ask_to_leave(self) -> None:
        """Have it leave: an idle worker sees the end of its pipe, a busy one gets SIGTERM. May be asked again."""
        if self.piece is not None:
            self.interrupt()
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
        if not self.left(LEAVE_S_MAX):
            self.kill()
        code = self._process.exitcode
        assert code is not None
        how = f"exited with code {code}" if code >= 0 else f"was killed by {signal.Signals(-code).name}"
        return f"its worker process (pid {self._process.pid}) {how}"


class _Crew(Generic[T, R]):
    """A lane's processes, started as they are needed, and its pieces that wait."""

    def __init__(self, lane: Lane[T], work: Callable[[T], R]) -> None:
        self.grace_s = lane.grace_s
        self.workers: list[_Worker[T, R]] = []
        self._work = work
        self._nice = _NICE if lane.gives_way else 0
        self._size = lane.workers
        self._waiting = list(reversed(lane.pieces))

    @property
    def wants(self) -> bool:
        """Could it do another piece now?"""
        free = len(self.workers) < self._size or any(worker.piece is None for worker in self.workers)
        return free and bool(self._waiting)

    @property
    def waits(self) -> T:
        """The piece that `next` returns."""
        return self._waiting[-1]

    def next(self) -> T:
        """Return the next piece that waits."""
        return self._waiting.pop()

    def idle(self) -> _Worker[T, R]:
        """Return a worker that has nothing to do."""
        for worker in list(self.workers):
            if worker.piece is None and worker.alive:
                return worker
            if worker.piece is None:
                self.workers.remove(worker)
        with _signals_held():
            self.workers.append(_Worker(self._work, self._nice))
        return self.workers[-1]

    def take(self, worker: _Worker[T, R]) -> tuple[T, R | Broken | Interrupted | Overdue] | None:
        """Return the piece that this worker did, and what came of it; None if it only has said that it is ready."""
        done = cast("T", worker.piece)
        outcome = worker.take()
        if isinstance(outcome, Ready):
            return None
        if not worker.alive:
            self.workers.remove(worker)
        return done, outcome


def spread(
    lanes: Sequence[Lane[T]],
    work: Callable[[T], R],
    *,
    may_start: Callable[[T], bool],
    began: Callable[[T], None],
    limit_s: Callable[[T], float | None] = lambda _: None,
) -> Generator[tuple[T, R | Broken | Interrupted | Overdue], None, None]:
    """Do the pieces of all lanes side by side, each in a process of its lane; yield results as they come.

    `may_start` is asked before each piece; once it says no, only what is under way is awaited. A piece that takes
    longer than `limit_s` says is ended, and its process with it. An interrupt, or closing the generator, ends every
    worker. `work` and the pieces must be picklable.
    """
    crews: list[_Crew[T, R]] = [_Crew(lane, work) for lane in lanes]
    try:
        while not interrupts.woken():
            for crew in crews:
                while crew.wants and may_start(crew.waits):
                    piece = crew.next()
                    began(piece)
                    if (broken := crew.idle().give(piece, limit_s(piece))) is not None:
                        yield piece, broken
            if not _busy(crews):
                return
            yield from _ready(crews, _next_end(crews), *interrupts.descriptors())
            for crew, worker in _busy(crews).values():
                worker.end_if_overdue(time.monotonic(), max(crew.grace_s, LEAVE_S_MAX))
        yield from _last(crews)
    finally:
        _disband([worker for crew in crews for worker in crew.workers])


def _busy(crews: Sequence[_Crew[T, R]]) -> dict[Connection, tuple[_Crew[T, R], _Worker[T, R]]]:
    return {worker.connection: (crew, worker) for crew in crews for worker in crew.workers if worker.piece is not None}


def _next_end(crews: Sequence[_Crew[T, R]]) -> float | None:
    """Return in how many seconds the first piece is overdue."""
    ends = [worker.until_s for _, worker in _busy(crews).values() if worker.until_s is not None]
    return max(0.0, min(ends) - time.monotonic()) if ends else None


def _ready(
    crews: Sequence[_Crew[T, R]], within_s: float | None, *descriptors: int
) -> Iterator[tuple[T, R | Broken | Interrupted | Overdue]]:
    """Wait until a worker has something to tell, or a descriptor is readable; return what workers tell."""
    busy = _busy(crews)
    for ready in wait([*busy, *descriptors], within_s):
        if not isinstance(ready, int):
            crew, worker = busy[cast("Connection", ready)]
            if (done := crew.take(worker)) is not None:
                yield done


def _last(crews: Sequence[_Crew[T, R]]) -> Iterator[tuple[T, R | Broken | Interrupted | Overdue]]:
    """Have all that is under way end, and await, as long as their grace lasts, those pieces that have one."""
    for _, worker in _busy(crews).values():
        worker.interrupt()
    began_s = time.monotonic()
    while True:
        left_s = {crew: began_s + crew.grace_s - time.monotonic() for crew in crews if crew.grace_s}
        awaited = [crew for crew, seconds in left_s.items() if seconds > 0 and _busy([crew])]
        if not awaited:
            return
        yield from _ready(awaited, min(left_s[crew] for crew in awaited))


def _disband(crew: Sequence[_Worker[T, R]]) -> None:
    """Have all of them leave, at the same time."""
    left: list[_Worker[T, R]] = list(crew)
    for _ in range(2):
        for worker in left:
            worker.ask_to_leave()
        until_s = time.monotonic() + LEAVE_S_MAX
        left = [worker for worker in left if not worker.left(max(0.0, until_s - time.monotonic()))]
    for worker in left:
        worker.kill()


@contextmanager
def _signals_held() -> Iterator[None]:
    """Have interrupts wait, so that none meets a process half started; a process started meanwhile inherits that."""
    resource_tracker.ensure_running()  # else the first process would start it, and that lets the signals go
    before = signal.pthread_sigmask(signal.SIG_BLOCK, HELD)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
