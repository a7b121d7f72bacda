"""The fault of a disk: it is full, and nothing that a host writes succeeds.

The evidence is `disk` observations, which the worlds make below the target: in the sim world each write that SQLite or
Python had refused is counted where it is refused; in the real world the kernel tells of each by SIGXFSZ. A host that
kept away from its disk while it was full leaves no such count, and the fault did not bite.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from harness.faults.base import Evidence, Stage
from harness.history.history import History
from harness.history.query import FaultWindow, observations, operations
from harness.tape import Stream


@dataclass(frozen=True, slots=True)
class DiskFull:
    """No space left on the disk of a host."""

    on: str
    modes: Sequence[str] = ("full",)
    name: str = "disk.full"

    @asynccontextmanager
    async def hold(self, stage: Stage, mode: str, stream: Stream) -> AsyncIterator[None]:
        """Fill the disk, and free it."""
        del mode, stream
        stage.host(self.on)
        await stage.world.fill_disk(self.on)
        try:
            yield
        finally:
            await stage.world.free_disk(self.on)

    def evidence(self, history: History, window: FaultWindow) -> Evidence:
        """It bit if a write of the host was refused."""
        failed = sum(
            seen.value["failed_writes"]
            for seen in observations(history, "disk")
            if seen.actor == self.on and window.start_ns <= seen.time_ns <= (window.end_ns or seen.time_ns)
        )
        tried = sum(
            operation.actor == self.on and window.holds_at(operation.start_ns) for operation in operations(history)
        )
        return Evidence(bit=failed > 0, counts={"failed_writes": failed, "operations": tried})


def disk_full(host: str) -> DiskFull:
    """Nothing that the host writes succeeds; reading and deleting do. Its disk stays full over a restart."""
    return DiskFull(on=host)
