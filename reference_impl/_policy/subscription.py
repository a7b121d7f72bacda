"""The subscription to `policy.updated`. Notifications are hints: they make a refresh sooner; nothing relies on them.

A connection that only listens notices neither a partition nor a firewall that has forgotten it. What finds out is the
polling: a version that came up without having been announced means that the subscription is dead, and it is made anew.
"""

import asyncio
import contextlib
import random
from collections.abc import Callable
from typing import Final

from reference_impl._policy.conversation import Line

_PAUSE_MAX: Final = 1.0
"""Seconds before a lost subscription is made again, at most."""


class Subscription:
    """The listening of one store. `hint` is called when a refresh should be made soon."""

    def __init__(self, line: Line, version: Callable[[], int], hint: Callable[[], None]) -> None:
        self._line = line
        self._version = version
        self._hint = hint
        self._task: asyncio.Task[None] | None = None
        self._announced: int | None = None  # None while not subscribed
        self._unannounced = 0

    def start(self) -> None:
        """Begin to listen."""
        self._task = asyncio.get_running_loop().create_task(self._listen(), name="policy-store-subscription")

    async def stop(self) -> None:
        """Listen no more."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait([task])
        self._announced = None

    async def compare(self) -> bool:
        """Compare with what polling has found; return whether the subscription was dead and is made anew.

        A version counts as unannounced if it is still so the next time: its announcement may have been on its way.
        """
        known = self._version()
        overlooked = self._announced is not None and self._announced < self._unannounced
        self._unannounced = known
        if overlooked:
            await self.stop()
            self.start()
        return overlooked

    async def _listen(self) -> None:
        while True:
            async with contextlib.aclosing(self._line.notes()) as notes:
                async for note in notes:
                    self._heard(note)
            self._announced = None
            await asyncio.sleep(random.uniform(0, _PAUSE_MAX))  # noqa: S311 - spreads load, protects nothing

    def _heard(self, note: bytes) -> None:
        if self._announced is None:  # just subscribed: what was announced before that is not known
            self._announced = self._version()
            self._hint()
            return
        version = int(note) if note.isdigit() and len(note) < 20 else 0  # noqa: PLR2004 - anybody can publish anything
        self._announced = max(self._announced, version)
        if version != self._version():
            self._hint()
