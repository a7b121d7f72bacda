"""The least that a TCP proxy on asyncio protocols can do: the yardstick for the real one's throughput.

Usage: bare_proxy.py UPSTREAM_PORT; prints the port that it listens on.
"""

import asyncio
import sys


class Half(asyncio.Protocol):
    """One socket; what it receives goes to its peer."""

    def __init__(self, peer=None):
        self.peer = peer
        self.transport = None

    def connection_made(self, transport):
        self.transport = transport
        if self.peer is None:
            self.peer = Half(self)
            transport.pause_reading()
            task = asyncio.ensure_future(
                asyncio.get_running_loop().create_connection(lambda: self.peer, "127.0.0.1", int(sys.argv[1]))
            )
            TASKS.add(task)
            task.add_done_callback(TASKS.discard)
        else:
            self.peer.transport.resume_reading()

    def data_received(self, data):
        self.peer.transport.write(data)

    def pause_writing(self):
        self.peer.transport.pause_reading()

    def resume_writing(self):
        self.peer.transport.resume_reading()

    def connection_lost(self, exc):
        if self.peer.transport is not None:
            self.peer.transport.close()


TASKS = set()


async def main():
    server = await asyncio.get_running_loop().create_server(Half, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.Event().wait()


asyncio.run(main())
