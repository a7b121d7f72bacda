"""Host programs of test_services.py: one serves, over plain TCP or HTTP, the other keeps asking."""

import asyncio
from typing import Any
from urllib.parse import urlsplit

import httpx

from harness.errors import WorldError
from harness.world.base import Host
from scenarios.serving import serving

_PAUSE = 0.02
_PATIENCE = 0.5


async def echo(host: Host) -> None:
    """Answer each line with the life that heard it."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.readline():
            writer.write(b"life %d\n" % host.incarnation)
        writer.close()

    server = await asyncio.start_server(answer, sock=host.listen())
    host.log.observe("listens", endpoints=sorted(host.endpoints))
    await host.stopping()
    server.close()


async def serve_http(host: Host) -> None:
    """Answer each request with the life that heard it, behind uvicorn."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            while (await receive())["type"] != "lifespan.shutdown":
                await send({"type": "lifespan.startup.complete"})
            await send({"type": "lifespan.shutdown.complete"})
            return
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"life %d" % host.incarnation})

    async with serving(host, app):
        host.log.observe("listens", endpoints=sorted(host.endpoints))
        await host.stopping()


async def ask(host: Host) -> None:
    """Ask by a new connection each time, and record each answer, or what came instead."""
    place = urlsplit(host.endpoints["server"])
    stopping = asyncio.ensure_future(host.stopping())
    while not stopping.done():
        host.log.observe("answer", said=await _ask(place.hostname, place.port))
        await asyncio.sleep(_PAUSE)


async def ask_http(host: Host) -> None:
    """Get by one client, and record each answer, or what came instead."""
    stopping = asyncio.ensure_future(host.stopping())
    async with httpx.AsyncClient(base_url=host.endpoints["server"], timeout=_PATIENCE) as client:
        while not stopping.done():
            try:
                said = (await client.get("/")).text
            except httpx.HTTPError as error:
                said = type(error).__name__
            host.log.observe("answer", said=said)
            await asyncio.sleep(_PAUSE)


async def listen_unasked(host: Host) -> None:
    """Try to serve without being a host that serves."""
    try:
        host.listen()
    except WorldError as error:
        host.log.observe("refused", error=f"{type(error).__name__}: {error}")
    await host.stopping()


async def _ask(name: Any, port: Any) -> str:
    try:
        async with asyncio.timeout(_PATIENCE):
            reader, writer = await asyncio.open_connection(name, port)
            try:
                writer.write(b"?\n")
                line = await reader.readline()
            finally:
                writer.close()
            return line.decode().strip() or "closed"
    except OSError as error:
        return type(error).__name__
