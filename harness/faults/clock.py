"""Faults of a host's wall clock: it is stepped, as by NTP after a long drift, a hypervisor's resume, or a person.

Healing steps it back, which is a second step the other way: a target that survives the first may yet stumble over
that. Monotonic clocks never step. The evidence is `clock` observations, which the worlds make below the target: it
counts how often the host read its wall clock while that was off. A host that never looked was not hit.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

from harness.faults.base import Evidence, Stage
from harness.history.history import History
from harness.history.query import FaultWindow, observations
from harness.tape import Stream
from harness.units import MILLISECOND, ms, seconds
from harness.world.base import World

MODES: Final = ("backward", "forward", "jitter")
"""`backward` and `forward`: once, by 1 s to 2 h. `jitter`: to and fro within 2 s of the truth, until healed."""

_STEP_S_MAX: Final = 7_200
_JITTER_MS_MAX: Final = 2_000
_JITTER_PAUSE_MS: Final = (50, 500)


@dataclass(frozen=True, slots=True)
class ClockStep:
    """The wall clock of a host jumps."""

    on: str
    modes: Sequence[str] = MODES
    name: str = "clock.step"

    @asynccontextmanager
    async def hold(self, stage: Stage, mode: str, stream: Stream) -> AsyncIterator[None]:
        """Step the clock, once or over and over, and step it back."""
        stage.host(self.on)
        clock = _Clock(stage.world, self.on)
        try:
            if mode == "jitter":
                async with clock.jittering(stream):
                    yield
            else:
                sign = -1 if mode == "backward" else 1
                await clock.move(sign * seconds(1 + stream.below(_STEP_S_MAX)))
                yield
        finally:
            await clock.move(-clock.off_ns)

    def evidence(self, history: History, window: FaultWindow) -> Evidence:
        """It bit if the host read its wall clock while that was off."""
        seen = [
            seen.value
            for seen in observations(history, "clock")
            if seen.actor == self.on and window.start_ns <= seen.time_ns <= (window.end_ns or seen.time_ns)
        ]
        reads = sum(value["reads"] for value in seen)
        furthest_ms = max((abs(value["offset_ns"]) // MILLISECOND for value in seen), default=0)
        return Evidence(bit=reads > 0, counts={"reads": reads, "observations": len(seen), "furthest_ms": furthest_ms})


class _Clock:
    """What one fault moved one clock by."""

    def __init__(self, world: World, host: str) -> None:
        self.off_ns = 0
        self._world = world
        self._host = host

    async def move(self, by_ns: int) -> None:
        self.off_ns += by_ns  # before the world is asked: a step that is cancelled half-way has been made
        await self._world.step_clock(self._host, by_ns)

    @asynccontextmanager
    async def jittering(self, stream: Stream) -> AsyncIterator[None]:
        task = asyncio.create_task(self._jitter(stream), name=f"jitter of {self._host}'s clock")
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        if not task.cancelled():
            task.result()

    async def _jitter(self, stream: Stream) -> None:
        while True:
            await self.move(ms(stream.between(-_JITTER_MS_MAX, _JITTER_MS_MAX)) - self.off_ns)
            await self._world.sleep_until(self._world.now_ns() + ms(stream.between(*_JITTER_PAUSE_MS)))


def clock_step(host: str, *modes: str) -> ClockStep:
    """Return the step of a host's wall clock in one of these modes (all by default), rotating with the seed."""
    chosen = modes or MODES
    if unknown := set(chosen) - set(MODES):
        raise ValueError(f"unknown modes of a clock step {sorted(unknown)}; known: {', '.join(MODES)}")
    return ClockStep(on=host, modes=chosen)
