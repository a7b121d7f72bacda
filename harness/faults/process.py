"""Faults of a host process: SIGKILL (with restart), at any time or inside an operation, power off, SIGSTOP."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

from harness.faults.base import Evidence, Stage
from harness.history.events import JSON, HostChanged, Invoke
from harness.history.history import History
from harness.history.query import FaultWindow, operations
from harness.tape import Stream
from harness.units import MICROSECOND

STEPS_MAX: Final = 24
"""How far into an operation a drawn kill may fall. An operation that waits for a disk and an answer takes about ten."""
_DELAY_US_MAX: Final = 20_000

_CHANGE: Final = {"sigkill": "killed", "power-off": "powered_off", "sigstop": "frozen"}


@dataclass(frozen=True, slots=True)
class HostFault:
    """A host dies (and starts again when the fault heals), or stands still."""

    on: str
    modes: Sequence[str]
    name: str

    @asynccontextmanager
    async def hold(self, stage: Stage, mode: str, stream: Stream) -> AsyncIterator[None]:
        """Kill and restart, or freeze and thaw."""
        del stream
        world, spec = stage.world, stage.host(self.on)
        if mode == "sigstop":
            await world.freeze_host(self.on)
        else:
            await world.kill_host(self.on, silent=mode == "power-off")
        try:
            yield
        finally:
            if mode == "sigstop":
                await world.thaw_host(self.on)
            else:
                await world.start_host(spec)

    def evidence(self, history: History, window: FaultWindow) -> Evidence:
        """It bit if the host is on record as having died (or stopped), and had been doing its work until then."""
        change = _CHANGE[window.mode]
        hit = sum(
            isinstance(event, HostChanged) and event.actor == self.on and event.change == change
            for event in history.between(window.start_ns, window.end_ns)
        )
        worked = sum(
            isinstance(event, Invoke) and event.actor == self.on for event in history.between(0, window.start_ns)
        )
        cut_short = sum(
            operation.actor == self.on
            and operation.start_ns <= window.start_ns
            and (operation.end_ns is None or operation.end_ns > window.start_ns)
            for operation in operations(history)
        )
        counts = {change: hit, "operations_before": worked, "operations_cut_short": cut_short}
        return Evidence(bit=hit > 0 and worked > 0, counts=counts)


@dataclass(frozen=True, slots=True)
class KillInside:
    """A host dies inside an operation, and starts again when the fault heals."""

    on: str
    operation: str
    where: Mapping[str, JSON]
    step: int | None
    modes: Sequence[str] = ("sigkill",)
    name: str = "process.kill_inside"

    @asynccontextmanager
    async def hold(self, stage: Stage, mode: str, stream: Stream) -> AsyncIterator[None]:
        """Lie in wait for the operation until healed; then start what was killed."""
        del mode
        world, spec = stage.world, stage.host(self.on)
        steps = stream.below(STEPS_MAX + 1) if self.step is None else self.step
        delay_ns = MICROSECOND * stream.below(1 + stream.below(_DELAY_US_MAX))  # more of the short ones
        kill = world.kill_host_inside(self.on, self.operation, where=self.where, steps=steps, delay_ns=delay_ns)
        killing = asyncio.create_task(kill, name=f"kill {self.on} inside {self.operation}")
        try:
            yield
        finally:
            killing.cancel()
            await asyncio.wait({killing})
        if not killing.cancelled():
            killing.result()
            await world.start_host(spec)

    def evidence(self, history: History, window: FaultWindow) -> Evidence:
        """It bit if the host died after it had begun the operation; `cut_short` is 1 if it died before that ended."""
        killed = next(
            (
                event.time_ns
                for event in history.between(window.start_ns, window.end_ns)
                if isinstance(event, HostChanged) and event.actor == self.on and event.change == "killed"
            ),
            None,
        )
        begun = [
            one
            for one in operations(history, self.operation)
            if one.actor == self.on
            and killed is not None
            and window.start_ns <= one.start_ns <= killed
            and all(one.value.get(name) == value for name, value in self.where.items())
        ]
        cut_short = sum(one.end_ns is None for one in begun)
        return Evidence(bit=bool(begun), counts={"killed": int(killed is not None), "cut_short": cut_short})


def kill(host: str) -> HostFault:
    """SIGKILL: no finally block runs, peers see a reset, the disk stays. Healing starts the host again."""
    return HostFault(on=host, modes=("sigkill",), name="process.kill")


def kill_inside(
    host: str, operation: str, *, where: Mapping[str, JSON] | None = None, step: int | None = None
) -> KillInside:
    """SIGKILL inside the next operation of that name, whose value holds all of `where`; healing starts the host again.

    In the sim world so many of the host's steps after the one that begins the operation, up to STEPS_MAX if drawn; in
    the real world up to 20 ms after it.
    """
    if step is not None and step < 0:
        raise ValueError(f"a host cannot be killed {step} steps into an operation")
    return KillInside(on=host, operation=operation, where=where or {}, step=step)


def power_off(host: str) -> HostFault:
    """The host is gone without a word to its peers. Healing starts it again."""
    return HostFault(on=host, modes=("power-off",), name="process.power_off")


def freeze(host: str) -> HostFault:
    """SIGSTOP until healed by SIGCONT."""
    return HostFault(on=host, modes=("sigstop",), name="process.freeze")
