"""What holds for every Redis conversation, however its bytes are cut."""

from collections.abc import Iterable
from typing import Any

import hiredis
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from harness.dependencies.redis.resp import RequestParser, bulks
from harness.toxics.base import Signal
from harness.toxics.exchange.match import ACTIONS, HttpMatch, RedisMatch
from harness.toxics.exchange.redis_replies import RedisReplies
from harness.toxics.exchange.shapes import Begins

text = st.text(st.characters(codec="latin-1", exclude_characters="\r\n"), max_size=8).map(lambda s: s.encode("latin-1"))
blob = st.one_of(st.binary(max_size=20), st.sampled_from([b"\r\n", b"*3\r\n", b"$5\r\n", b"+OK\r\n", bytes(300)]))
scalars = st.one_of(
    text.map(lambda t: b"+%b\r\n" % t),
    text.map(lambda t: b"-ERR %b\r\n" % t),
    st.integers(-(2**63), 2**63 - 1).map(lambda n: b":%d\r\n" % n),
    blob.map(lambda b: b"$%d\r\n%b\r\n" % (len(b), b)),
    st.binary(max_size=20).map(lambda b: b"=%d\r\ntxt:%b\r\n" % (len(b) + 4, b)),
    st.sampled_from([b"$-1\r\n", b"*-1\r\n", b"_\r\n", b"#t\r\n", b"#f\r\n", b",1.5\r\n", b",inf\r\n", b",-inf\r\n"]),
    st.integers(10**30, 10**40).map(lambda n: b"(%d\r\n" % n),
)


def _aggregates(values: st.SearchStrategy[bytes]) -> st.SearchStrategy[bytes]:
    return st.one_of(
        st.lists(values, max_size=4).map(lambda vs: b"*%d\r\n%b" % (len(vs), b"".join(vs))),
        st.lists(scalars, max_size=4).map(lambda vs: b"~%d\r\n%b" % (len(vs), b"".join(vs))),
        st.lists(st.tuples(blob.map(lambda b: b"$%d\r\n%b\r\n" % (len(b), b)), values), max_size=3).map(
            lambda pairs: b"%%%d\r\n%b" % (len(pairs), b"".join(key + value for key, value in pairs))
        ),
    )


plain_values = st.recursive(scalars, _aggregates, max_leaves=12)
"""Values that hiredis reads too."""


def _rare(values: st.SearchStrategy[bytes]) -> st.SearchStrategy[bytes]:
    """Attributes, blob errors and streamed types, which hiredis does not read."""
    return st.one_of(
        st.just(b"!5\r\nERR x\r\n"),
        _aggregates(values),
        st.tuples(values, values, values).map(lambda t: b"|1\r\n" + b"".join(t)),
        st.lists(values, max_size=3).map(lambda vs: b"*?\r\n%b.\r\n" % b"".join(vs)),
        st.lists(st.tuples(values, values), max_size=2).map(
            lambda pairs: b"%%?\r\n%b.\r\n" % b"".join(key + value for key, value in pairs)
        ),
        st.lists(st.binary(min_size=1, max_size=9), max_size=3).map(
            lambda parts: b"$?\r\n" + b"".join(b";%d\r\n%b\r\n" % (len(p), p) for p in parts) + b";0\r\n"
        ),
    )


values = st.recursive(scalars, _rare, max_leaves=12)
pushes = st.lists(plain_values, min_size=1, max_size=3).map(lambda vs: b">%d\r\n%b" % (len(vs), b"".join(vs)))
requests = st.one_of(
    st.tuples(st.sampled_from([b"SET", b"get", b"XADD", b"Ping"]), st.lists(blob, max_size=4)).map(
        lambda request: bulks([request[0], *request[1]])
    ),
    st.sampled_from(
        [b"PING\r\n", b"  set  k v\n", bulks([b"XREADGROUP", b"GROUP", b"g", b"c", b"STREAMS", b"s", b">"])]
    ),
)
cuts = st.lists(st.integers(1, 40), min_size=1, max_size=8)


def chunks(data: bytes, sizes: list[int] | None) -> Iterable[bytes]:
    """Cut data into chunks of these sizes, over and over; None leaves it whole."""
    position = turn = 0
    while position < len(data):
        size = len(data) if sizes is None else sizes[turn % len(sizes)]
        yield data[position : position + size]
        position += size
        turn += 1


@given(conversation=st.lists(st.tuples(requests, values, st.lists(pushes, max_size=1)), max_size=6), up=cuts, down=cuts)
def test_unmatched_conversations_pass_unchanged(talk, active, conversation, up, down):
    """With no rule that fits, every byte passes; the conversation is followed to its end, and nothing is held."""
    rule = active(RedisMatch(action="drop_reply", commands=("DEL",)))
    here = talk(rule)
    asked = b"".join(request for request, _, _ in conversation)
    replied = b"".join(b"".join(aside) + reply for _, reply, aside in conversation)
    here.ask(*chunks(asked, up)).reply(*chunks(replied, down))
    assert (here.server, here.client) == (asked, replied)
    assert rule.effects == {"connections": 1}
    assert here.conduit.held("upstream") == here.conduit.held("downstream") == 0


http = st.sampled_from(
    [
        b"GET /no HTTP/1.1\r\n\r\n",
        b"PUT / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"2\r\nhi\r\n0\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n",
        b"HTTP/1.1 101 Switch\r\n\r\n",
        b"\r\n",
    ]
)
garbage = st.one_of(
    st.binary(max_size=60),
    st.lists(st.one_of(requests, values, http, st.binary(max_size=3)), max_size=6).map(b"".join),
)


@given(
    segments=st.lists(st.tuples(st.booleans(), garbage), max_size=6),
    sizes=cuts,
    follow=st.sampled_from(["redis", "http"]),
)
@example(segments=[(True, b"*1\r\n$4\r\nPING\r\n*"), (False, b"+PONG\r\n"), (True, b"x")], sizes=[1], follow="redis")
def test_garbage_passes_unchanged(talk, active, segments, sizes, follow):
    """Whatever two ends say passes with a rule that fits nothing, in order and to the last byte."""
    none = (
        RedisMatch(action="answer", commands=("NOSUCH",))
        if follow == "redis"
        else HttpMatch(action="answer", path="/a path with blanks, which no request line can spell")
    )
    here = talk(active(none), follow=follow)
    for upstream, data in segments:
        (here.ask if upstream else here.reply)(*chunks(data, sizes))
    here.finish("upstream").finish("downstream")
    assert here.server == b"".join(data for upstream, data in segments if upstream)
    assert here.client == b"".join(data for upstream, data in segments if not upstream)
    assert sorted(here.signals) == [("downstream", Signal.END), ("upstream", Signal.END)]


@given(
    segments=st.lists(st.tuples(st.booleans(), garbage), max_size=6),
    sizes=cuts,
    action=st.sampled_from(ACTIONS),
    follow=st.sampled_from(["redis", "http"]),
)
def test_cuts_do_not_change_what_becomes_of_garbage(talk, active, segments, sizes, action, follow):
    """Of what cannot be followed, too, the same is acted upon and the same passes, however it is cut."""
    seen = []
    for cut in (None, sizes):
        rule = active(RedisMatch(action=action) if follow == "redis" else HttpMatch(action=action))
        here = talk(rule, follow=follow)
        for upstream, data in segments:
            (here.ask if upstream else here.reply)(*chunks(data, cut))
        while here.conduit.due_ns is not None:
            here.wake()
        here.finish("upstream").finish("downstream")
        seen.append((here.heard, here.signals, rule.effects))
    assert seen[0] == seen[1]


def _converse(here: Any, asked: Iterable[bytes], replies: list[bytes], down: list[int] | None) -> Any:
    """Have a server answer each request that reaches it with the next reply, and let all delays pass."""
    parser = RequestParser()
    replied = parsed = 0
    for chunk in asked:
        here.ask(chunk)
        parser.feed(here.server[parsed:])
        parsed = len(here.server)
        while parser.requests:
            parser.requests.popleft()
            here.reply(*chunks(replies[replied], down))
            replied += 1
    while here.conduit.due_ns is not None:
        here.wake()
    return here


def _expected(asked: list[bytes], replies: list[bytes], rule: RedisMatch) -> tuple[bytes, bytes]:
    """Return what (server, client) hear, message by message: the rules of the game, told a second time."""
    server = client = b""
    number = answered = 0
    is_mute = False
    first = rule.nth or 1
    last = first + max(rule.times, 1) - 1 if rule.nth else (rule.times or 99)
    for request in asked:
        matches = b"\nSET\r\n" in request or b" set " in request
        number += matches
        action = rule.action if matches and first <= number <= last else None
        if action in ("drop_request", "reset_before"):
            break
        if action == "answer":
            client += b"-ERR injected by the harness\r\n"
            continue
        server += request
        reply = replies[answered]
        answered += 1
        is_mute = is_mute or action == "drop_reply"
        if action == "reset_after":
            break
        if action in ("reset_mid_reply", "close_mid_reply"):
            client += reply[: rule.after_bytes]
            break
        client += b"" if is_mute else reply
    return server, client


@pytest.mark.parametrize("action", ACTIONS)
@settings(max_examples=40)
@given(
    conversation=st.lists(st.tuples(requests, values), min_size=1, max_size=6),
    up=cuts,
    down=cuts,
    nth=st.integers(0, 3),
    times=st.integers(0, 3),
    after_bytes=st.integers(0, 30),
)
def test_cuts_change_nothing(talk, active, action, conversation, up, down, nth, times, after_bytes):
    """For each action, what is heard and counted is as expected, and the same however the bytes are cut."""
    asked = [request for request, _ in conversation]
    replies = [reply for _, reply in conversation]
    toxic = RedisMatch(action=action, commands=("SET",), nth=nth, times=times, after_bytes=after_bytes, delay=5)
    whole, cut = active(toxic), active(toxic)
    one = _converse(talk(whole), asked, replies, None)
    other = _converse(talk(cut), chunks(b"".join(asked), up), replies, down)
    server, client = _expected(asked, replies, toxic)
    assert (one.server, one.client) == (server, client)
    assert other.server.startswith(server)  # and what was pipelined behind a reply that ended all
    assert other.client == client or (action == "reset_before" and client.startswith(other.client))
    if action in ("reset_after", "reset_mid_reply", "close_mid_reply"):
        whole.effects["matched"] = cut.effects["matched"]  # requests that were pipelined behind the end match too
    assert whole.effects == cut.effects
    assert one.signals == other.signals


@given(replies=st.lists(plain_values, min_size=1, max_size=5), sizes=cuts)
def test_replies_are_those_that_hiredis_reads(replies, sizes):
    """Each message that the scanner marks off is exactly one reply to hiredis, and they are all there."""
    scanner = RedisReplies()
    message = held = b""
    found = []
    for chunk in chunks(b"".join(replies), sizes):
        data, held, position = held + chunk, b"", 0
        while position < len(data):
            span = scanner.next(data, position, "")
            if span is None:
                held = data[position:]
                break
            assert (span.begins is Begins.REPLY) == (message == b"")
            message += data[position : span.end]
            position = span.end
            if span.ends:
                found.append(message)
                message = b""
    assert held == message == b""
    assert found == replies
    for each in found:
        reader = hiredis.Reader(notEnoughData=hiredis)
        reader.feed(each)
        assert reader.gets() is not hiredis
        assert not reader.has_data()
