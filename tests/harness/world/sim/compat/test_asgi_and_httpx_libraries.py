"""uvicorn and FastAPI as the server; httpx and websockets as clients."""

import asyncio
import threading
import time

import httpx
import pytest
import uvicorn
import websockets
from fastapi import FastAPI, WebSocket
from fastapi.responses import StreamingResponse
from websockets.asyncio.client import connect

URL = "http://server:8000"


def application():
    """An app with sync and async endpoints, a stream and a WebSocket."""
    app = FastAPI()

    @app.get("/sync")
    def sync(q: int = 0):
        return {"q": q, "thread": threading.current_thread() is threading.main_thread(), "at": time.time()}

    @app.get("/async")
    async def asynchronous():
        await asyncio.sleep(0.25)
        return {"at": time.monotonic()}

    @app.get("/slow")
    async def slow():
        await asyncio.sleep(30)
        return {}

    @app.post("/size")
    async def size(body: dict[str, str]):
        return {name: len(value) for name, value in body.items()}

    @app.get("/stream")
    async def stream():
        async def parts():
            for number in range(3):
                yield f"{number}\n"
                await asyncio.sleep(1)

        return StreamingResponse(parts())

    @app.websocket("/ws")
    async def socket(ws: WebSocket):
        await ws.accept()
        while True:
            await ws.send_json({"echo": await ws.receive_text()})

    return app


async def serve():
    """Run uvicorn as a program runs it that owns its loop already."""
    config = uvicorn.Config(
        application(), host="0.0.0.0", port=8000, log_config=None, ws="websockets-sansio", lifespan="on"
    )
    await uvicorn.Server(config).serve()


def test_sync_async_and_streaming_endpoints(simulate):
    """Sync endpoints run in virtual time without a thread; pauses take exactly what they say; JSON goes both ways."""

    async def director(lab):
        lab.serve(serve)

        async def use():
            await asyncio.sleep(0.1)
            async with httpx.AsyncClient(base_url=URL) as client:
                body = (await client.get("/sync", params={"q": 3})).json()
                lab.note(body["q"], body["thread"], body["at"] - 1_700_000_000 < lab.now())
                began = lab.now()
                await client.get("/async")
                lab.note("async", round(lab.now() - began, 6))
                lab.note((await client.post("/size", json={"a": "x" * 200_000})).json())
                async with client.stream("GET", "/stream") as response:
                    async for line in response.aiter_lines():
                        lab.note(line, lab.now())

        await lab.client(use)

    lab = simulate(director)
    sync, asynchronous, size, *lines = [event[1:] for event in lab.events]
    assert sync == (3, True, True)
    assert asynchronous == ("async", 0.252)
    assert size == ({"a": 200_000},)
    assert [line for line, _ in lines] == ["0", "1", "2"]
    assert [round(lines[number + 1][1] - lines[number][1], 6) for number in range(2)] == [1.0, 1.0]


def test_httpx_timeouts_under_a_partition_are_exact(simulate):
    """A read timeout on an open connection, a connect timeout on a new one, and success after healing."""

    async def director(lab):
        lab.serve(serve)

        async def use():
            await asyncio.sleep(0.1)
            async with httpx.AsyncClient(base_url=URL, timeout=httpx.Timeout(4, connect=2.5)) as client:
                await client.get("/sync")
                lab.cut()
                for error in (httpx.ReadTimeout, httpx.ConnectTimeout):
                    began = lab.now()
                    with pytest.raises(error):
                        await client.get("/sync")
                    lab.note(round(lab.now() - began, 6))
                lab.heal()
                lab.note((await client.get("/sync")).status_code)

        await lab.client(use)

    lab = simulate(director)
    assert [event[1] for event in lab.events] == [4.0, 2.5, 200]


def test_httpx_sees_resets_kills_and_stale_connections(simulate):
    """A reset and a kill fail the request; a pooled connection that died meanwhile is not used again."""

    async def director(lab):
        lab.serve(serve)

        async def use():
            await asyncio.sleep(0.1)
            async with httpx.AsyncClient(base_url=URL, timeout=60) as client:
                with pytest.raises(httpx.ReadError):
                    await client.get("/slow")
                lab.note("reset")
                assert (await client.get("/sync")).status_code == 200
                lab.kill()
                await asyncio.sleep(0.5)
                lab.serve(serve)
                await asyncio.sleep(0.5)
                assert (await client.get("/sync")).status_code == 200
                lab.note("new connection")
                lab.kill()
                await asyncio.sleep(0.5)
                with pytest.raises(httpx.ConnectError):
                    await client.get("/sync")
                lab.note("refused")

        running = asyncio.ensure_future(lab.client(use))
        await lab.until(3)
        assert lab.reset() == 1
        await running

    lab = simulate(director)
    assert lab.events[0] == (3.0, "reset")
    assert [event[1] for event in lab.events] == ["reset", "new connection", "refused"]


def test_websocket_endpoint(simulate):
    """FastAPI's WebSocket echoes; a kill of the server reaches the client one link later."""

    async def director(lab):
        lab.serve(serve)

        async def use():
            await asyncio.sleep(0.1)
            async with connect("ws://server:8000/ws") as ws:
                await ws.send("hello")
                lab.note(await ws.recv())
                with pytest.raises(websockets.ConnectionClosedError):
                    await ws.recv()
                lab.note("lost")

        running = asyncio.ensure_future(lab.client(use))
        await lab.until(2)
        lab.kill()
        await running

    lab = simulate(director)
    assert lab.events[0][1] == '{"echo":"hello"}'
    assert lab.events[1] == (2.001, "lost")


def test_the_servers_ping_closes_a_silent_websocket(simulate):
    """Uvicorn pings every 20 s and waits 20 s: a client behind a partition is dropped, the endpoint is told."""

    async def director(lab):
        app = FastAPI()

        @app.websocket("/ws")
        async def socket(ws: WebSocket):
            await ws.accept()
            lab.note("open")
            message = await ws.receive()
            lab.note(message["type"], message["code"])

        async def program():
            await uvicorn.Server(
                uvicorn.Config(app, host="0.0.0.0", port=8000, log_config=None, ws="websockets-sansio")
            ).serve()

        lab.serve(program)

        async def use():
            await asyncio.sleep(0.1)
            await connect("ws://server:8000/ws", ping_interval=None)
            await asyncio.sleep(1)
            lab.cut()
            await asyncio.sleep(100)

        await lab.client(use)

    lab = simulate(director)
    (opened, _), (ended, kind, _) = lab.events
    assert kind == "websocket.disconnect"
    assert round(ended - opened, 3) == 40.0
