"""HTTP conversations: what is told apart, what each action does, and that no cut changes it."""

import h11
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.toxics.base import Signal
from harness.toxics.catalog import BadToxic
from harness.toxics.exchange.http_replies import HttpReplies
from harness.toxics.exchange.http_requests import HttpRequests
from harness.toxics.exchange.match import ACTIONS, HttpMatch

GET = b"GET /fapi/v1/ping?x=/order HTTP/1.1\r\nHost: a\r\n\r\n"
ORDER = b"POST /fapi/v1/order HTTP/1.1\r\nhost: a\r\nContent-Length: 9\r\n\r\nsymbol=BT"
HEAD = b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n"
CHUNKED = b"PUT http://a:1/big#x HTTP/1.1\r\nTransfer-Encoding: gzip, chunked\r\n\r\n3;x=y\r\nabc\r\n0\r\nT: v\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
PIECES = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"
UNTIL_CLOSE = b"HTTP/1.1 200 OK\r\n\r\nand so on"
TO_HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


def test_each_reply_finds_its_request(talk, active):
    """Lengths, chunks, HEAD, 1xx, 204 and 304 are told apart: the reply to the request behind them all is found."""
    rule = active(HttpMatch(action="reset_after", path="/fapi/*/order"))
    replies = OK + PIECES + TO_HEAD + b"HTTP/1.1 204 No\r\n\r\nHTTP/1.1 304 Not\r\nContent-Length: 9\r\n\r\n" + CONTINUE
    here = talk(rule, follow="http").ask(GET + CHUNKED + HEAD + GET + GET + ORDER).reply(replies)
    assert here.client == replies
    assert here.signals == []
    here.reply(b"HTTP/1.1 200")
    assert here.signals == []
    assert here.reply(OK[12:]).signals == [("downstream", Signal.RESET)]
    assert here.server == GET + CHUNKED + HEAD + GET + GET + ORDER
    assert here.client == replies
    assert rule.effects == {"connections": 1, "matched": 1, "reset": 1}


@pytest.mark.parametrize(
    ("fits", "request_"),
    [
        ({"methods": ("get",)}, GET),
        ({"path": "/fapi/v1/ping"}, GET),
        ({"path": "/big", "methods": ("PUT", "POST")}, CHUNKED),
        ({"path": "/*"}, HEAD),
        ({"path": "a:443"}, b"CONNECT a:443 HTTP/1.1\r\n\r\n"),
        ({"path": "/"}, b"GET http://a?q HTTP/1.1\r\n\r\n"),
    ],
)
def test_matching(talk, active, fits, request_):
    """Method and path (without query, fragment and authority) choose; other requests pass."""
    here = talk(active(HttpMatch(action="answer", **fits)), follow=None).ask(request_)
    assert here.server == b""
    assert here.client.startswith(b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n")
    assert talk(active(HttpMatch(action="answer", path="/v2")), follow=None).ask(request_).server == request_


def test_answer(talk, active):
    """An answer is a whole reply which h11 reads, in its turn, and the connection goes on."""
    toxic = HttpMatch(
        action="answer", methods=("POST",), status=429, headers=("Retry-After: 7",), body='{"code":-1003,"msg":"ü"}'
    )
    here = talk(active(toxic), follow="http").ask(GET + ORDER[:-1])
    here.ask(ORDER[-1:] + GET)
    assert here.client == b""
    here.reply(OK + OK)
    assert here.server == GET + GET
    assert here.client.startswith(OK)
    assert here.client.endswith(b"}" + OK)
    client = h11.Connection(h11.CLIENT)
    client.send(h11.Request(method="POST", target="/", headers=[("host", "a")]))
    client.send(h11.EndOfMessage())
    client.receive_data(here.client[len(OK) : -len(OK)])
    head, data, end = client.next_event(), client.next_event(), client.next_event()
    assert isinstance(head, h11.Response)
    assert head.status_code == 429
    assert dict(head.headers)[b"retry-after"] == b"7"
    assert dict(head.headers)[b"content-type"] == b"application/json"
    assert bytes(data.data).decode() == toxic.body
    assert type(end) is h11.EndOfMessage
    assert client.our_state is h11.DONE
    assert client.trailing_data == (b"", False)


def test_answer_to_head_has_no_body(talk, active):
    """A client that asked for the head only does not get a body, which it would take for the next reply."""
    here = talk(active(HttpMatch(action="answer", body="x", times=1)), follow="http").ask(HEAD)
    assert here.client.endswith(b"Content-Length: 1\r\n\r\n")


@pytest.mark.parametrize("status", [204, 304])
def test_answer_without_a_body(talk, active, status):
    """Statuses that have no body get none."""
    here = talk(active(HttpMatch(action="answer", body="x", status=status)), follow="http").ask(GET)
    assert here.client.endswith(b"\r\n\r\n")


def test_drop_reply(talk, active):
    """The server executes; the client never hears, 100 Continue excepted, which is no answer."""
    rule = active(HttpMatch(action="drop_reply", methods=("POST",)))
    here = talk(rule, follow="http").ask(ORDER).reply(CONTINUE, OK[:9], OK[9:])
    assert here.server == ORDER
    assert here.client == CONTINUE
    assert rule.effects["dropped_replies"] == 1
    assert rule.effects["dropped"] == len(OK)


@pytest.mark.parametrize("after_bytes", [0, 1, 20, 200])
def test_mid_reply_until_close(talk, active, after_bytes):
    """A reply that only the end of the connection ends is cut like others, at that end at the latest."""
    rule = active(HttpMatch(action="reset_mid_reply", after_bytes=after_bytes))
    here = talk(rule, follow="http").ask(GET).reply(UNTIL_CLOSE).finish("downstream")
    assert here.client == UNTIL_CLOSE[:after_bytes]
    assert here.signals == [("downstream", Signal.RESET)]


UPGRADE = b"GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
SWITCHING = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n"


def test_upgrade_is_passed_on(talk, active):
    """After a 101 both directions are another protocol's, even if they look like HTTP, and cost nothing more."""
    rule = active(HttpMatch(action="drop_reply", methods=("POST",)))
    here = talk(rule, follow="http").ask(UPGRADE).reply(SWITCHING + b"\x81\x02hi").ask(ORDER + b"\x81").reply(OK)
    assert here.server == UPGRADE + ORDER + b"\x81"
    assert here.client == SWITCHING + b"\x81\x02hi" + OK
    assert rule.effects["unfollowed"] == 1
    assert here.conduit.is_bare("upstream")


def test_upgrade_that_is_refused_or_matched(talk, active):
    """A refused upgrade is an ordinary reply; the reply to an upgrade can be acted upon like others."""
    rule = active(HttpMatch(action="drop_reply", methods=("POST",)))
    assert talk(rule, follow="http").ask(UPGRADE + ORDER).reply(OK + OK).client == OK
    rule = active(HttpMatch(action="drop_reply", path="/ws"))
    assert talk(rule, follow="http").ask(UPGRADE).reply(SWITCHING + b"\x81\x02hi").client == b""


@pytest.mark.parametrize(
    "odd",
    [
        b"\x16\x03\x01\x02\x00",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"EHLO mail\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: 3, 4\r\n\r\nabc",
        b"POST / HTTP/1.1\r\nTransfer-Encoding: gzip\r\n\r\nabc",
        b"GET / HTTP/1.1\r\nX: " + b"x" * 70_000,
    ],
)
def test_what_cannot_be_followed_is_passed_on(talk, active, odd):
    """What is not HTTP/1.1, or lies about its length, is passed on at once, and counted."""
    rule = active(HttpMatch(action="answer", path="/never"))
    here = talk(rule, follow="http").ask(GET + odd).reply(OK + b"whatever")
    assert here.server == GET + odd
    assert here.client == OK + b"whatever"
    assert rule.effects["unfollowed"] == 1


@pytest.mark.parametrize(
    "wrong",
    [
        {"status": 99},
        {"status": 600},
        {"headers": ("no colon",)},
        {"headers": ("Content-Length: 3",)},
        {"headers": ("A: b\r\nC: d",)},
    ],
)
def test_meaningless_attributes_are_refused(wrong):
    """Attributes that would not make a reply raise."""
    with pytest.raises(BadToxic, match=next(iter(wrong))):
        HttpMatch(action="answer", **wrong)


names = st.sampled_from(["GET", "POST", "HEAD", "DELETE"])
bodies = st.one_of(st.none(), st.lists(st.binary(min_size=1, max_size=12), max_size=3))
cuts = st.lists(st.integers(1, 40), min_size=1, max_size=6)


def _framed(body: list[bytes] | None, *, chunked: bool) -> tuple[list[tuple[str, str]], list[bytes]]:
    if body is None:
        return [("Content-Length", "0")], []
    if chunked:
        return [("Transfer-Encoding", "chunked")], body
    return [("Content-Length", str(len(b"".join(body))))], body


def _write(side: h11.Connection, head: h11.Event, body: list[bytes]) -> bytes:
    parts = [side.send(head), *(side.send(h11.Data(data=data)) for data in body), side.send(h11.EndOfMessage())]
    return b"".join(part for part in parts if part)


@st.composite
def exchanges(draw: st.DrawFn) -> tuple[bytes, bytes]:
    """Return a request and its reply, as h11 writes them, with an interim reply at times."""
    method, target = draw(names), draw(st.sampled_from(["/a", "/b?q", "/a/b"]))
    headers, body = _framed(draw(bodies), chunked=draw(st.booleans()))
    client, server = h11.Connection(h11.CLIENT), h11.Connection(h11.SERVER)
    request = _write(client, h11.Request(method=method, target=target, headers=[("Host", "a"), *headers]), body)
    server.receive_data(request)
    while type(server.next_event()) is not h11.EndOfMessage:
        pass
    interim = server.send(h11.InformationalResponse(status_code=103, headers=[])) if draw(st.booleans()) else b""
    status = draw(st.sampled_from([200, 404, 204, 304, 500]))
    headers, body = _framed(draw(bodies), chunked=draw(st.booleans()))
    if method == "HEAD" or status in (204, 304):
        body = []
    return request, (interim or b"") + _write(server, h11.Response(status_code=status, headers=headers), body)


def _chunks(data: bytes, sizes: list[int]) -> list[bytes]:
    found = []
    while data:
        size = sizes[len(found) % len(sizes)]
        found.append(data[:size])
        data = data[size:]
    return found


@pytest.mark.parametrize("action", ACTIONS)
@settings(max_examples=30)
@given(conversation=st.lists(exchanges(), min_size=1, max_size=4), up=cuts, down=cuts, nth=st.integers(0, 3))
def test_cuts_change_nothing(talk, active, action, conversation, up, down, nth):
    """One request at a time, as clients do it: what is heard, counted and ended is the same however bytes are cut."""
    seen = []
    for sizes in ((up, down), ([10**6], [10**6])):
        rule = active(HttpMatch(action=action, path="/a*", nth=nth, after_bytes=30, delay=1))
        here = talk(rule, follow="http")
        for request, reply in conversation:
            before = here.server
            here.ask(*_chunks(request, sizes[0]))
            if here.server == before + request:
                here.reply(*_chunks(reply, sizes[1]))
            else:
                assert here.server == before
                assert action in ("answer", "drop_request", "reset_before") or here.signals
        while here.conduit.due_ns is not None:
            here.wake()
        seen.append((here.heard, here.signals, rule.effects))
        assert rule.effects["unfollowed"] == 0
    assert seen[0] == seen[1]


@given(conversation=st.lists(exchanges(), max_size=4), up=cuts, down=cuts)
def test_unmatched_conversations_pass_unchanged(talk, active, conversation, up, down):
    """Pipelined requests and their replies pass byte for byte, are followed to the end, and leave nothing behind."""
    rule = active(HttpMatch(action="drop_reply", path="/nowhere"))
    asked, replied = (b"".join(side) for side in zip(*conversation, strict=True)) if conversation else (b"", b"")
    here = talk(rule, follow="http").ask(*_chunks(asked, up)).reply(*_chunks(replied, down))
    assert (here.server, here.client) == (asked, replied)
    assert rule.effects == {"connections": 1}
    assert here.conduit.held("upstream") == here.conduit.held("downstream") == 0


@given(conversation=st.lists(exchanges(), min_size=1, max_size=4))
def test_messages_end_where_h11_says(conversation):
    """Marked off in one stream, messages are exactly those that h11 wrote."""
    scanner, position, found = HttpRequests(), 0, []
    stream = b"".join(request for request, _ in conversation)
    while position < len(stream):
        span = scanner.next(stream, position)
        assert span is not None
        assert span.ends
        found.append(stream[position : span.end])
        position = span.end
    assert found == [request for request, _ in conversation]
    replies = HttpReplies()
    for request, reply in conversation:
        tag = "HEAD" if request.startswith(b"HEAD") else ""
        span = replies.next(reply + OK, 0, tag)
        assert span is not None
        if reply.startswith(b"HTTP/1.1 103"):
            span = replies.next(reply + OK, span.end, tag)
            assert span is not None
        assert span.ends
        assert span.end == len(reply)
