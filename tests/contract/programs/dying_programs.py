"""Host programs of test_deaths.py: they write, are killed in the middle of it, and tell what they find."""

import asyncio
from pathlib import Path

from harness.world.base import Host

_PAUSE = 0.01
STEPS = 5


async def count(host: Host) -> None:
    """Keep counting in a file, one operation for each number, in STEPS awaited steps; tell what a new life finds."""
    path = host.disk / "state" / "counter.txt"
    path.parent.mkdir(exist_ok=True)
    host.log.observe("found", content=path.read_bytes().decode("latin-1") if path.exists() else None)
    stopping = asyncio.ensure_future(host.stopping())
    number = 0
    while not stopping.done():
        number += 1
        with host.log.operation("count", number=number):
            for step in range(STEPS):
                _write(path, number, step)
                await asyncio.sleep(_PAUSE)
        await asyncio.sleep(_PAUSE)


async def idle(host: Host) -> None:
    """Do nothing until asked to stop."""
    await host.stopping()


def _write(path: Path, number: int, step: int) -> None:
    path.write_text(f"number {number:06d} step {step}\n" * 100)
