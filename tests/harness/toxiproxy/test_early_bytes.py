"""What a client says before the proxy has reached its server."""

import asyncio
import socket

from harness.toxics.conduit import Conduit
from harness.toxiproxy.relay import Relay
from harness.toxiproxy.traffic import Traffic


class Owner:
    """A proxy without toxics."""

    def keeps_half_close(self, direction):
        """It does not."""
        return False

    def over(self, relay):
        """Nothing to forget."""


async def test_it_waits_unread_and_arrives():
    """On every Python, also where pausing in `connection_made` does not hold (3.11.2): not a byte is lost."""
    loop = asyncio.get_running_loop()
    client, ours = socket.socketpair()
    server, theirs = socket.socketpair()
    for end in (client, ours, server, theirs):
        end.setblocking(False)
    relay = Relay(Conduit([], lambda name: None), Owner(), Traffic().flows)
    client.send(b"early")
    await loop.connect_accepted_socket(lambda: relay.client, ours)
    for _ in range(5):
        await asyncio.sleep(0)
    assert relay.client.flow.received == 0
    client.send(b" words")
    await loop.connect_accepted_socket(lambda: relay.server, theirs)
    heard = b""
    async with asyncio.timeout(5):
        while len(heard) < len(b"early words"):
            heard += await loop.sock_recv(server, 100)
    assert heard == b"early words"
    relay.abort()
    for _ in range(3):
        await asyncio.sleep(0)
    client.close()
    server.close()
