"""What happened on a host's links, seen from below the target: an event loop that only observes.

The loop overrides `sock_connect`, through which every asyncio connection attempt goes, and has the transports
of connections to known endpoints tell when the peer closes or resets them. The protocol object stays the one
that the library passed, and nothing is added to the path of the data. Connections that a target makes without
asyncio (blocking sockets in threads) are not seen.
"""

import asyncio
import socket
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from typing import Any, Final, Literal, TypeAlias
from urllib.parse import urlsplit

Outcome: TypeAlias = Literal["connected", "refused", "unreachable", "reset", "closed"]

INDIVIDUALLY_MAX: Final = 1_000
"""So many observations of a host are recorded singly; after that, one a second of each kind, with a count."""

_GATHERING_S: Final = 1.0
PORTS: Final = {"redis": 6379, "rediss": 6379, "http": 80, "https": 443, "ws": 80, "wss": 443}


class LinkLog:
    """Turns sightings into `link` observations, few enough of them whatever happens.

    `observe` is called with `to`, `outcome`, and `count` where it stands for several; `already` is how many
    were recorded before; `later` is called with a delay in seconds and what to do then.
    """

    def __init__(
        self,
        observe: Callable[..., None],
        *,
        already: int,
        later: Callable[[float, Callable[[], None]], object],
    ) -> None:
        self._observe = observe
        self._left = INDIVIDUALLY_MAX - already
        self._later = later
        self._gathered: Counter[tuple[str, Outcome]] = Counter()

    def saw(self, to: str, outcome: Outcome) -> None:
        """Take note of one connection's fate."""
        if self._left > 0:
            self._left -= 1
            self._observe(to=to, outcome=outcome)
            return
        if not self._gathered:
            self._later(_GATHERING_S, self.flush)
        self._gathered[to, outcome] += 1

    def flush(self) -> None:
        """Record what was gathered since the last time."""
        gathered, self._gathered = self._gathered, Counter()
        for (to, outcome), count in gathered.items():
            self._observe(to=to, outcome=outcome, count=count)


class AddressBook:
    """Which dependency listens at which numeric address; the first one named wins where two share one."""

    def __init__(self, endpoints: Mapping[str, str]) -> None:
        self._names: dict[tuple[str, int], str] = {}
        for name, url in endpoints.items():
            for address in _addresses(url):
                self._names.setdefault(address, name)

    def name(self, address: object) -> str | None:
        """Return the dependency at that socket address, if it is one's."""
        if isinstance(address, tuple) and len(address) >= 2:  # noqa: PLR2004 - (host, port, ...) of IPv4 and IPv6
            return self._names.get((address[0], address[1]))
        return None


class ObservingEventLoop(asyncio.SelectorEventLoop):
    """The event loop of a host process."""

    def __init__(self, endpoints: Mapping[str, str]) -> None:
        super().__init__()
        self._book = AddressBook(endpoints)
        self.links: LinkLog | None = None

    async def sock_connect(self, sock: socket.socket, address: Any) -> None:
        """Connect as asyncio does, and note what came of it."""
        to = self._book.name(address)
        outcome: Outcome = "unreachable"  # what it stays if the caller gives up
        try:
            await super().sock_connect(sock, address)
            outcome = "connected"
        except ConnectionRefusedError:
            outcome = "refused"
            raise
        except ConnectionError:
            outcome = "reset"
            raise
        finally:
            if to is not None:
                self._saw(to, outcome)

    # asyncio has no public place to learn how a connection ended without standing between library and
    # protocol; these two factories have kept name and signature since Python 3.4.
    def _make_socket_transport(self, sock: socket.socket, *args: Any, **kwargs: Any) -> asyncio.Transport:
        transport: asyncio.Transport = super()._make_socket_transport(sock, *args, **kwargs)  # type: ignore[misc]
        self._watch(sock)
        return transport

    def _make_ssl_transport(self, rawsock: socket.socket, *args: Any, **kwargs: Any) -> asyncio.Transport:
        transport: asyncio.Transport = super()._make_ssl_transport(rawsock, *args, **kwargs)  # type: ignore[misc]
        end = self._watch(rawsock)
        if end is not None:
            _watch_farewell(transport, end)
        return transport

    def _watch(self, sock: socket.socket) -> Callable[[Outcome], None] | None:
        with suppress(OSError):  # not connected any more: asyncio is about to say so itself
            to = self._book.name(sock.getpeername())
            if to is not None:
                transport = self._transports[sock.fileno()]  # type: ignore[attr-defined] # not in typeshed
                return _watch_end(transport, lambda outcome: self._saw(to, outcome))
        return None

    def _saw(self, to: str, outcome: Outcome) -> None:
        if self.links is not None:
            self.links.saw(to, outcome)


def _watch_end(transport: Any, saw: Callable[[Outcome], None]) -> Callable[[Outcome], None]:
    """Have `saw` told how the peer ended this selector transport's connection; not called if we ended it.

    Returns what tells `saw` of an end that shows elsewhere first; only the first end counts.
    """
    on_eof, on_lost = transport._read_ready__on_eof, transport._call_connection_lost
    ended = False

    def end(outcome: Outcome) -> None:
        nonlocal ended
        if not ended:
            ended = True
            saw(outcome)

    def eof() -> None:
        end("closed")
        on_eof()

    def lost(error: Exception | None) -> None:
        if isinstance(error, ConnectionError):
            end("reset")
        elif isinstance(error, OSError):
            end("unreachable")
        del transport._read_ready__on_eof, transport._call_connection_lost  # the cycle through these closures
        on_lost(error)

    transport._read_ready__on_eof, transport._call_connection_lost = eof, lost
    return end


def _watch_farewell(transport: Any, end: Callable[[Outcome], None]) -> None:
    """Have `end` told when the peer says goodbye in TLS: we then close before TCP's end of file shows."""
    protocol = transport._ssl_protocol
    on_eof = protocol._call_eof_received

    def eof(*args: Any) -> None:
        end("closed")
        on_eof(*args)

    protocol._call_eof_received = eof


def _addresses(url: str) -> Iterable[tuple[str, int]]:
    parts = urlsplit(url)
    port = parts.port or PORTS.get(parts.scheme, 0)
    if not parts.hostname or not port:
        return []
    try:
        found = socket.getaddrinfo(parts.hostname, port, type=socket.SOCK_STREAM)
    except OSError:
        return [(parts.hostname, port)]
    return [(str(address[0]), int(address[1])) for *_, address in found]
