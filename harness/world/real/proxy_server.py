"""What the real world asks of a proxy server, and the embedded one: `harness.toxiproxy` in a process of its own.

The other one is a toxiproxy-server that somebody else runs (foreign_proxy.py). What it cannot do, or does differently,
is told there.
"""

import asyncio
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final, Protocol

import harness
from harness.errors import WorldError
from harness.toxics.base import Direction, Toxic
from harness.toxics.catalog import attributes
from harness.toxics.exchange.match import Follow
from harness.toxics.partition import Partition
from harness.world.real.proxy_api import ProxyApi, ProxyPlace

if TYPE_CHECKING:
    from harness.world.real.process import ChildProcess, Run

_START_S_MAX: Final = 20.0
_TAIL_LINES: Final = 5


class ProxyServer(Protocol):
    """A server with proxies. A proxy is named by a string. Methods raise `WorldError`."""

    async def create(self, proxy: str, upstream: str, follow: Follow | None, *, listen: str) -> int:
        """Make a proxy that leads to the address `upstream`; return the port where it listens, at that address."""

    async def enable(self, proxy: str) -> None:
        """Listen, on the same port as ever."""

    async def disable(self, proxy: str, *, reset: bool = False) -> None:
        """Close every connection (reset them if it can be asked to), and refuse new ones."""

    async def add(
        self, proxy: str, name: str, toxic: Toxic, *, stream: Direction, toxicity: float, per_message: bool
    ) -> None:
        """Begin to do this to the bytes of its connections."""

    async def remove(self, proxy: str, name: str) -> Mapping[str, int]:
        """End it; return its effects, as far as the server can tell."""

    async def reset(self, proxy: str) -> Mapping[str, int]:
        """Reset every connection there is; return `reset`, how many, as far as the server can tell."""

    async def cut(self, proxy: str, name: str, stream: Direction) -> None:
        """Partition that way, until `remove`."""

    async def close(self) -> None:
        """Leave nothing behind."""


class EmbeddedProxy:
    """The embedded server, driven over its API. Made by `start_embedded`."""

    def __init__(self, api: ProxyApi, watch: "asyncio.Task[None]") -> None:
        self._api = api
        self._watch = watch

    async def create(self, proxy: str, upstream: str, follow: Follow | None, *, listen: str) -> int:
        """Make a proxy; the server keeps its port while it is disabled."""
        await self._api.create(proxy, listen=f"{listen}:0", upstream=upstream)
        made = await self._api.post(f"/proxies/{proxy}", {} if follow is None else {"follow": follow})
        return int(made["listen"].rpartition(":")[2])

    async def enable(self, proxy: str) -> None:
        """Listen."""
        await self._api.enable(proxy)

    async def disable(self, proxy: str, *, reset: bool = False) -> None:
        """Refuse; with `reset`, who is connected learns it by a RST."""
        if reset:
            await self.reset(proxy)
        await self._api.disable(proxy)

    async def add(
        self, proxy: str, name: str, toxic: Toxic, *, stream: Direction, toxicity: float, per_message: bool
    ) -> None:
        """Add a toxic of any type."""
        values = attributes(toxic)
        if not per_message:
            await self._api.add_toxic(proxy, name, toxic.type, stream=stream, toxicity=toxicity, attributes=values)
            return
        asked = {"name": name, "type": toxic.type, "stream": stream, "toxicity": toxicity, "attributes": values}
        await self._api.post(f"/proxies/{proxy}/toxics", {**asked, "toxicity_per": "message"})

    async def remove(self, proxy: str, name: str) -> Mapping[str, int]:
        """Remove a toxic. The server remembers what it did, to the last byte."""
        await self._api.remove_toxic(proxy, name)
        removed = (await self._api.get("/effects"))["proxies"][proxy]["removed"]
        return next((one["effects"] for one in reversed(removed) if one["name"] == name), {})

    async def reset(self, proxy: str) -> Mapping[str, int]:
        """Reset every connection, at both ends."""
        return {"reset": int((await self._api.post(f"/proxies/{proxy}/abort_connections"))["aborted"])}

    async def cut(self, proxy: str, name: str, stream: Direction) -> None:
        """Partition: connecting gets no answer."""
        await self.add(proxy, name, Partition(), stream=stream, toxicity=1.0, per_message=False)

    async def close(self) -> None:
        """Hang up; the process ends with the run."""
        self._watch.cancel()
        await self._api.close()


async def start_embedded(run: "Run", log: Path, seed: int, died: Callable[[str], None]) -> EmbeddedProxy:
    """Start the embedded server as a process of the run; `died` is told if it ends before it is closed.

    Raises `WorldError` if it does not come to answer.
    """
    warming = asyncio.create_task(ProxyApi.warm_up(), name="import what drives the proxy")
    try:
        child, place = await _start_process(run, log, seed)
    finally:
        await warming

    async def watch() -> None:
        died(f"returncode {await child.wait()}{_tail(log)}")

    return EmbeddedProxy(ProxyApi(place), asyncio.create_task(watch(), name="watch the proxy"))


async def _start_process(run: "Run", log: Path, seed: int) -> tuple["ChildProcess", ProxyPlace]:
    """Start it; return when it has said where it listens."""
    reading, writing = os.pipe()
    search = os.pathsep.join(filter(None, (str(Path(harness.__file__).parents[1]), os.environ.get("PYTHONPATH"))))
    argv = [sys.executable, "-m", "harness.toxiproxy", "--port", "0", "--seed", str(seed), "--ready-fd", str(writing)]
    with os.fdopen(reading, "rb", buffering=0) as ready:
        try:
            with log.open("wb") as file:
                environment = {**os.environ, "PYTHONPATH": search}
                child = await run.spawn(
                    argv, name="toxiproxy", env=environment, stdout=file, stderr=file, pass_fds=(writing,)
                )
        finally:
            os.close(writing)
        line = await _line(ready)
    host, _, port = line.strip().rpartition(":")
    if not port:
        raise WorldError(f"the proxy did not start within {_START_S_MAX:.0f} s{_tail(log)}")
    return child, ProxyPlace(host=host, port=int(port))


async def _line(pipe: IO[bytes]) -> str:
    """Return what the process says when it is ready; nothing if it ends or takes too long."""
    reader = asyncio.StreamReader()
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), pipe
    )
    try:
        async with asyncio.timeout(_START_S_MAX):
            return (await reader.readline()).decode()
    except TimeoutError:
        return ""
    finally:
        transport.close()


def _tail(log: Path) -> str:
    """Return the end of its log, for an error text."""
    try:
        lines = log.read_text(errors="replace").splitlines()
    except OSError:
        return ""
    return "".join(f"\n{line}" for line in lines[-_TAIL_LINES:])
