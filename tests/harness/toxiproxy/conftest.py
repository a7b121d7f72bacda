"""A server in a process of its own, one for the session; each test finds it empty.

Tests use plain blocking sockets: they hold both ends of a connection through the proxy, so nothing runs beside them and
nothing has to be waited for but the kernel and the server.
"""

import http.client
import json
import os
import resource
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

PATIENCE_S = 10.0
"""How long a socket waits for what must come."""


@dataclass(frozen=True)
class Answer:
    """What the API said."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        """Return the body decoded."""
        return json.loads(self.body)


class Server:
    """A running server. `call` talks to its API, over a new connection each time."""

    def __init__(self, *options: str) -> None:
        reading, writing = os.pipe()
        command = [sys.executable, "-m", "harness.toxiproxy", "--port", "0", "--ready-fd", str(writing), *options]
        self.process = subprocess.Popen(command, pass_fds=[writing])
        os.close(writing)
        with os.fdopen(reading, "rb") as ready:
            self.host, _, port = ready.read().decode().strip().rpartition(":")
        self.port = int(port)

    def call(self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None) -> Answer:
        """Return the answer to a request; bytes are sent as they are, anything else as JSON."""
        data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        connection = http.client.HTTPConnection(self.host, self.port, timeout=PATIENCE_S)
        try:
            connection.request(method, path, data, headers or {})
            response = connection.getresponse()
            return Answer(response.status, {k.lower(): v for k, v in response.getheaders()}, response.read())
        finally:
            connection.close()

    def descriptors(self) -> int:
        """Return how many files the server has open."""
        return len(list(Path(f"/proc/{self.process.pid}/fd").iterdir()))

    def memory(self) -> int:
        """Return how many bytes of memory the server has in use."""
        pages = Path(f"/proc/{self.process.pid}/statm").read_text().split()[1]
        return int(pages) * resource.getpagesize()

    def stop(self) -> int:
        """End it politely and return its exit code."""
        self.process.terminate()
        return self.process.wait(PATIENCE_S)


@dataclass(frozen=True)
class Proxied:
    """A proxy named `name`, and the upstream behind it, which is a plain listening socket of the test's."""

    server: Server
    name: str
    address: tuple[str, int]
    upstream: socket.socket
    stack: ExitStack

    @property
    def path(self) -> str:
        """Its path in the API."""
        return f"/proxies/{self.name}"

    def dial(self) -> socket.socket:
        """Return a client's connection to the proxy."""
        return self.stack.enter_context(socket.create_connection(self.address, PATIENCE_S))

    def accept(self) -> socket.socket:
        """Return the server's end of the next connection."""
        sock = self.stack.enter_context(self.upstream.accept()[0])
        sock.settimeout(PATIENCE_S)
        return sock

    def connect(self) -> tuple[socket.socket, socket.socket]:
        """Return both ends of a new connection through the proxy."""
        client = self.dial()
        return client, self.accept()

    def connect_all_the_way(self) -> tuple[socket.socket, socket.socket]:
        """Return both ends of a new connection that has carried a byte: the proxy, too, knows that it stands."""
        client, server = self.connect()
        client.sendall(b"x")
        assert server.recv(1) == b"x"
        return client, server

    def add(self, kind: str, stream: str = "downstream", toxicity: float = 1, **attributes: Any) -> None:
        """Create a toxic of the default name."""
        body = {"type": kind, "stream": stream, "toxicity": toxicity, "attributes": attributes}
        answer = self.server.call("POST", f"{self.path}/toxics", body)
        assert answer.status == 200, answer.body

    def remove(self, name: str) -> None:
        """Remove a toxic."""
        assert self.server.call("DELETE", f"{self.path}/toxics/{name}").status == 204

    def enable(self, on: bool) -> None:
        """Enable or disable the proxy."""
        assert self.server.call("POST", self.path, {"enabled": on}).status == 200

    def effects(self) -> Any:
        """Return what `GET /effects` says of it."""
        return self.server.call("GET", "/effects").json()["proxies"][self.name]

    def left_over(self) -> int:
        """Return how many connections are left, once those that are ending have had the time to."""
        deadline = time.monotonic() + PATIENCE_S
        while (live := self.effects()["connections"]["live"]) and time.monotonic() < deadline:
            pass
        return int(live)


@pytest.fixture(scope="session")
def running() -> Iterator[Server]:
    """The session's server."""
    server = Server("--seed", "1")
    yield server
    assert server.stop() == 0, "the server died, or did not end politely"


@pytest.fixture
def server(running: Server) -> Iterator[Server]:
    """The server, without any proxy."""
    yield running
    assert running.process.poll() is None, "the server died"
    for name in running.call("GET", "/proxies").json():
        assert running.call("DELETE", f"/proxies/{quote(name)}").status == 204


@pytest.fixture
def make_server() -> Iterator[type[Server]]:
    """Start further servers; they end with the test."""
    started: list[Server] = []

    class Mine(Server):
        def __init__(self, *options: str) -> None:
            super().__init__(*options)
            started.append(self)

    yield Mine
    for one in started:
        if one.process.poll() is None:
            one.process.kill()
            one.process.wait()


@pytest.fixture
def proxied(server: Server) -> Iterator[Proxied]:
    """A proxy `link` in front of an upstream."""
    with ExitStack() as stack:
        upstream = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        upstream.settimeout(PATIENCE_S)
        port = upstream.getsockname()[1]
        body = {"name": "link", "listen": "127.0.0.1:0", "upstream": f"127.0.0.1:{port}"}
        answer = server.call("POST", "/proxies", body)
        assert answer.status == 201, answer.body
        host, _, port = answer.json()["listen"].rpartition(":")
        yield Proxied(server, "link", (host, int(port)), upstream, stack)


def receive(sock: socket.socket, count: int) -> bytes:
    """Return exactly so many bytes, fewer only if the sender has ended."""
    data = b""
    while len(data) < count and (chunk := sock.recv(count - len(data))):
        data += chunk
    return data


@pytest.fixture(name="receive", scope="session")
def _receive() -> Any:
    return receive


def reset(sock: socket.socket) -> bool:
    """Say whether the peer ended by a reset (not by a close)."""
    try:
        while sock.recv(65536):
            pass
    except ConnectionResetError:
        return True
    return False


@pytest.fixture(name="reset", scope="session")
def _reset() -> Any:
    return reset
