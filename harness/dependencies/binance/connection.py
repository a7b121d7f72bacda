"""One client's connection: HTTP/1.1 over `asyncio.Protocol`, on any event loop.

Requests of one connection are served one after the other, in order, as by a real server: what a client pipelines waits
until the answer before it is out, however late that is. Nobody else waits. A connection holds a bounded number of
requests, each of bounded size, and is not read from while that many wait or while its client does not read.

What is wrong with a request as HTTP is answered here (400, 413, 414, 431, 505) and ends the connection, in its turn.
The rest of what the client sends is read and thrown away until it stops, as else the kernel would reset the connection
and the client would never see the answer.
"""

import asyncio
import socket
import struct
from collections import deque
from typing import TYPE_CHECKING, Final, Protocol

from harness.dependencies.binance import http_answers
from harness.dependencies.binance.http_requests import Incoming, RequestParser
from harness.dependencies.binance.wire import Answer, Reaction, Request, Reset, Silence
from harness.units import SECOND

if TYPE_CHECKING:
    from harness.dependencies.binance.stream_session import StreamSession

WAITING_MAX: Final = 64
"""Requests that one connection may have waiting; it is not read from until there are fewer."""
IDLE_S_MAX: Final = 75.0
_LINGER_S: Final = 2.0
_LINGER_NOT: Final = struct.pack("ii", 1, 0)


class Owner(Protocol):
    """The server, as its connections see it."""

    def opened(self, connection: "Connection") -> None:
        """A client connected."""

    def lost(self, connection: "Connection") -> None:
        """Its socket is closed."""

    def react(self, request: Request, peer: str) -> Reaction:
        """Say what becomes of a request. Never raises."""

    def upgrade(self, request: Request, connection: "Connection") -> "StreamSession | None":
        """Make a WebSocket of the connection, or return None: there is no stream at that path."""

    def address_of(self, peer: str) -> str:
        """Return the address that limits are counted for."""

    def wall_s(self) -> int:
        """Return the exchange's clock."""


class Connection(asyncio.Protocol):
    """A client's connection."""

    __slots__ = (
        "_busy",
        "_continue_owed",
        "_deaf",
        "_ended",
        "_full",
        "_heard_s",
        "_loop",
        "_owner",
        "_parser",
        "_paused",
        "_session",
        "_timer",
        "_waiting",
        "_watch",
        "peer",
        "transport",
    )

    transport: asyncio.Transport
    _parser: RequestParser

    def __init__(self, owner: Owner) -> None:
        self._owner = owner
        self._loop = asyncio.get_running_loop()
        self._waiting: deque[Incoming] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self._watch: asyncio.TimerHandle | None = None
        self._session: StreamSession | None = None
        self._heard_s = 0.0
        self._busy = False  # an answer is being waited for, or none will ever come
        self._full = False  # the client does not read
        self._paused = False  # we do not read
        self._deaf = False  # what still comes is thrown away
        self._ended = False  # the client sends nothing more
        self._continue_owed = False
        self.peer = ""

    # --- the transport's callbacks ------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin to watch the client."""
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        name = transport.get_extra_info("peername")
        self.peer = name[0] if isinstance(name, tuple) else ""
        self._parser = RequestParser(self._owner.address_of(self.peer), self._take, self._ask)
        self._heard_s = self._loop.time()
        self._watch = self._loop.call_later(IDLE_S_MAX, self._check_idle)
        self._owner.opened(self)

    def data_received(self, data: bytes) -> None:
        """Parse what arrived, and serve what is complete."""
        if self._session is not None:
            self._session.receive(data)
            return
        if self._deaf:
            return
        self._heard_s = self._loop.time()
        rest = self._parser.feed(data)
        if self._parser.upgrade is not None:
            self._become_stream(self._parser.upgrade, rest)

    def eof_received(self) -> bool:
        """The client sends nothing more; it still gets what it is owed."""
        self._ended = True
        if self._session is not None:
            self._session.ended()
            return True
        return bool(self._waiting) or (self._busy and not self._deaf)

    def pause_writing(self) -> None:
        """The client does not read."""
        if self._session is not None:
            self._session.overrun()
            return
        self._full = True
        self._regulate()

    def resume_writing(self) -> None:
        """The client has read."""
        self._full = False
        self._work()

    def connection_lost(self, exc: Exception | None) -> None:
        """The socket is closed."""
        del exc
        for timer in (self._timer, self._watch):
            if timer is not None:
                timer.cancel()
        self._timer = self._watch = None
        self._waiting.clear()
        self._deaf = True
        session, self._session = self._session, None
        if session is not None:
            session.lost()
        self._owner.lost(self)

    # --- what the parser tells ----------------------------------------------------------------------------------

    def _take(self, turn: Incoming) -> None:
        """Serve what came, or let it wait for its turn."""
        if self._deaf:
            return
        self._continue_owed = False
        if turn.refused:
            self._deaf = True
        if self._busy or self._full or self._waiting:
            self._waiting.append(turn)
            self._regulate()
        else:
            self._serve(turn)

    def _ask(self) -> None:
        """The client waits to be asked for its body."""
        if not self._deaf:
            self._continue_owed = True
            self._continue()

    # --- serving ------------------------------------------------------------------------------------------------

    def _work(self) -> None:
        """Serve what waits, as far as it can be."""
        while self._waiting and not self._busy and not self._full:
            self._serve(self._waiting.popleft())
        self._continue()
        self._regulate()
        if self._ended and not self._waiting and not self._busy:
            self.transport.close()

    def _serve(self, turn: Incoming) -> None:
        if turn.request is None:
            self._say(turn, http_answers.refusal(turn.refused))
            return
        reaction = self._owner.react(turn.request, self.peer)
        if isinstance(reaction, Silence):
            self._serve_no_more()
        elif reaction.delay_ns > 0:
            self._busy = True
            self._timer = self._loop.call_later(reaction.delay_ns / SECOND, self._late, turn, reaction)
        elif isinstance(reaction, Reset):
            self.reset()
        else:
            self._say(turn, reaction)

    def _late(self, turn: Incoming, reaction: Answer | Reset) -> None:
        self._busy = False
        self._timer = None
        if isinstance(reaction, Reset):
            self.reset()
        else:
            self._say(turn, reaction)
            self._work()

    def _say(self, turn: Incoming, answer: Answer) -> None:
        data = http_answers.encode(
            answer,
            wall_s=self._owner.wall_s(),
            keep_alive=turn.keep_alive,
            is_http10=turn.is_http10,
            is_head=turn.request is not None and turn.request.method == "HEAD",
        )
        self.transport.write(data)
        if not turn.keep_alive:
            self._finish()

    def _continue(self) -> None:
        """Ask for the body that waits to be asked for, if nothing else is to be said before."""
        if self._continue_owed and not self._busy and not self._waiting:
            self._continue_owed = False
            self.transport.write(http_answers.CONTINUE)

    def _finish(self) -> None:
        """The last answer is out: close, once the client has stopped sending."""
        self._serve_no_more()
        if self._ended or self.transport.is_closing():
            self.transport.close()
            return
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self._timer = self._loop.call_later(_LINGER_S, self.transport.close)

    def _become_stream(self, request: Request, rest: bytes) -> None:
        if self._busy or self._waiting:
            self._take(Incoming(None, keep_alive=False, refused=400))
            return
        self._session = session = self._owner.upgrade(request, self)
        if session is None:
            self._take(Incoming(None, keep_alive=False, refused=404))
        elif rest:
            session.receive(rest)

    # --- ends ---------------------------------------------------------------------------------------------------

    def reset(self) -> None:
        """Reset the connection: the client learns it by a RST."""
        self._serve_no_more()
        sock = self.transport.get_extra_info("socket")
        if sock is not None and sock.fileno() >= 0:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NOT)
        self.transport.abort()

    def shut(self) -> None:
        """The server closes."""
        self._serve_no_more()
        if self._session is not None:
            self._session.close(1001)
        self.transport.close()

    def _serve_no_more(self) -> None:
        """Whatever waits or still comes is not answered."""
        self._deaf = self._busy = True
        self._waiting.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _regulate(self) -> None:
        """Read on, or stop reading, as there is room for what comes."""
        pause = len(self._waiting) >= WAITING_MAX or self._full
        if pause != self._paused:
            self._paused = pause
            if pause:
                self.transport.pause_reading()
            else:
                self.transport.resume_reading()

    def _check_idle(self) -> None:
        """Close a connection on which nothing comes. Who waits for an answer, or for events, is not idle."""
        left_s = self._heard_s + IDLE_S_MAX - self._loop.time()
        if self._busy or self._session is not None:
            left_s = IDLE_S_MAX
        if left_s > 0:
            self._watch = self._loop.call_later(left_s, self._check_idle)
        else:
            self._watch = None
            self.transport.close()
