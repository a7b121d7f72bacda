"""The way of a program's connections: what happens at the far end happens to the program."""

import asyncio
import socket
import struct

import pytest

from scenarios.commands.relay import Relay


async def test_a_reset_at_the_far_end_is_a_reset_to_the_program():
    """Not a silence until the program's own time-out, in which nothing would be refused."""

    async def resets(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()

    far = await asyncio.start_server(resets, "127.0.0.1", 0)
    relay = Relay(f"redis://127.0.0.1:{far.sockets[0].getsockname()[1]}")
    await relay.start()
    reader, writer = await asyncio.open_connection("127.0.0.1", int(relay.url.rpartition(":")[2]))
    writer.write(b"x")
    with pytest.raises(ConnectionResetError):
        async with asyncio.timeout(5):
            await reader.read()
    writer.close()
    await relay.close()
    far.close()
