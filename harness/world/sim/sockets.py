"""The socket that programs hold, in place of `socket.socket`: what asyncio's transports and servers call."""

import errno
import os
import socket
import struct
from collections import deque
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final, Self

from harness.world.sim.endpoint import FIN, WINDOW, Endpoint

if TYPE_CHECKING:
    from harness.world.sim.incarnation import Incarnation
    from harness.world.sim.network import Network

_LINGER: Final = struct.Struct("ii")


class SimSocket(Endpoint):
    """A simulated TCP socket. Non-blocking, always."""

    __slots__ = ()

    def __init__(self, network: "Network", host: "Incarnation", family: int, proto: int) -> None:
        super().__init__(network, host, family, proto)
        network.register(self)

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
        self.network.node(self.host.machine).bind(self, address[0], address[1])

    def listen(self, backlog: int = 128) -> None:
        """Begin to accept connections."""
        self.backlog = backlog
        if self.accepting is None:
            self.accepting = deque()
            self.network.node(self.host.machine).listeners[self.local[1]] = self

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
        self.consumed(len(data))
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

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __hash__(self) -> int:
        return self.fd

    def __eq__(self, other: object) -> bool:
        return self is other

    def __repr__(self) -> str:
        return f"<SimSocket fd={self.fd} on {self.host} laddr={self.local} raddr={self.remote}>"

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
