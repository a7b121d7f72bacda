"""How exactly each toxic keeps its time: within 10 % or 10 ms of its definition, whichever is more."""

import socket
import statistics
import time

import pytest

ROUNDS = 11


@pytest.fixture
def connect(toxiproxy, stack):
    """Return a function that gives both ends of a new connection through a proxy with that toxic."""
    upstream = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
    upstream.settimeout(10)
    port = toxiproxy.proxy(upstream.getsockname()[1])

    def through():
        client = stack.enter_context(socket.create_connection(("127.0.0.1", port), 10))
        server = stack.enter_context(upstream.accept()[0])
        server.settimeout(10)
        # Bytes the other way show that the proxy has both sockets, so that connecting is not measured.
        client.sendall(b"x")
        assert server.recv(1) == b"x"
        return client, server

    def start(toxic, **attributes):
        toxiproxy.call("POST", "/proxies/p/toxics", {"type": toxic, "attributes": attributes})
        return through

    return start


def received(sock, count):
    """Read exactly so many bytes."""
    left = count
    while left:
        data = sock.recv(left)
        assert data
        left -= len(data)


def data(client, server, count):
    """Measure until so many bytes have arrived."""
    server.sendall(bytes(count))
    received(client, count)


def close(client, server):
    """Measure until the end has arrived."""
    server.shutdown(socket.SHUT_WR)
    assert client.recv(1) == b""


def first_data_then_reset(client, server):
    """Measure until the reset."""
    server.sendall(b"x")
    with pytest.raises(ConnectionResetError):
        client.recv(1)


def cut_off(client, server):
    """Measure until the proxy closes."""
    server.sendall(b"x")
    assert client.recv(1) == b""


# What is added, what is measured, what it takes by definition in seconds.
CASES = {
    "latency 100 ms": ("latency", {"latency": 100}, lambda c, s: data(c, s, 100), 0.1),
    "latency 5 ms": ("latency", {"latency": 5}, lambda c, s: data(c, s, 100), 0.005),
    "latency 100 ms, 200 kB": ("latency", {"latency": 100}, lambda c, s: data(c, s, 200_000), 0.1),
    "bandwidth 1000 kB/s, 300 kB": ("bandwidth", {"rate": 1000}, lambda c, s: data(c, s, 300_000), 0.3),
    "bandwidth 50 kB/s, 20 kB": ("bandwidth", {"rate": 50}, lambda c, s: data(c, s, 20_000), 0.4),
    "slow_close 150 ms": ("slow_close", {"delay": 150}, close, 0.15),
    "timeout 200 ms": ("timeout", {"timeout": 200}, cut_off, 0.2),
    "reset_peer 120 ms": ("reset_peer", {"timeout": 120}, first_data_then_reset, 0.12),
    "slicer 1000 B in 100 B, 20 ms": (
        "slicer",
        {"average_size": 100, "size_variation": 0, "delay": 20_000},
        lambda c, s: data(c, s, 1_000),
        0.2,
    ),
    "slicer 100 kB in 1 kB, 100 us": (
        "slicer",
        {"average_size": 1_000, "size_variation": 0, "delay": 100},
        lambda c, s: data(c, s, 100_000),
        0.01,
    ),
    "limit_data": ("limit_data", {"bytes": 1_000}, lambda c, s: data(c, s, 1_000), 0.0),
}


@pytest.mark.benchmark
@pytest.mark.parametrize("case", CASES)
def test_timing(case, connect):
    """The median of several connections is within 10 % or 10 ms of the definition."""
    toxic, attributes, act, expected_s = CASES[case]
    through = connect(toxic, **attributes)
    took = []
    for _ in range(ROUNDS):
        client, server = through()
        began = time.perf_counter()
        act(client, server)
        took.append(time.perf_counter() - began)
    median = statistics.median(took)
    print(f"\n{case}: {median * 1e3:.1f} ms for {expected_s * 1e3:.0f} ms (worst {max(took) * 1e3:.1f} ms)")
    assert abs(median - expected_s) <= max(0.1 * expected_s, 0.01)


@pytest.mark.benchmark
def test_jitter_spreads_evenly(connect):
    """Latency 50 ms with jitter 40 ms is spread over 10 to 90 ms, 50 in the mean."""
    through = connect("latency", latency=50, jitter=40)
    client, server = through()
    took = []
    for _ in range(100):
        began = time.perf_counter()
        data(client, server, 10)
        took.append((time.perf_counter() - began) * 1e3)
    print(f"\nlatency 50 ms, jitter 40 ms: {min(took):.0f} to {max(took):.0f} ms, mean {statistics.mean(took):.1f} ms")
    assert 9 < min(took) < 25
    assert 75 < max(took) < 100
    assert 40 < statistics.mean(took) < 60
