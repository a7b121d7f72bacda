"""A service that breaks inside: it is up, accepts, and what it answers is not what it should.

It is done where the answer passes, on the link from the one who asks, so that the service itself needs no switch for
it and any program can be the service. Others who ask it are not touched. The link follows HTTP (`HostSpec.follow`).
The proof is what the link counted: answers given in the service's stead, answers lost, bytes let through in drips.

`flaps` is a service that goes and comes back, faster than anybody can be told of it.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from harness.faults.network import Impairment, LinkFault, Toxics
from harness.tape import Stream
from harness.toxics.catalog import parse
from harness.world.base import Link, World

_ANSWERS: Final = MappingProxyType(
    {
        "error-500": (500, '{"error": "internal"}'),
        "unavailable-503": (503, '{"status": "healthy"}'),
        "says-down": (200, '{"status": "unhealthy"}'),
        "says-degraded": (200, '{"status": "degraded"}'),
        "wrong-json": (200, '{"state": ["healthy"], "ok": true}'),
        "no-json": (200, "<!doctype html><title>healthy</title>"),
        "cut-json": (200, '{"status": "healthy"'),
    }
)
_SILENT: Final = ("hangs", "drips")
MODES: Final = (*_ANSWERS, *_SILENT)
"""Answers with another status or body; `hangs`: none comes; `drips`: a byte at a time, and never enough of them."""

_DRIP_US: Final = 250_000
"""An answer of 150 bytes then takes 37 s, and there is something to read four times a second."""


def misbehaves(host: str, service: str, *modes: str, path: str = "") -> LinkFault:
    """Return the fault of a service that answers the requests of `host` wrongly, in one of these modes.

    All by default, rotating with the seed. `path` is a glob that the request's path must fit (empty: any); what drips,
    drips for all of them. Raises ValueError for an unknown mode.
    """
    if unknown := set(modes) - set(MODES):
        raise ValueError(f"unknown ways to misbehave {sorted(unknown)}; known: {', '.join(MODES)}")
    how = {mode: _impairment(mode, path) for mode in modes or MODES}
    return LinkFault("service.misbehaves", host, service, how)


def _impairment(mode: str, path: str) -> Impairment:
    if mode == "drips":
        toxic = parse("slicer", {"average_size": 1, "size_variation": 0, "delay": _DRIP_US})
        return Toxics((("downstream", toxic),), frozenset({"bytes"}))
    if mode == "hangs":
        toxic = parse("http_match", {"action": "drop_reply", "path": path})
        return Toxics((("downstream", toxic),), frozenset({"dropped_replies"}))
    status, body = _ANSWERS[mode]
    toxic = parse("http_match", {"action": "answer", "path": path, "status": status, "body": body})
    return Toxics((("downstream", toxic),), frozenset({"answered"}))


@dataclass(frozen=True, slots=True)
class Flaps:
    """Refused, accepted, refused...: each for a pause drawn from that range; accepted in the end."""

    pause_ns: tuple[int, int]
    types: frozenset[str] = frozenset()
    proof: frozenset[str] = frozenset({"refused"})

    @asynccontextmanager
    async def hold(self, link: Link, name: str, world: World, stream: Stream) -> AsyncIterator[None]:
        """Go to and fro until left."""

        async def flap() -> None:
            while True:
                await link.refuse()
                await world.sleep_until(world.now_ns() + stream.between(*self.pause_ns))
                await link.accept()
                await world.sleep_until(world.now_ns() + stream.between(*self.pause_ns))

        task = asyncio.create_task(flap(), name=name)
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            await link.accept()
        if not task.cancelled():
            task.result()


def flaps(host: str, service: str, *, pause_ns: tuple[int, int]) -> LinkFault:
    """Return the fault of a service that refuses `host`, lets it in, refuses it again, until healed."""
    return LinkFault("service.flaps", host, service, {"flaps": Flaps(pause_ns)})
