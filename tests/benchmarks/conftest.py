"""Processes that benchmarks of the proxy need: the embedded server, a bare pass-through to compare with, a Redis."""

import http.client
import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from harness.dependencies.redis.server_process import find_server

PROGRAMS = Path(__file__).parent / "programs"


class ToxiproxyProcess:
    """The embedded server in a process of its own."""

    def __init__(self) -> None:
        reading, writing = os.pipe()
        command = [sys.executable, "-m", "harness.toxiproxy", "--port", "0", "--seed", "1", "--ready-fd", str(writing)]
        self.process = subprocess.Popen(command, pass_fds=[writing])
        os.close(writing)
        with os.fdopen(reading, "rb") as ready:
            self.port = int(ready.read().decode().strip().rpartition(":")[2])

    def call(self, method: str, path: str, body: Any = None) -> Any:
        """Return the decoded answer of the API, which must be a success."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.request(method, path, None if body is None else json.dumps(body))
            response = connection.getresponse()
            text = response.read()
            assert response.status < 300, text
            return json.loads(text) if text else None
        finally:
            connection.close()

    def proxy(self, upstream_port: int, name: str = "p") -> int:
        """Create a proxy and return its port."""
        body = {"name": name, "listen": "127.0.0.1:0", "upstream": f"127.0.0.1:{upstream_port}"}
        return int(self.call("POST", "/proxies", body)["listen"].rpartition(":")[2])

    def memory(self) -> int:
        """Return how many bytes of memory it has in use that are its own."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(next(line for line in status.splitlines() if line.startswith("VmRSS")).split()[1]) * 1024

    def descriptors(self) -> int:
        """Return how many files it has open."""
        return len(list(Path(f"/proc/{self.process.pid}/fd").iterdir()))


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    """What is put on it is closed at the end of the test."""
    with ExitStack() as stack:
        yield stack


@pytest.fixture
def toxiproxy(stack: ExitStack) -> ToxiproxyProcess:
    """A running server."""
    server = ToxiproxyProcess()
    stack.callback(end, server.process)
    return server


@pytest.fixture
def bare_proxy(stack: ExitStack) -> Callable[[int], int]:
    """Start a bare pass-through to a port; return the port where it listens."""

    def start(upstream_port: int) -> int:
        command = [sys.executable, str(PROGRAMS / "bare_proxy.py"), str(upstream_port)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        stack.callback(end, process)
        assert process.stdout is not None
        stack.callback(process.stdout.close)
        return int(process.stdout.readline())

    return start


@pytest.fixture
def redis_port(stack: ExitStack, tmp_path: Path) -> int:
    """The port of a running Redis-compatible server."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    command = [str(find_server()), "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(tmp_path)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    stack.callback(end, process)
    assert process.stdout is not None
    stack.callback(process.stdout.close)
    for line in process.stdout:
        if "Ready to accept connections" in line:
            return port
    raise AssertionError("the server did not start")


def end(process: subprocess.Popen[Any]) -> None:
    """End a process and wait until it is gone."""
    process.kill()
    process.wait()
