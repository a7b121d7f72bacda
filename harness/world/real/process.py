"""Child processes of a run, none of which outlives it.

Every child leads a session and process group of its own, so that a terminal's Ctrl-C reaches the harness
alone and a child can be ended together with everything it started. Four nets hang under each other:

- the run itself, when it closes, ends what is left and waits for it;
- the kernel kills each child when the harness dies (`launch.py`), frozen or not;
- the guard (`guard.py`) does the same for grandchildren, whatever happened to the harness;
- `leftovers.py` finds by the run's record and marker what remains if the guard was killed too.

Needs Linux (pidfd, /proc, death signals); elsewhere `Run.open` raises `WorldError`.
"""

import asyncio
import atexit
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from contextvars import ContextVar
from pathlib import Path
from typing import IO, TYPE_CHECKING, TypeAlias

from harness.errors import WorldError
from harness.world.real import guard, launch

if TYPE_CHECKING:
    from harness.world.real.proxy_api import ProxyPlace

Stream: TypeAlias = int | IO[bytes] | None
"""A file descriptor, an open file or `subprocess.PIPE`; None is /dev/null: a child never has the terminal."""

_PYTHON = (sys.executable, "-I", "-S")
_GUARD_S_MAX = 10.0
_DEATH_S_MAX = 5.0


class ChildProcess:
    """A child of the harness, watched by its pidfd; made by `spawn`."""

    __slots__ = ("_exited", "_handle", "_loop", "_popen", "_run", "name")

    def __init__(self, run: "Run", name: str, popen: subprocess.Popen[bytes]) -> None:
        self.name = name
        self._run = run
        self._popen = popen
        self._exited = asyncio.Event()
        self._handle = os.pidfd_open(popen.pid)
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._handle, self._reap)

    @property
    def pid(self) -> int:
        """The process id, which is its session's and process group's id as well."""
        return self._popen.pid

    @property
    def returncode(self) -> int | None:
        """The exit code, minus the signal's number if a signal ended it, None while it runs."""
        return self._popen.returncode

    async def wait(self) -> int:
        """Return the exit code once the process has ended and what it started in its group is killed."""
        await self._exited.wait()
        return int(self._popen.returncode)

    def send_signal(self, number: int) -> None:
        """Send a signal to the process alone; nothing happens if it has ended."""
        if self.returncode is None:
            os.kill(self.pid, number)

    def signal_group(self, number: int) -> None:
        """Send a signal to the process and what it started in its group; nothing happens if it has ended."""
        if self.returncode is None:
            os.killpg(self.pid, number)

    def kill(self) -> None:
        """SIGKILL the whole group; `wait` returns when it is dead."""
        self.signal_group(signal.SIGKILL)

    def end_without_loop(self) -> None:
        """Kill the group and reap the process, when the event loop that watched it is gone."""
        self.kill()
        self._popen.wait(_DEATH_S_MAX)

    def _reap(self) -> None:
        # Until it is reaped, the dead leader keeps its pid, so the group that we kill is still ours.
        self._loop.remove_reader(self._handle)
        os.close(self._handle)
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)
        self._popen.wait()
        self._run.forget(self)
        self._exited.set()


class Run:
    """Owns the processes and temporary directories of one run, and its guard.

    `id` is `<pid>.<start time>.<random>` of its owner, so that the marker alone tells whether the owner
    lives.
    """

    def __init__(self) -> None:
        self.id = ""
        self.record_path = Path()
        self.guard_pid = 0
        self._record = -1
        self._lifeline = -1
        self._guard: subprocess.Popen[bytes] | None = None
        self._children: dict[int, ChildProcess] = {}

    def open(self) -> None:
        """Start the record and the guard. Raises `WorldError` where the machine lacks what a run needs."""
        if not hasattr(os, "pidfd_open") or not Path("/proc/self/stat").exists():
            raise WorldError("the real world needs Linux (pidfd and /proc); use --world sim here")
        me = guard.status_of(os.getpid())
        assert me is not None
        self.id = f"{me.pid}.{me.start}.{secrets.token_hex(6)}"
        self.record_path = records_directory() / f"{self.id}.run"
        self._record = os.open(self.record_path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL, 0o600)
        reading, self._lifeline = os.pipe()
        try:
            command = [*_PYTHON, guard.__file__, str(self.record_path), self.id, str(os.getpid())]
            # Not marked: inside another run, the other's guard must not end this one before its work is done.
            env = {name: value for name, value in os.environ.items() if name != guard.MARKER}
            null = subprocess.DEVNULL
            self._guard = subprocess.Popen(  # noqa: S603 - our own script
                command, stdin=reading, stdout=null, stderr=null, cwd="/", env=env, start_new_session=True
            )
        except OSError as error:
            self._release()
            self.record_path.unlink()
            raise WorldError(f"cannot start the guard: {error}") from error
        finally:
            os.close(reading)
        self.guard_pid = self._guard.pid

    async def close(self) -> None:
        """End every process that is left, and return once all are gone and the guard has cleaned up.

        Raises `WorldError` if a process survives SIGKILL, as one does that waits for a broken disk.
        """
        children = list(self._children.values())
        for child in children:
            child.kill()
        try:
            async with asyncio.timeout(_DEATH_S_MAX):
                for child in children:
                    await child.wait()
        except TimeoutError:
            names = ", ".join(f"{child.name} (pid {child.pid})" for child in self._children.values())
            raise WorldError(f"these processes survive SIGKILL: {names}") from None
        finally:
            self._release()
            if self._guard is not None:
                await asyncio.to_thread(self._guard.wait, _GUARD_S_MAX)

    def close_at_exit(self) -> None:
        """End every process that is left, when there is no event loop any more."""
        for child in list(self._children.values()):
            child.end_without_loop()
        self._release()
        if self._guard is not None:
            self._guard.wait(_GUARD_S_MAX)

    def temporary_directory(self) -> Path:
        """Return a new directory that is removed when the run ends, however it ends."""
        path = Path(tempfile.mkdtemp(prefix=f"harness-{self.id}-"))
        self._write(f"directory {path}")
        return path

    def note_proxy(self, place: "ProxyPlace", proxy: str) -> None:
        """Write down a proxy that is about to be made at a server that is not ours: the guard deletes it if need be."""
        self._write(f"proxy {place.host} {place.port} {proxy}")

    def forget_proxy(self, proxy: str) -> None:
        """Note that it is deleted."""
        self._write(f"deleted {proxy}")

    def forget(self, child: ChildProcess) -> None:
        """Note that a child is dead and reaped: its pid may now become another's."""
        if self._children.pop(child.pid, None) is not None:
            self._write(f"gone {child.pid}")

    async def spawn(
        self,
        argv: Sequence[str],
        *,
        name: str,
        env: Mapping[str, str] | None = None,
        cwd: str | Path | None = None,
        stdin: Stream = None,
        stdout: Stream = None,
        stderr: Stream = None,
        pass_fds: Sequence[int] = (),
        launcher: bool = True,
    ) -> ChildProcess:
        """Start a program, as the function `spawn`. Without `launcher` it sets its death signal itself."""
        variables = dict(os.environ if env is None else env)
        variables[guard.MARKER] = self.id
        if shutil.which(argv[0], path=variables.get("PATH")) is None:
            raise WorldError(f"cannot start {name}: there is no program {argv[0]!r}")
        prefix = (*_PYTHON, launch.__file__, str(os.getpid())) if launcher else ()
        null = subprocess.DEVNULL
        try:
            popen = subprocess.Popen(  # noqa: ASYNC220, S603 - returns at exec; the caller chose the program
                [*prefix, *argv],
                env=variables,
                cwd=cwd,
                pass_fds=pass_fds,
                start_new_session=True,
                stdin=null if stdin is None else stdin,
                stdout=null if stdout is None else stdout,
                stderr=null if stderr is None else stderr,
            )
        except OSError as error:
            raise WorldError(f"cannot start {name}: {error}") from error
        try:
            status = guard.status_of(popen.pid)
            assert status is not None, "a child that is not reaped has a status"
            self._write(f"child {popen.pid} {status.start} {name}")
            child = ChildProcess(self, name, popen)
        except OSError as error:  # the disk is full, or descriptors have run out
            popen.kill()
            popen.wait()
            raise WorldError(f"cannot keep watch over {name}: {error}") from error
        self._children[popen.pid] = child
        return child

    def _write(self, line: str) -> None:
        if self._record >= 0:
            os.write(self._record, (line.replace("\n", " ") + "\n").encode(errors="surrogateescape"))

    def _release(self) -> None:
        for descriptor in (self._record, self._lifeline):
            if descriptor >= 0:
                os.close(descriptor)
        self._record = self._lifeline = -1


_current: ContextVar[Run | None] = ContextVar("harness_run", default=None)
_ambient: list[Run] = []


def use(run: Run | None) -> Run | None:
    """Have `spawn` in this context start processes for `run`; return the run it was before."""
    before = _current.get()
    _current.set(run)
    return before


async def spawn(
    argv: Sequence[str],
    *,
    name: str,
    env: Mapping[str, str] | None = None,
    cwd: str | Path | None = None,
    stdin: Stream = None,
    stdout: Stream = None,
    stderr: Stream = None,
    pass_fds: Sequence[int] = (),
) -> ChildProcess:
    """Start a program that cannot outlive the run, nor the harness.

    It gets the run's marker in its environment, a session of its own, and /dev/null for streams that are
    None. It belongs to the `RealWorld` around the caller, or to the whole harness process if there is none.
    Raises `WorldError` when there is no such program or it cannot be started.
    """
    run = _current.get() or _harness_run()
    return await run.spawn(
        argv, name=name, env=env, cwd=cwd, stdin=stdin, stdout=stdout, stderr=stderr, pass_fds=pass_fds
    )


def records_directory() -> Path:
    """Return the per-user directory of run records (made if need be), else one for temporary files."""
    state = os.environ.get("XDG_STATE_HOME") or os.path.expanduser("~/.local/state")  # noqa: PTH111 - never raises
    for base in (Path(state), Path(tempfile.gettempdir()) / f"harness-state-{os.getuid()}"):
        path = base / "trading-chaos-harness" / "runs"
        with suppress(OSError):
            path.mkdir(parents=True, exist_ok=True, mode=0o700)
            if os.access(path, os.W_OK) and path.stat().st_uid == os.getuid():
                return path
    raise WorldError(f"no writable directory for run records: tried {state} and {tempfile.gettempdir()}")


def _harness_run() -> Run:
    if not _ambient:
        run = Run()
        run.open()
        atexit.register(run.close_at_exit)
        _ambient.append(run)
    return _ambient[0]
