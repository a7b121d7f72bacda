"""Clocks of the sim world, and `virtual`, which virtualises a process for the length of one run.

What code under test reads is redirected at its source: the C functions themselves (cfunction.py), so that a clock bound
long before the run follows virtual time too. Only the thread of the run sees it; see active.py.

`datetime.now` and `utcnow` are class methods: each access makes a new function object, so there is no single one to
redirect. They are replaced once, in the class's own dictionary, by a dispatcher that calls the original unless a run is
active; function objects older than that are found by one look through the garbage collector's list. `date.today` and
`datetime.today` call `time.time`.

Hosts live in UTC: what local time is must not depend on the machine a seed is replayed on.
"""

import contextlib
import ctypes
import datetime  # noqa: ICN001 - the module whose classes are armed
import functools
import gc
import os
import socket
import sys
import time
from _thread import get_ident
from collections.abc import Callable, Iterator
from types import BuiltinFunctionType
from typing import Any, Final

from harness.errors import EscapeError, WorldError
from harness.units import SECOND
from harness.world.sim import databases, entropy, escapes, shims
from harness.world.sim.active import RUN, Escapes
from harness.world.sim.cfunction import Redirection
from harness.world.sim.machine import Machine

_FIRST_PID: Final = 1001


def _wall_clock(original: Callable[[], Any], scale: int) -> Callable[[], Any]:
    if scale == 1:
        return lambda: RUN.machine.wall_ns() if get_ident() == RUN.thread else original()
    return lambda: RUN.machine.wall_ns() / scale if get_ident() == RUN.thread else original()


def _steady_clock(original: Callable[[], Any], scale: int) -> Callable[[], Any]:
    if scale == 1:
        return lambda: RUN.machine.now_ns() if get_ident() == RUN.thread else original()
    return lambda: RUN.machine.now_ns() / scale if get_ident() == RUN.thread else original()


def _chosen_clock(original: Callable[[int], Any], scale: int) -> Callable[[int], Any]:
    walls = {getattr(time, name) for name in ("CLOCK_REALTIME", "CLOCK_TAI") if hasattr(time, name)}

    def clock_gettime(clock: int) -> Any:
        if get_ident() != RUN.thread:
            return original(clock)
        value_ns = RUN.machine.wall_ns() if clock in walls else RUN.machine.now_ns()
        return value_ns if scale == 1 else value_ns / scale

    return clock_gettime


def _broken_down(original: Callable[..., Any]) -> Callable[..., Any]:
    """Gmtime, localtime, ctime: without an argument they mean now."""

    def convert(*args: Any) -> Any:
        if get_ident() == RUN.thread and args in ((), (None,)):
            return original(RUN.machine.wall_ns() // SECOND)
        return original(*args)

    return convert


def _formatted(original: Callable[..., Any], explicit: int) -> Callable[..., Any]:
    """Strftime (1 argument before the time), asctime (none)."""

    def render(*args: Any) -> Any:
        if get_ident() == RUN.thread and len(args) == explicit:
            return original(*args, time.gmtime(RUN.machine.wall_ns() // SECOND))
        return original(*args)

    return render


def _hostname(original: Callable[[], str]) -> Callable[[], str]:
    return lambda: RUN.machine.host_label().partition("#")[0] if get_ident() == RUN.thread else original()


def _process_id(original: Callable[[], int]) -> Callable[[], int]:
    """Each incarnation of a host is a process of its own: numbered in the order in which they ask."""

    def getpid() -> int:
        if get_ident() != RUN.thread:
            return original()
        return RUN.pids.setdefault(RUN.machine.host_label(), _FIRST_PID + len(RUN.pids))

    return getpid


def _clock_redirections() -> list[Redirection]:
    """Return one redirection a function that this platform has."""
    found: list[Redirection] = []

    def add(name: str, make: Callable[..., Callable[..., Any]], *args: int) -> None:
        function = getattr(time, name, None)
        if function is not None:
            found.append(Redirection(function, lambda original: make(original, *args)))

    add("time", _wall_clock, SECOND)
    add("time_ns", _wall_clock, 1)
    for name in ("monotonic", "perf_counter", "process_time", "thread_time"):
        add(name, _steady_clock, SECOND)
        add(f"{name}_ns", _steady_clock, 1)
    add("clock_gettime", _chosen_clock, SECOND)
    add("clock_gettime_ns", _chosen_clock, 1)
    for name in ("gmtime", "localtime", "ctime"):
        add(name, _broken_down)
    add("asctime", _formatted, 0)
    add("strftime", _formatted, 1)
    found.append(Redirection(socket.gethostname, _hostname))
    found.append(Redirection(os.getpid, _process_id))
    return found


_real_now: Final = datetime.datetime.__dict__["now"]
_real_utcnow: Final = datetime.datetime.__dict__["utcnow"]
_fromtimestamp: Final = datetime.datetime.__dict__["fromtimestamp"]


def _at_wall(cls: Any, tz: datetime.tzinfo | None) -> Any:
    seconds, rest_ns = divmod(RUN.machine.wall_ns(), SECOND)
    return _fromtimestamp.__get__(None, cls)(seconds, tz).replace(microsecond=rest_ns // 1000)


def _now(cls: Any, tz: datetime.tzinfo | None = None) -> Any:
    """Return the current local date and time, or that of time zone `tz`."""
    if get_ident() != RUN.thread:
        return _real_now.__get__(None, cls)(tz)
    return _at_wall(cls, tz)


def _utcnow(cls: Any) -> Any:
    """Return the current UTC date and time, without a time zone."""
    if get_ident() != RUN.thread:
        return _real_utcnow.__get__(None, cls)()
    return _at_wall(cls, datetime.UTC).replace(tzinfo=None)


def _instead(stand_in: Callable[..., Any], _original: Callable[..., Any]) -> Callable[..., Any]:
    return stand_in


def _arm_datetime() -> None:
    """Put the dispatchers in place, for the life of the process, and reach the function objects that exist already."""
    bound = [
        item
        for item in gc.get_objects()
        if type(item) is BuiltinFunctionType
        and item.__name__ in ("now", "utcnow")
        and isinstance(item.__self__, type)
        and issubclass(item.__self__, datetime.datetime)
        and getattr(item.__self__, item.__name__) == item  # a subclass may have its own
    ]
    attributes = next(
        found for found in gc.get_referents(datetime.datetime.__dict__) if type(found) is dict and "utcnow" in found
    )
    for name, method in (("now", _now), ("utcnow", _utcnow)):
        method.__name__ = name
        method.__qualname__ = f"datetime.{name}"
        attributes[name] = classmethod(method)
    ctypes.pythonapi.PyType_Modified(ctypes.py_object(datetime.datetime))
    for function in bound:
        method = _now if function.__name__ == "now" else _utcnow
        stand_in = functools.partial(method, function.__self__)
        Redirection(function, functools.partial(_instead, stand_in)).install()


_arm_datetime()
_redirections: Final = [*_clock_redirections(), *entropy.redirections(), *escapes.redirections()]
_bound_before_any_run: Final = (time.time, time.monotonic, datetime.datetime.now)


def _verify() -> None:
    """Call through references bound at import; a clock that is not virtual now never will be."""
    wall, steady, now = _bound_before_any_run
    machine = RUN.machine
    want = machine.wall_ns()
    seen = (wall(), steady(), datetime.datetime.now(datetime.UTC), now(datetime.UTC), datetime.date.today())  # noqa: DTZ011 - the thing to verify
    at = datetime.datetime.fromtimestamp(want // SECOND, datetime.UTC).replace(microsecond=want % SECOND // 1000)
    if seen != (want / SECOND, machine.now_ns() / SECOND, at, at, at.date()):
        version = sys.version.split()[0]
        raise WorldError(f"Python {version} does not let the sim world redirect its clocks: {seen} while it is {at}")


@contextlib.contextmanager
def _utc() -> Iterator[None]:
    """Let local time be UTC."""
    if not hasattr(time, "tzset"):  # pragma: no cover - Windows
        yield
        return
    before = os.environ.get("TZ")
    if before == "UTC":
        yield
        return
    os.environ["TZ"] = "UTC"
    time.tzset()
    try:
        yield
    finally:
        if before is None:
            del os.environ["TZ"]
        else:
            os.environ["TZ"] = before
        time.tzset()


@contextlib.contextmanager
def virtual(machine: Machine, collector: Escapes | None = None) -> Iterator[None]:
    """Virtualise time, entropy and the ways out, on this thread, for the length of one run.

    What left the sim world is kept in `collector`. Without one, escapes that were swallowed raise at the end.

    Raises:
        WorldError: a run is active in this process already, or this interpreter cannot be virtualised.
        EscapeError: no collector was given, and something escaped without anybody hearing of it.

    """
    if RUN.thread:
        raise WorldError("one simulated run at a time: another one is active in this process")
    kept = Escapes() if collector is None else collector
    with contextlib.ExitStack() as stack:
        stack.enter_context(_utc())
        databases.forget_all()
        RUN.begin(machine, kept)
        stack.callback(RUN.end)
        for redirection in _redirections:
            redirection.install()
            stack.callback(redirection.restore)
        _verify()
        stack.enter_context(entropy.seeded(machine.dice()))
        stack.enter_context(escapes.guarded())
        stack.enter_context(shims.installed())
        yield
    if collector is None and kept.texts:
        raise EscapeError(kept.texts[0])
