"""The link from a host to a dependency, as faults see it: `harness.world.base.Link` on the host's own proxy."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from harness.errors import WorldError
from harness.toxics.base import Direction, Toxic
from harness.world.real.proxy_server import ProxyServer

_BOTH_WAYS: Final[tuple[Direction, Direction]] = ("upstream", "downstream")


class HostLink:
    """One proxy's toxics. `observe` records a `toxic` observation of the host, given its fields.

    `admit(True)` and `admit(False)` open and close the proxy for this link's own reason; a dependency that is gone
    keeps it closed for another (proxies.py).
    """

    def __init__(
        self,
        server: ProxyServer,
        proxy: str,
        dependency: str,
        *,
        observe: Callable[[dict[str, Any]], None],
        admit: Callable[[bool], Awaitable[None]],
    ) -> None:
        self._server = server
        self._proxy = proxy
        self._dependency = dependency
        self._observe = observe
        self._admit = admit
        self._toxics: dict[str, tuple[str, Direction]] = {}
        self._cuts: dict[Direction, str] = {}

    async def add(
        self, name: str, toxic: Toxic, *, stream: Direction, toxicity: float = 1.0, per_message: bool = False
    ) -> None:
        """Begin to do this to its bytes, after all that is done already. `name` is free on this link."""
        if name in self._toxics:
            raise WorldError(f"there is a toxic {name!r} on {self._proxy} already")
        self._toxics[name] = (toxic.type, stream)  # first: if the call is cut short, `remove` sees to what it did
        await self._server.add(self._proxy, name, toxic, stream=stream, toxicity=toxicity, per_message=per_message)

    async def remove(self, name: str) -> None:
        """End it; a `toxic` observation tells its effects. What it held goes on its way."""
        if name not in self._toxics:
            raise WorldError(f"there is no toxic {name!r} on {self._proxy}")
        kind, stream = self._toxics[name]
        effects = await self._server.remove(self._proxy, name)
        del self._toxics[name]
        self._tell(name, kind, stream, effects)

    async def cut(self, stream: Direction | None) -> None:
        """Partition, one way or (None) both. A direction that is cut already stays so."""
        for direction in _BOTH_WAYS:
            if stream in (None, direction) and direction not in self._cuts:
                name = self._cuts[direction] = f"partition_{direction}"
                await self._server.cut(self._proxy, name, direction)

    async def heal(self) -> None:
        """End the partition; a `toxic` observation for each direction that was cut tells what it did."""
        for direction, name in list(self._cuts.items()):
            effects = await self._server.remove(self._proxy, name)
            del self._cuts[direction]
            self._tell(name, "partition", direction, effects)

    async def refuse(self) -> None:
        """Close every connection, and refuse new ones (ECONNREFUSED)."""
        await self._admit(False)  # noqa: FBT003 - what it says in the class

    async def accept(self) -> None:
        """End `refuse`."""
        await self._admit(True)  # noqa: FBT003 - as above

    async def reset(self) -> None:
        """Reset (RST) every connection there is now, at both ends; a `toxic` observation tells how many."""
        self._tell("reset", "reset", "both", await self._server.reset(self._proxy))

    def _tell(self, name: str, kind: str, stream: str, effects: Mapping[str, int]) -> None:
        self._observe({"to": self._dependency, "toxic": name, "type": kind, "stream": stream, **effects})
