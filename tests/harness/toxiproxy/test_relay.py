"""What a connection through the proxy does, seen from both of its ends over real sockets."""

import socket
from contextlib import suppress
from pathlib import Path

import pytest

from harness.toxics.conduit import HELD_MAX
from harness.toxiproxy.relay import READ_MAX

pytestmark = pytest.mark.real

FLOOD = 100_000_000
SMALL = 64 * 1024
IN_HAND = 4 << 20
"""More than the proxy holds of one connection, and far less than the flood."""
KERNEL_MAX = int(Path("/proc/sys/net/ipv4/tcp_wmem").read_text().split()[2]) + (8 << 20)
"""What kernels take at most towards a receiver that does not read: a send buffer, and a receive buffer as it begins."""


def test_bytes_go_both_ways(proxied, receive):
    """A connection carries bytes both ways, in order and whole, more than any buffer holds."""
    client, server = proxied.connect()
    payload = bytes(range(256)) * 64
    for _ in range(100):
        client.sendall(payload)
        assert receive(server, len(payload)) == payload
        server.sendall(payload[::-1])
        assert receive(client, len(payload)) == payload[::-1]
    counts = proxied.effects()
    assert counts["connections"] == {"accepted": 1, "unreached": 0, "live": 1}
    assert counts["bytes"]["upstream"] == {"received": len(payload) * 100, "sent": len(payload) * 100}


def test_what_a_client_sends_before_upstream_answers_is_kept(proxied, receive):
    """The client is accepted before upstream is: what it sends, and even its end, waits."""
    client = proxied.dial()
    client.sendall(b"early")
    client.shutdown(socket.SHUT_WR)
    server = proxied.accept()
    assert receive(server, 6) == b"early"


def test_the_end_of_one_side_closes_the_other(proxied, receive):
    """No half-close: after a client's end the server's answer gets lost, and the client is closed."""
    for ending, other in ((0, 1), (1, 0)):
        ends = proxied.connect()
        ends[ending].sendall(b"last")
        ends[ending].shutdown(socket.SHUT_WR)
        assert receive(ends[other], 5) == b"last"
        assert ends[ending].recv(1) == b"", "our own end, closed by the proxy"


def test_a_reset_peer_is_a_closed_one(proxied, reset):
    """A reset on one side arrives as a plain close on the other, as with the original."""
    client, server = proxied.connect()
    server.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    server.close()
    assert not reset(client)


def test_upstream_down(proxied, reset):
    """Without upstream a client is accepted, then closed."""
    proxied.upstream.close()
    client = proxied.dial()
    assert not reset(client)
    assert proxied.left_over() == 0
    assert proxied.effects()["connections"] == {"accepted": 1, "unreached": 1, "live": 0}


@pytest.mark.parametrize(
    "upstream", ["nowhere.invalid:1", "no-port", "127.0.0.1:99999", "[::1", "a\u0000b:1", "ü" * 80 + ":1"]
)
def test_upstream_is_nonsense(server, upstream, reset):
    """An upstream that is no address does what one that is down does."""
    answer = server.call("POST", "/proxies", {"name": "n", "upstream": upstream})
    assert answer.status == 201
    host, _, port = answer.json()["listen"].rpartition(":")
    with socket.create_connection((host, int(port)), 10) as client:
        assert not reset(client)


def test_upstream_vanishes_and_returns(proxied, receive):
    """When upstream goes away its connections end; when it is back new ones work."""
    client, server = proxied.connect()
    address = proxied.upstream.getsockname()
    proxied.upstream.close()
    server.close()
    assert client.recv(1) == b""
    assert proxied.dial().recv(1) == b""
    with socket.create_server(address) as again:
        client = proxied.dial()
        server, _ = again.accept()
        with server:
            server.sendall(b"back")
            assert receive(client, 4) == b"back"


def test_disable_and_enable(proxied, receive):
    """Disabled: connections end at once, new ones are refused, the port stays ours. Enabled: the same port works."""
    client, server = proxied.connect()
    proxied.enable(on=False)
    assert client.recv(1) == b""
    assert server.recv(1) == b""
    with pytest.raises(ConnectionRefusedError):
        proxied.dial()
    with socket.socket() as thief:
        thief.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        with pytest.raises(OSError, match="Address already in use"):
            thief.bind(proxied.address)
    assert proxied.server.call("GET", proxied.path).json()["listen"] == f"127.0.0.1:{proxied.address[1]}"
    proxied.enable(on=True)
    client, server = proxied.connect()
    client.sendall(b"x")
    assert receive(server, 1) == b"x"


def test_deleting_gives_the_port_back(proxied):
    """A deleted proxy ends its connections and leaves its port to whoever wants it."""
    client, _ = proxied.connect()
    assert proxied.server.call("DELETE", proxied.path).status == 204
    assert client.recv(1) == b""
    with pytest.raises(ConnectionRefusedError):
        proxied.dial()
    socket.create_server(proxied.address).close()


def test_another_upstream(proxied, receive):
    """A changed upstream ends connections, keeps port and toxics, and leads new connections elsewhere."""
    proxied.add("latency", latency=1)
    client, _ = proxied.connect()
    with socket.create_server(("127.0.0.1", 0)) as other:
        upstream = f"127.0.0.1:{other.getsockname()[1]}"
        shown = proxied.server.call("POST", proxied.path, {"upstream": upstream}).json()
        assert shown["listen"] == f"127.0.0.1:{proxied.address[1]}"
        assert [toxic["name"] for toxic in shown["toxics"]] == ["latency_downstream"]
        assert client.recv(1) == b""
        client = proxied.dial()
        server, _ = other.accept()
        with server:
            server.sendall(b"new")
            assert receive(client, 3) == b"new"


def test_another_port(proxied, receive):
    """A changed listen ends connections, leaves the old port, keeps the toxics, and listens on the new one."""
    proxied.add("latency", latency=1)
    client, _ = proxied.connect()
    shown = proxied.server.call("POST", proxied.path, {"listen": "localhost:0"}).json()
    assert [toxic["name"] for toxic in shown["toxics"]] == ["latency_downstream"]
    assert client.recv(1) == b""
    with pytest.raises(ConnectionRefusedError):
        proxied.dial()
    host, _, port = shown["listen"].rpartition(":")
    with socket.create_connection((host, int(port)), 10) as client:
        proxied.accept().sendall(b"new")
        assert receive(client, 3) == b"new"


@pytest.mark.parametrize("direction", ["downstream", "upstream"])
@pytest.mark.parametrize("toxic", [None, "latency", "partition"])
def test_the_sender_is_slowed_down_not_buffered(proxied, receive, toxic, direction):
    """A receiver that does not read, or a toxic that holds, stops the sender: the proxy reads no more than it may.

    Were it to read on, it would take all there is: only what both kernels buffer, and its own bounds, gets through.
    """
    client, server = proxied.connect_all_the_way()
    sender, receiver = (server, client) if direction == "downstream" else (client, server)
    receiver.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL)
    if toxic == "latency":
        proxied.add("latency", direction, latency=1)
    elif toxic == "partition":
        proxied.add("partition", direction)
    sender.settimeout(0.5)
    before = proxied.server.memory()
    sent = flood(sender, at_most=FLOOD)
    counts = proxied.effects()["bytes"][direction]
    assert sent < FLOOD
    assert counts["received"] - counts["sent"] <= HELD_MAX + READ_MAX, "what the toxics hold"
    assert counts["sent"] <= KERNEL_MAX + IN_HAND, "what was written without being read at the far end"
    assert proxied.server.memory() - before < IN_HAND
    if toxic == "partition":
        assert counts["sent"] <= 1, "the byte before"
        proxied.remove(f"partition_{direction}")
    assert len(receive(receiver, sent)) == sent


def flood(sock, at_most):
    """Send until nothing more is taken; return how much was."""
    sent = 0
    with suppress(TimeoutError):
        while sent < at_most:
            sent += sock.send(bytes(1 << 20))
    return sent
