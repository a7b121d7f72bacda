"""The kernel's end of a TCP connection: what is sent, held, received, retransmitted and reset.

An endpoint sends over `link` to `peer`. Bytes that the peer's program has not read are `unread`, bounded by `WINDOW`
(send buffer, flight and receive buffer together): that is what gives backpressure. A segment that the link loses is
held and sent again, with everything after it, at the next retransmission: 0.2 s, 0.4 s ... 60 s later. Kernels do this
without their program, so it goes on while a host is frozen.

Errors follow Linux: a reset is ECONNRESET once (EPIPE where the peer had already closed), then end of file to readers
and EPIPE to writers; unread data is still readable; data for a closed socket is answered by a reset; closing with
unread data resets. A reset that is lost is not sent again.
"""

import errno
import socket
from collections import deque
from heapq import heappush
from typing import TYPE_CHECKING, Any, Final

from harness.units import SECOND
from harness.world.sim.links import LOST, Link
from harness.world.sim.trace import SEGMENT

if TYPE_CHECKING:
    import asyncio

    from harness.world.sim.incarnation import Incarnation
    from harness.world.sim.middlebox import Middlebox
    from harness.world.sim.network import Network
    from harness.world.sim.sockets import SimSocket

WINDOW: Final = 256 * 1024
"""Bytes on their way from one program to the other, at most."""
RETRANSMIT_FIRST_NS: Final = SECOND // 5
RETRANSMIT_MAX_NS: Final = 60 * SECOND
GIVE_UP_NS: Final = 924 * SECOND
"""Unacknowledged for so long, a connection fails: Linux' tcp_retries2 = 15 comes to 924.6 s."""

_OUTCOMES: Final = {errno.ECONNREFUSED: "refused"}

FIN: Final = "F"
RST: Final = "R"
WINDOW_UPDATE: Final = "W"


class Endpoint:
    """One end of a connection, or a listener, as its kernel keeps it; programs hold the subclass `SimSocket`."""

    __slots__ = (
        "__weakref__",
        "abortive",
        "accepting",
        "acked_late",
        "attempts",
        "backlog",
        "closed",
        "connecting",
        "credit",
        "dead",
        "end_of_file",
        "error",
        "family",
        "fd",
        "fired",
        "free_at",
        "half_open",
        "held",
        "host",
        "initiator",
        "link",
        "local",
        "local_only",
        "middlebox",
        "network",
        "peer",
        "proto",
        "reader",
        "received",
        "received_bytes",
        "remote",
        "shut",
        "since",
        "stands_for",
        "type",
        "unread",
        "vanished",
        "writer",
    )

    link: Link
    peer: "Endpoint"

    def __init__(self, network: "Network", host: "Incarnation", family: int, proto: int) -> None:
        self.network = network
        self.host = host
        self.family = socket.AddressFamily(family)
        self.type = socket.SOCK_STREAM
        self.proto = proto
        self.fd = network.next_fd()
        self.local: tuple[str, int] = ("0.0.0.0", 0)  # noqa: S104 - what an unbound socket says
        self.remote: tuple[str, int] | None = None
        self.reader: asyncio.Handle | None = None
        self.writer: asyncio.Handle | None = None
        self.fired = False
        self.received: deque[bytes] = deque()
        self.received_bytes = 0
        self.unread = 0
        self.credit = 0
        self.free_at = 0
        self.held: deque[Any] | None = None
        self.attempts = 0
        self.since = 0
        self.acked_late = False
        self.error = 0
        self.accepting: deque[SimSocket] | None = None
        self.backlog = 0
        self.half_open = 0
        self.local_only = False
        self.connecting = False
        self.initiator = False
        self.end_of_file = False
        self.shut = False
        self.abortive = False
        self.dead = False
        self.closed = False
        self.vanished = False
        self.middlebox: Middlebox | None = None
        self.stands_for: Any = None

    # --- readiness ----------------------------------------------------------------------------------------------

    def poll(self) -> None:
        """Make the reader and the writer ready if they can go on, as a selector would."""
        reader = self.reader
        if reader is not None and (self.received or self.end_of_file or self.error or self.dead or self.accepting):
            self.fire(reader)
        writer = self.writer
        if (
            writer is not None
            and not self.connecting
            and (WINDOW - self.unread >= WINDOW // 3 or self.error or self.dead)
        ):
            self.fire(writer)

    def poll_soon(self) -> None:
        """Poll in the next turn of the loop."""
        if not self.fired:
            self.fired = True
            self.network.loop.polled.append(self)

    def fire(self, handle: "asyncio.Handle") -> None:
        """Make a callback ready, unless its host stands still: then it is polled when it moves again."""
        if self.host.parked is not None:
            return
        loop = self.network.loop
        loop._ready.append(handle)
        if not self.fired:
            self.fired = True
            loop.polled.append(self)

    # --- segments -----------------------------------------------------------------------------------------------

    def transmit(self, item: Any, size: int) -> None:
        """Put a segment (bytes, FIN, RST or WINDOW_UPDATE) on the link."""
        link = self.link
        if self.held is not None:
            self.held.append(item)
            if link.cut and item.__class__ is bytes:
                link.held_bytes += size
            return
        delay = link.fate(size)
        if delay == LOST:
            if item.__class__ is bytes:
                link.held_bytes += size
            if item is not RST:
                self.hold(item)
            return
        network = self.network
        loop = network.loop
        now = loop.now
        when = now + delay
        if when < self.free_at:
            when = self.free_at
        else:
            self.free_at = when
        trace = loop.trace
        if item.__class__ is bytes and trace.rows is None:  # what `note_segment` does, without the call
            network.segments += 1
            buffer = trace.buffer
            buffer += SEGMENT(b"D", now, when, link.source_code, link.destination_code, size)
            buffer += item
        else:
            network.note_segment(link, now, when, item, size)
        loop.sequence = sequence = loop.sequence + 1
        heappush(loop.heap, (when, sequence, self.peer.arrive, item))
        if link.back.cut and not self.acked_late:
            self.acked_late = True
            self.since = now
            loop.after_kernel(now + RETRANSMIT_MAX_NS, self._check_acks, None)

    def arrive(self, item: Any, *, filtered: bool = False) -> None:
        """Take a segment off the link; `filtered` says that it has been through the toxics already."""
        if self.vanished:
            self.peer.hold(item)
            return
        if self.middlebox is not None and not filtered and (item.__class__ is bytes or item is FIN):
            self.middlebox.take(self, item)
            return
        if item.__class__ is bytes:
            if self.closed or self.dead:
                self.reset_peer()
                return
            self.received.append(item)
            self.received_bytes += len(item)
            reader = self.reader
            if reader is not None and not self.fired and self.host.parked is None:
                self.fired = True
                loop = self.network.loop
                loop._ready.append(reader)
                loop.polled.append(self)
        elif item is WINDOW_UPDATE:
            peer = self.peer
            self.unread -= peer.credit
            peer.credit = 0
            self.poll_soon()
        elif item is FIN:
            host_link = (self.link if self.initiator else self.link.back).host_link
            if host_link is not None and not filtered:
                host_link.intercept(self).take(self, item)
                return
            if self.closed or self.dead:
                return
            self.end_of_file = True
            self.network.observe(self, "closed")
            self.poll_soon()
        else:
            self.fail(errno.EPIPE if self.end_of_file else errno.ECONNRESET)

    def fail(self, error: int) -> None:
        """The connection is gone: a reset arrived, or nobody answers any more."""
        if self.dead:
            return
        self.dead = True
        self.held = None
        if not self.closed:
            self.error = errno.ECONNREFUSED if self.connecting and error == errno.ECONNRESET else error
            self.connecting = False
            self.network.observe(self, _OUTCOMES.get(self.error, "reset"))
            self.poll_soon()

    def reset_peer(self) -> None:
        """Send a reset; this side is gone at once."""
        self.dead = True
        self.held = None
        self.received.clear()
        self.transmit(RST, 0)

    def consumed(self, size: int) -> None:
        """The program has read `size` bytes: the peer may send as many more."""
        self.received_bytes -= size
        peer = self.peer
        if peer.writer is None:
            peer.unread -= size + self.credit
            self.credit = 0
        else:
            waiting = self.credit
            self.credit = waiting + size
            if waiting < WINDOW // 3 <= self.credit or not self.received:
                self.transmit(WINDOW_UPDATE, 0)

    def hold(self, item: Any) -> None:
        """The link lost a segment: send it again later."""
        if self.held is not None:
            self.held.append(item)
            return
        if self.vanished:
            return
        loop = self.network.loop
        self.held = deque((item,))
        self.attempts = 0
        self.since = loop.now
        loop.after_kernel(loop.now + RETRANSMIT_FIRST_NS, self._retransmit, self.held)

    def _retransmit(self, held: deque[Any]) -> None:
        if held is not self.held or self.vanished:
            return
        loop = self.network.loop
        if loop.now - self.since >= GIVE_UP_NS:
            self.fail(errno.ETIMEDOUT)
            return
        if self.link.cut or not self.network.is_on(self.peer.host.machine):
            self.attempts += 1
            pause = min(RETRANSMIT_FIRST_NS << min(self.attempts, 20), RETRANSMIT_MAX_NS)
            loop.after_kernel(loop.now + pause, self._retransmit, held)
            return
        self.held = None
        if self.peer.vanished:
            # The machine is up again and knows nothing of this connection.
            delay = self.link.fate(0) + max(self.link.back.fate(0), 0)
            loop.after_kernel(loop.now + delay, self.arrive, RST)
            return
        for item in held:
            self.transmit(item, len(item))

    def _check_acks(self, _: None) -> None:
        """Data arrives but its acknowledgements do not: that, too, ends a connection after a quarter of an hour."""
        if self.dead or self.vanished or not self.link.back.cut:
            self.acked_late = False
            return
        now = self.network.loop.now
        if now - self.since >= GIVE_UP_NS:
            self.fail(errno.ETIMEDOUT)
        else:
            self.network.loop.after_kernel(now + RETRANSMIT_MAX_NS, self._check_acks, None)
