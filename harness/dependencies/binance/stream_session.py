"""One WebSocket: websockets' sans-I/O protocol over a connection's transport. Which session hears what is the core's.

A client that reads slower than events come is dropped once `UNREAD_BYTES_MAX` pile up, as Binance drops it. Every
`PING_S` it is pinged; without a pong (or anything else) for `SILENT_S_MAX` it is closed. Both figures are Binance's.
"""

import asyncio
import logging
from collections.abc import Callable
from typing import Final, Protocol

from websockets.frames import Frame, Opcode
from websockets.http11 import Request as Handshake
from websockets.protocol import State
from websockets.server import ServerProtocol

from harness.dependencies.binance.wire import Request

UNREAD_BYTES_MAX: Final = 1024 * 1024
MESSAGE_BYTES_MAX: Final = 64 * 1024
PING_S: Final = 180.0
SILENT_S_MAX: Final = 600.0
_CLOSE_S_MAX: Final = 5.0
_ABNORMAL: Final = 1006
_LOG: Final = logging.getLogger(__name__)
_LOG.setLevel(logging.WARNING)  # the library tells of every opening


class Listener(Protocol):
    """Who owns the sessions."""

    def said(self, name: str, text: str) -> None:
        """The client sent a text message."""

    def lost(self, name: str) -> None:
        """The session is over."""

    def overrun(self) -> None:
        """A slow client is being dropped."""


class StreamSession:
    """A WebSocket that was asked for. `open` carries out the handshake."""

    __slots__ = ("_closing", "_heard_s", "_listener", "_loop", "_parts", "_protocol", "_timer", "_transport", "name")

    def __init__(self, name: str, transport: asyncio.Transport, listener: Listener) -> None:
        self.name = name
        self._transport = transport
        self._listener = listener
        self._loop = asyncio.get_running_loop()
        self._protocol = ServerProtocol(max_size=MESSAGE_BYTES_MAX, logger=_LOG)
        self._parts: list[bytes] = []
        self._heard_s = self._loop.time()
        self._timer: asyncio.TimerHandle | None = None
        self._closing = False

    def open(self, request: Request) -> None:
        """Answer the handshake. A malformed one is refused, and the connection ends."""
        self._protocol.receive_data(_raw(request))
        for event in self._protocol.events_received():
            if isinstance(event, Handshake):
                self._protocol.send_response(self._protocol.accept(event))
        if self._protocol.state is State.OPEN:
            self._transport.set_write_buffer_limits(high=UNREAD_BYTES_MAX)
            self._timer = self._loop.call_later(PING_S, self._ping)
        self._flush()

    def receive(self, data: bytes) -> None:
        """Bytes of the client."""
        self._heard_s = self._loop.time()
        protocol = self._protocol
        protocol.receive_data(data)
        for event in protocol.events_received():
            if isinstance(event, Frame):
                self._take(event)
        self._flush()

    def send(self, text: str) -> None:
        """Send a text message, unless the session is closing."""
        if not self._closing and self._protocol.state is State.OPEN:
            self._protocol.send_text(text.encode())
            self._flush()

    def close(self, code: int) -> None:
        """Close it with that code; 1006 is an end without a word."""
        if self._closing:
            return
        self._closing = True
        if code == _ABNORMAL or self._protocol.state is not State.OPEN:
            self._transport.abort()
            return
        self._protocol.send_close(code)
        self._flush()
        self._arm(_CLOSE_S_MAX, self._transport.abort)

    def ended(self) -> None:
        """The client sends nothing more."""
        self._protocol.receive_eof()
        self._flush()
        self._transport.close()

    def overrun(self) -> None:
        """The client does not read: drop it."""
        self._listener.overrun()
        self._closing = True
        self._transport.abort()

    def lost(self) -> None:
        """The socket is closed."""
        self._closing = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._listener.lost(self.name)

    def _take(self, frame: Frame) -> None:
        if frame.opcode in (Opcode.TEXT, Opcode.BINARY, Opcode.CONT):
            self._parts.append(bytes(frame.data))
            if frame.fin:
                text = b"".join(self._parts).decode(errors="replace")
                self._parts.clear()
                self._listener.said(self.name, text)

    def _flush(self) -> None:
        for data in self._protocol.data_to_send():
            if data:
                self._transport.write(data)
            elif self._transport.can_write_eof():
                self._transport.write_eof()
        if self._protocol.close_expected():
            self._closing = True
            self._arm(_CLOSE_S_MAX, self._transport.abort)

    def _ping(self) -> None:
        if self._loop.time() - self._heard_s >= SILENT_S_MAX:
            self.close(1008)
            return
        self._protocol.send_ping(b"%d" % int(self._loop.time()))
        self._flush()
        self._timer = self._loop.call_later(PING_S, self._ping)

    def _arm(self, delay_s: float, callback: Callable[[], None]) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_later(delay_s, callback)


def _raw(request: Request) -> bytes:
    """Return the request as the library wants to parse it."""
    target = request.path.encode("latin-1") + (b"?" + request.query if request.query else b"")
    lines = [b"GET %b HTTP/1.1" % target]
    lines += [f"{name}: {value}".encode("latin-1") for name, value in request.headers.items()]
    return b"\r\n".join(lines) + b"\r\n\r\n"
