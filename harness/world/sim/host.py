"""What a host program sees of its machine in the sim world."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from harness.errors import unknown_name
from harness.history.events import Event
from harness.history.recorder import OperationLog
from harness.tape import Stream, Tape


class SimHost:
    """Implements `harness.world.base.Host`."""

    __slots__ = (
        "_stopping",
        "_tape",
        "_targets",
        "disk",
        "endpoints",
        "incarnation",
        "listen",
        "log",
        "name",
        "now_ns",
        "params",
        "past",
    )

    def __init__(
        self,
        *,
        log: OperationLog,
        disk: Path,
        endpoints: Mapping[str, str],
        params: Mapping[str, Any],
        past: Sequence[Event],
        targets: Mapping[str, Callable[..., Any]],
        tape: Tape,
        stopping: asyncio.Event,
        listen: Callable[[], Any],
    ) -> None:
        self.name = log.actor
        self.incarnation = log.incarnation
        self.disk = disk
        self.endpoints = endpoints
        self.params = params
        self.log = log
        self.past = past
        self.now_ns = log.now_ns
        self.listen = listen
        self._targets = targets
        self._tape = tape
        self._stopping = stopping

    def draws(self, label: str) -> Stream:
        """The tape's stream `workload/<host>/<label>`."""
        return self._tape.stream(f"workload/{self.name}/{label}")

    def target(self, port: str) -> Callable[..., Any]:
        """The factory of the code under test behind that port."""
        if port not in self._targets:
            raise unknown_name("port", port, self._targets)
        return self._targets[port]

    async def stopping(self) -> None:
        """Return once the run asks the host to finish."""
        await self._stopping.wait()
