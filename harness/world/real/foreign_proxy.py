"""A toxiproxy-server that somebody else runs (`--toxiproxy URL`), driven like the embedded one as far as it goes.

It must run on this machine, as dependencies and proxies listen on 127.0.0.1. Ours are named `harness-<run>-...`, and
deleted at the end: by this module, by the run's guard if the harness is killed, by `harness doctor --clean` if that was
killed as well (both go by the run record). What such a server does differently:

- it knows Toxiproxy's seven toxics; any other is a `WorldError` that says so, and faults that need one, or that could
  not be proven, are left out of a run's plan (`LEFT_OUT`);
- a partition is `bandwidth` at rate 0: bytes stop, but connecting is answered;
- a reset is `disable` and `enable`: connections end, by FIN as a rule, and nobody counts them;
- toxicity is rolled for a connection, never for a message, and no conversation is followed;
- it does not tell what its toxics did. The kernel does, a little (socket_counts.py): a toxic's `bytes` are what the
  proxy took from clients (upstream) or brought them (downstream) meanwhile, a partition's `held` what it took from
  clients. Where the kernel does not tell either, a fault stays unproven, and the run inconclusive.
"""

import socket
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from harness.errors import UsageError, WorldError
from harness.toxics.bandwidth import Bandwidth
from harness.toxics.base import Direction, Toxic
from harness.toxics.catalog import attributes
from harness.toxics.exchange.match import Follow
from harness.world.real import socket_counts
from harness.world.real.proxy_api import ProxyApi, ProxyApiError, ProxyPlace

if TYPE_CHECKING:
    from harness.world.real.process import Run

CLASSIC: Final = frozenset(
    ("latency", "bandwidth", "slow_close", "timeout", "reset_peer", "slicer", "limit_data"),
)
LEFT_OUT: Final = (
    "network.partition/downstream",
    "network.reset/now",
    "network.reset_mid_reply/reset-mid-reply",
    "network.drop_reply/drop-reply",
    "network.half_open/half-open",
)
"""Faults, each with a mode, that need toxics of ours, or of which nobody there tells whether they bit."""
_LOOPBACK: Final = ("127.0.0.1", "localhost")
_NOT_FOUND: Final = 404


@dataclass(frozen=True, slots=True)
class _Reading:
    """What the kernel had counted when a toxic was added."""

    counts: socket_counts.Counts | None
    stream: Direction
    effect: str | None


class ForeignProxy:
    """Implements `ProxyServer` with the API of a server that is not ours. `run` writes down what must be deleted."""

    def __init__(self, api: ProxyApi, run: "Run") -> None:
        self._api = api
        self._run = run
        self._holders: dict[str, socket.socket] = {}
        self._readings: dict[tuple[str, str], _Reading] = {}

    def _name(self, proxy: str) -> str:
        return f"harness-{self._run.id}-{proxy}"

    def _port(self, proxy: str) -> int:
        port: int = self._holders[proxy].getsockname()[1]
        return port

    async def create(self, proxy: str, upstream: str, follow: Follow | None, *, listen: str) -> int:
        """Make a proxy. A socket of ours that never listens keeps its port while it is disabled."""
        del follow
        holder = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self._holders[proxy] = holder
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        holder.bind((listen, 0))
        name, port = self._name(proxy), self._port(proxy)
        self._run.note_proxy(self._api.place, name)
        await self._api.create(name, listen=f"{listen}:{port}", upstream=upstream)
        return port

    async def enable(self, proxy: str) -> None:
        """Listen."""
        await self._api.enable(self._name(proxy))

    async def disable(self, proxy: str, *, reset: bool = False) -> None:
        """Refuse. Connections are closed, not reset."""
        del reset
        await self._api.disable(self._name(proxy))

    async def add(
        self, proxy: str, name: str, toxic: Toxic, *, stream: Direction, toxicity: float, per_message: bool
    ) -> None:
        """Add one of the classic toxics."""
        if toxic.type not in CLASSIC:
            raise WorldError(f"{self._api.place.url} does not know {toxic.type}; leave out --toxiproxy for this fault")
        if per_message:
            raise WorldError(f"{self._api.place.url} rolls toxicity for connections, not for messages")
        await self._add(proxy, name, toxic, stream, toxicity, "bytes")

    async def cut(self, proxy: str, name: str, stream: Direction) -> None:
        """Let no byte through that way. Connecting is answered all the same."""
        await self._add(proxy, name, Bandwidth(rate=0), stream, 1.0, "held" if stream == "upstream" else None)

    async def _add(
        self, proxy: str, name: str, toxic: Toxic, stream: Direction, toxicity: float, effect: str | None
    ) -> None:
        values = attributes(toxic)
        await self._api.add_toxic(
            self._name(proxy), name, toxic.type, stream=stream, toxicity=toxicity, attributes=values
        )
        reading = socket_counts.read(self._port(proxy)) if toxicity >= 1 else None
        self._readings[proxy, name] = _Reading(reading, stream, effect)

    async def remove(self, proxy: str, name: str) -> Mapping[str, int]:
        """Remove a toxic; the effects are what the kernel has seen, none if that cannot be told."""
        before = self._readings.pop((proxy, name), None)
        after = socket_counts.read(self._port(proxy))
        await self._api.remove_toxic(self._name(proxy), name)
        if before is None or before.counts is None or before.effect is None or after is None:
            return {}
        received, sent = socket_counts.grown(before.counts, after)
        return {before.effect: received if before.stream == "upstream" else sent}

    async def reset(self, proxy: str) -> Mapping[str, int]:
        """End every connection. How many there were is not known."""
        await self._api.disable(self._name(proxy))
        await self._api.enable(self._name(proxy))
        return {}

    async def close(self) -> None:
        """Delete what we made there, also if some of it cannot be deleted; then raise what went wrong first."""
        problems: list[ProxyApiError] = []
        for proxy, holder in self._holders.items():
            holder.close()
            try:
                await self._api.delete(self._name(proxy))
            except ProxyApiError as error:
                if error.status == _NOT_FOUND:
                    self._run.forget_proxy(self._name(proxy))
                else:
                    problems.append(error)
            else:
                self._run.forget_proxy(self._name(proxy))
        await self._api.close()
        if problems:
            raise problems[0]


def parse_place(url: str) -> ProxyPlace:
    """Read the URL of a toxiproxy-server on this machine. Raises `UsageError`."""
    try:
        place = ProxyPlace.parse(url)
    except ValueError as error:
        raise UsageError(f"--toxiproxy {url!r}: {error}") from None
    if place.host not in _LOOPBACK:
        raise UsageError(f"--toxiproxy {url!r}: it must run on this machine, as http://127.0.0.1:{place.port}")
    return place


async def check_place(place: ProxyPlace) -> str:
    """Return the version of the server there. Raises `UsageError` if none answers."""
    api = ProxyApi(place)
    try:
        version = await api.version()
    except ProxyApiError as error:
        raise UsageError(f"--toxiproxy {place.url}: no toxiproxy-server answers there ({error.reason})") from None
    finally:
        await api.close()
    if not version:
        raise UsageError(f"--toxiproxy {place.url}: what answers there is no toxiproxy-server")
    return version


async def use_foreign(place: ProxyPlace, run: "Run") -> ForeignProxy:
    """Return the server there for a run. Raises `WorldError` if it does not answer."""
    api = ProxyApi(place)
    try:
        await api.version()
    except BaseException:
        await api.close()
        raise
    return ForeignProxy(api, run)
