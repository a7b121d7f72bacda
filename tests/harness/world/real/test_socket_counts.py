"""The kernel's counts of a port's connections, against connections whose bytes the test itself counts."""

import socket

import pytest

from harness.world.real import socket_counts

pytestmark = pytest.mark.real


@pytest.fixture
def pair():
    """Return the port of a listener, a client's end of a connection to it, and the accepted end."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)) as client:
            accepted, _ = listener.accept()
            with accepted:
                yield port, client, accepted


def readings(port: int) -> socket_counts.Counts:
    counts = socket_counts.read(port)
    if counts is None:
        pytest.skip("this kernel does not tell of sockets")
    return counts


def test_bytes_are_counted_each_way(pair) -> None:
    """Received and sent, from the listener's side, to the byte; read or not."""
    port, client, accepted = pair
    before = readings(port)
    assert list(before.values()) == [(0, 0)]
    client.sendall(b"x" * 1_000)
    accepted.sendall(b"y" * 77)
    assert list(readings(port).values()) == [(1_000, 77)]
    assert socket_counts.grown(before, readings(port)) == (1_000, 77)


def test_what_ended_in_between_is_not_counted_at_all(pair) -> None:
    """An undercount is sound; bytes from before the first reading never count for what came after it."""
    port, client, accepted = pair
    client.sendall(b"x" * 1_000)
    before = readings(port)
    with socket.create_connection(("127.0.0.1", port)) as late:
        late.sendall(b"z" * 5)
        accepted.close()
        client.close()
        assert socket_counts.grown(before, readings(port)) == (5, 0)


def test_only_that_port_is_looked_at(pair) -> None:
    """Not the client's own end, nor other ports."""
    port, client, _ = pair
    readings(port)
    assert socket_counts.read(client.getsockname()[1]) is not None
    with socket.create_server(("127.0.0.1", 0)) as other:
        assert socket_counts.read(other.getsockname()[1]) == {}


def test_a_kernel_that_does_not_tell_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forbidden (a sandbox) or absent (not Linux), it is the same: nothing is known."""

    def forbidden(*_: object) -> socket.socket:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(socket, "socket", forbidden)
    assert socket_counts.read(1) is None
