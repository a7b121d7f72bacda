"""Faults of a disk: it is full, and nothing that a host writes succeeds; or files are damaged while the host is down.

The evidence of damage is `damage` observations, which the worlds make of what they did to which file. That of a full
disk is `disk` observations, which the worlds make below the target: in the sim world each write that SQLite or
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
from harness.world.damage import DAMAGES


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


@dataclass(frozen=True, slots=True)
class DiskDamage:
    """A host dies, and finds files damaged when it starts again."""

    on: str
    pattern: str
    modes: Sequence[str]
    name: str = "disk.damage"

    @asynccontextmanager
    async def hold(self, stage: Stage, mode: str, stream: Stream) -> AsyncIterator[None]:
        """Kill the host and damage what it wrote; start it again."""
        spec = stage.host(self.on)
        await stage.world.kill_host(self.on)
        try:
            await stage.world.damage_disk(self.on, self.pattern, mode, stream)
            yield
        finally:
            await stage.world.start_host(spec)

    def evidence(self, history: History, window: FaultWindow) -> Evidence:
        """It bit if there was a file to damage."""
        damaged = [
            seen.value
            for seen in observations(history, "damage")
            if seen.actor == self.on and window.start_ns <= seen.time_ns <= (window.end_ns or seen.time_ns)
        ]
        changed = sum(value["changed"] for value in damaged)
        return Evidence(bit=bool(damaged), counts={"files": len(damaged), "bytes": changed})


def damage(host: str, pattern: str, *modes: str) -> DiskDamage:
    """SIGKILL, then every file matching the glob `pattern` on the host's disk is damaged; healing starts the host.

    Modes (all by default, rotating with the seed): `truncated`, `emptied`, `zeroed`, `garbled`, `removed`.
    """
    chosen = modes or tuple(DAMAGES)
    if unknown := set(chosen) - set(DAMAGES):
        raise ValueError(f"unknown damage {sorted(unknown)}; known: {', '.join(DAMAGES)}")
    return DiskDamage(on=host, pattern=pattern, modes=chosen)


def disk_full(host: str) -> DiskFull:
    """Nothing that the host writes succeeds; reading and deleting do. Its disk stays full over a restart."""
    return DiskFull(on=host)
