"""The way of a program's connections to what it depends on: through the host that started it.

Links are observed where a host connects, and what was observed is what proves that a fault bit. The program connects
here; a connection of the host's own is then made for it. It is refused as soon as that one is: the program sees it
accepted and reset, where it would have been refused.
"""

import asyncio
import contextlib
import socket
import struct
from typing import Final
from urllib.parse import urlsplit, urlunsplit

_CHUNK: Final = 1 << 16
_LINGER_NOT: Final = struct.pack("ii", 1, 0)


class Relay:
    """One address that leads to another. `url` is what to give to the program."""

    def __init__(self, upstream: str) -> None:
        self._place = urlsplit(upstream)
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self.url = upstream

    async def start(self) -> None:
        """Listen on a port that the system chose."""
        self._server = await asyncio.start_server(self._accepted, "127.0.0.1", 0)
        port = self._server.sockets[0].getsockname()[1]
        credentials, sign, _ = self._place.netloc.rpartition("@")
        self.url = urlunsplit(self._place._replace(netloc=f"{credentials}{sign}127.0.0.1:{port}"))

    async def close(self) -> None:
        """Listen no more, and reset what is connected."""
        if self._server is not None:
            self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            await self._lead(reader, writer)
        except (OSError, asyncio.CancelledError):
            _reset(writer)
        finally:
            self._tasks.discard(task)

    async def _lead(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection(self._place.hostname, self._place.port)
        is_lost = False
        try:
            async with asyncio.TaskGroup() as both:
                both.create_task(_copy(reader, far_writer))
                both.create_task(_copy(far_reader, writer))
        except* OSError:
            is_lost = True  # raising here would raise a group
            _reset(far_writer)
        finally:
            far_writer.close()
        if is_lost:
            raise ConnectionResetError
        writer.close()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Pass on what comes, as fast as it is taken, and the end of it."""
    while data := await reader.read(_CHUNK):
        writer.write(data)
        await writer.drain()
    if writer.can_write_eof():
        writer.write_eof()


def _reset(writer: asyncio.StreamWriter) -> None:
    """Have the peer see a reset (RST), not an end."""
    sock = writer.get_extra_info("socket")
    with contextlib.suppress(OSError):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NOT)
    writer.transport.abort()
