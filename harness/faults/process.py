"""Faults of a host process: SIGKILL (with restart), power off, SIGSTOP."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from harness.faults.base import Evidence, Stage
from harness.history.events import HostChanged, Invoke
from harness.history.history import History
from harness.history.query import FaultWindow, operations
from harness.tape import Stream

_CHANGE = {"sigkill": "killed", "power-off": "powered_off", "sigstop": "frozen"}


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


def kill(host: str) -> HostFault:
    """SIGKILL: no finally block runs, peers see a reset, the disk stays. Healing starts the host again."""
    return HostFault(on=host, modes=("sigkill",), name="process.kill")


def power_off(host: str) -> HostFault:
    """The host is gone without a word to its peers. Healing starts it again."""
    return HostFault(on=host, modes=("power-off",), name="process.power_off")


def freeze(host: str) -> HostFault:
    """SIGSTOP until healed by SIGCONT."""
    return HostFault(on=host, modes=("sigstop",), name="process.freeze")
