"""What asyncio's own modules see in place of the `socket` module during a run."""

import socket
from typing import Any

from harness.world.sim.network import Network


class SocketModule:
    """The `socket` module, except that `socket.socket` makes simulated sockets."""

    def __init__(self, network: Network) -> None:
        self.socket = network.make_socket

    def __getattr__(self, name: str) -> Any:
        value = getattr(socket, name)
        if name.isupper():  # a constant: asyncio asks for a dozen of them at each connect
            setattr(self, name, value)
        return value
