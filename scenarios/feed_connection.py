"""One WebSocket connection of a client of the feed: websockets' protocol without I/O, on asyncio's transports.

Not websockets' own client, for two reasons: a thousand of these live in one process, and a client must be able to read
as slowly as it likes, or not at all, which a library that reads ahead does not allow.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, cast
from urllib.parse import urlsplit

from websockets.client import ClientProtocol
from websockets.frames import Frame, Opcode
from websockets.http11 import Response
from websockets.protocol import State
from websockets.uri import WebSocketURI

from scenarios.feed_record import NAME_HEADER

_MESSAGE_BYTES_MAX: Final = 1 << 22
_SWITCHING: Final = 101


@dataclass(frozen=True, slots=True)
class End:
    """How a connection ended: by a close frame (`code`, `reason`), an HTTP status instead of an upgrade, or just so."""

    code: int | None = None
    reason: str = ""
    status: int | None = None

    def __str__(self) -> str:
        if self.status is not None:
            return f"HTTP {self.status}"
        return "lost" if self.code is None else f"closed {self.code}"


class FeedConnection(asyncio.Protocol):
    """A connection. `on_text` is called with each text message; `ended` is set, once, when it is over.

    `open` is set when the upgrade was answered. With `pace` (bytes, seconds) it reads so many bytes, then nothing for
    so long: what is on its way stays in the kernels.
    """

    def __init__(
        self, url: str, *, name: str, on_text: Callable[[bytes], None], pace: tuple[int, float] | None = None
    ) -> None:
        place = urlsplit(url)
        assert place.hostname is not None
        assert place.port is not None
        self._address = (place.hostname, place.port)
        self._protocol = ClientProtocol(
            WebSocketURI(secure=False, host=place.hostname, port=place.port, path=place.path or "/", query=""),
            max_size=_MESSAGE_BYTES_MAX,
        )
        self._name = name
        self._on_text = on_text
        self._pace = pace
        self._transport: asyncio.Transport | None = None
        self._stalled = False
        self.end: End | None = None
        self._status: int | None = None
        loop = asyncio.get_running_loop()
        self.open: asyncio.Future[None] = loop.create_future()
        self.ended: asyncio.Future[End] = loop.create_future()

    async def connect(self) -> bool:
        """Connect and upgrade; return whether that succeeded. Raises OSError if nobody listens."""
        await asyncio.get_running_loop().create_connection(self._on_transport, *self._address)
        waited: set[asyncio.Future[Any]] = {self.open, self.ended}
        await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)
        return self.open.done()

    # --- what a client does -------------------------------------------------------------------------------------

    def send(self, data: bytes, *, binary: bool = False) -> None:
        """Send a message, of text unless `binary`, if the connection is open."""
        if self._protocol.state is State.OPEN:
            (self._protocol.send_binary if binary else self._protocol.send_text)(data)
            self._flush()

    def close(self) -> None:
        """Say goodbye."""
        if self._protocol.state is State.OPEN:
            self._protocol.send_close(1000)
            self._flush()

    def abort(self) -> None:
        """Drop it without a word."""
        if self._transport is not None:
            self._transport.abort()
        self._over()

    def stall(self) -> None:
        """Read nothing more, ever; what is sent goes out."""
        self._stalled = True
        if self._transport is not None:
            self._transport.pause_reading()

    # --- asyncio ------------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask for the upgrade."""
        self._transport = cast("asyncio.Transport", transport)
        request = self._protocol.connect()
        request.headers[NAME_HEADER] = self._name
        self._protocol.send_request(request)
        self._flush()

    def data_received(self, data: bytes) -> None:
        """Take in what was read."""
        self._protocol.receive_data(data)
        self._pump()
        if self._pace is not None and self.end is None and self._transport is not None:
            self._transport.pause_reading()
            asyncio.get_running_loop().call_later(self._pace[1], self._read_on)

    def eof_received(self) -> None:
        """The server has sent all that it will."""
        self._protocol.receive_eof()
        self._pump()

    def connection_lost(self, exc: Exception | None) -> None:
        """It is over."""
        del exc
        self._over()

    def _on_transport(self) -> asyncio.BaseProtocol:
        return self if self._pace is None else _Paced(self, self._pace[0])

    def _read_on(self) -> None:
        if self.end is None and not self._stalled and self._transport is not None:
            self._transport.resume_reading()

    def _pump(self) -> None:
        for event in self._protocol.events_received():
            if isinstance(event, Response):
                self._status = event.status_code
                if event.status_code == _SWITCHING and not self.open.done():
                    self.open.set_result(None)
            elif isinstance(event, Frame) and event.opcode is Opcode.TEXT and self.end is None:
                self._on_text(bytes(event.data))
        self._flush()
        if self._protocol.close_rcvd is not None or self._protocol.handshake_exc is not None:
            self._over()

    def _flush(self) -> None:
        if self._transport is None or self._transport.is_closing():
            return
        for data in self._protocol.data_to_send():
            if data:
                self._transport.write(data)
            else:
                self._transport.close()

    def _over(self) -> None:
        if self.end is not None:
            return
        received = self._protocol.close_rcvd
        if received is not None:
            self.end = End(received.code, received.reason)
        elif self._status not in (None, _SWITCHING):
            self.end = End(status=self._status)
        else:
            self.end = End()
        self.ended.set_result(self.end)


class _Paced(asyncio.BufferedProtocol):
    """Reads a few bytes at a time on behalf of a connection. asyncio's other protocols take whatever has arrived."""

    def __init__(self, connection: FeedConnection, size: int) -> None:
        self._connection = connection
        self._buffer = bytearray(size)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Hand it on."""
        self._connection.connection_made(transport)

    def get_buffer(self, sizehint: int) -> bytearray:
        """Return where to put what is read next."""
        del sizehint
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        """Hand on what was read."""
        self._connection.data_received(bytes(memoryview(self._buffer)[:nbytes]))

    def eof_received(self) -> None:
        """Hand it on."""
        self._connection.eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        """Hand it on."""
        self._connection.connection_lost(exc)
