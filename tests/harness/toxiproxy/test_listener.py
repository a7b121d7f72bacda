"""A partition: connecting gets no answer at all, which no proxy can do by merely not accepting."""

import errno
import select
import socket
import time

import pytest

pytestmark = pytest.mark.real

ANSWER_S = 0.3
"""On loopback an answer takes some microseconds; what has not come by then does not come."""
RETRY_S = 3.5
"""A SYN is sent again after 1 s, and on older kernels 2 s after that."""


def knock(stack, address):
    """Return a socket that has begun to connect."""
    sock = stack.enter_context(socket.socket())
    sock.setblocking(False)
    assert sock.connect_ex(address) == errno.EINPROGRESS
    return sock


def is_answered(sock, within_s):
    """Say whether the attempt comes to an end, whatever that is."""
    return bool(select.select([], [sock], [], within_s)[1])


def test_connecting_gets_no_answer_until_the_partition_is_over(proxied, receive):
    """Attempts hang while it lasts and complete when it is over, carrying bytes; they are counted as lost."""
    proxied.add("partition", "upstream")
    attempts = [knock(proxied.stack, proxied.address) for _ in range(20)]
    assert not any(is_answered(sock, ANSWER_S / len(attempts)) for sock in attempts)
    assert proxied.effects()["toxics"]["partition_upstream"]["lost"] >= len(attempts)
    proxied.remove("partition_upstream")
    healed = time.monotonic()
    for sock in attempts:
        assert is_answered(sock, RETRY_S)
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0
    assert time.monotonic() - healed < RETRY_S
    attempts[0].setblocking(True)
    attempts[0].sendall(b"hello")
    assert any(receive(server, 5) == b"hello" for server in sending(proxied, len(attempts)))
    assert proxied.effects()["removed"][-1]["effects"]["lost"] >= len(attempts)
    client, _ = proxied.connect()
    assert client.getpeername() == proxied.address


def sending(proxied, count):
    """Return the server's ends that have something to read, of `count` connections."""
    servers = [proxied.accept() for _ in range(count)]
    return select.select(servers, [], [], 10)[0]


def test_living_connections_outlive_a_partition(proxied, receive):
    """Bytes stop that way, go on the other way, and all arrive when it is over; nobody is told anything."""
    client, server = proxied.connect()
    proxied.add("partition", "upstream")
    client.sendall(b"held")
    server.sendall(b"free")
    assert receive(client, 4) == b"free"
    server.settimeout(ANSWER_S)
    with pytest.raises(TimeoutError):
        server.recv(1)
    proxied.remove("partition_upstream")
    server.settimeout(10)
    assert receive(server, 4) == b"held"


def test_a_partition_both_ways_ends_with_its_last_half(proxied):
    """As long as one direction is cut no handshake can complete."""
    proxied.add("partition", "upstream")
    proxied.add("partition", "downstream")
    attempt = knock(proxied.stack, proxied.address)
    proxied.remove("partition_upstream")
    assert not is_answered(attempt, ANSWER_S)
    proxied.remove("partition_downstream")
    assert is_answered(attempt, RETRY_S)


def test_a_disabled_proxy_refuses_even_when_partitioned(proxied):
    """Refusing wins; enabled again it is deaf again, and a reset ends both."""
    proxied.add("partition")
    proxied.enable(on=False)
    with pytest.raises(ConnectionRefusedError):
        proxied.dial()
    proxied.enable(on=True)
    attempt = knock(proxied.stack, proxied.address)
    assert not is_answered(attempt, ANSWER_S)
    assert proxied.server.call("POST", "/reset").status == 204
    assert is_answered(attempt, RETRY_S)
    proxied.accept()


def test_the_connections_that_make_it_deaf_are_nobody_elses(proxied):
    """What keeps the queue full never reaches upstream and is not counted as a connection."""
    for _ in range(3):
        proxied.add("partition")
        proxied.remove("partition_downstream")
    assert proxied.effects()["connections"]["accepted"] == 0
    proxied.upstream.settimeout(ANSWER_S)
    with pytest.raises(TimeoutError):
        proxied.upstream.accept()
