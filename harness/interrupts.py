"""Ctrl-C and SIGTERM as a question that the program answers when it is ready to, not as an exception out of nowhere.

A signal handler runs between any two instructions of the main thread. What it raises there lands in whatever code that
is: in a weakref callback or a `__del__`, where the interpreter prints it and forgets it, so that the interrupt is lost;
in a target's `except BaseException`; in a teardown, which is then left undone. Hence the first signal raises nothing.
It is noted, and it wakes who waits: those places that can leave in good order look here and do so.

    campaign.py       before each job
    workers.py        while it waits for workers, and in a worker between pieces
    world/sim         at each pause of the loop, every so many steps, but not in its teardown
    worlds.py         in the real world's loop, by cancelling what runs there

A second signal soon after the first says nothing new: `timeout`, `uv run` and terminals pass one on to a program and
to its whole group, so it comes twice. One that comes later is from somebody who gave up waiting: it raises
`KeyboardInterrupt` wherever the program stands, which also gets out of code that never looks here.

Signals belong to the process, and so does the state in this module.
"""

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Final

from harness.units import seconds
from harness.world.cfunction import Redirection

SAME_NS: Final = seconds(1)
"""Signals this close to the first are the same request, passed on by a wrapper."""

_now_ns: Final[Callable[[], int]] = Redirection(time.monotonic_ns, lambda original: original).original
_READ_MAX: Final = 4096


class _Listener:
    """What was heard since it began to listen, and a pipe that becomes readable when something was."""

    def __init__(self) -> None:
        self.first_ns: int | None = None
        self.readable, self.writable = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)

    def hear(self, number: int, frame: FrameType | None) -> None:
        """Handle a signal."""
        del number, frame
        now_ns = _now_ns()
        if self.first_ns is None:
            self.first_ns = now_ns
        elif now_ns - self.first_ns > SAME_NS:
            raise KeyboardInterrupt

    def drain(self) -> None:
        """Make the pipe unreadable again: signals of no concern here wake as well."""
        with suppress(BlockingIOError):
            while len(os.read(self.readable, _READ_MAX)) == _READ_MAX:
                pass

    def close(self) -> None:
        """Give the pipe back."""
        os.close(self.readable)
        os.close(self.writable)


_listener: _Listener | None = None


def asked() -> bool:
    """Was this process asked to end? Stays true; false where nobody listens."""
    return _listener is not None and _listener.first_ns is not None


def descriptors() -> tuple[int, ...]:
    """Return what to wait for beside one's own descriptors. Call `woken` once one of them is readable."""
    return () if _listener is None else (_listener.readable,)


def woken() -> bool:
    """Return `asked`, and wait for the next signal from now on."""
    if _listener is not None:
        _listener.drain()
    return asked()


@contextmanager
def heeded(*numbers: int) -> Iterator[None]:
    """Listen to these signals; then do with them what was done before. Works in the main thread only."""
    global _listener  # noqa: PLW0603 - there is one table of signal handlers a process
    outer, _listener = _listener, _Listener()
    woke = signal.set_wakeup_fd(_listener.writable, warn_on_full_buffer=False)
    before = {number: signal.signal(number, _listener.hear) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(woke)
        _listener.close()
        _listener = outer
