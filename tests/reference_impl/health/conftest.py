"""Services to check, over real sockets on the loopback address: each answers with the bytes it is given."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field

import pytest

GOOD = b'HTTP/1.1 200 OK\r\nContent-Length: 21\r\n\r\n{"status": "healthy"}'


def answer(body: bytes, status: str = "200 OK", *headers: str) -> bytes:
    """Return a whole answer."""
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


@dataclass
class Served:
    """One service: what it says (None: nothing, ever), in which pieces and pauses, and what it was asked."""

    port: int = 0
    says: bytes | None = GOOD
    piece: int = 1 << 20
    pause: float = 0.0
    asked: list[bytes] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    stays: list[asyncio.StreamWriter] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/health"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            self.asked.append(await reader.readuntil(b"\r\n\r\n"))
            self.times.append(asyncio.get_running_loop().time())
            if self.says is None:
                self.stays.append(writer)
                return
            for start in range(0, len(self.says), self.piece):
                writer.write(self.says[start : start + self.piece])
                await writer.drain()
                if self.pause:
                    await asyncio.sleep(self.pause)
        except (OSError, EOFError, asyncio.CancelledError):
            pass
        writer.close()


@pytest.fixture
async def serve() -> AsyncIterator[Callable[..., Awaitable[Served]]]:
    """Return what starts a service."""
    servers: list[tuple[asyncio.Server, Served]] = []

    async def start(says: bytes | None = GOOD, **how) -> Served:
        served = Served(says=says, **how)
        server = await asyncio.start_server(served.serve, "127.0.0.1", 0)
        served.port = server.sockets[0].getsockname()[1]
        servers.append((server, served))
        return served

    yield start
    for server, served in servers:
        server.close()
        for writer in served.stays:
            writer.transport.abort()


@pytest.fixture
def dead_url() -> str:
    """Where nobody listens: port 9 of the loopback address is privileged, and `discard` is not run any more."""
    return "http://127.0.0.1:9/health"
