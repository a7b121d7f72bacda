"""The subscription to `policy.updated`. Notifications are hints: they make a refresh sooner; nothing relies on them.

A connection that only listens notices neither a partition nor a firewall that has forgotten it. What finds out is the
polling: a version that came up without having been announced means that the subscription is dead, and it is made anew.
Polling also says when there is a Redis to subscribe to, so that there is one who knocks while it is away, not two.
"""

import asyncio
import contextlib
from collections.abc import Callable

from reference_impl._policy.conversation import Line
from reference_impl._policy.model import Counters


class Subscription:
    """The listening of one store. `hint` is called when a refresh should be made soon."""

    def __init__(self, line: Line, counters: Counters, hint: Callable[[], None]) -> None:
        self._line = line
        self._counters = counters
        self._hint = hint
        self._task: asyncio.Task[None] | None = None
        self._announced: int | None = None
        """The highest version heard of; None until subscribed."""
        self._known = 0
        """The version that was known when Redis was last asked."""

    async def follow(self, version: int) -> None:
        """Redis has just been asked, and that is the newest version: see to it that there is a live subscription.

        A version counts as not announced if it still is not the next time: its announcement may be on its way.
        """
        overlooked = self._announced is not None and self._announced < self._known
        self._known = version
        if overlooked:
            await self.stop()
        if self._task is None or self._task.done():
            self._counters.subscriptions += 1
            self._task = asyncio.get_running_loop().create_task(self._listen(), name="policy-store-subscription")

    async def stop(self) -> None:
        """Listen no more."""
        task = self._task
        while task is not None and not task.done():  # again: what redis-py waits with can swallow a cancellation
            task.cancel()
            await asyncio.wait([task], timeout=0.1)

    async def _listen(self) -> None:
        self._announced = None
        async with contextlib.aclosing(self._line.notes()) as notes:
            async for note in notes:
                self._heard(note)
        self._announced = None

    def _heard(self, note: bytes) -> None:
        if self._announced is None:  # just subscribed: what was announced before that is not known
            self._announced = self._known
            self._hint()
            return
        version = int(note) if note.isdigit() and len(note) < 20 else 0  # noqa: PLR2004 - anybody can publish anything
        self._announced = max(self._announced, version)
        if version != self._known:
            self._hint()
