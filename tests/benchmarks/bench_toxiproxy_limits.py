"""How much the proxy holds: memory under a flood nobody drains, many connections at once, many one after the other."""

import resource
import selectors
import socket
import threading
import time

import pytest

MIB = 1024 * 1024
PATIENCE_S = 20


@pytest.fixture
def many_files():
    """Let this process open as many files as the machine allows."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (before[1], before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


@pytest.fixture
def upstream(stack):
    """A listening socket."""
    sock = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=4096))
    sock.settimeout(PATIENCE_S)
    return sock


def flood(socks, quiet_s):
    """Send on all sockets whatever they take, until none takes anything for a while; return how much that was."""
    chunk, sent = bytes(64 * 1024), 0
    with selectors.DefaultSelector() as ready:
        for sock in socks:
            sock.setblocking(False)
            ready.register(sock, selectors.EVENT_WRITE)
        while events := ready.select(quiet_s):
            for key, _ in events:
                try:
                    sent += key.fileobj.send(chunk)
                except BlockingIOError:
                    continue
            assert sent < 10_000 * MIB, "nothing holds the flood back"
    return sent


@pytest.mark.benchmark
@pytest.mark.parametrize("toxic", [None, "latency", "bandwidth"])
def test_memory_under_a_flood_into_stalled_clients(toxic, toxiproxy, upstream, stack):
    """An upstream floods 100 clients that do not read: the proxy grows by at most 32 MiB, and nothing is lost."""
    port = toxiproxy.proxy(upstream.getsockname()[1])
    if toxic is not None:
        attributes = {"latency": {"latency": 60_000}, "bandwidth": {"rate": 1}}[toxic]
        toxiproxy.call("POST", "/proxies/p/toxics", {"type": toxic, "attributes": attributes})
    before = toxiproxy.memory()
    clients, servers = [], []
    for _ in range(100):
        client = stack.enter_context(socket.socket())
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16 * 1024)
        client.connect(("127.0.0.1", port))
        clients.append(client)
        servers.append(stack.enter_context(upstream.accept()[0]))
    sent = flood(servers, quiet_s=1.0)
    grown = toxiproxy.memory() - before
    received = toxiproxy.call("GET", "/effects")["proxies"]["p"]["bytes"]["downstream"]["received"]
    read = f"{received / MIB:.1f} of {sent / MIB:.0f} MiB read"
    print(f"\n100 stalled clients, {toxic}: grown by {grown / MIB:.1f} MiB, {read}")
    assert received > 100 * 64 * 1024, "the flood never reached the proxy's buffers"
    assert grown <= 32 * MIB


@pytest.mark.benchmark
@pytest.mark.usefixtures("many_files")
def test_two_thousand_connections_at_once(toxiproxy, upstream, stack):
    """They are all connected, each carries bytes both ways, and closing them leaves no file open."""
    port = toxiproxy.proxy(upstream.getsockname()[1])
    before, memory = toxiproxy.descriptors(), toxiproxy.memory()
    began = time.monotonic()
    ends = []
    for _ in range(2_000):
        client = stack.enter_context(socket.create_connection(("127.0.0.1", port), PATIENCE_S))
        server = stack.enter_context(upstream.accept()[0])
        ends.append((client, server))
    connected_s = time.monotonic() - began
    for number, (client, server) in enumerate(ends):
        client.sendall(b"%04d" % number)
        server.sendall(b"%04d" % number)
    for ours in ends:
        for sock in ours:
            sock.settimeout(PATIENCE_S)
            assert len(sock.recv(4)) == 4
    counts = toxiproxy.call("GET", "/effects")["proxies"]["p"]
    assert counts["connections"]["live"] == 2_000
    grown = toxiproxy.memory() - memory
    for client, server in ends:
        client.close()
        assert server.recv(1) == b""
        server.close()
    print(f"\n2,000 connections in {connected_s:.2f} s, {grown / 2_000 / 1024:.1f} KiB each")
    assert toxiproxy.call("GET", "/effects")["proxies"]["p"]["connections"]["live"] == 0
    assert toxiproxy.descriptors() <= before + 1


@pytest.mark.benchmark
@pytest.mark.usefixtures("many_files")
def test_a_stampede(toxiproxy, upstream, stack):
    """2,000 clients that connect in the same instant are all served."""
    port = toxiproxy.proxy(upstream.getsockname()[1])
    accepted = []

    def accept():
        accepted.extend(stack.enter_context(upstream.accept()[0]) for _ in range(2_000))

    thread = threading.Thread(target=accept)
    thread.start()
    began = time.monotonic()
    clients = []
    for _ in range(2_000):
        client = stack.enter_context(socket.socket())
        client.setblocking(False)
        client.connect_ex(("127.0.0.1", port))
        clients.append(client)
    thread.join(PATIENCE_S)
    print(f"\n2,000 connections in one instant: all through in {time.monotonic() - began:.2f} s")
    assert len(accepted) == 2_000
    assert all(client.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0 for client in clients)


@pytest.mark.benchmark
def test_ten_thousand_connections_one_after_the_other(toxiproxy, upstream):
    """No file stays open, and memory stays what it was."""
    port = toxiproxy.proxy(upstream.getsockname()[1])
    before, memory = toxiproxy.descriptors(), toxiproxy.memory()
    began = time.monotonic()
    for _ in range(10_000):
        with socket.create_connection(("127.0.0.1", port), PATIENCE_S) as client:
            upstream.accept()[0].close()
            assert client.recv(1) == b""
    each_us = (time.monotonic() - began) / 10_000 * 1e6
    counts = toxiproxy.call("GET", "/effects")["proxies"]["p"]["connections"]
    grown = toxiproxy.memory() - memory
    print(f"\n10,000 connections: {each_us:.0f} us each, grown by {grown / MIB:.1f} MiB")
    assert counts == {"accepted": 10_000, "unreached": 0, "live": 0}
    assert toxiproxy.descriptors() <= before + 1
    assert grown < 8 * MIB
