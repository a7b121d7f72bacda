"""The HTTP server, with an exchange that does as it is told."""

import asyncio
import itertools
import json
import socket
import struct
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.dependencies.binance import connection
from harness.dependencies.binance import server as server_module

GET = b"GET /a?x=1 HTTP/1.1\r\nHost: h\r\n\r\n"


def request(target, *, method="GET", body=b"", headers=""):
    """Return a request as bytes."""
    length = f"Content-Length: {len(body)}\r\n" if body else ""
    return f"{method} {target} HTTP/1.1\r\nHost: h\r\n{length}{headers}\r\n".encode() + body


async def test_a_request_reaches_the_exchange_raw_and_its_answer_the_client(served):
    """Method, path, raw query and raw body arrive as they were sent; status, headers and body come back."""
    wire = await served.wire()
    wire.send(request("/fapi/v1/order?b=%20&a=1", method="POST", body=b"c=%2B\x80", headers="X-MBX-APIKEY: k\r\n"))
    status, headers, body = await wire.answer()
    assert status == 200
    assert headers["content-type"] == "application/json"
    assert headers["x-mbx-used-weight-1m"] == "1"
    assert headers["date"] == "Tue, 14 Nov 2023 22:13:20 GMT"
    assert json.loads(body) == {
        "method": "POST",
        "path": "/fapi/v1/order",
        "query": "b=%20&a=1",
        "body": "c=%2B\x80",
        "ip": "127.0.0.1",
        "n": 1,
    }
    assert served.core.calls[0].headers["x-mbx-apikey"] == "k"


async def test_all_clients_count_as_one_address_if_asked(serve):
    """With `ip` the exchange sees that address, whoever connects."""
    served = await serve(ip="203.0.113.7")
    wire = await served.wire()
    wire.send(GET)
    assert (await wire.told())["ip"] == "203.0.113.7"


async def test_a_connection_is_kept_until_the_client_asks_to_close(served):
    """Requests follow each other on one connection; `Connection: close` ends it after the answer."""
    wire = await served.wire()
    for number in range(1, 4):
        wire.send(GET)
        assert (await wire.told())["n"] == number
    wire.send(request("/last", headers="Connection: close\r\n"))
    _, headers, _ = await wire.answer()
    assert headers["connection"] == "close"
    assert await wire.rest() == b""


async def test_http_1_0_closes_unless_asked_to_keep(served):
    """An HTTP/1.0 client gets a close, or keep-alive if it asks for it."""
    wire = await served.wire()
    wire.send(b"GET /a HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
    assert (await wire.answer())[1]["connection"] == "keep-alive"
    wire.send(b"GET /b HTTP/1.0\r\n\r\n")
    assert (await wire.answer())[1]["connection"] == "close"
    assert await wire.rest() == b""


async def test_head_has_the_length_and_no_body(served):
    """HEAD is answered like GET without the body, and the connection goes on."""
    wire = await served.wire()
    wire.send(request("/a", method="HEAD"))
    _, headers, body = await wire.answer(head=True)
    assert int(headers["content-length"]) > 0
    assert body == b""
    wire.send(GET)
    assert (await wire.told())["n"] == 2


async def test_the_body_is_asked_for_if_the_client_waits_for_that(served):
    """`Expect: 100-continue` gets its 100 before the body, and the answer after it."""
    wire = await served.wire()
    wire.send(b"POST /a HTTP/1.1\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n")
    assert await wire.reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
    wire.send(b"abc")
    assert (await wire.told())["body"] == "abc"


async def test_the_body_is_asked_for_in_turn(served):
    """The 100 does not overtake the late answer to the request before it."""
    wire = await served.wire()
    wire.send(request("/late?delay_ms=30") + b"POST /b HTTP/1.1\r\nContent-Length: 1\r\nExpect: 100-continue\r\n\r\n")
    assert (await wire.told())["path"] == "/late"
    assert await wire.reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
    wire.send(b"x")
    assert (await wire.told())["path"] == "/b"


async def test_absolute_targets_and_foreign_upgrades_are_plain_requests(served):
    """A target as for a proxy is its path; an upgrade that is not to WebSocket is ignored."""
    wire = await served.wire()
    wire.send(
        request("http://host:1/p/q?x=1") + request("/h2", headers="Connection: Upgrade\r\nUpgrade: h2c\r\n") + GET
    )
    assert [(await wire.told())["path"] for _ in range(3)] == ["/p/q", "/h2", "/a"]


async def test_pipelined_requests_are_answered_in_order_and_nobody_else_waits(served):
    """A late answer holds up its own connection only; what waits there is served afterwards, in order."""
    first, other = await served.wire(), await served.wire()
    first.send(request("/late?delay_ms=100") + request("/b") + request("/c"))
    await served.until(lambda: len(served.core.calls) == 1)
    other.send(request("/other"))
    assert (await other.told())["path"] == "/other"
    assert [call.path for call in served.core.calls] == ["/late", "/other"]
    assert [(await first.told())["path"] for _ in range(3)] == ["/late", "/b", "/c"]


async def test_a_late_answer_is_not_early(served):
    """The delay is kept."""
    wire = await served.wire()
    begun_ns = time.monotonic_ns()
    wire.send(request("/late?delay_ms=80"))
    await wire.told()
    assert time.monotonic_ns() - begun_ns >= 80_000_000


STREAM = b"".join(
    (
        request("/one?x=1"),
        request("/two", method="POST", body=b"hello"),
        b"POST /three HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\nX-Trail: 1\r\n\r\n",
        request("/four", method="DELETE"),
    )
)


class Transport(asyncio.Transport):
    """Takes what is written."""

    def __init__(self):
        super().__init__()
        self.written = b""

    def write(self, data):
        self.written += data

    def is_closing(self):
        return False

    def can_write_eof(self):
        return False

    def close(self):
        """Whoever made it says when it is lost."""

    pause_reading = resume_reading = close


@settings(max_examples=100, deadline=None)
@given(cuts=st.lists(st.integers(1, len(STREAM) - 1), unique=True, max_size=20))
def test_how_bytes_are_cut_makes_no_difference(cuts, served_type):
    """Four requests of all framings, cut anywhere, reach the exchange whole, in order, with their bodies."""

    async def run():
        served = served_type()
        client = connection.Connection(served.server)
        client.connection_made(Transport())
        places = [0, *sorted(cuts), len(STREAM)]
        for start, end in itertools.pairwise(places):
            client.data_received(STREAM[start:end])
        client.connection_lost(None)
        assert client.transport.written.count(b"HTTP/1.1 200 OK") == 4
        return [(one.method, one.path, one.query, one.body) for one in served.core.calls]

    assert asyncio.run(run()) == [
        ("GET", "/one", b"x=1", b""),
        ("POST", "/two", b"", b"hello"),
        ("POST", "/three", b"", b"abcde"),
        ("DELETE", "/four", b"", b""),
    ]


@pytest.mark.parametrize("body", [b"", b"x" * 30_000, b"\r\n\r\n" * 9_000])
@pytest.mark.parametrize("cut", [1, 20, 60])
def test_many_requests_at_once_are_no_long_head(body, cut, served_type):
    """A chunk that holds many whole requests and a part of the next one is not taken for one head without end."""

    async def run():
        served = served_type()
        client = connection.Connection(served.server)
        client.connection_made(Transport())
        one = request("/many", method="POST", body=body, headers=f"A: {'y' * 100}\r\n")
        data = one * (200_000 // len(one)) + one[:cut]
        client.data_received(data)
        client.data_received(one[cut:])
        client.connection_lost(None)
        assert b" 431 " not in client.transport.written
        assert len(served.core.calls) == 200_000 // len(one) + 1

    asyncio.run(run())


LONG = "x" * 20_000
REFUSED = {
    "no HTTP": (b"\x16\x03\x01\x00\xa5 hello\r\n\r\n", 400),
    "a space in a header's name": (b"GET / HTTP/1.1\r\nBad Header: x\r\n\r\n", 400),
    "two lengths": (b"POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab", 400),
    "length and chunked": (b"POST / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    "a chunk's size": (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 400),
    "CONNECT": (b"CONNECT h:1 HTTP/1.1\r\n\r\n", 405),
    "a length beyond the limit": (b"POST / HTTP/1.1\r\nContent-Length: 1048577\r\n\r\n", 413),
    "chunks beyond the limit": (
        b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n200000\r\n" + b"x" * 0x100001,
        413,
    ),
    "a long target": (request(f"/{LONG[:9000]}"), 414),
    "a long header": (request("/", headers=f"A: {LONG}\r\n"), 431),
    "headers without end": (b"GET / HTTP/1.1\r\nA: " + b"x" * 40_000, 431),
    "another version": (b"GET / HTTP/2.0\r\n\r\n", 505),
}


@pytest.mark.parametrize("case", REFUSED)
async def test_what_is_no_acceptable_http_is_refused_in_its_turn(case, served):
    """The request before it is answered, it is refused with its status, and the connection ends."""
    data, expected = REFUSED[case]
    wire = await served.wire()
    wire.send(request("/good?delay_ms=5") + data)
    assert (await wire.told())["path"] == "/good"
    status, headers, _ = await wire.answer()
    assert (status, headers["content-type"], headers["connection"]) == (expected, "text/html", "close")
    assert await wire.rest() == b""
    assert len(served.core.calls) == 1
    assert served.server.counters.internal_errors == 0


@settings(max_examples=300, deadline=None)
@given(chunks=st.lists(st.binary(max_size=60) | st.sampled_from([STREAM, GET, b"GET ", b" HTTP/1.1\r\n", b"\r\n"])))
def test_no_bytes_make_the_server_fail(chunks, served_type):
    """Whatever is sent, nothing is raised, and what is answered is HTTP."""

    async def run():
        served = served_type()
        client = connection.Connection(served.server)
        client.connection_made(Transport())
        for chunk in chunks:
            client.data_received(chunk)
        client.connection_lost(None)
        return client.transport.written, served.server.counters.internal_errors

    written, errors = asyncio.run(run())
    assert written == b"" or written.startswith(b"HTTP/1.1 ")
    assert errors == 0


@pytest.mark.parametrize("delay_ms", [0, 20])
async def test_a_reset_is_a_reset(delay_ms, served):
    """The client gets ECONNRESET, at once or later, also if it has pipelined more; others go on."""
    wire, other = await served.wire(), await served.wire()
    wire.send(request(f"/a?do=reset&delay_ms={delay_ms}") + GET)
    with pytest.raises(ConnectionResetError):
        await wire.rest()
    other.send(GET)
    assert (await other.told())["n"] == 2


async def test_silence_is_silence(served):
    """No answer, no end, and nothing that comes later on the connection is answered or even heard; others go on."""
    wire, other = await served.wire(), await served.wire()
    wire.send(request("/a?do=silence") + request("/b"))
    other.send(GET)
    await other.told()
    wire.send(request("/c"))
    for _ in range(3):
        other.send(GET)
        await other.told()
    assert {call.path for call in served.core.calls} == {"/a"}
    assert not wire.reader.at_eof()
    assert not wire.reader._buffer
    assert served.server.counters.connections_open == 2


async def test_what_fails_inside_is_answered_logged_and_counted(served, caplog):
    """An exception of the exchange is a 500 with -1000 for the client, a traceback for people, a count for tests."""
    wire = await served.wire()
    wire.send(request("/boom?do=fail"))
    status, _, body = await wire.answer()
    assert (status, json.loads(body)["code"]) == (500, -1000)
    assert served.server.ledger()["internal_errors"] == 1
    assert served.records.flushed[-1][1:] == (
        "internal_error",
        {"what": "GET /boom", "error": "ZeroDivisionError('scripted')"},
    )
    assert "GET /boom" in caplog.text
    assert "ZeroDivisionError: scripted" in caplog.text
    wire.send(GET)
    assert (await wire.answer())[0] == 200


async def test_a_client_that_does_not_read_is_not_served(served):
    """Answers that nobody reads stop the serving of that connection, and its reading, at a bounded amount."""
    wire, other = await served.wire(), await served.wire()
    wire.writer.transport.pause_reading()
    wire.send(request("/big?pad=100000") * 800)
    for _ in range(200):
        other.send(GET)
        await other.told()
    served_of_it = [call.path for call in served.core.calls].count("/big")
    assert 1 <= served_of_it < 400  # 40 MB: more than kernels hold for a client that does not read
    wire.writer.transport.resume_reading()
    for _ in range(800):
        assert (await wire.answer())[0] == 200


async def test_an_idle_connection_is_closed_and_one_that_waits_for_an_answer_is_not(served, monkeypatch):
    """After the idle limit the server closes; a late answer still comes."""
    monkeypatch.setattr(connection, "IDLE_S_MAX", 0.05)
    idle, waiting = await served.wire(), await served.wire()
    waiting.send(request("/late?delay_ms=200"))
    assert await idle.rest() == b""
    assert (await waiting.told())["path"] == "/late"
    assert await waiting.rest() == b""


async def test_a_client_that_half_closes_gets_what_it_is_owed(served):
    """After its end of stream the late answer and the waiting ones still come, then the close."""
    wire = await served.wire()
    wire.send(request("/late?delay_ms=30") + request("/b"))
    wire.writer.write_eof()
    assert [(await wire.told())["path"] for _ in range(2)] == ["/late", "/b"]
    assert await wire.rest() == b""


async def test_a_client_that_resets_is_forgotten(served):
    """A connection that is reset while its answer is due is no longer counted, and nothing is written to it."""
    wire = await served.wire()
    wire.send(request("/late?delay_ms=10000"))
    await served.until(lambda: len(served.core.calls) == 1)
    sock = wire.writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    wire.writer.transport.abort()
    await served.until(lambda: served.server.counters.connections_open == 0)


async def test_many_connections_at_once(served):
    """Three hundred clients are served, each its own answer."""
    wires = [await served.wire() for _ in range(300)]
    for number, wire in enumerate(wires):
        wire.send(request(f"/{number}"))
    assert [(await wire.told())["path"] for wire in wires] == [f"/{number}" for number in range(300)]
    assert served.server.state()["connections_open"] == 300


async def test_closing_refuses_new_clients_and_ends_the_old(served):
    """After `close` nobody can connect, and every connection ends."""
    wire = await served.wire()
    wire.send(GET)
    await wire.answer()
    served.server.close()
    assert await wire.rest() == b""
    with pytest.raises(ConnectionRefusedError):
        await served.wire()


async def test_at_the_end_clients_get_what_was_written_and_who_does_not_read_is_reset(served, monkeypatch):
    """`ended` waits for a client that reads late, and not for ever for one that does not."""
    monkeypatch.setattr(server_module, "_GRACE_S", 0.2)
    late, never = await served.wire(), await served.wire()
    for wire in (late, never):
        wire.writer.transport.pause_reading()
        wire.send(request("/big?pad=30000000"))
    await served.until(lambda: len(served.core.calls) == 2)
    served.server.close()
    ending = asyncio.create_task(served.server.ended())
    await asyncio.sleep(0)
    late.writer.transport.resume_reading()
    assert len((await late.answer())[2]) > 30_000_000
    await ending
    never.writer.transport.resume_reading()
    with pytest.raises((ConnectionResetError, asyncio.IncompleteReadError)):
        await never.answer()
    assert served.server.counters.connections_open == 0


async def test_records_are_out_before_the_answer(served):
    """What the exchange records at a request is flushed before the client can see the answer; with the run's time."""
    wire = await served.wire()
    before_ns = time.monotonic_ns()
    wire.send(GET)
    await wire.answer()
    (time_ns, name, fields) = served.records.flushed[-1]
    assert (name, fields) == ("request", {"n": 1, "path": "/a"})
    assert before_ns <= time_ns <= time.monotonic_ns()
    assert not served.records.pending


async def test_the_exchange_is_woken_when_it_wants_to_be(served):
    """What is due by itself is done at its time, once, though nobody asks."""
    due_ns = time.monotonic_ns() + 30_000_000
    served.core.due = due_ns
    wire = await served.wire()
    wire.send(GET)
    await wire.answer()
    await served.until(lambda: served.core.woken)
    assert served.core.woken[0] >= due_ns - 1_000_000
    wire.send(GET)
    await wire.answer()
    assert len(served.core.woken) == 1


async def test_a_reset_of_the_server_is_a_new_exchange(served):
    """After `reset` the exchange is another one, behind the same port and connections."""
    wire = await served.wire()
    wire.send(GET)
    await wire.answer()
    before = served.core
    served.server.reset()
    assert served.core is not before
    wire.send(GET)
    assert (await wire.told())["n"] == 1
