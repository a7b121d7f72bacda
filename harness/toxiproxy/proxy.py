"""One proxy: where it listens, where it leads, what is toxic about it, and the connections that live through it."""

import asyncio
import socket
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from harness.toxics.base import Active, Dice, Direction
from harness.toxics.conduit import Conduit
from harness.toxics.exchange.match import Follow
from harness.toxiproxy import errors
from harness.toxiproxy.addresses import AddressError, resolve, show, split
from harness.toxiproxy.listener import Listener
from harness.toxiproxy.relay import Relay
from harness.toxiproxy.traffic import Traffic

REMEMBERED_MAX: Final = 64
"""So many removed toxics of a proxy are remembered for `GET /effects`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProxySpec:
    """What a client asks for. `listen` may be a name and port 0; `enabled` None is not said."""

    name: str
    listen: str
    upstream: str
    enabled: bool | None = None
    follow: Follow | None = None
    """The protocol whose conversations are followed from their first byte."""


class Proxy:
    """A proxy, disabled at first. `dice(connection)` gives the toxics of its n-th connection their dice."""

    def __init__(self, spec: ProxySpec, dice: Callable[[int], Callable[[str], Dice]]) -> None:
        self.name = spec.name
        self.listen = spec.listen
        self.upstream = spec.upstream
        self.follow = spec.follow
        self.traffic = Traffic()
        self.actives: list[Active] = []
        """In the order in which they were created."""
        self.removed: deque[Active] = deque(maxlen=REMEMBERED_MAX)
        self._dice = dice
        self._listener: Listener | None = None
        self._relays: set[Relay] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def enabled(self) -> bool:
        """It listens."""
        return self._listener is not None and self._listener.is_open

    @property
    def live(self) -> int:
        """How many connections there are now."""
        return len(self._relays)

    async def start(self) -> None:
        """Listen. From then on `listen` is numeric, and its port stays. Raises `ApiError` (500)."""
        if self.enabled:
            return
        if self._listener is None:
            self._listener = Listener(await resolve(self.listen), self._accepted)
            self.listen = show(self._listener.address)
        self._listener.open()
        self._answer_or_not()

    def stop(self) -> None:
        """Refuse connections, and close those there are at once. The port is kept."""
        if self._listener is not None:
            self.collect_lost()
            self._listener.close()
        for relay in list(self._relays):
            relay.abort()

    def remove(self) -> None:
        """Stop for good: the port is given back."""
        self.stop()
        if self._listener is not None:
            self._listener.release()
            self._listener = None

    async def update(self, spec: ProxySpec) -> None:
        """Take on other addresses (which restarts it, toxics kept) and be enabled or disabled. Raises `ApiError`."""
        enable = self.enabled if spec.enabled is None else spec.enabled
        if self.upstream != spec.upstream:
            self.stop()
            self.upstream = spec.upstream
        if await self.differs(spec):
            self.remove()
            self.listen = spec.listen
        self.follow = spec.follow
        if enable:
            await self.start()
        else:
            self.stop()

    async def differs(self, spec: ProxySpec) -> bool:
        """Say whether the addresses asked for are others than it has. Raises `ApiError` (500) if there is no such."""
        if (self.upstream, self.listen) == (spec.upstream, spec.listen):
            return False
        return self.upstream != spec.upstream or self.listen != show(await resolve(spec.listen))

    def toxic(self, name: str) -> Active:
        """Return the toxic of that name. Raises `ApiError` (404)."""
        for active in self.actives:
            if active.name == name:
                return active
        raise errors.toxic_not_found()

    def add_toxic(self, active: Active) -> None:
        """Put it behind those there are, on living connections too. Raises `ApiError` (409) if the name is taken."""
        if any(one.name == active.name for one in self.actives):
            raise errors.toxic_exists()
        self.actives.append(active)
        self._answer_or_not()
        for relay in list(self._relays):
            relay.add(active)

    def change_toxic(self, active: Active) -> None:
        """Tell living connections that this toxic of ours has other attributes now."""
        for relay in list(self._relays):
            relay.change(active)

    def remove_toxic(self, active: Active) -> None:
        """Take it away, from living connections too: what it held goes on its way."""
        self.collect_lost()
        self.actives.remove(active)
        for relay in list(self._relays):
            relay.remove(active)
        self.removed.append(active)
        self._answer_or_not()

    def reset_connections(self) -> int:
        """Reset (RST) every connection there is, at both ends; return how many."""
        relays = [relay for relay in self._relays if not relay.is_over]
        for relay in relays:
            relay.abort(reset=True)
        return len(relays)

    def effects(self) -> Mapping[str, Any]:
        """Return the counts as `GET /effects` shows them."""
        self.collect_lost()
        return {
            "connections": {
                "accepted": self.traffic.connections,
                "unreached": self.traffic.unreached,
                "live": self.live,
            },
            "bytes": {
                stream: {"received": flow.received, "sent": flow.sent} for stream, flow in self.traffic.flows.items()
            },
            "toxics": {active.name: dict(active.effects) for active in self.actives},
            "removed": [{"name": active.name, "effects": dict(active.effects)} for active in self.removed],
        }

    def keeps_half_close(self, direction: Direction) -> bool:
        """Implement `relay.Owner`."""
        return any(active.stream == direction and active.toxic.keeps_half_close for active in self.actives)

    def over(self, relay: Relay) -> None:
        """Implement `relay.Owner`."""
        self._relays.discard(relay)

    def _answer_or_not(self) -> None:
        """Have connecting answered, or not, as the toxics want it."""
        if self._listener is not None:
            if any(active.toxic.loses_connects for active in self.actives):
                self._listener.deafen()
            else:
                self._listener.hear()

    def collect_lost(self) -> None:
        """Book the connection attempts that got no answer under the toxics that are to blame."""
        lost = self._listener.take_lost() if self._listener is not None else 0
        if lost:
            for active in self.actives:
                if active.toxic.loses_connects:
                    active.effects["lost"] += lost

    def _accepted(self, sock: socket.socket) -> None:
        self.traffic.connections += 1
        conduit = Conduit(self.actives, self._dice(self.traffic.connections), follow=self.follow)
        relay = Relay(conduit, self, self.traffic.flows)
        self._relays.add(relay)
        task = asyncio.get_running_loop().create_task(self._connect(relay, sock))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _connect(self, relay: Relay, sock: socket.socket) -> None:
        """Make the accepted socket the relay's client, then connect to upstream for it."""
        loop = asyncio.get_running_loop()
        try:
            if not relay.is_over:
                await loop.connect_accepted_socket(lambda: relay.client, sock)
            if not relay.is_over:
                relay.dialling = asyncio.current_task()
                host, port = split(self.upstream)
                await loop.create_connection(lambda: relay.server, host or "localhost", port)
        except (OSError, UnicodeError, AddressError):
            relay.dialling = None
            self.traffic.unreached += 1
            relay.close()
        finally:
            relay.dialling = None
            if relay.client.transport is None:  # it was over in the turn of the loop in which it was accepted
                relay.drop(sock)
                self.over(relay)
