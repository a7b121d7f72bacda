"""Faults of a host's wall clock.

`clock.step`: it is stepped, as by NTP after a long drift, a hypervisor's resume, or a person. Healing steps it back,
which is a second step the other way: a target that survives the first may yet stumble over that. `clock.skew`: it is
off by a little all the while, as that of a host whose NTP does not work: what two hosts with such clocks call the same
instant is not. `clock.drift`: it goes too fast or too slowly, in small steps, as a bad oscillator has it.

Monotonic clocks never step. The evidence is `clock` observations, which the worlds make below the target: it
counts how often the host read its wall clock while that was off. A host that never looked was not hit.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
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

SIDES: Final = ("ahead", "behind")
SPEEDS: Final = ("fast", "slow")

_STEP_S_MAX: Final = 7_200
_SKEW_MS: Final = (50, 30_000)
_DRIFT_PPM: Final = (100, 50_000)
"""From a bad quartz to a virtual machine that is starved of time."""
_DRIFT_EVERY_NS: Final = ms(250)
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
        async with _set_right_after(stage, self.on) as clock:
            if mode == "jitter":
                async with clock.moving(lambda: clock.jitter(stream), "jitter"):
                    yield
            else:
                sign = -1 if mode == "backward" else 1
                await clock.move(sign * seconds(1 + stream.below(_STEP_S_MAX)))
                yield

    def evidence(self, history: History, window: FaultWindow) -> Evidence:
        """It bit if the host read its wall clock while that was off."""
        return _read_while_off(self.on, history, window)


@dataclass(frozen=True, slots=True)
class ClockSkew:
    """The wall clock of a host is ahead or behind by the same, for as long as it holds."""

    on: str
    modes: Sequence[str] = SIDES
    name: str = "clock.skew"

    @asynccontextmanager
    async def hold(self, stage: Stage, mode: str, stream: Stream) -> AsyncIterator[None]:
        """Set the clock wrong, and right again."""
        async with _set_right_after(stage, self.on) as clock:
            await clock.move((1 if mode == "ahead" else -1) * ms(stream.between(*_SKEW_MS)))
            yield

    def evidence(self, history: History, window: FaultWindow) -> Evidence:
        """It bit if the host read its wall clock while that was off."""
        return _read_while_off(self.on, history, window)


@dataclass(frozen=True, slots=True)
class ClockDrift:
    """The wall clock of a host goes too fast or too slowly, and is put right when the fault heals."""

    on: str
    modes: Sequence[str] = SPEEDS
    name: str = "clock.drift"

    @asynccontextmanager
    async def hold(self, stage: Stage, mode: str, stream: Stream) -> AsyncIterator[None]:
        """Move the clock by its rate, four times a second."""
        rate_ppm = (1 if mode == "fast" else -1) * stream.between(*_DRIFT_PPM)
        async with (
            _set_right_after(stage, self.on) as clock,
            clock.moving(lambda: clock.drift(rate_ppm), "drift"),
        ):
            yield

    def evidence(self, history: History, window: FaultWindow) -> Evidence:
        """It bit if the host read its wall clock while that was off."""
        return _read_while_off(self.on, history, window)


def _read_while_off(host: str, history: History, window: FaultWindow) -> Evidence:
    seen = [
        seen.value
        for seen in observations(history, "clock")
        if seen.actor == host and window.start_ns <= seen.time_ns <= (window.end_ns or seen.time_ns)
    ]
    reads = sum(value["reads"] for value in seen)
    furthest_ms = max((abs(value["offset_ns"]) // MILLISECOND for value in seen), default=0)
    return Evidence(bit=reads > 0, counts={"reads": reads, "observations": len(seen), "furthest_ms": furthest_ms})


@asynccontextmanager
async def _set_right_after(stage: Stage, host: str) -> AsyncIterator["_Clock"]:
    """Give the clock of a host, and take back afterwards whatever it was moved by."""
    stage.host(host)
    clock = _Clock(stage.world, host)
    try:
        yield clock
    finally:
        await clock.move(-clock.off_ns)


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
    async def moving(self, how: Callable[[], Coroutine[None, None, None]], name: str) -> AsyncIterator[None]:
        task = asyncio.create_task(how(), name=f"{name} of {self._host}'s clock")
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        if not task.cancelled():
            task.result()

    async def jitter(self, stream: Stream) -> None:
        while True:
            await self.move(ms(stream.between(-_JITTER_MS_MAX, _JITTER_MS_MAX)) - self.off_ns)
            await self._world.sleep_until(self._world.now_ns() + ms(stream.between(*_JITTER_PAUSE_MS)))

    async def drift(self, rate_ppm: int) -> None:
        """Be off by the rate times the time since it began: late wake-ups do not change the rate."""
        began_ns = self._world.now_ns()
        while True:
            await self._world.sleep_until(self._world.now_ns() + _DRIFT_EVERY_NS)
            await self.move((self._world.now_ns() - began_ns) * rate_ppm // 1_000_000 - self.off_ns)


def clock_step(host: str, *modes: str) -> ClockStep:
    """Return the step of a host's wall clock in one of these modes (all by default), rotating with the seed."""
    return ClockStep(on=host, modes=_chosen(modes, MODES))


def clock_skew(host: str, *modes: str) -> ClockSkew:
    """Return a wall clock that is `ahead` or `behind` by 50 ms to 30 s while the fault holds."""
    return ClockSkew(on=host, modes=_chosen(modes, SIDES))


def clock_drift(host: str, *modes: str) -> ClockDrift:
    """Return a wall clock that goes `fast` or `slow`, by 0.01 to 5 %, while the fault holds."""
    return ClockDrift(on=host, modes=_chosen(modes, SPEEDS))


def _chosen(modes: Sequence[str], known: Sequence[str]) -> Sequence[str]:
    if unknown := set(modes) - set(known):
        raise ValueError(f"unknown modes of a clock fault {sorted(unknown)}; known: {', '.join(known)}")
    return modes or known
