"""Clocks of the sim world, and `virtual`, which virtualises a process for the length of one run.

How clocks are redirected at their source: harness/world/wall_clock.py. Only the thread of the run sees it; see
active.py.

Hosts live in UTC: what local time is must not depend on the machine a seed is replayed on.
"""

import contextlib
import datetime  # noqa: ICN001 - the class is looked at, not a name of it
import os
import socket
import sys
import time
from _thread import get_ident
from collections.abc import Callable, Iterator
from typing import Any, Final

from harness.errors import EscapeError, WorldError
from harness.units import SECOND
from harness.world import wall_clock
from harness.world.cfunction import Redirection
from harness.world.sim import databases, entropy, escapes, full_disks, shims
from harness.world.sim.active import RUN, Escapes
from harness.world.sim.machine import Machine

_FIRST_PID: Final = 1001


def _wall() -> int | None:
    return RUN.machine.wall_ns() if get_ident() == RUN.thread else None


def _steady() -> int | None:
    return RUN.machine.now_ns() if get_ident() == RUN.thread else None


def _steady_clock(original: Callable[[], Any], scale: int) -> Callable[[], Any]:
    if scale == 1:
        return lambda: RUN.machine.now_ns() if get_ident() == RUN.thread else original()
    return lambda: RUN.machine.now_ns() / scale if get_ident() == RUN.thread else original()


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
    found = wall_clock.redirections(_wall, _steady)

    def add(name: str, make: Callable[..., Callable[..., Any]], *args: int) -> None:
        function = getattr(time, name, None)
        if function is not None:
            found.append(Redirection(function, lambda original: make(original, *args)))

    for name in ("monotonic", "perf_counter", "process_time", "thread_time"):
        add(name, _steady_clock, SECOND)
        add(f"{name}_ns", _steady_clock, 1)
    found.append(Redirection(socket.gethostname, _hostname))
    found.append(Redirection(os.getpid, _process_id))
    return found


wall_clock.arm_datetime(_wall)
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
        stack.callback(full_disks.free_all)
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
