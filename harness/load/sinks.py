"""Where Locust's processes put what they record: down the pipe to the host process, or into the next message."""

import os
from collections.abc import Callable
from typing import Final

from harness.history.events import Event
from harness.load import wire
from harness.world.real.secrets_mask import masked

UNHANDLED: Final = "an error in one of Locust's own greenlets or in a listener of its events; the host's log has it"
"""What has gone wrong there Locust only logs, and remembers that there was something."""


def one_line(error: BaseException) -> str:
    """Return an error's type and text in one line without credentials."""
    return masked(" ".join(f"{type(error).__name__}: {error}".split()))[:300]


def pipe(descriptor: int) -> Callable[[bytes], None]:
    """Return what writes lines to a pipe; it waits while the pipe is full, as a history has no holes.

    Without a pipe (-1) there is nobody to tell.
    """

    def write(lines: bytes) -> None:
        while descriptor >= 0 and lines:
            try:
                lines = lines[os.write(descriptor, lines) :]
            except BrokenPipeError:  # the host process is gone, and takes us along
                os._exit(1)

    return write


class Reports:
    """A `Sink` that hands on each event at once, as a line, and tells how the load is. `write` takes whole lines."""

    def __init__(self, write: Callable[[bytes], None]) -> None:
        self.write = write
        self._failed = False

    def record(self, event: Event) -> None:
        """Write one event."""
        self.write(wire.ENCODER.encode(event) + b"\n")

    def began(self) -> None:
        """The load has begun."""
        self.write(wire.ENCODER.encode(wire.LoadBegan()) + b"\n")

    def failed(self, error: str) -> None:
        """Locust is not well; told once, as the rest follows from it."""
        if not self._failed:
            self._failed = True
            self.write(wire.ENCODER.encode(wire.LoadFailed(error)) + b"\n")


class Outbox:
    """A `Sink` that keeps events until they are sent to the master, in order."""

    def __init__(self) -> None:
        self._lines: list[bytes] = []

    def record(self, event: Event) -> None:
        """Keep one event."""
        self._lines.append(wire.ENCODER.encode(event))

    def take(self) -> bytes:
        """Return what was kept, as lines; it is kept no longer."""
        lines, self._lines = self._lines, []
        return b"".join(line + b"\n" for line in lines)
