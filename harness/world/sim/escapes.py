"""Ways out of the sim world, each a loud error that names the line: threads, sleeps, sockets, processes, files.

One audit hook, installed for the life of the process (CPython has no way to take one out), sees what the interpreter
audits; it does next to nothing unless a run is active on its thread. What is not audited is redirected or patched:
starting a thread, `time.sleep`, `socket.listen`.

An error can be swallowed by an `except Exception` in the code under test, so each escape is also recorded with the run
(`active.Escapes`), and a run with escapes is an ERROR whatever the target made of them.

Allowed: reading files, importing, making socket objects (aiohttp makes one and then asks the loop to connect it),
writing to the current host's disk, SQLite in memory, writing to file descriptors that are open already.
"""

import _thread
import contextlib
import os
import signal
import socket
import sys
import threading
import time
from _thread import get_ident
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any, Final

from harness.errors import EscapeError
from harness.world.cfunction import Redirection
from harness.world.sim import full_disks
from harness.world.sim.active import RUN
from harness.world.sim.frames import blame

_NETWORK: Final = "in the sim world connections go through the loop (asyncio streams, create_connection, create_server)"
_PROCESS: Final = "the sim world has one process; make it a host"
_THREAD: Final = "use asyncio.to_thread or loop.run_in_executor, which run in virtual time"
_SLEEP: Final = "use asyncio.sleep; time stands still while a callback runs"
_DISK: Final = "only the host's own disk (host.disk) survives and is its own"

_FORBIDDEN: Final = {
    "socket.connect": _NETWORK,
    "socket.bind": _NETWORK,
    "socket.sendto": _NETWORK,
    "socket.sendmsg": _NETWORK,
    "socket.getaddrinfo": _NETWORK,
    "socket.gethostbyname": _NETWORK,
    "socket.gethostbyaddr": _NETWORK,
    "socket.getnameinfo": _NETWORK,
    "subprocess.Popen": _PROCESS,
    "os.fork": _PROCESS,
    "os.forkpty": _PROCESS,
    "os.posix_spawn": _PROCESS,
    "os.spawn": _PROCESS,
    "os.exec": _PROCESS,
    "os.system": _PROCESS,
    "os.kill": _PROCESS,
    "os.killpg": _PROCESS,
    "pty.spawn": _PROCESS,
    "_thread.start_new_thread": _THREAD,
    "_thread.start_joinable_thread": _THREAD,
}

_WRITES: Final[dict[str, tuple[tuple[int, int | None], ...]]] = {
    # event -> the positions of each path and of the directory descriptor it is relative to
    "os.remove": ((0, 1),),
    "os.rename": ((0, 2), (1, 3)),
    "os.mkdir": ((0, 2),),
    "os.rmdir": ((0, 1),),
    "os.link": ((0, 2), (1, 3)),
    "os.symlink": ((1, 2),),
    "os.truncate": ((0, None),),
    "os.chmod": ((0, 2),),
    "os.chown": ((0, 3),),
    "os.utime": ((0, 3),),
    "os.setxattr": ((0, None),),
    "os.removexattr": ((0, None),),
}

_WRITE_FLAGS: Final = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_SHOWN_MAX: Final = 200


def escape(what: str, hint: str, frame: FrameType | None = None) -> EscapeError:
    """Record an escape with the run and return the error to raise."""
    line = blame(frame or sys._getframe(1))
    text = f"{RUN.machine.host_label()} left the sim world: {what[:_SHOWN_MAX]} at {line}; {hint}"
    RUN.escapes.record(text)
    return EscapeError(text)


@contextlib.contextmanager
def permitted() -> Iterator[None]:
    """Let the harness itself write files or start things on the thread of an active run."""
    RUN.permits += 1
    try:
        yield
    finally:
        RUN.permits -= 1


def _absolute(path: Any, directory: Any) -> str | None:
    """Return the path as the kernel will see it; None for an open file descriptor."""
    if not isinstance(path, str | bytes):
        return None
    text = os.fsdecode(path)
    if isinstance(directory, int) and directory >= 0 and not text.startswith("/"):
        with contextlib.suppress(OSError):
            text = os.path.join(os.readlink(f"/proc/self/fd/{directory}"), text)  # noqa: PTH118, PTH115 - bare strings
    return os.path.abspath(text)  # noqa: PTH100 - a Path would cost more than the rest of the hook


def _check_path(what: str, path: str | None) -> None:
    if path is not None and not RUN.machine.may_write(path):
        raise escape(f"{what} {path!r}", _DISK, sys._getframe(2))


def _check_open(path: Any, _mode: Any, flags: Any) -> None:
    if isinstance(flags, int) and flags & _WRITE_FLAGS:
        absolute = _absolute(path, None)
        _check_path("opened for writing", absolute)
        if absolute is not None:
            full_disks.check(absolute)


def _check_sqlite(database: Any) -> None:
    text = os.fsdecode(database) if isinstance(database, str | bytes | os.PathLike) else ""
    if text in ("", ":memory:"):
        return
    if text.startswith("file:"):
        location, _, query = text.removeprefix("file:").partition("?")
        if location == ":memory:" or "mode=memory" in query or "mode=ro" in query:
            return
        text = "/" + location.lstrip("/") if location.startswith("/") else location
    _check_path("opened the SQLite database", _absolute(text, None))


def _hook(event: str, args: tuple[Any, ...]) -> None:
    if get_ident() != RUN.thread or RUN.permits:
        return
    if event == "open":
        _check_open(*args)
    elif event in _FORBIDDEN:
        raise escape(f"{event}({_shown(args)})", _FORBIDDEN[event])
    elif event in _WRITES:
        for at, directory in _WRITES[event]:
            path = _absolute(args[at], None if directory is None else args[directory])
            _check_path(event, path)
            if event == "os.mkdir" and path is not None:
                full_disks.check(path)
    elif event == "sqlite3.connect":
        _check_sqlite(args[0])


def _shown(args: tuple[Any, ...]) -> str:
    return ", ".join(repr(arg) for arg in args if isinstance(arg, str | bytes | int | tuple | list))


def _no_thread(original: Callable[..., Any]) -> Callable[..., Any]:
    def start_new_thread(*args: Any, **kwargs: Any) -> Any:
        if get_ident() == RUN.thread and not RUN.permits:
            target = getattr(args[0], "__self__", args[0]) if args else None
            raise escape(f"started the thread {target!r}", _THREAD)
        return original(*args, **kwargs)

    return start_new_thread


def _no_sleep(original: Callable[[float], None]) -> Callable[[float], None]:
    def sleep(seconds: float) -> None:
        if get_ident() == RUN.thread and seconds > 0:
            raise escape(f"blocked in time.sleep({seconds!r})", _SLEEP)
        original(seconds)

    return sleep


def redirections() -> list[Redirection]:
    """Return one redirection a way out that is not audited."""
    found = [Redirection(time.sleep, _no_sleep)]
    for name in ("start_new_thread", "start_joinable_thread"):
        function = getattr(_thread, name, None)
        if function is not None:
            found.append(Redirection(function, _no_thread))
    return found


def _listen(self: socket.socket, *args: int) -> None:
    if get_ident() == RUN.thread and not RUN.permits:
        raise escape("socket.listen()", _NETWORK)
    super(socket.socket, self).listen(*args)


@contextlib.contextmanager
def guarded() -> Iterator[None]:
    """Guard what the audit hook does not see, for the length of one run; write no bytecode meanwhile."""
    bytecode = sys.dont_write_bytecode
    sys.dont_write_bytecode = True
    socket.socket.listen = _listen  # type: ignore[method-assign,assignment] # inherited from C: to be taken out again
    try:
        yield
    finally:
        del socket.socket.listen
        sys.dont_write_bytecode = bytecode


_WATCHDOG_REPEAT_S: Final = 1.0
_real_clock: Final = Redirection(time.perf_counter, lambda original: original).original


@contextlib.contextmanager
def watchdog(wall_limit_s: float) -> Iterator[None]:
    """Raise `EscapeError` where the block is stuck after `wall_limit_s` seconds of real time, then once a second.

    A lock, an event or a queue that nobody will ever release blocks the only thread there is; the alarm interrupts
    it. Works in the main thread, where there are alarms; elsewhere, and where an earlier alarm is set already, it does
    nothing.
    """
    alarmed = threading.current_thread() is threading.main_thread() and hasattr(signal, "setitimer")
    outer_s = signal.getitimer(signal.ITIMER_REAL)[0] if alarmed else 0.0
    if not alarmed or 0 < outer_s <= wall_limit_s:
        yield
        return

    def stuck(_signal: int, frame: FrameType | None) -> None:
        what = f"took more than {wall_limit_s:g} s of real time, blocked or busy"
        if RUN.thread:
            raise escape(what, "time stands still while a callback runs", frame)
        raise EscapeError(f"the run {what} at {blame(frame)}")

    began_s = _real_clock()
    handler = signal.signal(signal.SIGALRM, stuck)
    signal.setitimer(signal.ITIMER_REAL, wall_limit_s, _WATCHDOG_REPEAT_S)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, handler)
        if outer_s:
            signal.setitimer(signal.ITIMER_REAL, max(outer_s - (_real_clock() - began_s), 0.001))


sys.addaudithook(_hook)
