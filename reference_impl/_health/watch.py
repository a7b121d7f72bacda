"""The checks go on: a task for each service, so that none waits for another."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, TypeAlias

from reference_impl._health.model import Reading, Service

log = logging.getLogger(__name__)

_SPREAD_S: Final = 0.01
"""Between the first checks of two services: many at the same instant would delay each other."""

Probe: TypeAlias = Callable[[Service], Awaitable[Reading]]
Take: TypeAlias = Callable[[Service, Reading | None, float], float]
"""Takes a finding (None: the check could not be made) and how long it took; returns the pause, from begin to begin."""


class Watch:
    """Checks every service, again and again, from `start` until `close`."""

    def __init__(self, services: Sequence[Service], probe: Probe, take: Take, interval: float) -> None:
        self._services = services
        self._probe = probe
        self._take = take
        self._spread = min(_SPREAD_S, interval / len(services))
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Begin; the first checks are made at once, a little apart."""
        loop = asyncio.get_running_loop()
        self._tasks = [
            loop.create_task(self._watch(service, number * self._spread), name=f"health-check-{service.name}")
            for number, service in enumerate(self._services)
        ]

    @property
    def is_running(self) -> bool:
        """True while every service is being watched."""
        return bool(self._tasks) and not any(task.done() for task in self._tasks)

    async def close(self) -> None:
        """End; no task is left."""
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    async def _watch(self, service: Service, apart: float) -> None:
        """Keep to a grid of times of this service's own, so that checks that were late do not come together for good.

        After a stall that no service's grid survives, they set out anew, as far apart as at first.
        """
        now = asyncio.get_running_loop().time
        due = now() + apart
        while True:
            await asyncio.sleep(max(0.0, due - now()))
            began = now()
            reading = await self._check(service)
            ended = now()
            due += self._take(service, reading, ended - began)
            if due < ended:
                due = ended + apart

    async def _check(self, service: Service) -> Reading | None:
        try:
            return await self._probe(service)
        except Exception:
            log.exception("the check of %s could not be made", service.name)
            return None
