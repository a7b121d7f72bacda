"""The kernel's TCP sockets, as far as asyncio and its users touch them.

A `SimSocket` is a socket and its half of the connection: what it sends goes over `link` to `peer`. Bytes that the
peer's program has not read are `unread`, bounded by `WINDOW` (send buffer, flight and receive buffer together): that
is what gives backpressure. A segment that the link loses is held and sent again, with everything after it, at the
next retransmission: 0.2 s, 0.4 s ... 60 s later. Kernels do this without their program, so it goes on while a host
is frozen.

Errors follow Linux: a reset is ECONNRESET once (EPIPE where the peer had already closed), then end of file to readers
and EPIPE to writers; unread data is still readable; data for a closed socket is answered by a reset; closing with
unread data resets.
"""

import errno
import os
import socket
import struct
from collections import deque
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final

from harness.units import SECOND
from harness.world.sim.links import LOST, Link

if TYPE_CHECKING:
    import asyncio

    from harness.world.sim.incarnation import Incarnation
    from harness.world.sim.network import Network

WINDOW: Final = 256 * 1024
"""Bytes on their way from one program to the other, at most."""
RETRANSMIT_FIRST_NS: Final = SECOND // 5
RETRANSMIT_MAX_NS: Final = 60 * SECOND
GIVE_UP_NS: Final = 924 * SECOND
"""Unacknowledged for so long, a connection fails: Linux' tcp_retries2 = 15 comes to 924.6 s."""

_OUTCOMES: Final = {errno.ECONNREFUSED: "refused"}
_LINGER: Final = struct.Struct("ii")

FIN: Final = "F"
RST: Final = "R"
WINDOW_UPDATE: Final = "W"


class SimSocket:
    """A simulated TCP socket. Non-blocking, always."""

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
    peer: "SimSocket"

    def __init__(self, network: "Network", host: "Incarnation", family: int, proto: int) -> None:
        self.network = network
        self.host = host
        self.family = socket.AddressFamily(family)
        self.type = socket.SOCK_STREAM
        self.proto = proto
        self.fd = network.register(self)
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
        self.stands_for: Any = None

    # --- what programs call -------------------------------------------------------------------------------------

    def fileno(self) -> int:
        """Return a number that no real file has; -1 once closed."""
        return -1 if self.closed else self.fd

    def getsockname(self) -> tuple[str, int]:
        """Return (address, port)."""
        if self.closed:
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))
        return self.local

    def getpeername(self) -> tuple[str, int]:
        """Return (address, port) of the peer; raise ENOTCONN if there is none."""
        if self.remote is None or self.connecting:
            raise OSError(errno.ENOTCONN, os.strerror(errno.ENOTCONN))
        return self.remote

    def setsockopt(self, level: int, option: int, value: Any, *_: Any) -> None:
        """Accept any option; SO_LINGER with a time of 0 is obeyed: closing resets."""
        if level == socket.SOL_SOCKET and option == socket.SO_LINGER:
            on, seconds = _LINGER.unpack(value)
            self.abortive = bool(on) and not seconds

    def getsockopt(self, level: int, option: int, *_: Any) -> int:
        """Return the pending error for SO_ERROR, and clear it; 0 for all else."""
        if level == socket.SOL_SOCKET and option == socket.SO_ERROR:
            pending, self.error = self.error, 0
            return pending
        return 0

    def setblocking(self, flag: bool) -> None:
        """Refuse to block."""
        if flag:
            raise ValueError("a simulated socket never blocks")

    def settimeout(self, value: float | None) -> None:
        """Refuse to block."""
        if value != 0:
            raise ValueError("a simulated socket never blocks")

    def gettimeout(self) -> float:
        """Return 0: never blocking."""
        return 0.0

    def bind(self, address: tuple[Any, ...]) -> None:
        """Bind to an address of the machine; port 0 picks a free one."""
        self.network.bind(self, address[0], address[1])

    def listen(self, backlog: int = 128) -> None:
        """Begin to accept connections."""
        self.backlog = backlog
        if self.accepting is None:
            self.accepting = deque()
            self.network.listen(self)

    def accept(self) -> "tuple[SimSocket, tuple[str, int]]":
        """Return the oldest connection in the backlog, or raise BlockingIOError."""
        if self.closed:
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))
        if not self.accepting:
            raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))
        conn = self.accepting.popleft()
        assert conn.remote is not None
        return conn, conn.remote

    def connect(self, address: tuple[Any, ...]) -> None:
        """Begin to connect; always raises, BlockingIOError when all is well."""
        self.network.connect(self, address)
        raise BlockingIOError(errno.EINPROGRESS, os.strerror(errno.EINPROGRESS))

    def send(self, data: Any, flags: int = 0) -> int:  # noqa: ARG002 - the socket module's signature
        """Send what fits; raise BlockingIOError when nothing does."""
        if self.error or self.dead or self.shut or self.closed or self.remote is None:
            self._raise_unsendable()
        room = WINDOW - self.unread
        if room <= 0:
            raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))
        payload = bytes(data)
        size = len(payload)
        if size > room:
            payload = payload[:room]
            size = room
        self.unread += size
        self.transmit(payload, size)
        return size

    def sendmsg(self, buffers: Iterable[Any], *_: Any) -> int:
        """Send what fits of all the buffers."""
        return self.send(b"".join(buffers))

    def recv(self, size: int, flags: int = 0) -> bytes:  # noqa: ARG002 - the socket module's signature
        """Return what has arrived, at most `size` bytes; b"" at the end of the stream."""
        received = self.received
        if not received:
            return self._receive_nothing()
        data = received.popleft()
        if received and len(data) < size:
            parts = [data]
            total = len(data)
            while received and total + len(received[0]) <= size:
                part = received.popleft()
                parts.append(part)
                total += len(part)
            data = b"".join(parts)
        if len(data) > size:
            received.appendleft(data[size:])
            data = data[:size]
        self._consumed(len(data))
        return data

    def recv_into(self, buffer: Any, nbytes: int = 0, flags: int = 0) -> int:  # noqa: ARG002 - as above
        """Like `recv`, into a buffer; return how many bytes."""
        view = memoryview(buffer).cast("B")
        data = self.recv(min(nbytes or len(view), len(view)))
        view[: len(data)] = data
        return len(data)

    def shutdown(self, how: int) -> None:
        """End the sending side (SHUT_WR, SHUT_RDWR)."""
        if self.remote is None or self.connecting or self.dead:
            raise OSError(errno.ENOTCONN, os.strerror(errno.ENOTCONN))
        if how != socket.SHUT_RD and not self.shut:
            self.shut = True
            self.transmit(FIN, 0)

    def close(self) -> None:
        """Close: a FIN, or a reset if the program leaves data unread."""
        if self.closed:
            return
        self.reader = self.writer = None
        self.network.unregister(self)
        self.closed = True
        if self.accepting is not None:
            for conn in self.accepting:
                conn.reset_peer()
                conn.close()
            self.accepting.clear()
        elif self.connecting:
            self.network.observe(self, "unreachable")
        elif self.remote is not None and not self.dead:
            if self.received or self.abortive:
                self.reset_peer()
            elif not self.shut:
                self.shut = True
                self.transmit(FIN, 0)

    def detach(self) -> int:
        """Close without a word, as far as this simulation is concerned."""
        self.close()
        return -1

    def __enter__(self) -> "SimSocket":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __hash__(self) -> int:
        return self.fd

    def __eq__(self, other: object) -> bool:
        return self is other

    def __repr__(self) -> str:
        return f"<SimSocket fd={self.fd} on {self.host} laddr={self.local} raddr={self.remote}>"

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

    # --- the kernel's work --------------------------------------------------------------------------------------

    def transmit(self, item: Any, size: int) -> None:
        """Put a segment (bytes, FIN, RST or WINDOW_UPDATE) on the link."""
        if self.held is not None:
            self.held.append(item)
            return
        link = self.link
        network = self.network
        delay = link.fate(size)
        if delay == LOST:
            self._hold(item)
            return
        loop = network.loop
        now = loop.now
        when = now + delay
        when = max(when, self.free_at)
        self.free_at = when
        network.note_segment(link, now, when, item, size)
        loop.after_kernel(when, self.peer.arrive, item)
        if link.back.cut and not self.acked_late:
            self.acked_late = True
            self.since = now
            loop.after_kernel(now + RETRANSMIT_MAX_NS, self._check_acks, None)

    def arrive(self, item: Any) -> None:
        """Take a segment off the link."""
        if self.vanished:
            self.peer._hold(item)
            return
        if item.__class__ is bytes:
            if self.closed or self.dead:
                self.reset_peer()
                return
            self.received.append(item)
            self.received_bytes += len(item)
            if self.reader is not None and not self.fired:
                self.fire(self.reader)
        elif item is WINDOW_UPDATE:
            peer = self.peer
            self.unread -= peer.credit
            peer.credit = 0
            self.poll_soon()
        elif item is FIN:
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

    def _consumed(self, size: int) -> None:
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

    def _hold(self, item: Any) -> None:
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

    def _raise_unsendable(self) -> None:
        if self.closed:
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))
        if self.error:
            pending, self.error = self.error, 0
            raise OSError(pending, os.strerror(pending))
        if self.remote is None and not self.dead:
            raise OSError(errno.ENOTCONN, os.strerror(errno.ENOTCONN))
        raise BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE))

    def _receive_nothing(self) -> bytes:
        if self.closed:
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))
        if self.error:
            pending, self.error = self.error, 0
            raise OSError(pending, os.strerror(pending))
        if self.end_of_file or self.dead:
            return b""
        if self.remote is None:
            raise OSError(errno.ENOTCONN, os.strerror(errno.ENOTCONN))
        raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))


class UserSocket:
    """What `get_extra_info("socket")` hands out.

    Pools poll its file descriptor to learn whether an idle connection died: they get a real pipe that is never
    readable while all is quiet, and -1 (which they take for "readable") once something has arrived.
    """

    __slots__ = ("_sock",)

    def __init__(self, sock: SimSocket) -> None:
        self._sock = sock

    @property
    def family(self) -> socket.AddressFamily:
        """AF_INET or AF_INET6."""
        return self._sock.family

    @property
    def type(self) -> socket.SocketKind:
        """SOCK_STREAM."""
        return self._sock.type

    @property
    def proto(self) -> int:
        """IPPROTO_TCP."""
        return self._sock.proto

    def fileno(self) -> int:
        """Return a descriptor that is safe to poll, or -1."""
        sock = self._sock
        if sock.closed or sock.dead or sock.end_of_file or sock.received or sock.error:
            return -1
        return sock.network.quiet_fd()

    def getsockname(self) -> tuple[str, int]:
        """Return (address, port)."""
        return self._sock.getsockname()

    def getpeername(self) -> tuple[str, int]:
        """Return (address, port) of the peer."""
        return self._sock.getpeername()

    def setsockopt(self, level: int, option: int, value: Any, *rest: Any) -> None:
        """Set an option."""
        self._sock.setsockopt(level, option, value, *rest)

    def getsockopt(self, *args: Any) -> int:
        """Return an option's value."""
        return self._sock.getsockopt(*args)

    def setblocking(self, flag: bool) -> None:
        """Refuse to block."""
        self._sock.setblocking(flag)

    def gettimeout(self) -> float:
        """Return 0: never blocking."""
        return 0.0

    def shutdown(self, how: int) -> None:
        """End the sending side."""
        self._sock.shutdown(how)
