"""What a fault is: how to inject it, how it heals, and what proves that it bit.

A fault is one small object whose scope is a context manager: entering injects, leaving heals, and leaving happens on
every path (the end of its time, Ctrl-C, an error elsewhere). The proof is a pure function of the history, computed
from what the worlds saw below the target (`link` and `unanswered` observations, host changes), never from what the
target says of itself; so a stored history can be judged again.
"""

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol

from harness.errors import unknown_name
from harness.history.history import History
from harness.history.query import FaultWindow
from harness.tape import Stream
from harness.world.base import HostSpec, World


@dataclass(frozen=True, slots=True)
class Stage:
    """Where faults act: the world, and the hosts the scenario put into it."""

    world: World
    hosts: Mapping[str, HostSpec]

    def host(self, name: str) -> HostSpec:
        """Return that host's spec, or raise a `UsageError` naming the nearest one."""
        if name not in self.hosts:
            raise unknown_name("host", name, self.hosts)
        return self.hosts[name]


@dataclass(frozen=True, slots=True)
class Evidence:
    """What a fault did, in counts, and whether that proves that it bit."""

    bit: bool
    counts: Mapping[str, int]


class Fault(Protocol):
    """One kind of fault on one thing. `modes` are its ways of happening, one of which a run takes."""

    @property
    def name(self) -> str:
        """`dependency.fault` or `subject.fault`, as needs and reports name it."""

    @property
    def on(self) -> str:
        """What it hits: a host, a dependency, or a link `a->b`."""

    @property
    def modes(self) -> Sequence[str]:
        """The ways it can happen, at least one."""

    def hold(self, stage: Stage, mode: str, stream: Stream) -> AbstractAsyncContextManager[None]:
        """Inject on entering, heal on leaving. Leaving returns when the thing really works again."""

    def evidence(self, history: History, window: FaultWindow) -> Evidence:
        """Return what it did inside that window. Pure."""


@dataclass(frozen=True, slots=True)
class WithoutEffect:
    """A fault made a no-op: it claims to happen and does nothing. Every run under it must be INCONCLUSIVE."""

    fault: Fault

    @property
    def name(self) -> str:
        """The name of the fault it stands in for."""
        return self.fault.name

    @property
    def on(self) -> str:
        """What the real fault would hit."""
        return self.fault.on

    @property
    def modes(self) -> Sequence[str]:
        """The modes of the real fault."""
        return self.fault.modes

    def hold(self, stage: Stage, mode: str, stream: Stream) -> AbstractAsyncContextManager[None]:
        """Do nothing, and say nothing about it."""
        del stage, mode, stream
        return _Nothing()

    def evidence(self, history: History, window: FaultWindow) -> Evidence:
        """Judge by the real fault's own standard."""
        return self.fault.evidence(history, window)


class _Nothing:
    async def __aenter__(self) -> None:
        return None

    async def __aexit__(self, *_: object) -> None:
        return None
