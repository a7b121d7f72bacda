"""Every host's way to every dependency: a proxy of its own, so that a fault hits one link and no other.

A proxy is made when its host is first started, stays over the host's restarts (same port, so the same URL, and the
same toxics), and is closed to clients for as long as anybody has a reason: the link refuses, or the dependency has
shut its doors. Without the latter a client of a dead server would be accepted by the proxy and then sent away, where
without a proxy it would have been refused.

A dependency is reached through proxies if its URL names a host and has a port, or a scheme whose port is known. The
URL's host and port are replaced, all else is kept; so the certificate of a dependency that speaks TLS must be good for
127.0.0.1. Any other URL (of a file, a unix socket) goes to hosts as it is, and has no link that could be broken.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Protocol
from urllib.parse import SplitResult, urlsplit

from harness.errors import WorldError
from harness.toxics.bandwidth import Bandwidth
from harness.toxics.exchange.match import Follow
from harness.world.real.host_link import HostLink
from harness.world.real.links import PORTS
from harness.world.real.proxy_server import ProxyServer

_LOCALHOST: Final = "127.0.0.1"
_STALL: Final = "dependency_stalls"


class Doors(Protocol):
    """The proxies in front of a dependency, as the dependency sees them."""

    async def shut(self) -> None:
        """Nobody listens any more: reset every connection and refuse new ones, at every proxy."""

    async def open(self) -> None:
        """End `shut`; the dependency answers again."""

    async def stall(self) -> None:
        """Hold what hosts send from now on. Connections live on, and new ones are accepted."""

    async def flow(self) -> tuple[int, int]:
        """End `stall`, what was held arrives; return how many connections had sent how many bytes meanwhile."""


@dataclass(slots=True)
class _Way:
    """One host's proxy in front of one dependency. `closed_by` holds who has a reason to keep it closed."""

    proxy: str
    port: int
    link: HostLink
    closed_by: set[str] = field(default_factory=set)


@dataclass(slots=True)
class _Gate:
    """One dependency: its proxies by host, and the condition that new ones are to be made in."""

    url: str
    follow: Follow | None
    ways: dict[str, _Way] = field(default_factory=dict)
    shut: bool = False
    stalled: bool = False


class Proxies:
    """All proxies of a run. `observe(host, value)` records a `toxic` observation.

    `start` starts the server, or finds it; that is begun with the first dependency, so that it takes its time beside
    it, and waited for when the first host needs it.
    """

    def __init__(
        self, start: Callable[[], Awaitable[ProxyServer]], observe: Callable[[str, dict[str, Any]], None]
    ) -> None:
        self._start = start
        self._observe = observe
        self._starting: asyncio.Future[ProxyServer] | None = None
        self._gates: dict[str, _Gate] = {}
        self._making = asyncio.Lock()

    def begin(self) -> None:
        """Begin to start the server, if that was not begun."""
        if self._starting is None:
            self._starting = asyncio.ensure_future(self._start())

    def doors(self, dependency: str) -> "Doors":
        """Return the doors of a dependency, which need not be registered yet."""
        return _Doors(self, dependency)

    def register(self, dependency: str, url: str, follow: Follow | None) -> None:
        """Say where the dependency is."""
        self._gates[dependency] = _Gate(url, follow)

    async def endpoints(self, host: str, listen: str = _LOCALHOST) -> Mapping[str, str]:
        """Return the URL of each dependency and each other host that serves, for that host; proxies are made.

        They listen at the address `listen`, which is another than loopback's for a host that has parts elsewhere.
        """
        found: dict[str, str] = {}
        async with self._making:
            for dependency, gate in self._gates.items():
                if dependency == host:
                    continue
                address = address_of(gate.url)
                if address is None:
                    found[dependency] = gate.url
                    continue
                way = gate.ways.get(host) or await self._make(host, dependency, gate, address, listen)
                found[dependency] = through(gate.url, way.port, listen)
        return found

    def link(self, host: str, dependency: str) -> HostLink:
        """Return the link of a host that was started to a dependency. Raises `WorldError`."""
        gate = self._gates[dependency]
        if host not in gate.ways:
            raise WorldError(f"no proxy leads from {host!r} to {dependency!r} at {gate.url.partition('://')[0]}://...")
        return gate.ways[host].link

    async def close(self) -> None:
        """Leave nothing behind at the server."""
        if self._starting is None:
            return
        if not self._starting.done():
            self._starting.cancel()
        await asyncio.wait([self._starting])
        if not self._starting.cancelled() and self._starting.exception() is None:
            await self._starting.result().close()

    async def _server(self) -> ProxyServer:
        assert self._starting is not None
        return await asyncio.shield(self._starting)

    async def _make(self, host: str, dependency: str, gate: _Gate, address: str, listen: str) -> _Way:
        server = await self._server()
        proxy = f"{host}.{dependency}"
        port = await server.create(proxy, address, gate.follow, listen=listen)

        def observe(value: dict[str, Any]) -> None:
            self._observe(host, value)

        async def admit(admitted: bool) -> None:
            await self._keep_closed(server, way, by="link", closed=not admitted)

        way = _Way(proxy, port, HostLink(server, proxy, dependency, observe=observe, admit=admit))
        gate.ways[host] = way
        if gate.shut:
            await self._keep_closed(server, way, by="dependency", closed=True)
        if gate.stalled:
            await self._stall(server, way)
        return way

    async def _keep_closed(self, server: ProxyServer, way: _Way, *, by: str, closed: bool) -> None:
        """Always tells the server, whatever it was told before: an earlier call may have been cut short."""
        (way.closed_by.add if closed else way.closed_by.discard)(by)
        if way.closed_by:
            await server.disable(way.proxy, reset=by == "dependency")
        else:
            await server.enable(way.proxy)

    async def _stall(self, server: ProxyServer, way: _Way) -> None:
        toxic = Bandwidth(rate=0)
        await server.add(way.proxy, _STALL, toxic, stream="upstream", toxicity=1.0, per_message=False)

    async def set_shut(self, dependency: str, *, shut: bool) -> None:
        """Shut or open the doors of a dependency; before it is registered there are none."""
        gate = self._gates.get(dependency)
        if gate is None:
            return
        gate.shut = shut
        for way in list(gate.ways.values()):
            await self._keep_closed(await self._server(), way, by="dependency", closed=shut)

    async def stall(self, dependency: str) -> None:
        """See `Doors`."""
        gate = self._gates[dependency]
        gate.stalled = True
        for way in list(gate.ways.values()):
            await self._stall(await self._server(), way)

    async def flow(self, dependency: str) -> tuple[int, int]:
        """See `Doors`."""
        gate = self._gates[dependency]
        gate.stalled = False
        effects = [await (await self._server()).remove(way.proxy, _STALL) for way in list(gate.ways.values())]
        return sum(one.get("connections", 0) for one in effects), sum(one.get("bytes", 0) for one in effects)


@dataclass(frozen=True, slots=True)
class _Doors:
    """Implements `Doors`."""

    proxies: Proxies
    dependency: str

    async def shut(self) -> None:
        await self.proxies.set_shut(self.dependency, shut=True)

    async def open(self) -> None:
        await self.proxies.set_shut(self.dependency, shut=False)

    async def stall(self) -> None:
        await self.proxies.stall(self.dependency)

    async def flow(self) -> tuple[int, int]:
        return await self.proxies.flow(self.dependency)


def address_of(url: str) -> str | None:
    """Return `host:port` of a URL, by its scheme's own port if it names none; None if it is not reached over TCP."""
    parts = urlsplit(url)
    port = _port(parts)
    if not parts.hostname or not port:
        return None
    return f"[{parts.hostname}]:{port}" if ":" in parts.hostname else f"{parts.hostname}:{port}"


def through(url: str, port: int, listen: str = _LOCALHOST) -> str:
    """Return the URL with host and port replaced by a proxy's; scheme, credentials, path and query are kept."""
    parts = urlsplit(url)
    credentials, at, _ = parts.netloc.rpartition("@")
    return parts._replace(netloc=f"{credentials}{at}{listen}:{port}").geturl()


def _port(parts: SplitResult) -> int:
    return parts.port or PORTS.get(parts.scheme, 0)
