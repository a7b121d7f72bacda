"""One WebSocket connection of a Locust user: websockets' protocol without I/O, on a blocking socket.

A user waits for its server and for nothing else, so it needs none of the threads that websockets' own blocking client
starts for each connection; gevent makes the waiting cheap.
"""

import contextlib
import socket
from typing import Final
from urllib.parse import urlsplit

from websockets.client import ClientProtocol
from websockets.frames import Frame, Opcode
from websockets.http11 import Response
from websockets.protocol import State
from websockets.uri import WebSocketURI

from harness.load.session import Session
from scenarios.feed_connection import End
from scenarios.feed_record import NAME_HEADER

_READ_MAX: Final = 1 << 16
_MESSAGE_BYTES_MAX: Final = 1 << 22
_SWITCHING: Final = 101


class Connection:
    """A connection to a host that serves; connecting raises OSError. `end` says how it ended, once it has."""

    def __init__(self, session: Session, to: str, path: str, *, name: str, timeout_s: float) -> None:
        place = urlsplit(session.endpoints[to])
        assert place.hostname is not None
        assert place.port is not None
        self._links = session.links
        self._to = to
        self._socket: socket.socket = session.dial(to, timeout_s)
        self._protocol = ClientProtocol(
            WebSocketURI(secure=False, host=place.hostname, port=place.port, path=path, query=""),
            max_size=_MESSAGE_BYTES_MAX,
        )
        self._status: int | None = None
        self.end: End | None = None
        self._early: list[bytes] = []
        self._ends_early = False
        request = self._protocol.connect()
        request.headers[NAME_HEADER] = name
        self._protocol.send_request(request)
        self._flush()

    @property
    def open(self) -> bool:
        """Was the upgrade answered, and is it not over?"""
        return self._status == _SWITCHING and self.end is None

    def receive(self, timeout_s: float) -> list[bytes]:
        """Wait for one reading; return the messages that are whole by it, none after the timeout or the end.

        What comes along with the answer to the upgrade is the next reading: who waits for the answer reads no messages.
        """
        if self._early:
            return self._take_early()
        was_open = self.open
        try:
            self._socket.settimeout(timeout_s)
            data = self._socket.recv(_READ_MAX)
        except TimeoutError:
            return []
        except OSError:
            self._links.saw(self._to, "reset")
            self._over()
            return []
        if data:
            self._protocol.receive_data(data)
        else:
            self._links.saw(self._to, "closed")
            self._protocol.receive_eof()
        texts = self._texts()
        self._flush()
        ends = not data or self._protocol.close_rcvd is not None or self._protocol.handshake_exc is not None
        if texts and not was_open:
            self._early, self._ends_early = texts, ends
            return []
        if ends:
            self._over()
        return texts

    def _take_early(self) -> list[bytes]:
        early, self._early = self._early, []
        if self._ends_early:
            self._over()
        return early

    def send(self, data: bytes) -> None:
        """Send a text message, if the connection is open."""
        if self._protocol.state is State.OPEN:
            self._protocol.send_text(data)
            self._flush()

    def close(self) -> None:
        """Say goodbye, and drop it."""
        if self._protocol.state is State.OPEN and self.end is None:
            self._protocol.send_close(1000)
            self._flush()
        self._over()

    def _texts(self) -> list[bytes]:
        texts = []
        for event in self._protocol.events_received():
            if isinstance(event, Response):
                self._status = event.status_code
            elif isinstance(event, Frame) and event.opcode is Opcode.TEXT:
                texts.append(bytes(event.data))
        return texts

    def _flush(self) -> None:
        """Send what the protocol has to say. What cannot be sent is noticed by the next reading."""
        for data in self._protocol.data_to_send():
            with contextlib.suppress(OSError):
                if data:
                    self._socket.sendall(data)
                else:
                    self._socket.shutdown(socket.SHUT_WR)

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
        self._socket.close()
