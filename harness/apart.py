"""A job done in a process of its own, wherever that is: what is handed to executors of other machines.

An executor's worker is no place for a run. Its hash seed differs, so a seed would come out differently; it runs tasks
in threads, and a sim run needs the main one; a run that crashes would take it along. So `perform_apart` keeps child
processes with a fixed hash seed (`apart_child.py`), gives each one job at a time, and ends one that takes too long. It
is a plain function of plain data: any `concurrent.futures.Executor` can call it, by threads, processes or machines.

There need be no common file system. The child works in a folder of its own, and what it kept there (histories of runs
that did not pass, and of the first) comes back in the result. It refuses to work for a harness of another build: a
pass by other code would be no pass.
"""

import atexit
import os
import pickle
import select
import struct
import subprocess
import sys
import threading
import zlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Final, TypeAlias, cast

from harness.build import Build, build_for
from harness.jobs import Job, Result
from harness.verdict import FlawedResult, RunResult
from harness.worker_process import Broken, Overdue, one_line

_LENGTH: Final = struct.Struct("<Q")
_CHUNK: Final = 1 << 20
_LEAVE_S_MAX: Final = 5.0


@dataclass(frozen=True, slots=True)
class Parcel:
    """A job on its way out: pickled, so that it is opened by the child alone. `limit_s` is how long it may take."""

    job: bytes
    build: Build
    limit_s: float | None


@dataclass(frozen=True, slots=True)
class Returned:
    """A result on its way back, with the files that belong to it: by path within the run folder, compressed."""

    result: Result
    files: tuple[tuple[str, bytes], ...]


Answer: TypeAlias = Returned | Broken | Overdue


def parcel_of(job: Job, limit_s: float | None) -> Parcel:
    """Pack a job. Raises whatever pickling it raises."""
    return Parcel(pickle.dumps(job), build_for(job.order), limit_s)


def unpack(job: Job, answer: Answer) -> Result | Broken | Overdue:
    """Put the files of an answer into the run folder, and return the result with paths that are true here."""
    if not isinstance(answer, Returned):
        return answer
    folder = job.order.folder
    for name, content in answer.files:
        path = folder / name
        if not path.resolve().is_relative_to(folder.resolve()):
            return Broken(f"its worker sent a file for outside the run folder: {name}")
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh = path.with_name(f".{path.name}.{threading.get_ident()}")
        fresh.write_bytes(zlib.decompress(content))
        fresh.replace(path)
    names = {name for name, _ in answer.files}
    if isinstance(answer.result, FlawedResult):
        example = answer.result.example
        return replace(answer.result, example=None if example is None else _at_home(example, folder, names))
    return _at_home(answer.result, folder, names)


def _at_home(run: RunResult, folder: Path, names: set[str]) -> RunResult:
    if run.history is None:
        return run
    name = f"histories/{Path(run.history).name}"
    return replace(run, history=str(folder / name) if name in names else None)


def perform_apart(parcel: Parcel) -> Answer:
    """Do a job in a child process; its death or its being late is an answer as well."""
    child = _take()
    answer = child.ask(parcel)
    if child.is_alive:
        _put_back(child)
    else:
        child.end()
    return answer


class _Child:
    """One process, and the pipes to it."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "harness.apart_child"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,  # what is in a buffer of ours, `select` does not see
            env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
        )

    @property
    def is_alive(self) -> bool:
        return self._process.poll() is None

    def ask(self, parcel: Parcel) -> Answer:
        into, out = self._process.stdin, self._process.stdout
        assert into is not None
        assert out is not None
        try:
            send(into, parcel)
            receive(out)  # it is ready, and has imported what the job needs: from here on the time is the job's
            if parcel.limit_s is not None and not select.select([out], [], [], parcel.limit_s)[0]:
                self.end()
                return Overdue(parcel.limit_s, None)
            return cast("Answer", receive(out))
        except (EOFError, OSError):
            return Broken(f"its process (pid {self._process.pid}) {self._death()}", crashed=True)
        except Exception as error:  # noqa: BLE001 - unpickling runs code of whatever came back
            self.end()
            return Broken(f"its result cannot be read: {one_line(error)}")

    def end(self) -> None:
        """Have it gone, and its pipes closed."""
        self._process.kill()
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            pipe.close()
        self._process.wait()

    def _death(self) -> str:
        try:
            code = self._process.wait(_LEAVE_S_MAX)
        except subprocess.TimeoutExpired:
            self.end()
            return "closed its pipe"
        return f"exited with code {code}" if code >= 0 else f"was killed by signal {-code}"


_idle: Final[list[_Child]] = []
_lock: Final = threading.Lock()


def _take() -> _Child:
    with _lock:
        while _idle:
            child = _idle.pop()
            if child.is_alive:
                return child
            child.end()
    return _Child()


def _put_back(child: _Child) -> None:
    with _lock:
        _idle.append(child)


@atexit.register
def end_children() -> None:
    """End the children that wait for work. Those of a process that is killed see the end of their pipe."""
    with _lock:
        while _idle:
            _idle.pop().end()


def send(pipe: IO[bytes], thing: object) -> None:
    """Write one thing, pickled, its length before it."""
    content = pickle.dumps(thing)
    left = memoryview(_LENGTH.pack(len(content)) + content)
    while left:
        left = left[pipe.write(left) :]
    pipe.flush()


def receive(pipe: IO[bytes]) -> object:
    """Read one thing. Raises `EOFError` if the other end is closed."""
    (length,) = _LENGTH.unpack(_exactly(pipe, _LENGTH.size))
    return pickle.loads(_exactly(pipe, length))  # noqa: S301 - from our own child or parent


def _exactly(pipe: IO[bytes], length: int) -> bytes:
    parts: list[bytes] = []
    while length:
        part = pipe.read(min(length, _CHUNK))
        if not part:
            raise EOFError
        parts.append(part)
        length -= len(part)
    return b"".join(parts)
