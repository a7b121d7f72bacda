"""Which run is active, and on which thread: the one piece of state that clocks, dice and guards share.

Everything that is virtualised is process-wide, but only the thread of the sim loop may see it: a progress display or a
test's timeout thread keeps the real clocks. So every replacement asks first `get_ident() == RUN.thread`.
"""

import threading
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from harness.world.sim.machine import Machine

_NO_THREAD: Final = 0
TEXTS_MAX: Final = 20


class Escapes:
    """What left the sim world during one run, or tried to: kept here because code under test may swallow the error.

    `texts` holds the first `TEXTS_MAX` of them, `count` counts all.
    """

    __slots__ = ("count", "texts")

    def __init__(self) -> None:
        self.count = 0
        self.texts: list[str] = []

    def record(self, text: str) -> None:
        """Keep one escape."""
        self.count += 1
        if len(self.texts) < TEXTS_MAX:
            self.texts.append(text)


class Run:
    """The active run; `thread` is 0 when there is none.

    `permits` counts open `escapes.permitted()` blocks, `importing` the modules whose code is being run.
    """

    __slots__ = ("escapes", "importing", "machine", "permits", "pids", "thread")

    def __init__(self) -> None:
        self.thread = _NO_THREAD
        self.machine: Machine  # set by `begin`; nobody reads it while `thread` is 0
        self.escapes = Escapes()
        self.permits = 0
        self.importing = 0
        self.pids: dict[str, int] = {}

    def begin(self, machine: "Machine", escapes: Escapes) -> None:
        """Make `machine` what this thread sees."""
        self.machine = machine
        self.escapes = escapes
        self.permits = 0
        self.importing = 0
        self.pids = {}
        self.thread = threading.get_ident()

    def end(self) -> None:
        """Let this thread see the real world again."""
        self.thread = _NO_THREAD


RUN: Final = Run()
