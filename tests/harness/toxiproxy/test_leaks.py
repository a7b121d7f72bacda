"""Nothing is left of connections that are gone: no descriptor, no bookkeeping."""

import socket
import struct
from contextlib import suppress

import pytest

pytestmark = pytest.mark.real

LINGER_NOT = struct.pack("ii", 1, 0)
ROUNDS = 1_000


def end(sock, round_number):
    """Close politely, by a reset, or after a word."""
    if round_number % 3 == 0:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_NOT)
    elif round_number % 3 == 1:
        sock.sendall(b"bye")
    sock.close()


@pytest.mark.parametrize("toxic", [None, "latency", "timeout", "abort"])
def test_connections_leave_nothing(proxied, toxic):
    """A thousand connections, ended by either side in three ways, with and without toxics: as many files as before."""
    if toxic is not None:
        proxied.add(toxic)
    before = proxied.server.descriptors()
    for number in range(ROUNDS if toxic is None else ROUNDS // 5):
        if toxic == "abort":
            with suppress(ConnectionResetError):  # it may be reset while it connects
                proxied.dial().close()
            continue
        with socket.create_connection(proxied.address, 10) as client:
            server, _ = proxied.upstream.accept()
            with server:
                for sock in (client, server) if number % 2 else (server, client):
                    try:
                        end(sock, number)
                    except ConnectionError:
                        sock.close()
    if toxic is not None:
        proxied.remove(f"{toxic}_downstream")
    assert proxied.effects()["connections"]["accepted"] == (ROUNDS if toxic is None else ROUNDS // 5)
    assert proxied.left_over() == 0
    assert proxied.server.descriptors() <= before + 1  # the API call's own connection may be closing


def test_connections_to_nowhere_leave_nothing(proxied):
    """Upstream refuses every one of them."""
    proxied.upstream.close()
    before = proxied.server.descriptors()
    for _ in range(ROUNDS // 5):
        with socket.create_connection(proxied.address, 10) as client:
            assert client.recv(1) == b""
    assert proxied.left_over() == 0
    assert proxied.server.descriptors() <= before + 1


def test_proxies_leave_nothing(server):
    """Created, disabled, enabled, made deaf and deleted, a proxy leaves no file open."""
    before = server.descriptors()
    for _ in range(20):
        assert server.call("POST", "/proxies", {"name": "p", "upstream": "127.0.0.1:9"}).status == 201
        assert server.call("POST", "/proxies/p", {"enabled": False}).status == 200
        assert server.call("POST", "/proxies/p/toxics", {"type": "partition"}).status == 200
        assert server.call("POST", "/proxies/p", {"enabled": True, "upstream": "127.0.0.1:10"}).status == 200
        assert server.call("POST", "/proxies/p", {"listen": "127.0.0.1:0"}).status == 200
        assert server.call("DELETE", "/proxies/p").status == 204
    assert server.descriptors() <= before + 1
