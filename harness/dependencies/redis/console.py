"""Our own way to a real server: one command at a time, each over a connection of its own.

Commands of ours go through the unix socket, which no fault closes. What clients meet is tried on the TCP port.
"""

import asyncio
import contextlib
from pathlib import Path
from typing import Any, Final

import hiredis

from harness.dependencies.redis.resp import bulks
from harness.errors import WorldError

_ANSWER_S_MAX: Final = 5.0


class Console:
    """Commands to the server of that name. `password` is the one that it asks for now, "" if it asks for none."""

    def __init__(self, name: str, *, socket_path: Path, port: int, password: str) -> None:
        self._name = name
        self._socket_path = socket_path
        self._port = port
        self.password = password

    async def command(self, *argv: bytes) -> Any:
        """Carry out a command and return its reply. Raises WorldError, also if the reply is an error."""
        try:
            async with asyncio.timeout(_ANSWER_S_MAX):
                connection = await asyncio.open_unix_connection(self._socket_path)
                reply = await _exchange(*connection, self._signed_in(argv))
        except (OSError, EOFError, TimeoutError) as problem:
            raise WorldError(f"{self._name} did not carry out {argv!r}: {problem!r}") from problem
        if isinstance(reply, hiredis.ReplyError):
            raise WorldError(f"{self._name} refused {argv!r}: {reply}")
        return reply

    async def serves(self) -> bool:
        """Tell whether a client of the TCP port is served: a PING is answered by PONG."""
        return bool(await self._tcp(self._signed_in((b"PING",))) == b"PONG")

    async def accepts(self) -> bool:
        """Tell whether the TCP port is open and somebody answers there, be it with refusals.

        QUIT is answered in every condition, and leaves no trace in the server's count of errors.
        """
        return bool(await self._tcp([(b"QUIT",)]) == b"OK")

    def _signed_in(self, argv: tuple[bytes, ...]) -> list[tuple[bytes, ...]]:
        return [(b"AUTH", self.password.encode()), argv] if self.password else [argv]

    async def _tcp(self, requests: list[tuple[bytes, ...]]) -> Any:
        """Return the last reply, None if there was none."""
        try:
            async with asyncio.timeout(_ANSWER_S_MAX):
                return await _exchange(*await asyncio.open_connection("127.0.0.1", self._port), requests)
        except (OSError, EOFError, TimeoutError):
            return None


async def _exchange(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, requests: list[tuple[bytes, ...]]
) -> Any:
    """Send requests, return the last reply and close. Raises OSError, EOFError."""
    try:
        writer.write(b"".join(map(bulks, requests)))
        parser = hiredis.Reader()
        reply: Any = None
        for _ in requests:
            while (reply := parser.gets()) is False:
                data = await reader.read(65_536)
                if not data:
                    raise EOFError("the server closed the connection")
                parser.feed(data)
        return reply
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
