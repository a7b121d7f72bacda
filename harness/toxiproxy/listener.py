"""The port of a proxy, in one of three states: open, closed (connecting is refused), deaf (connecting gets no answer).

The port is ours for as long as the listener lives. While it is closed, a bound socket that never listens keeps it, so
that nobody else can have it and no client can connect to itself from it. That holder shares the port (SO_REUSEADDR)
just for the moments in which the listening socket binds beside it, which Linux allows.

Deaf is what a partition does to connecting, and what no user-space proxy can do by not accepting: the kernel completes
handshakes on its own. But it drops SYNs, without a word, while the queue of connections nobody has accepted is full.
So the queue is made as short as it can be and filled with connections of our own. The client's kernel sends its SYN
again (after 1 s, then 1 s or 2 s, depending on its age), so a connection attempt that was waiting when the partition
ends completes within that time.
"""

import asyncio
import errno
import socket
import struct
from collections.abc import Callable
from collections.abc import Set as AbstractSet
from typing import Final

from harness.toxiproxy.addresses import SocketAddress, show
from harness.toxiproxy.errors import ApiError, cannot_listen

BACKLOG: Final = 4096
_BATCH: Final = 128
_NO_DESCRIPTORS: Final = frozenset((errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM))
_BREATH_S: Final = 0.1
# A backlog of b lets b + 1 connections wait. Not 0: the kernel would think itself flooded, and log that.
_DEAF_BACKLOG: Final = 1
_SO_MEMINFO: Final = 55
_TEXTS: Final = {
    errno.EADDRINUSE: "address already in use",
    errno.EACCES: "permission denied",
    errno.EADDRNOTAVAIL: "cannot assign requested address",
}


class Listener:
    """Owns a port from its creation to `release`; closed at first. `accepted` is called with each connection."""

    def __init__(self, address: SocketAddress, accepted: Callable[[socket.socket], None]) -> None:
        """Take the port; 0 is a free one. Raises `ApiError` (500) if it cannot be had."""
        self._loop = asyncio.get_running_loop()
        self._accepted = accepted
        self._sock: socket.socket | None = None
        self._fillers: list[socket.socket] = []
        self._dropped = 0
        self._holder = _holder(address)
        host, port, *_ = self._holder.getsockname()
        self.address: SocketAddress = (host, port)
        """Numeric, with the port that was chosen."""

    @property
    def is_open(self) -> bool:
        """It listens; deaf or not."""
        return self._sock is not None

    def open(self) -> None:
        """Listen. Raises `ApiError` (500)."""
        _share(self._holder, share=True)
        try:
            sock = _bound(self.address, share=True)
            try:
                sock.listen(BACKLOG)
            except OSError as problem:
                sock.close()
                raise _refused(self.address, problem) from None
        finally:
            _share(self._holder, share=False)
        self._sock = sock
        self._loop.add_reader(sock, self._accept)

    def close(self) -> None:
        """Listen no more: connecting is refused. Who waits to be accepted is reset."""
        if self._sock is not None:
            self._drop_fillers()
            self._loop.remove_reader(self._sock)
            self._sock.close()
            self._sock = None

    def release(self) -> None:
        """Give the port back."""
        self.close()
        self._holder.close()

    @property
    def is_deaf(self) -> bool:
        """Connecting gets no answer."""
        return bool(self._fillers)

    def deafen(self) -> None:
        """Give connecting no answer from now on. Who is connected already is accepted first."""
        sock = self._sock
        if sock is None or self.is_deaf:
            return
        self._loop.remove_reader(sock)
        self._accept()
        sock.listen(_DEAF_BACKLOG)
        self._dropped = _dropped(sock)
        for _ in range(_DEAF_BACKLOG + 1):
            self._fillers.append(_connecting(self.address))

    def hear(self) -> None:
        """Answer again."""
        sock = self._sock
        if sock is None or not self.is_deaf:
            return
        ours = {filler.getsockname() for filler in self._fillers}
        sock.listen(BACKLOG)
        self._accept(ours, at_most=BACKLOG)
        self._drop_fillers()
        self._loop.add_reader(sock, self._accept)

    def take_lost(self) -> int:
        """Return how many SYNs have gone unanswered, repeated ones included, since it was deafened or asked last."""
        if self._sock is None or not self.is_deaf:
            return 0
        before, self._dropped = self._dropped, _dropped(self._sock)
        return self._dropped - before

    def _accept(self, ours: AbstractSet[object] = frozenset(), *, at_most: int = _BATCH) -> None:
        assert self._sock is not None
        for _ in range(at_most):
            try:
                sock, address = self._sock.accept()
            except (BlockingIOError, InterruptedError):
                return
            except ConnectionError:
                continue  # it was reset before we got to it
            except OSError as problem:
                if problem.errno in _NO_DESCRIPTORS:
                    self._rest()
                    return
                raise
            if address in ours:
                sock.close()
            else:
                sock.settimeout(0)
                self._accepted(sock)

    def _rest(self) -> None:
        """No descriptor is free: do not spin on a queue that cannot be emptied."""
        sock = self._sock
        assert sock is not None
        self._loop.remove_reader(sock)

        def go_on() -> None:
            if self._sock is sock and not self.is_deaf:
                self._loop.add_reader(sock, self._accept)

        self._loop.call_later(_BREATH_S, go_on)

    def _drop_fillers(self) -> None:
        for filler in self._fillers:
            filler.close()
        self._fillers.clear()


def _holder(address: SocketAddress) -> socket.socket:
    """Return a socket that keeps the port. Raises `ApiError` (500)."""
    try:
        return _bound(address, share=False)
    except ApiError:
        holder = _bound(address, share=True)  # connections of an earlier owner may still be fading out
        _share(holder, share=False)
        return holder


def _share(sock: socket.socket, *, share: bool) -> None:
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, share)


def _bound(address: SocketAddress, *, share: bool) -> socket.socket:
    """Return a socket with that address. Raises `ApiError` (500)."""
    family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
    try:
        # Protocol named: what is accepted inherits it, and asyncio sends small pieces at once (TCP_NODELAY) only then.
        sock = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    except OSError as problem:
        raise _refused(address, problem) from None
    try:
        sock.settimeout(0)
        _share(sock, share=share)
        if address[0] == "::":
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        sock.bind(address)
    except OSError as problem:
        sock.close()
        raise _refused(address, problem) from None
    return sock


def _refused(address: SocketAddress, problem: OSError) -> ApiError:
    text = _TEXTS.get(problem.errno or 0) or str(problem.strerror).lower()
    return cannot_listen(f" {show(address)}: bind: {text}")


def _connecting(address: SocketAddress) -> socket.socket:
    """Return a socket that connects to our own port; on loopback it is connected on return."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(address[0], address[0])  # noqa: S104 - compared, not bound
    sock = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
    sock.settimeout(0)
    sock.connect_ex((host, address[1]))
    return sock


def _dropped(sock: socket.socket) -> int:
    """Return how many SYNs the kernel has dropped at a listening socket; 0 where it does not tell (not Linux)."""
    try:
        counters = sock.getsockopt(socket.SOL_SOCKET, _SO_MEMINFO, 36)
        return int(struct.unpack_from("=9I", counters)[8])
    except (OSError, struct.error):
        return 0
