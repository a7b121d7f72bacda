"""aiohttp, client and server."""

import asyncio
import io

import aiohttp
import pytest
from aiohttp import web


async def application():
    """Serve /, /echo (POST), /slow (5 s) and /ws on port 8080."""

    async def hello(request):
        return web.json_response({"peer": request.remote})

    async def echo(request):
        return web.Response(body=await request.read())

    async def slow(_request):
        await asyncio.sleep(5)
        return web.Response(text="slow")

    async def socket(request):
        ws = web.WebSocketResponse(heartbeat=10)
        await ws.prepare(request)
        async for message in ws:
            await ws.send_str(message.data.upper())
        return ws

    app = web.Application(client_max_size=10_000_000)
    app.add_routes([web.get("/", hello), web.post("/echo", echo), web.post("/slow", slow), web.get("/ws", socket)])
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "0.0.0.0", 8080).start()
    await asyncio.Event().wait()


URL = "http://server:8080"


def test_requests_keep_alive_large_bodies_and_websockets(simulate):
    """JSON, 3 MB each way, reuse of a connection (one round trip a request), and a WebSocket."""

    async def director(lab):
        lab.serve(application)

        async def use():
            async with aiohttp.ClientSession() as session:
                for _ in range(2):
                    began = lab.now()
                    async with session.get(URL) as response:
                        body = await response.json()
                    lab.note("get", body["peer"], round(lab.now() - began, 6))
                data = bytes(range(256)) * 12_000
                async with session.post(f"{URL}/echo", data=io.BytesIO(data)) as response:
                    lab.note("echo", await response.read() == data)
                async with session.ws_connect(f"{URL}/ws") as ws:
                    await ws.send_str("shout")
                    lab.note("ws", await ws.receive_str())

        await lab.client(use)

    lab = simulate(director)
    first, second, echo, ws = [event[1:] for event in lab.events]
    assert first[1].startswith("10.0.")
    assert first[2] == 0.004
    assert second[2] == 0.002
    assert echo == ("echo", True)
    assert ws == ("ws", "SHOUT")


def test_timeouts_under_a_partition_are_exact(simulate):
    """A total timeout ends a request on an open connection, a connect timeout one on a new connection."""

    async def director(lab):
        lab.serve(application)

        async def use():
            timeout = aiohttp.ClientTimeout(total=4, sock_connect=3)
            async with aiohttp.ClientSession(timeout=timeout) as session:
                async with session.get(URL) as response:
                    await response.read()
                lab.cut()
                for error in (TimeoutError, aiohttp.ServerTimeoutError):
                    began = lab.now()
                    with pytest.raises(error):
                        await session.get(URL)
                    lab.note(round(lab.now() - began, 6))
                lab.heal()
                async with session.get(URL) as response:
                    lab.note(response.status)

        await lab.client(use)

    lab = simulate(director)
    assert [event[1] for event in lab.events] == [4.0, 3.0, 200]


def test_a_reset_and_a_kill_reach_the_waiting_request(simulate):
    """A reset fails a request at once, a kill one link later, and then connections are refused."""

    async def director(lab):
        lab.serve(application)

        async def use():
            async with aiohttp.ClientSession() as session:
                for _ in range(2):
                    with pytest.raises(aiohttp.ClientConnectionError) as caught:
                        await session.post(f"{URL}/slow")  # a GET would be tried again
                    lab.note(type(caught.value).__name__)
                with pytest.raises(aiohttp.ClientConnectorError, match="Connect"):
                    await session.get(URL)
                lab.note("refused")

        running = asyncio.ensure_future(lab.client(use))
        await lab.until(2)
        assert lab.reset() == 1
        await lab.until(4)
        lab.kill()
        await running

    lab = simulate(director)
    assert [event[0] for event in lab.events] == [2.0, 4.001, 4.003]
    assert [event[1] for event in lab.events][2] == "refused"


def test_the_servers_heartbeat_closes_a_silent_websocket(simulate):
    """Ten seconds to the ping, five for the pong: the server gives up on a client behind a partition."""

    async def director(lab):
        closed = []

        async def server():
            async def socket(request):
                ws = web.WebSocketResponse(heartbeat=10)
                await ws.prepare(request)
                async for _ in ws:
                    pass
                lab.note("server closed", ws.close_code)
                closed.append(1)
                return ws

            app = web.Application()
            app.add_routes([web.get("/ws", socket)])
            runner = web.AppRunner(app)
            await runner.setup()
            await web.TCPSite(runner, "0.0.0.0", 8080).start()
            await asyncio.Event().wait()

        lab.serve(server)

        async def use():
            async with aiohttp.ClientSession() as session:
                ws = await session.ws_connect(f"{URL}/ws")
                lab.note("open", ws.closed)
                await asyncio.sleep(1)
                lab.cut()
                await asyncio.sleep(60)

        await lab.client(use)
        assert closed

    lab = simulate(director)
    (opened, _, _), (ended, _, _) = lab.events
    assert ended - opened == pytest.approx(15, abs=1.01)
