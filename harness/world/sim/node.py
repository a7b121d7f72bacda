"""A machine as the network sees it."""

import errno
import os
from typing import Final

from harness.world.sim.sockets import SimSocket

_FIRST_PORT: Final = 32768
_LAST_PORT: Final = 60999
LOOPBACK: Final = frozenset(("localhost", "127.0.0.1", "::1"))
LOCAL: Final = LOOPBACK | {"0.0.0.0", "::", ""}  # noqa: S104 - names, not a bind


class Node:
    """A machine as the network sees it: an address, listeners by port, open sockets by descriptor."""

    __slots__ = ("address", "bound", "code", "listeners", "name", "next_port", "on", "refusing", "sockets")

    def __init__(self, name: str, code: int) -> None:
        self.name = name
        self.code = code
        self.address = f"10.0.{code >> 8}.{code & 255}"
        self.on = False
        self.refusing = False
        self.bound: dict[int, SimSocket] = {}
        self.listeners: dict[int, SimSocket] = {}
        self.sockets: dict[int, SimSocket] = {}
        self.next_port = _FIRST_PORT

    def bind(self, sock: SimSocket, address: str, port: int) -> None:
        """Bind a socket; raise EADDRINUSE or EADDRNOTAVAIL as a kernel does."""
        if address not in LOCAL and address != self.address:
            raise OSError(errno.EADDRNOTAVAIL, os.strerror(errno.EADDRNOTAVAIL))
        if port in self.bound:
            raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE))
        sock.local = (address or "0.0.0.0", port or self.free_port())  # noqa: S104 - simulated
        sock.local_only = address in LOOPBACK
        self.bound[sock.local[1]] = sock

    def free_port(self) -> int:
        """Return the next ephemeral port that is not bound."""
        while True:
            self.next_port = port = self.next_port + 1 if self.next_port < _LAST_PORT else _FIRST_PORT
            if port not in self.bound:
                return port

    def forget(self, sock: SimSocket) -> None:
        """Take a closed socket off the books."""
        self.sockets.pop(sock.fd, None)
        port = sock.local[1]
        for ports in (self.bound, self.listeners):
            if ports.get(port) is sock:
                del ports[port]
