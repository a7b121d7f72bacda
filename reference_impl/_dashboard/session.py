"""One connection: hello, then frames out and pings in, until somebody ends it. It waits for its own client only.

Closing codes: 4400 malformed, 4401 no valid hello in time, 4408 stalled or silent, 4409 too far behind in
critical events, 4429 too many messages, 1009 too large a message, 1012 restart, 1013 full.
"""

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any, Final

from starlette.websockets import WebSocket, WebSocketDisconnect

from reference_impl._dashboard.feed import Feed, Had, Joined
from reference_impl._dashboard.frames import BatchTexts, Hello, Ping, heartbeat, pong, read, snapshot, welcome
from reference_impl._dashboard.model import SECOND_NS, Options
from reference_impl._dashboard.position import Position
from reference_impl._dashboard.window import RateWindow
from reference_impl._dashboard.wire import wire_of

MALFORMED: Final = 4400
UNAUTHORIZED: Final = 4401
TOO_SLOW: Final = 4408
FELL_BEHIND: Final = 4409
FLOODS: Final = 4429
TOO_BIG: Final = 1009
RESTART: Final = 1012
FULL: Final = 1013


class Ending(Exception):  # noqa: N818 - not an error: how a connection ends
    """The connection is to be closed with this code and reason."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


class Session:
    """One client's. `poke` has a tick come at a monotonic time in ns; a tick looks whether `due` is past."""

    def __init__(
        self,
        number: int,
        websocket: WebSocket,
        feed: Feed,
        options: Options,
        texts: BatchTexts,
        poke: Callable[[int], None],
    ) -> None:
        self.number = number
        self.position: Position | None = None
        self.ended_as: int | None = None
        """The code that this side closed the connection with."""
        self._websocket = websocket
        self._wire = wire_of(websocket)
        self._feed = feed
        self._options = options
        self._texts = texts
        self._poke = poke
        self._messages = RateWindow(options.client_messages_per_second)
        self._pings: deque[Ping] = deque()
        self._wake = asyncio.Event()
        self._ended: asyncio.Future[Ending] = asyncio.get_running_loop().create_future()
        self._now = time.monotonic_ns
        self._heard_at = self._framed_at = self._now()
        self._sending_since: int | None = None
        self._in_hand = 0
        self._hello: Hello | None = None

    @property
    def queued_bytes(self) -> int:
        """How many bytes this process holds for the client."""
        return self._wire.buffered + self._in_hand

    def end(self, code: int, reason: str) -> None:
        """Have the connection closed."""
        if not self._ended.done():
            self._ended.set_result(Ending(code, reason))

    def due(self) -> int:
        """Return when something is to be done for this client, a monotonic time in ns; may have passed."""
        options = self._options
        deadline = self._heard_at + int(options.silence_timeout * SECOND_NS)
        if self._sending_since is not None:
            return min(deadline, self._sending_since + int(options.stall_timeout * SECOND_NS))
        if self.position is None:
            return deadline
        ready = self.position.due(self._feed.log)
        beat = self._framed_at + int(options.heartbeat * SECOND_NS)
        return min(deadline, beat if ready is None else min(ready, beat))

    def tick(self, now: int) -> None:
        """Do what is due."""
        options = self._options
        if now >= self._heard_at + int(options.silence_timeout * SECOND_NS):
            self.end(TOO_SLOW, "silent: no ping was heard")
        elif self._sending_since is None:
            self._wake.set()
        elif now >= self._sending_since + int(options.stall_timeout * SECOND_NS):
            self.end(TOO_SLOW, "stalled: a frame could not be sent")

    def excuse(self, late: int) -> None:
        """Do not hold against the client a time in which this process did not run, in ns."""
        self._heard_at += late
        if self._sending_since is not None:
            self._sending_since += late

    async def run(self, authorize: Callable[[str | None], bool], join: Callable[[Had], Joined]) -> None:
        """Serve the client until the connection ends, by whomever."""
        try:
            await self._race(self._greet(authorize))
            assert self._hello is not None
            hello = self._hello
            joined = join(Had(epoch=hello.epoch, last_seq=hello.last_seq, critical_seq=hello.critical_seq))
            self.position = joined.position
            await self._race(self._send_all(joined), self._receive_all())
        except Ending as ending:
            await self.close(ending.code, ending.reason)
        except (WebSocketDisconnect, OSError):
            self._wire.cut()

    async def close(self, code: int, reason: str) -> None:
        """Say why, and cut the connection if that cannot be sent or is not answered in time."""
        self.ended_as = code
        timeout = self._options.close_timeout
        asyncio.get_running_loop().call_later(timeout, self._wire.cut)
        gone = (TimeoutError, OSError, RuntimeError, WebSocketDisconnect)
        with contextlib.suppress(*gone):
            async with asyncio.timeout(timeout):
                await self._websocket.close(code, reason)

    async def _race(self, *work: Coroutine[Any, Any, None]) -> None:
        """Run these until one ends, or the session is told to. Raises what ended it."""
        tasks = [asyncio.get_running_loop().create_task(one) for one in work]
        ends: list[asyncio.Future[Any]] = [*tasks, self._ended]
        try:
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
        if self._ended.done():
            raise self._ended.result()
        for task in tasks:
            if not task.cancelled():
                task.result()

    async def _greet(self, authorize: Callable[[str | None], bool]) -> None:
        try:
            async with asyncio.timeout(self._options.hello_timeout):
                message = await self._receive()
        except TimeoutError:
            raise Ending(UNAUTHORIZED, "no hello in time") from None
        if not isinstance(message, Hello) or not authorize(message.token):
            raise Ending(UNAUTHORIZED, "hello with a valid token comes first")
        self._hello = message

    async def _send_all(self, joined: Joined) -> None:
        position, feed = joined.position, self._feed
        resumed = joined.snapshot is None
        await self._send(welcome(feed.epoch, feed.seq, position.base, self._options, resumed=resumed))
        if joined.snapshot is not None:
            for text in snapshot(position.base, joined.snapshot, joined.critical_from):
                await self._send(text)
        while True:
            while (frame := self._next(position)) is not None:
                await self._send(frame)
            self._wake.clear()
            self._poke(self.due())
            await self._wake.wait()

    def _next(self, position: Position) -> str | None:
        feed, now = self._feed, self._now()
        if self._pings:
            return pong(self._pings.popleft(), feed.seq)
        if feed.fell_behind(position):
            raise Ending(FELL_BEHIND, "too many critical events behind: resume")
        batch = feed.take(position, now)
        if batch is not None:
            return self._texts.text(batch)
        if now >= self._framed_at + int(self._options.heartbeat * SECOND_NS):
            return heartbeat(position.through, feed.seq)
        return None

    async def _receive_all(self) -> None:
        while True:
            message = await self._receive()
            if not isinstance(message, Ping):
                raise Ending(MALFORMED, "a second hello")
            if len(self._pings) >= self._options.client_messages_per_second:
                raise Ending(FLOODS, "too many messages, and no answer is read")
            self._pings.append(message)
            self._wake.set()

    async def _receive(self) -> Hello | Ping:
        message = await self._websocket.receive()
        if message["type"] == "websocket.disconnect":
            raise WebSocketDisconnect(message.get("code") or 1005)
        self._heard_at = now = self._now()
        if self._messages.room(now) <= 0:
            raise Ending(FLOODS, "too many messages")
        self._messages.add(now, 1)
        text = message.get("text")
        size = len(message.get("bytes") or b"") if text is None else len(text.encode())
        if size > self._options.frame_bytes_max:
            raise Ending(TOO_BIG, "too large a message")
        if text is None:
            raise Ending(MALFORMED, "frames are texts")
        try:
            return read(text)
        except ValueError:
            raise Ending(MALFORMED, "not a frame of this feed") from None

    async def _send(self, text: str) -> None:
        self._framed_at = self._sending_since = self._now()
        self._in_hand = len(text)
        try:
            await self._websocket.send({"type": "websocket.send", "text": text})
        except RuntimeError as error:  # it was closed while the frame waited
            raise WebSocketDisconnect(1006) from error
        self._sending_since = None
        self._in_hand = 0
