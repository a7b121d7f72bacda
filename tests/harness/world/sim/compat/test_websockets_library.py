"""The websockets library, client and server."""

import asyncio

import websockets
from websockets.asyncio.client import connect
from websockets.asyncio.server import serve


async def echo_server():
    async def echo(connection):
        async for message in connection:
            await connection.send(message)

    async with serve(echo, "0.0.0.0", 9000):
        await asyncio.Event().wait()


def test_messages_and_closing_handshake(simulate):
    """Text, bytes and large messages are echoed, each round trip 2 ms; both sides close in order."""

    async def director(lab):
        lab.serve(echo_server)

        async def use():
            async with connect("ws://server:9000") as connection:
                lab.note("open")
                for message in ("hello", b"\x00\x01", "x" * 300_000):
                    await connection.send(message)
                    assert await connection.recv() == message
                    lab.note(len(message))
            lab.note("closed", connection.close_code)

        await lab.client(use)

    lab = simulate(director)
    (opened, _), (hello, _), (binary, _), (large, _), (closed, _, code) = lab.events
    assert opened < 0.01
    assert (hello, binary) == (round(opened + 0.002, 6), round(opened + 0.004, 6))
    assert large - binary < 0.1
    assert closed - large < 0.01
    assert code == 1000


def test_keepalive_fails_under_a_partition(simulate):
    """The ping of second 20 gets no pong in 20 s, so the connection is failed, whatever the server thinks."""

    async def director(lab):
        lab.serve(echo_server)

        async def use():
            connection = await connect("ws://server:9000")
            lab.note("open")
            try:
                await connection.recv()
            except websockets.ConnectionClosedError as error:
                lab.note("closed", error.sent.code, error.sent.reason)

        client = asyncio.ensure_future(lab.client(use))
        await lab.until(1)
        lab.cut()
        await client

    lab = simulate(director)
    (opened, _), (closed, _, code, reason) = lab.events
    assert (code, reason) == (1011, "keepalive ping timeout")
    # 20 s to the ping, 20 s for its pong, 10 s for a closing handshake that nobody answers.
    assert round(closed - opened, 3) == 50.0


def test_a_partition_shorter_than_the_keepalive_is_survived(simulate):
    """What was sent into a partition arrives once it heals."""

    async def director(lab):
        lab.serve(echo_server)

        async def use():
            async with connect("ws://server:9000") as connection:
                await asyncio.sleep(1)
                await connection.send("into the void")
                lab.note(await connection.recv())

        client = asyncio.ensure_future(lab.client(use))
        await lab.until(0.5)
        lab.cut()
        await lab.until(10)
        lab.heal()
        await client

    lab = simulate(director)
    ((received, text),) = lab.events
    assert text == "into the void"
    assert 10 < received < 30


def test_a_killed_peer_is_a_reset_and_a_restart_is_found(simulate):
    """The kill reaches the client within the link's 1 ms; reconnecting works once the server is back."""

    async def director(lab):
        lab.serve(echo_server)

        async def use():
            async for connection in connect("ws://server:9000"):
                lab.note("open")
                try:
                    await connection.recv()
                except websockets.ConnectionClosedError as error:
                    lab.note("lost", error.rcvd, error.sent)
                if lab.now() > 4:
                    return

        client = asyncio.ensure_future(lab.client(use))
        await lab.until(2)
        lab.kill()
        await lab.until(4)
        lab.serve(echo_server)
        await lab.until(15)
        assert lab.reset() == 1
        await client

    lab = simulate(director)
    kinds = [event[1:] for event in lab.events]
    assert kinds == [("open",), ("lost", None, None), ("open",), ("lost", None, None)]
    assert lab.events[1][0] == 2.001
    assert 4 < lab.events[2][0] < 15
    assert lab.events[3][0] == 15.0
