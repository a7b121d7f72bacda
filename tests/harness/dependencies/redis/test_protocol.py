"""The server on a socket: what only shows with a client that misbehaves."""

import asyncio
import socket
import time

from harness.dependencies.redis.protocol import UNREAD_BYTES_MAX, serve
from harness.dependencies.redis.resp import bulks
from harness.dependencies.redis.state import RedisState


async def test_a_client_that_never_reads_is_cut_off():
    """What piles up for a client is bounded; beyond that its connection is reset and others are served on."""
    server = await serve("127.0.0.1", 0, state=RedisState(now_ns=time.time_ns))
    loop = asyncio.get_running_loop()
    value = b"x" * (1 << 20)
    with socket.socket() as lazy:
        lazy.setblocking(False)
        await loop.sock_connect(lazy, ("127.0.0.1", server.port))
        await loop.sock_sendall(lazy, bulks([b"SET", b"k", value]))
        requests = bulks([b"GET", b"k"]) * (3 * UNREAD_BYTES_MAX // len(value))
        await loop.sock_sendall(lazy, requests)
        async with asyncio.timeout(10):
            while server.engine.connections_received == 0 or server.engine.sessions:  # noqa: ASYNC110 - no event for a client's end
                await asyncio.sleep(0)
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(b"PING\r\n")
    assert await reader.readline() == b"+PONG\r\n"
    writer.close()
    await writer.wait_closed()
    await server.close()
