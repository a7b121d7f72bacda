"""What each toxic does to a connection, seen from both of its ends over real sockets: bounds, not exact times."""

import socket
import time
from contextlib import suppress

import pytest

pytestmark = pytest.mark.real

SLACK_S = 1.0
"""How late a busy machine may be."""


def test_latency_delays_and_keeps_pipelining(proxied, receive):
    """Each chunk is late by the latency since its own arrival: ten in a row take it once, not ten times."""
    proxied.add("latency", latency=200)
    client, server = proxied.connect()
    began = time.monotonic()
    for number in range(10):
        server.sendall(b"%d" % number)
    assert receive(client, 10) == b"0123456789"
    assert 0.2 <= time.monotonic() - began < 0.2 + SLACK_S
    client.sendall(b"up")
    assert receive(server, 2) == b"up", "the other direction is not slowed"


def test_toxics_change_on_living_connections(proxied, receive):
    """Adding, changing and removing a toxic takes hold of connections that are there."""
    client, server = proxied.connect()
    proxied.add("latency", latency=60_000)
    server.sendall(b"held")
    client.settimeout(0.1)
    with pytest.raises(TimeoutError):
        client.recv(1)
    client.settimeout(10)
    proxied.remove("latency_downstream")
    assert receive(client, 4) == b"held"
    proxied.add("latency", latency=60_000)
    body = {"attributes": {"latency": 1}}
    assert proxied.server.call("POST", f"{proxied.path}/toxics/latency_downstream", body).status == 200
    server.sendall(b"quick")
    assert receive(client, 5) == b"quick"


def test_bandwidth_limits(proxied, receive):
    """40 kB at 100 kB/s take 0.4 s, less what the first piece may be ahead."""
    proxied.add("bandwidth", rate=100)
    client, server = proxied.connect()
    began = time.monotonic()
    server.sendall(bytes(40_000))
    assert len(receive(client, 40_000)) == 40_000
    assert 0.2 < time.monotonic() - began < 0.4 + SLACK_S


def test_slow_close_delays_the_end_only(proxied, receive):
    """Data comes at once, the end later."""
    proxied.add("slow_close", delay=300)
    client, server = proxied.connect()
    began = time.monotonic()
    server.sendall(b"x")
    server.close()
    assert receive(client, 1) == b"x"
    assert time.monotonic() - began < 0.3
    assert client.recv(1) == b""
    assert 0.3 <= time.monotonic() - began < 0.3 + SLACK_S


def test_timeout_drops_and_closes(proxied):
    """Nothing arrives, and after the timeout the connection ends."""
    proxied.add("timeout", timeout=200)
    began = time.monotonic()
    client, server = proxied.connect()
    server.sendall(b"lost")
    assert client.recv(1) == b""
    assert 0.15 <= time.monotonic() - began < 0.2 + SLACK_S


def test_timeout_zero_waits_for_its_removal(proxied):
    """A timeout of 0 drops for ever; removing it closes the connection."""
    proxied.add("timeout", timeout=0)
    client, server = proxied.connect()
    server.sendall(b"lost")
    client.settimeout(0.1)
    with pytest.raises(TimeoutError):
        client.recv(1)
    client.settimeout(10)
    proxied.remove("timeout_downstream")
    assert client.recv(1) == b""
    assert server.recv(1) == b""


def test_reset_peer_resets_both_ends(proxied, reset):
    """After the first data and its timeout both ends see a reset, not a close."""
    proxied.add("reset_peer", timeout=100)
    client, server = proxied.connect()
    began = time.monotonic()
    server.sendall(b"first")
    assert reset(client)
    assert 0.1 <= time.monotonic() - began < 0.1 + SLACK_S
    assert reset(server)


def test_small_pieces_are_not_held_back(proxied, receive):
    """Pieces leave when they are due, not when the client has acknowledged those before (40 ms later, on Linux)."""
    proxied.add("slicer", average_size=1_000, size_variation=0, delay=10)
    took = []
    for _ in range(5):
        client, server = proxied.connect()
        began = time.monotonic()
        server.sendall(bytes(60_000))
        assert len(receive(client, 60_000)) == 60_000
        took.append(time.monotonic() - began)
    assert min(took) < 0.03


def test_slicer_slices(proxied, receive):
    """All bytes arrive, in order, in pieces that take their time."""
    proxied.add("slicer", average_size=100, size_variation=0, delay=20_000)
    client, server = proxied.connect()
    payload = bytes(range(200)) * 5
    began = time.monotonic()
    server.sendall(payload)
    assert receive(client, 100) == payload[:100]
    assert receive(client, 900) == payload[100:]
    assert 0.1 < time.monotonic() - began < 0.25 + SLACK_S


def test_limit_data_closes_after_so_many_bytes(proxied, receive):
    """Exactly so many bytes arrive, then the end."""
    proxied.add("limit_data", bytes=100)
    client, server = proxied.connect()
    server.sendall(bytes(250))
    assert len(receive(client, 250)) == 100


def test_toxicity_zero_spares_every_connection(proxied, receive):
    """A toxic that takes nobody does nothing, and says so."""
    proxied.add("timeout", toxicity=0)
    client, server = proxied.connect()
    server.sendall(b"x")
    assert receive(client, 1) == b"x"
    assert proxied.effects()["toxics"] == {"timeout_downstream": {}}


def test_half_open_keeps_a_connection_that_is_dead(proxied, receive):
    """What is sent that way is lost without a word; the other way works."""
    proxied.add("half_open", "upstream")
    client, server = proxied.connect()
    client.sendall(b"into the void")
    server.sendall(b"x")
    assert receive(client, 1) == b"x"
    server.settimeout(0.1)
    with pytest.raises(TimeoutError):
        server.recv(1)
    assert proxied.effects()["toxics"]["half_open_upstream"]["dropped"] == 13


def test_half_close_is_kept(proxied, receive):
    """With the extension toxic a client may end its requests and still read the answer; then all is over."""
    proxied.add("half_close", "upstream")
    client, server = proxied.connect()
    client.sendall(b"ask")
    client.shutdown(socket.SHUT_WR)
    assert receive(server, 4) == b"ask"
    server.sendall(b"answer")
    server.close()
    assert receive(client, 7) == b"answer"


def test_half_close_both_ways(proxied, receive):
    """Both ends may end one after the other, and the connection is gone then."""
    proxied.add("half_close", "upstream")
    proxied.add("half_close", "downstream")
    client, server = proxied.connect()
    server.shutdown(socket.SHUT_WR)
    assert client.recv(1) == b""
    client.sendall(b"still")
    client.shutdown(socket.SHUT_WR)
    assert receive(server, 6) == b"still"
    client.close()
    server.close()
    assert proxied.left_over() == 0


def test_discard_first(proxied, receive):
    """The first bytes are lost, the rest arrives."""
    proxied.add("discard_first", bytes=3)
    client, server = proxied.connect()
    server.sendall(b"123456")
    assert receive(client, 3) == b"456"


def test_abort_resets_what_there_is_and_what_comes(proxied, reset):
    """Living connections are reset when it is created, new ones when they are accepted."""
    client, server = proxied.connect_all_the_way()
    proxied.add("abort")
    assert reset(client)
    assert reset(server)
    with suppress(ConnectionResetError), proxied.dial() as newcomer:  # it may even be reset while it connects
        assert reset(newcomer)
    assert proxied.effects()["toxics"]["abort_downstream"]["reset"] == 2


def test_abort_connections_resets_once(proxied, receive, reset):
    """The extension call resets every connection there is, tells how many, and spares those to come."""
    ends = [proxied.connect_all_the_way() for _ in range(3)]
    answer = proxied.server.call("POST", f"{proxied.path}/abort_connections")
    assert (answer.status, answer.body) == (200, b'{"aborted":3}')
    for client, server in ends:
        assert reset(client)
        assert reset(server)
    client, server = proxied.connect()
    client.sendall(b"x")
    assert receive(server, 1) == b"x"


def test_effects_outlive_their_toxic(proxied, receive):
    """What a toxic did can still be asked when it is gone, what it let go at last included."""
    proxied.add("latency", latency=60_000)
    client, server = proxied.connect()
    server.sendall(b"12345")
    client.settimeout(0.1)
    with pytest.raises(TimeoutError):
        client.recv(1)
    proxied.remove("latency_downstream")
    counts = proxied.effects()
    assert counts["toxics"] == {}
    (gone,) = counts["removed"]
    assert (gone["name"], gone["effects"]["connections"], gone["effects"]["bytes"]) == ("latency_downstream", 1, 5)


def test_followed_conversations_are_matched(proxied, receive):
    """With `follow` a matching toxic takes living connections too: the reply to one command is lost, once."""
    assert proxied.server.call("POST", proxied.path, {"follow": "redis"}).status == 200
    client, server = proxied.connect()
    client.sendall(b"*1\r\n$4\r\nPING\r\n")
    assert receive(server, 14) == b"*1\r\n$4\r\nPING\r\n"
    server.sendall(b"+PONG\r\n")
    assert receive(client, 7) == b"+PONG\r\n"
    proxied.add("redis_match", action="drop_reply", commands=["get"], nth=1)
    client.sendall(b"*2\r\n$3\r\nGET\r\n$1\r\nk\r\n")
    assert receive(server, 20) == b"*2\r\n$3\r\nGET\r\n$1\r\nk\r\n"
    server.sendall(b"$-1\r\n")
    client.settimeout(0.1)
    with pytest.raises(TimeoutError):
        client.recv(1)
    effects = proxied.effects()["toxics"]["redis_match_downstream"]
    assert effects["dropped"] == 5, effects
