"""The socket that programs may look at while a transport owns the real (simulated) one."""

import socket
from typing import Any

from harness.world.sim.sockets import SimSocket


class UserSocket:
    """What `get_extra_info("socket")` hands out.

    Pools poll its file descriptor to learn whether an idle connection died: they get a real pipe that is never
    readable while all is quiet, and -1 (which they take for "readable") once something has arrived.
    """

    __slots__ = ("_sock",)

    def __init__(self, sock: SimSocket) -> None:
        self._sock = sock

    @property
    def family(self) -> socket.AddressFamily:
        """AF_INET or AF_INET6."""
        return self._sock.family

    @property
    def type(self) -> socket.SocketKind:
        """SOCK_STREAM."""
        return self._sock.type

    @property
    def proto(self) -> int:
        """IPPROTO_TCP."""
        return self._sock.proto

    def fileno(self) -> int:
        """Return a descriptor that is safe to poll, or -1."""
        sock = self._sock
        if sock.closed or sock.dead or sock.end_of_file or sock.received or sock.error:
            return -1
        return sock.network.quiet_fd()

    def getsockname(self) -> tuple[str, int]:
        """Return (address, port)."""
        return self._sock.getsockname()

    def getpeername(self) -> tuple[str, int]:
        """Return (address, port) of the peer."""
        return self._sock.getpeername()

    def setsockopt(self, level: int, option: int, value: Any, *rest: Any) -> None:
        """Set an option."""
        self._sock.setsockopt(level, option, value, *rest)

    def getsockopt(self, *args: Any) -> int:
        """Return an option's value."""
        return self._sock.getsockopt(*args)

    def setblocking(self, flag: bool) -> None:
        """Refuse to block."""
        self._sock.setblocking(flag)

    def gettimeout(self) -> float:
        """Return 0: never blocking."""
        return 0.0

    def shutdown(self, how: int) -> None:
        """End the sending side."""
        self._sock.shutdown(how)
