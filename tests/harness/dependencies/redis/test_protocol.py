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


async def _talk(requests, *, until_closed):
    """Send bytes to a new server and return what comes back, and the server."""
    server = await serve("127.0.0.1", 0, state=RedisState(now_ns=time.time_ns))
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(requests)
    async with asyncio.timeout(10):
        replies = await (reader.read() if until_closed else reader.readline())
    return server, reader, writer, replies


async def test_what_is_wrong_behind_a_blocked_request_is_told_after_its_reply():
    """Garbage that arrives together with a request that waits is an error only once that one is answered."""
    wait = bulks([b"BLPOP", b"k", b"0"])
    server, reader, writer, first = await _talk(bulks([b"PING"]) + wait + b"*1\r\n:1\r\n", until_closed=False)
    assert first == b"+PONG\r\n"
    other_reader, other = await asyncio.open_connection("127.0.0.1", server.port)
    other.write(bulks([b"RPUSH", b"k", b"v"]))
    assert await other_reader.readline() == b":1\r\n"
    async with asyncio.timeout(10):
        assert await reader.read() == b"*2\r\n$1\r\nk\r\n$1\r\nv\r\n-ERR Protocol error: expected '$', got ':'\r\n"
    for stream in (writer, other):
        stream.close()
        await stream.wait_closed()
    await server.close()


async def test_nothing_is_said_about_what_follows_a_goodbye():
    """Behind QUIT neither requests nor garbage are answered."""
    for rest in (bulks([b"PING"]), b"*1\r\n:1\r\n"):
        server, _, writer, replies = await _talk(bulks([b"QUIT"]) + rest, until_closed=True)
        assert replies == b"+OK\r\n"
        writer.close()
        await writer.wait_closed()
        await server.close()
