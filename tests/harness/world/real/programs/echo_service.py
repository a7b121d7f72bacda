"""A host program that serves: a WebSocket that echoes, and a page."""

from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route, WebSocketRoute

from harness.world.base import Host
from scenarios.serving import serving


async def echo(socket) -> None:
    """Send back what comes."""
    await socket.accept()
    async for text in socket.iter_text():
        await socket.send_text(text)


async def page(request) -> PlainTextResponse:
    """Greet, or be ill."""
    ill = request.url.path == "/ill"
    return PlainTextResponse("ill" if ill else "well", status_code=500 if ill else 200)


async def serve(host: Host) -> None:
    """Serve until asked to stop."""
    app = Starlette(routes=[WebSocketRoute("/ws", echo), Route("/ill", page), Route("/", page)])
    async with serving(host, app):
        await host.stopping()


async def in_the_sim_world(host: Host) -> None:
    """What a load host runs elsewhere than in the real world."""
    await host.stopping()
