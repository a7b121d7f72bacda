"""How often the kernel refused a host's writes because its disk is full: told by the kernel itself, signal by signal.

The disk is filled from outside, by RLIMIT_FSIZE (host_process.py). For each write that goes past it the kernel sends
SIGXFSZ to the very thread that wrote, as the write returns EFBIG: one signal for one refused write, none that is not,
whatever library wrote, and nothing the target could fake by accident. Python ignores the signal; here the event loop's
wakeup pipe counts it.
"""

import signal
from asyncio import AbstractEventLoop
from collections.abc import Callable
from typing import Final

_GATHERING_S: Final = 0.25


class RefusedWrites:
    """Counts from `watch` on; `observe` is called with `failed_writes`, at once for the first, then gathered."""

    def __init__(self, observe: Callable[..., None]) -> None:
        self._observe = observe
        self._loop: AbstractEventLoop
        self._count = 0
        self._gathering = False

    def watch(self, loop: AbstractEventLoop) -> None:
        """Begin to count; in the main thread."""
        self._loop = loop
        loop.add_signal_handler(signal.SIGXFSZ, self._refused)

    def flush(self) -> None:
        """Observe what was gathered."""
        count, self._count = self._count, 0
        if count:
            self._observe(failed_writes=count)

    def _refused(self) -> None:
        self._count += 1
        if not self._gathering:
            self.flush()
            self._gathering = True
            self._loop.call_later(_GATHERING_S, self._gathered)

    def _gathered(self) -> None:
        self._gathering = False
        self.flush()
