"""How a connection comes about: SYN, SYN-ACK, ACK, each over its link, so connecting costs a round trip.

A lost SYN (or SYN-ACK) is sent again after 1, 3, 7, 15, 31 and 63 s; after 127 s the kernel gives up with ETIMEDOUT. A
refused connection is a reset that travels back. The kernel of a frozen host does its part, up to the listener's
backlog; beyond that it drops SYNs.
"""

import errno
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from harness.units import SECOND
from harness.world.sim.links import LOST
from harness.world.sim.sockets import SimSocket

if TYPE_CHECKING:
    from harness.world.sim.network import Network
    from harness.world.sim.node import Node

SYN_PAUSES_NS: Final = tuple(SECOND << attempt for attempt in range(7))


class Handshake:
    """One client's attempts to connect. `server` is the other end, from the moment its kernel has seen a SYN."""

    __slots__ = ("_attempt", "_client", "_listener", "_network", "_server", "_target")

    def __init__(self, network: "Network", client: SimSocket, target: "Node") -> None:
        self._network = network
        self._client = client
        self._target = target
        self._attempt = 0
        self._server: SimSocket | None = None
        self._listener: SimSocket | None = None

    def send_syn(self, _: object) -> None:
        """Try, and arm the next try."""
        if not self._is_pending():
            return
        if self._attempt == len(SYN_PAUSES_NS):
            self._abandon()
            self._fail(errno.ETIMEDOUT, "unreachable")
            return
        loop = self._network.loop
        loop.after_kernel(loop.now + SYN_PAUSES_NS[self._attempt], self.send_syn, None)
        self._attempt += 1
        self._send(self._syn_arrives, "S", back=False)

    def _is_pending(self) -> bool:
        client = self._client
        if client.connecting and not client.closed and not client.vanished:
            return True
        if client.closed or client.vanished:
            self._abandon()
        return False

    def _send(self, act: Callable[[Any], None], kind: str, *, back: bool) -> None:
        """Put one handshake segment on its link."""
        link = self._client.link.back if back else self._client.link
        delay = link.fate(0)
        if delay == LOST:
            link.lost_connects += 1
            return
        loop = self._network.loop
        self._network.note_segment(link, loop.now, loop.now + delay, kind, 0)
        loop.after_kernel(loop.now + delay, act, None)

    def _syn_arrives(self, _: object) -> None:
        target, client = self._target, self._client
        if not target.on or not self._is_pending():
            return
        if client.link.deaf:
            client.link.lost_connects += 1
            return
        if self._server is None:
            assert client.remote is not None
            listener = target.listeners.get(client.remote[1])
            if listener is not None and listener.local_only and target.name != client.host.machine:
                listener = None
            if target.refusing or client.link.refusing or listener is None:
                self._send(self._refused, "R", back=True)
                return
            assert listener.accepting is not None
            if len(listener.accepting) + listener.half_open > listener.backlog:
                return
            self._open(listener)
        elif self._server.vanished or self._server.dead:
            return
        self._send(self._syn_ack_arrives, "A", back=True)

    def _open(self, listener: SimSocket) -> None:
        client = self._client
        server = SimSocket(self._network, listener.host, client.family, client.proto)
        assert client.remote is not None
        server.local, server.remote = client.remote, client.local
        server.link = client.link.back
        server.peer, client.peer = client, server
        listener.half_open += 1
        self._server, self._listener = server, listener

    def _refused(self, _: object) -> None:
        if self._is_pending():
            self._fail(errno.ECONNREFUSED, "refused")

    def _fail(self, error: int, outcome: str) -> None:
        client = self._client
        client.connecting = False
        client.dead = True
        client.error = error
        self._network.observe(client, outcome)
        client.poll_soon()

    def _abandon(self) -> None:
        """The client is gone before it was connected: the server's kernel forgets it."""
        server, self._server = self._server, None
        if server is not None and self._listener is not None:
            self._listener.half_open -= 1
            server.dead = True
            server.close()

    def _syn_ack_arrives(self, _: object) -> None:
        """The client is connected; the server learns of it with the client's ACK, the next segment on the link."""
        client, server = self._client, self._server
        if server is None or not self._is_pending():
            return
        network = self._network
        self._server = None  # it has a life of its own now
        client.connecting = False
        network.observe(client, "connected")
        client.poll_soon()
        loop = network.loop
        # A lost ACK costs nothing: the first data, or the next SYN-ACK, makes up for it. That is not modelled.
        when = loop.now + max(client.link.fate(0), 0)
        client.free_at = when
        server.free_at = max(server.free_at, when)
        network.note_segment(client.link, loop.now, when, "A", 0)
        loop.after_kernel(when, self._ack_arrives, server)

    def _ack_arrives(self, server: SimSocket) -> None:
        listener = self._listener
        assert listener is not None
        listener.half_open -= 1
        if server.vanished or server.dead:
            return
        if listener.closed or listener.accepting is None or self._client.link.refusing:
            server.reset_peer()
            server.close()
            return
        host_link = self._client.link.host_link
        if host_link is not None:
            host_link.accepted(server)
        listener.accepting.append(server)
        if listener.reader is not None and not listener.fired:
            listener.fire(listener.reader)
