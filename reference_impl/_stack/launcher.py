"""All services on this machine, as processes of their own, restarted when they die; see `reference_impl.__main__`."""

import asyncio
import contextlib
import json
import os
import secrets
import socket
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import httpx

from reference_impl._stack import programs
from reference_impl._stack.settings import SYMBOLS
from reference_impl.stack import SERVICES

API_KEY: Final = "harness-emulator-key"
API_SECRET: Final = "harness-emulator-secret"  # noqa: S105 - opens nothing but an emulator on loopback
BALANCE: Final = 100_000
_WATCHED: Final = ("execution", "strategy", "portfolio", "dashboard")
_URLS: Final[Mapping[str, Sequence[str]]] = {
    "portfolio": ("execution",),
    "dashboard": ("strategy", "health"),
    "health": _WATCHED,
}
_READY_S: Final = 30.0
_AGAIN_S: Final = 1.0
_STOP_S: Final = 8.0


class NotReadyError(Exception):
    """Something did not come up; the text says what, and where its log is."""


@dataclass(slots=True)
class Child:
    """One process. `pid` is that of its present life."""

    name: str
    process: asyncio.subprocess.Process

    @property
    def pid(self) -> int:
        """Of its present life."""
        return self.process.pid


@dataclass(slots=True)
class Stack:
    """Everything that runs. `binance_url` and `redis_url` may be others' servers."""

    directory: Path
    redis_url: str = ""
    binance_url: str = ""
    operator_token: str = field(default_factory=lambda: secrets.token_urlsafe(24), repr=False)
    dashboard_token: str = field(default_factory=lambda: secrets.token_urlsafe(24), repr=False)
    children: dict[str, Child] = field(default_factory=dict)
    _door_token: str = field(default_factory=lambda: secrets.token_urlsafe(24), repr=False)
    _sockets: dict[str, socket.socket] = field(default_factory=dict)
    _keepers: list["asyncio.Task[None]"] = field(default_factory=list)

    def url(self, service: str) -> str:
        """Return where that service is."""
        return f"http://127.0.0.1:{self._sockets[service].getsockname()[1]}"

    async def start(self) -> None:
        """Start what was not given, then every service; return once all are healthy. Raises `NotReadyError`."""
        self._sockets = {name: programs.listening() for name in SERVICES}
        if not self.redis_url:
            await self._start_redis()
        if not self.binance_url:
            await self._start_binance()
        for name in SERVICES:
            await self._start_service(name)
            self._keepers.append(asyncio.create_task(self._keep(name), name=f"keeper of {name}"))
        await asyncio.gather(*(self._healthy(name) for name in SERVICES))

    async def close(self) -> None:
        """End everything that was started: services first, so that they can say goodbye."""
        for keeper in self._keepers:
            keeper.cancel()
        await asyncio.gather(*(_end(self.children[name]) for name in SERVICES if name in self.children))
        await asyncio.gather(*(_end(child) for name, child in self.children.items() if name not in SERVICES))
        for sock in self._sockets.values():
            sock.close()

    def settings(self, service: str) -> dict[str, Any]:
        """Return what that service is told."""
        return {
            "redis_url": self.redis_url,
            "binance_url": self.binance_url,
            "urls": {name: self.url(name) for name in _URLS.get(service, ())},
            "api_key": API_KEY,
            "api_secret": API_SECRET,
            "operators": {"operator": self.operator_token},
            "door_token": self._door_token,
            "dashboard_token": self.dashboard_token,
            "arm_as": "operator",
            "deposit": str(BALANCE),
            "symbols": list(SYMBOLS),
            "candle_s": 2.0,
            "options": {"ai": {"models": "small"}, "health": {"interval": 2.0, "timeout": 1.0}},
        }

    async def _start_redis(self) -> None:
        port = programs.free_port()
        folder = self.directory / "redis"
        folder.mkdir(parents=True, exist_ok=True)
        arguments = ("--port", str(port), "--bind", "127.0.0.1", "--appendonly", "yes", "--dir", str(folder))
        await self._spawn("redis", (programs.redis_server(), *arguments))
        self.redis_url = f"redis://127.0.0.1:{port}/0"

    async def _start_binance(self) -> None:
        reader, writer = os.pipe()
        arguments = ("binance", "--port", "0", "--balance", str(BALANCE), "--ready-fd", str(writer))
        try:
            await self._spawn("binance", (programs.emulator(), *arguments), files=(writer,))
        finally:
            os.close(writer)
        try:
            async with asyncio.timeout(_READY_S):
                address = (await asyncio.to_thread(os.read, reader, 100)).decode().strip()
        finally:
            os.close(reader)
        if not address:
            raise NotReadyError(f"the emulated exchange did not start: see {self._log_path('binance')}")
        self.binance_url = f"http://{address}"

    async def _start_service(self, name: str) -> None:
        sock = self._sockets[name]
        child = await self._spawn(
            name, (sys.executable, "-m", "reference_impl._stack.serve"), files=(sock.fileno(),), talks=True
        )
        told = {
            "service": name,
            "directory": str(self.directory / name),
            "settings": self.settings(name),
            "socket": sock.fileno(),
        }
        assert child.process.stdin is not None
        child.process.stdin.write(json.dumps(told).encode() + b"\n")
        with contextlib.suppress(ConnectionError):  # it died at once; its keeper sees that
            await child.process.stdin.drain()

    async def _keep(self, name: str) -> None:
        """Start the service anew whenever it has died."""
        while True:
            await self.children[name].process.wait()
            await asyncio.sleep(_AGAIN_S)
            await self._start_service(name)

    async def _spawn(
        self, name: str, arguments: Sequence[str], *, files: Sequence[int] = (), talks: bool = False
    ) -> Child:
        path = self._log_path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("ab") as log:
            process = await asyncio.create_subprocess_exec(
                *arguments,
                stdin=asyncio.subprocess.PIPE if talks else asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=tuple(files),
                start_new_session=True,  # Ctrl-C is for us, who end the others in order
                preexec_fn=programs.end_with_parent,
            )
        child = self.children[name] = Child(name, process)
        return child

    async def _healthy(self, name: str) -> None:
        async with httpx.AsyncClient(trust_env=False, verify=False) as client:  # noqa: S501 - plain HTTP on loopback
            for _ in range(int(_READY_S * 10)):
                with contextlib.suppress(httpx.HTTPError):
                    if (await client.get(f"{self.url(name)}/health", timeout=1.0)).is_success:
                        return
                await asyncio.sleep(0.1)
        raise NotReadyError(f"{name} did not come up: see {self._log_path(name)}")

    def _log_path(self, name: str) -> Path:
        return self.directory / "logs" / f"{name}.log"


async def _end(child: Child) -> None:
    """Ask it to end, and make it if it does not."""
    process = child.process
    if process.returncode is not None:
        return
    with contextlib.suppress(ProcessLookupError):
        process.terminate()
    try:
        async with asyncio.timeout(_STOP_S):
            await process.wait()
    except TimeoutError:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
