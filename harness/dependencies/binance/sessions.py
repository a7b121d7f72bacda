"""All open WebSockets by name: where the exchange's stream messages go out, and what clients say comes in."""

from dataclasses import dataclass
from typing import Protocol

from harness.dependencies.binance.connection import Connection
from harness.dependencies.binance.stream_session import StreamSession
from harness.dependencies.binance.wire import Request


class Hears(Protocol):
    """The exchange behind the server, as the sessions see it. Nothing raises."""

    def stream_opened(self, name: str, path: str, query: str) -> bool:
        """A WebSocket is asked for; return whether there is such a stream."""

    def stream_said(self, name: str, text: str) -> None:
        """Its client sent a message."""

    def stream_closed(self, name: str) -> None:
        """It is over."""


@dataclass(slots=True)
class StreamCounters:
    """What became of WebSockets. `overrun`: dropped, as their clients read too slowly."""

    streams: int = 0
    streams_open: int = 0
    streams_overrun: int = 0


class Sessions:
    """Implements `StreamOut` for the exchange and `Listener` for the sessions."""

    def __init__(self, hears: Hears) -> None:
        self.counters = StreamCounters()
        self._hears = hears
        self._open: dict[str, StreamSession] = {}

    def open(self, request: Request, connection: Connection) -> StreamSession | None:
        """Make a WebSocket of the connection; None if there is no stream at that path."""
        self.counters.streams += 1
        name = f"stream-{self.counters.streams}"
        if not self._hears.stream_opened(name, request.path, request.query.decode("latin-1")):
            return None
        session = self._open[name] = StreamSession(name, connection.transport, self)
        self.counters.streams_open += 1
        session.open(request)
        return session

    def send(self, key: str, text: str) -> None:
        """Send a message, if the session is still there."""
        session = self._open.get(key)
        if session is not None:
            session.send(text)

    def close(self, key: str, code: int) -> None:
        """Close a session, if it is still there."""
        session = self._open.get(key)
        if session is not None:
            session.close(code)

    def drop_all(self, code: int) -> None:
        """Close every session, and tell nobody: the exchange that knew them is gone."""
        sessions, self._open = self._open, {}
        self.counters.streams_open = 0
        for session in sessions.values():
            session.close(code)

    def said(self, name: str, text: str) -> None:
        """A client sent a text message."""
        self._hears.stream_said(name, text)

    def lost(self, name: str) -> None:
        """A session is over."""
        if self._open.pop(name, None) is not None:
            self.counters.streams_open -= 1
            self._hears.stream_closed(name)

    def overrun(self) -> None:
        """A slow client is being dropped."""
        self.counters.streams_overrun += 1
