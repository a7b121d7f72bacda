"""WebSockets on the server's port, with the websockets library's own client."""

import asyncio

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from harness.dependencies.binance import stream_session


def place(served, path="/private/ws", **options):
    """Return a connection to come."""
    return connect(f"ws://127.0.0.1:{served.port}{path}", proxy=None, **options)


async def test_messages_go_both_ways_and_the_end_is_told(served):
    """The exchange hears where the socket was opened, what the client says, and that it has left."""
    async with place(served, "/private/ws?listenKey=k%3D") as socket:
        await socket.send("echo 1")
        await socket.send(["ec", "ho", " 2"])
        assert [await socket.recv(), await socket.recv()] == ["echo 1", "echo 2"]
        assert served.server.state()["streams_open"] == 1
    await served.until(lambda: served.server.state()["streams_open"] == 0)
    assert served.core.calls == [("opened", "/private/ws", "listenKey=k%3D"), ("closed",)]


async def test_no_stream_is_a_404(served):
    """A path that the exchange does not know is refused at the handshake, and the connection ends."""
    with pytest.raises(InvalidStatus) as refused:
        async with place(served, "/nothing"):
            pass
    assert refused.value.response.status_code == 404
    assert served.server.state()["streams_open"] == 0


async def test_a_failure_at_the_opening_is_counted(served):
    """An exception of the exchange is no stream, and an internal error."""
    with pytest.raises(InvalidStatus):
        async with place(served, "/fail"):
            pass
    assert served.server.state()["internal_errors"] == 1


@pytest.mark.parametrize("code", [1000, 1008, 4000])
async def test_the_exchange_closes_with_a_code(code, served):
    """The client sees the code that the exchange gave."""
    async with place(served) as socket:
        await socket.send(f"close {code}")
        with pytest.raises(ConnectionClosed) as closed:
            await socket.recv()
    assert closed.value.rcvd.code == code
    await served.until(lambda: served.server.state()["connections_open"] == 0)


async def test_the_exchange_may_end_it_without_a_word(served):
    """Code 1006 is an end of the connection without a close frame."""
    async with place(served) as socket:
        await socket.send("close 1006")
        with pytest.raises(ConnectionClosed) as closed:
            await socket.recv()
    assert closed.value.rcvd is None


async def test_pings_are_answered_and_sent(served, monkeypatch):
    """The client's ping gets a pong; the server pings by itself, and the client's pong keeps the session."""
    monkeypatch.setattr(stream_session, "PING_S", 0.02)
    async with place(served, ping_interval=None) as socket:
        heard = []
        recv_frame = socket.protocol.recv_frame

        def seen(frame):
            heard.append(frame.opcode)
            recv_frame(frame)

        socket.protocol.recv_frame = seen
        await asyncio.wait_for(await socket.ping(), 5)
        await served.until(lambda: stream_session.Opcode.PING in heard)
        await socket.send("echo alive")
        assert await socket.recv() == "echo alive"


async def test_a_client_that_says_nothing_is_closed(served, monkeypatch):
    """A peer that sends nothing, not even pongs, for the limit is closed with 1008."""
    monkeypatch.setattr(stream_session, "PING_S", 0.02)
    monkeypatch.setattr(stream_session, "SILENT_S_MAX", 0.05)
    wire = await served.wire()
    wire.send(
        b"GET /private/ws HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
    monkeypatch.setattr(stream_session, "_CLOSE_S_MAX", 0.05)
    said = await wire.rest()
    assert b"101 Switching Protocols" in said
    assert said.endswith(b"\x88\x02\x03\xf0")


async def test_a_slow_client_is_dropped_and_counted(served):
    """Events that pile up unread beyond the bound end that session; another one goes on."""
    async with place(served) as other:
        async with place(served, max_queue=1) as slow:
            await slow.send("flood 400")
            await served.until(lambda: served.server.state()["streams_overrun"] == 1)
        await other.send("echo fine")
        assert await other.recv() == "echo fine"
    await served.until(lambda: served.server.state()["streams_open"] == 0)


async def test_a_broken_frame_ends_the_session(served):
    """An unmasked frame is a protocol error: the session is closed with 1002 and forgotten."""
    async with place(served) as socket:
        socket.transport.write(b"\x81\x02hi")
        with pytest.raises(ConnectionClosed) as closed:
            await socket.recv()
        assert closed.value.rcvd.code == 1002
    await served.until(lambda: served.server.state()["streams_open"] == 0)


async def test_closing_the_server_tells_its_streams(served):
    """At the server's end a client sees 1001."""
    async with place(served) as socket:
        served.server.close()
        with pytest.raises(ConnectionClosed) as closed:
            await socket.recv()
    assert closed.value.rcvd.code == 1001


async def test_a_reset_of_the_server_closes_streams(served):
    """Streams of the exchange that is gone are closed with 1012; the new one is not told of sessions it never had."""
    async with place(served) as socket:
        served.server.reset()
        with pytest.raises(ConnectionClosed) as closed:
            await socket.recv()
    assert closed.value.rcvd.code == 1012
    await served.until(lambda: served.server.state()["streams_open"] == 0)
    assert ("closed",) not in served.core.calls
    assert served.server.state()["internal_errors"] == 0


async def test_a_malformed_handshake_is_refused(served, monkeypatch):
    """Without a key there is no WebSocket; a client that does not close then is closed."""
    monkeypatch.setattr(stream_session, "_CLOSE_S_MAX", 0.02)
    wire = await served.wire()
    wire.send(b"GET /private/ws HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
    assert (await wire.rest()).startswith(b"HTTP/1.1 400 Bad Request")
    await served.until(lambda: served.server.state()["connections_open"] == 0)
