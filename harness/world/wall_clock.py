"""The wall clock as Python code in this process reads it, put under the control of a world.

What code under test reads is redirected at its source: the C functions themselves (cfunction.py), so that a clock bound
long ago (`from time import time`, a default argument) follows too. A *source* says what the wall clock shows to whoever
asks now: Unix nanoseconds, or None for the truth. The sim world's source knows virtual time, that of a real host
process adds what its clock was stepped by.

`datetime.now` and `utcnow` are class methods: each access makes a new function object, so there is no single one to
redirect. They are replaced once, in the class's own dictionary, by a dispatcher that calls the original where the
source says None; function objects older than that are found by one look through the garbage collector's list.
`date.today` and `datetime.today` call `time.time`.

Not reached: clocks that C code reads by itself, such as SQLite's CURRENT_TIMESTAMP, the kernel's file times, and other
processes.
"""

import ctypes
import datetime  # noqa: ICN001 - the module whose classes are armed
import functools
import gc
import time
from collections.abc import Callable
from types import BuiltinFunctionType
from typing import Any, Final, TypeAlias

from harness.errors import WorldError
from harness.units import SECOND
from harness.world.cfunction import Redirection

Source: TypeAlias = Callable[[], int | None]
"""What a clock shows to the code that asks, in nanoseconds; None: what it really shows."""

_WALLS: Final = frozenset(getattr(time, name) for name in ("CLOCK_REALTIME", "CLOCK_TAI") if hasattr(time, name))

true_time_ns: Final[Callable[[], int]] = Redirection(time.time_ns, lambda original: original).original
"""`time.time_ns` as it would be without us, whatever is redirected."""


def _nobody() -> int | None:
    return None


def _count(original: Callable[[], Any], scale: int, source: Source) -> Callable[[], Any]:
    """Redirect a function that returns the time (`scale` nanoseconds a unit; 1: as an integer)."""

    def read() -> Any:
        now_ns = source()
        if now_ns is None:
            return original()
        return now_ns if scale == 1 else now_ns / scale

    return read


def _chosen(original: Callable[[int], Any], scale: int, wall: Source, steady: Source) -> Callable[[int], Any]:
    """Redirect a function that is told which clock to read."""

    def clock_gettime(clock: int) -> Any:
        now_ns = wall() if clock in _WALLS else steady()
        if now_ns is None:
            return original(clock)
        return now_ns if scale == 1 else now_ns / scale

    return clock_gettime


def _broken_down(original: Callable[..., Any], wall: Source) -> Callable[..., Any]:
    """Gmtime, localtime, ctime: without an argument they mean now."""

    def convert(*args: Any) -> Any:
        if args in ((), (None,)):
            now_ns = wall()
            if now_ns is not None:
                return original(now_ns // SECOND)
        return original(*args)

    return convert


def _formatted(original: Callable[..., Any], explicit: int, wall: Source) -> Callable[..., Any]:
    """Strftime (1 argument before the time), asctime (none)."""

    def render(*args: Any) -> Any:
        if len(args) == explicit:
            now_ns = wall()
            if now_ns is not None:
                return original(*args, time.localtime(now_ns // SECOND))
        return original(*args)

    return render


def redirections(wall: Source, steady: Source = _nobody) -> list[Redirection]:
    """Return one redirection a function of `time` that reads the wall clock, none installed.

    `steady` is what `clock_gettime` shows of the clocks that are no wall clocks. Raises `WorldError` where this
    interpreter cannot be redirected.
    """
    found: list[Redirection] = []

    def add(name: str, make: Callable[..., Callable[..., Any]], *args: Any) -> None:
        function = getattr(time, name, None)
        if function is not None:
            found.append(Redirection(function, lambda original: make(original, *args)))

    add("time", _count, SECOND, wall)
    add("time_ns", _count, 1, wall)
    add("clock_gettime", _chosen, SECOND, wall, steady)
    add("clock_gettime_ns", _chosen, 1, wall, steady)
    for name in ("gmtime", "localtime", "ctime"):
        add(name, _broken_down, wall)
    add("asctime", _formatted, 0, wall)
    add("strftime", _formatted, 1, wall)
    return found


_real_now: Final = datetime.datetime.__dict__["now"]
_real_utcnow: Final = datetime.datetime.__dict__["utcnow"]
_fromtimestamp: Final = datetime.datetime.__dict__["fromtimestamp"]
_armed: list[Source] = []


def _at(cls: Any, now_ns: int, tz: datetime.tzinfo | None) -> Any:
    seconds, rest_ns = divmod(now_ns, SECOND)
    return _fromtimestamp.__get__(None, cls)(seconds, tz).replace(microsecond=rest_ns // 1000)


def _now(cls: Any, tz: datetime.tzinfo | None = None) -> Any:
    """Return the current local date and time, or that of time zone `tz`."""
    now_ns = _armed[0]()
    return _real_now.__get__(None, cls)(tz) if now_ns is None else _at(cls, now_ns, tz)


def _utcnow(cls: Any) -> Any:
    """Return the current UTC date and time, without a time zone."""
    now_ns = _armed[0]()
    if now_ns is None:
        return _real_utcnow.__get__(None, cls)()
    return _at(cls, now_ns, datetime.UTC).replace(tzinfo=None)


def _instead(stand_in: Callable[..., Any], _original: Callable[..., Any]) -> Callable[..., Any]:
    return stand_in


def arm_datetime(wall: Source) -> None:
    """Put the dispatchers in place, for the life of the process, and reach the function objects that exist already.

    Raises `WorldError` if the process is armed already: two sources would contradict each other.
    """
    if _armed:
        raise WorldError("the wall clock of this process has a source already")
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
    _armed.append(wall)
    for name, method in (("now", _now), ("utcnow", _utcnow)):
        method.__name__ = name
        method.__qualname__ = f"datetime.{name}"
        attributes[name] = classmethod(method)
    ctypes.pythonapi.PyType_Modified(ctypes.py_object(datetime.datetime))
    for function in bound:
        method = _now if function.__name__ == "now" else _utcnow
        stand_in = functools.partial(method, function.__self__)
        Redirection(function, functools.partial(_instead, stand_in)).install()
