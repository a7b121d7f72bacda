"""Where Locust's processes put what they record: down the pipe to the host process, or into the next message."""

import os

from harness.history.events import Event
from harness.load import wire
from harness.world.real.secrets_mask import masked


def one_line(error: BaseException) -> str:
    """Return an error's type and text in one line without credentials."""
    return masked(" ".join(f"{type(error).__name__}: {error}".split()))[:300]


class Reports:
    """A `Sink` that writes each event to the pipe at once. Without a pipe there is nobody to tell."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def record(self, event: Event) -> None:
        """Write one event."""
        self.write(wire.ENCODER.encode(event) + b"\n")

    def tell(self, message: wire.LoadBegan | wire.LoadFailed) -> None:
        """Write one message."""
        self.write(wire.ENCODER.encode(message) + b"\n")

    def write(self, lines: bytes) -> None:
        """Write whole lines; waits while the pipe is full, as a history has no holes."""
        while self._descriptor >= 0 and lines:
            try:
                lines = lines[os.write(self._descriptor, lines) :]
            except BrokenPipeError:  # the host process is gone, and takes us along
                os._exit(1)


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
