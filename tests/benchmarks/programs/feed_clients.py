"""Many cheap clients of a feed: no WebSocket library, frames are found by their length and events by a search.

Arguments: port, clients, slow ones among them, seconds. A slow one reads 1 kB a second into a buffer of 4 kB; whoever
is dropped comes back. Prints JSON: delays from publishing to receiving of the others in ms, in order of size, thinned
out to at most 10,000, their number, the number of clients that got fewer than half of the events, and the reconnects.
"""

import asyncio
import base64
import json
import os
import re
import socket
import struct
import sys
import time
from typing import ClassVar

TOKEN = "benchmark-token-of-nobody"
AT = re.compile(rb'"at":(\d+)')
PING_EVERY_S = 3.0
WARM_UP_S = 20.0
"""By then the buffers of slow ones are full."""
SLOW_BYTES_PER_S = 1_000
BUFFER = 4_096


def masked(text: str) -> bytes:
    """Return a client's frame; a mask of zeros masks nothing."""
    data = text.encode()
    assert len(data) < 126
    return struct.pack("!BB4x", 0x81, 0x80 | len(data)) + data


class Client(asyncio.Protocol):
    """One client."""

    delays: ClassVar[list[float]] = []
    counting = False
    reconnects = 0

    def __init__(self, port: int, *, slow: bool) -> None:
        self.port = port
        self.slow = slow
        self.received = 0
        self.closing = False

    async def connect(self) -> None:
        loop = asyncio.get_running_loop()
        sock = socket.socket()
        if self.slow:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER)
        sock.setblocking(False)
        await loop.sock_connect(sock, ("127.0.0.1", self.port))
        await loop.create_connection(lambda: self, sock=sock)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.data = b""
        self.greeted = False
        key = base64.b64encode(os.urandom(16)).decode()
        transport.write(
            f"GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
        )

    def data_received(self, data: bytes) -> None:
        now = time.time_ns()
        if self.slow:
            self.transport.pause_reading()
            pause = len(data) / SLOW_BYTES_PER_S
            asyncio.get_running_loop().call_later(pause, self.read_on, self.transport)
        data = self.data + data
        if not self.greeted:
            head, end, data = data.partition(b"\r\n\r\n")
            if not end:
                self.data = head
                return
            self.greeted = True
            self.transport.write(masked(json.dumps({"type": "hello", "token": TOKEN})))
        while len(data) >= 2:
            length, begin = data[1] & 0x7F, 2
            if length == 126:
                length, begin = int.from_bytes(data[2:4]), 4
            elif length == 127:
                length, begin = int.from_bytes(data[2:10]), 10
            if len(data) < begin + length:
                break
            frame, data = data[begin : begin + length], data[begin + length :]
            if self.counting and not self.slow and b'"batch"' in frame[:20]:
                found = AT.findall(frame)
                self.received += len(found)
                self.delays.extend([(now - int(at)) / 1e6 for at in found])
        self.data = data

    def read_on(self, transport: asyncio.Transport) -> None:
        if not transport.is_closing():
            transport.resume_reading()

    def ping(self) -> None:
        if self.greeted and not self.transport.is_closing():
            self.transport.write(masked('{"type":"ping","id":1}'))

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.closing:
            Client.reconnects += 1
            asyncio.get_running_loop().call_later(0.5, lambda: asyncio.ensure_future(self.connect()))


async def main(port: int, number: int, slow: int, seconds: float) -> None:
    clients = [Client(port, slow=n < slow) for n in range(number)]
    for client in clients:
        await client.connect()
        await asyncio.sleep(0.001)
    loop = asyncio.get_running_loop()
    begin = loop.time() + WARM_UP_S
    end = begin + seconds
    pings = 0
    while (now := loop.time()) < end:
        if not Client.counting and now >= begin:
            Client.counting = True
        for client in clients[pings % 30 :: 30]:
            client.ping()
        pings += 1
        await asyncio.sleep(PING_EVERY_S / 30)
    for client in clients:
        client.closing = True
        client.transport.abort()
    delays = sorted(Client.delays)
    starved = sum(client.received < seconds * 50 / 2 for client in clients[slow:])
    step = max(1, len(delays) // 10_000)
    thinned = [round(delay, 1) for delay in [*delays[::step], *delays[-1:]]]
    print(json.dumps({"delays": thinned, "events": len(delays), "starved": starved, "reconnects": Client.reconnects}))


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4])))
