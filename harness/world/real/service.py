"""The port of a host that serves: kept for it as long as the world lasts, so that it finds it again in its next life.

A port that is merely chosen can be taken, while the host is down, by anybody's outgoing connection. This one is bound
and never listened at: the kernel refuses who connects, and gives the port to nobody who does not ask for it by number.
"""

import socket
from typing import Final

_LOOPBACK: Final = "127.0.0.1"


class Service:
    """One kept port of the loopback address, chosen by the OS."""

    def __init__(self) -> None:
        self._keeper = socket.socket()
        self._keeper.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._keeper.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        self._keeper.bind((_LOOPBACK, 0))
        self.port: int = self._keeper.getsockname()[1]

    @property
    def address(self) -> str:
        """`host:port`."""
        return f"{_LOOPBACK}:{self.port}"

    def close(self) -> None:
        """Let go of the port."""
        self._keeper.close()
