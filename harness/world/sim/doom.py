"""A kill at one of a host's steps: the host begins an operation, and so many steps later it is dead.

Every step of a host ends where its code awaits something, so killing it after each step in turn is killing it at every
await. Waiting for the operation costs nothing unless somebody waits: the host's log is given another sink meanwhile.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

from harness.history.events import Event
from harness.history.recorder import Sink
from harness.world.sim.incarnation import Incarnation

if TYPE_CHECKING:
    import asyncio


class Tripwire:
    """A sink that passes everything on, and calls `begun` after an event of which `begins` is true."""

    __slots__ = ("_begins", "_begun", "sink")

    def __init__(self, sink: Sink, begins: Callable[[Event], bool], begun: Callable[[], None]) -> None:
        self.sink = sink
        self._begins = begins
        self._begun = begun

    def record(self, event: Event) -> None:
        """Pass an event on."""
        self.sink.record(event)
        if self._begins(event):
            self._begun()


class Doom:
    """One host that is to be killed after so many more steps. The loop tells of each step that any host took."""

    __slots__ = ("_kill", "_steps", "done", "host")

    def __init__(self, host: Incarnation, steps: int, kill: Callable[[], None], done: "asyncio.Future[None]") -> None:
        self.host = host
        self.done = done
        self._steps = steps
        self._kill = kill

    def stepped(self, host: Incarnation) -> bool:
        """Count a step; return whether the host has now been killed, or is dead anyway."""
        if host is not self.host:
            return not self.host.alive
        if self._steps and self.host.alive:
            self._steps -= 1
            return False
        if self.host.alive:
            self._kill()
            if not self.done.done():
                self.done.set_result(None)
        return True
