"""The connections, and one clock for all of them: a tick wakes whoever something is due for.

A tick only looks and wakes; it waits for nobody, and each session sends by itself. So what a client costs the others is
the time to look at it.
"""

import asyncio
import itertools
import time
from collections import Counter
from collections.abc import Callable
from typing import Final

from starlette.websockets import WebSocket

from reference_impl._dashboard.feed import Feed, Had, Joined
from reference_impl._dashboard.frames import BatchTexts
from reference_impl._dashboard.model import SECOND_NS, Options
from reference_impl._dashboard.session import FULL, RESTART, Session

_TICKS_APART_NS: Final = 20_000_000
"""Ticks are at least so far apart: clients that are due at slightly different times are woken together."""
_LATE_NS: Final = SECOND_NS


class Hub:
    """Holds the sessions of one server."""

    session_type: type[Session] = Session

    def __init__(self, feed: Feed, options: Options, authorize: Callable[[str | None], bool]) -> None:
        self.sessions: dict[int, Session] = {}
        self.counters: Counter[str] = Counter()
        self._feed = feed
        self._options = options
        self._authorize = authorize
        self._look_ns = int(min(options.heartbeat, options.stall_timeout, options.silence_timeout) * SECOND_NS)
        self._texts = BatchTexts()
        self._numbers = itertools.count(1)
        self._greeting = 0
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = 0
        self._ticked_at = 0
        self._closing = False
        self._empty = asyncio.Event()
        self._empty.set()

    def published(self) -> None:
        """Have a tick come when what was published is to be sent."""
        due = self._feed.due()
        if due is not None:
            self.poke(due)

    def poke(self, due: int) -> None:
        """Have a tick come at that monotonic time in ns, or before."""
        now = time.monotonic_ns()
        due = max(due, now, self._ticked_at + _TICKS_APART_NS)
        if self._timer is not None:
            if self._timer_at <= due:
                return
            self._timer.cancel()
        self._timer_at = due
        self._timer = asyncio.get_running_loop().call_later((due - now) / SECOND_NS, self._tick)

    async def serve(self, websocket: WebSocket, *, trusted: bool) -> None:
        """Serve one connection that was asked for; `trusted` has shown a token already."""
        await websocket.accept()
        number = next(self._numbers)
        session = self.session_type(number, websocket, self._feed, self._options, self._texts, self.poke)
        self.counters["connected"] += 1
        if self._closing:
            await session.close(RESTART, "the server restarts")
        elif len(self.sessions) >= self._options.max_clients or self._greeting >= self._options.hello_max:
            self.counters["refused"] += 1
            await session.close(FULL, "all places are taken")
        else:
            await self._serve(session, trusted=trusted)

    async def close(self) -> None:
        """Tell all clients, and wait for them, within bounds."""
        self._closing = True
        for session in list(self.sessions.values()):
            session.end(RESTART, "the server restarts")
        try:
            await asyncio.wait_for(self._empty.wait(), 2 * self._options.close_timeout)
        except TimeoutError:
            self.counters["left_behind"] += len(self.sessions)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    async def _serve(self, session: Session, *, trusted: bool) -> None:
        self.sessions[session.number] = session
        self._empty.clear()
        self._greeting += 1
        self.poke(time.monotonic_ns() + self._look_ns)
        greeting = True

        def authorize(token: str | None) -> bool:
            return (trusted and token is None) or self._authorize(token)

        def join(had: Had) -> Joined:
            nonlocal greeting
            greeting = False
            self._greeting -= 1
            joined = self._feed.join(had)
            self.counters["resumed" if joined.snapshot is None else "snapshots"] += 1
            return joined

        try:
            await session.run(authorize, join)
        finally:
            self._greeting -= greeting
            del self.sessions[session.number]
            if session.position is not None:
                self._feed.leave(session.position)
            if session.ended_as is not None:
                self.counters[f"closed_{session.ended_as}"] += 1
            if not self.sessions:
                self._empty.set()

    def _tick(self) -> None:
        self._timer = None
        self._ticked_at = now = time.monotonic_ns()
        self._excuse(now - self._timer_at)
        self._feed.merge(now)
        next_due = self._feed.due()
        if self.sessions:  # one that begins to send now is looked at before it can have stalled
            next_due = min(now + self._look_ns, now + self._look_ns if next_due is None else next_due)
        for session in self.sessions.values():
            due = session.due()
            if due <= now:
                session.tick(now)
            elif next_due is None or due < next_due:
                next_due = due
        if next_due is not None:
            self.poke(next_due)

    def _excuse(self, late: int) -> None:
        """If this process was stopped, or had no processor, clients may have been heard in time but for that."""
        if late > _LATE_NS:
            self.counters["late_ticks"] += 1
            for session in self.sessions.values():
                session.excuse(late)
