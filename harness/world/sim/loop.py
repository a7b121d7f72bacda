"""The event loop of the sim world: asyncio's own selector loop, over simulated sockets, on virtual time.

Everything above the kernel is asyncio's unmodified code: transports, servers, `create_connection`, TLS. What is
replaced is the kernel: `socket.socket` (sockets.py), `select`, name resolution, and the clock (clockwork.py). That is
why programs meet the same exceptions in the same order as on a real machine, on every Python version.
"""

import asyncio
import contextvars
import socket
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NoReturn, cast

from harness.world.sim import escapes
from harness.world.sim.clockwork import Budget, ClockworkLoop
from harness.world.sim.frames import caller
from harness.world.sim.handles import ready_handle
from harness.world.sim.schedule import Schedule
from harness.world.sim.sockets import SimSocket
from harness.world.sim.trace import Trace
from harness.world.sim.transport import SimTransport
from harness.world.sim.user_socket import UserSocket

if TYPE_CHECKING:
    from harness.world.sim.network import Network


class SimLoop(ClockworkLoop):
    """asyncio's loop over the simulated network of `network`, which is set right after construction."""

    def __init__(self, schedule: Schedule, trace: Trace, budget: Budget) -> None:
        self.sockets: dict[int, SimSocket] = {}
        self.network: Network
        self._thread = threading.get_ident()
        super().__init__(schedule, trace, budget)

    def call_soon_threadsafe(  # type: ignore[override]
        self, callback: Callable[..., object], *args: Any, context: contextvars.Context | None = None
    ) -> asyncio.Handle:
        """Like asyncio's, but only the one thread there is may call it."""
        if threading.get_ident() != self._thread:
            self.escape(f"call_soon_threadsafe({callback!r}) from another thread")
        return self.call_soon(callback, *args, context=context)

    def _make_self_pipe(self) -> None:
        pass

    def _close_self_pipe(self) -> None:
        pass

    def _write_to_self(self) -> None:
        pass

    def _add_reader(self, fd: int, callback: Callable[..., object], *args: Any) -> asyncio.Handle:
        sock = self._socket_of(fd)
        if sock.reader is not None:
            sock.reader.cancel()
        sock.reader = handle = ready_handle(callback, args, self, None)
        sock.poll_soon()
        return handle

    def _remove_reader(self, fd: int) -> bool:
        sock = self.sockets.get(fd)
        if sock is None or sock.reader is None:
            return False
        sock.reader.cancel()
        sock.reader = None
        return True

    def _add_writer(self, fd: int, callback: Callable[..., object], *args: Any) -> asyncio.Handle:
        sock = self._socket_of(fd)
        if sock.writer is not None:
            sock.writer.cancel()
        sock.writer = handle = ready_handle(callback, args, self, None)
        sock.poll_soon()
        return handle

    def _remove_writer(self, fd: int) -> bool:
        sock = self.sockets.get(fd)
        if sock is None or sock.writer is None:
            return False
        sock.writer.cancel()
        sock.writer = None
        return True

    def _socket_of(self, fd: Any) -> SimSocket:
        sock = self.sockets.get(fd)
        if sock is None:
            self.escape(f"watching file descriptor {fd!r}, which is not a simulated socket")
        return sock

    def _make_socket_transport(self, sock: Any, protocol: Any, waiter: Any = None, **more: Any) -> Any:
        transport = SimTransport(self, self.network.own(sock), protocol, waiter, **more)
        transport._extra["socket"] = UserSocket(transport._sock)
        return transport

    def _make_ssl_transport(self, rawsock: Any, protocol: Any, *rest: Any, **more: Any) -> Any:
        transport = cast("Any", super())._make_ssl_transport(self.network.own(rawsock), protocol, *rest, **more)
        under = transport._ssl_protocol._transport
        if under is not None:
            under._extra["socket"] = UserSocket(under._sock)
        return transport

    async def sock_connect(self, sock: Any, address: Any) -> None:
        """Like asyncio's; a real, unconnected socket is stood in for by a simulated one (aiohttp makes such)."""
        ours = self.network.stand_in(sock)
        try:
            await super().sock_connect(cast("Any", ours), address)
        except BaseException:
            if ours is not sock:
                ours.close()
            raise

    async def getaddrinfo(
        self,
        host: Any,
        port: Any,
        *,
        family: int = 0,
        type: int = 0,  # noqa: A002 - asyncio's signature
        proto: int = 0,  # noqa: ARG002 - asyncio's signature
        flags: int = 0,
    ) -> list[Any]:
        """Resolve machine names; raise `socket.gaierror` for others."""
        return self.network.resolve(host, port, family, type, flags)

    async def getnameinfo(self, sockaddr: Any, flags: int = 0) -> tuple[str, str]:
        """Name the machine behind an address."""
        return self.network.name_of(sockaddr[0]) if not flags & socket.NI_NUMERICHOST else sockaddr[0], str(sockaddr[1])

    # --- ways out -------------------------------------------------------------------------------------------------

    def escape(self, what: str) -> NoReturn:
        """Raise for an attempt to leave the sim world; it is kept with the run, as the target may swallow the error."""
        raise escapes.escape(what, "the sim world has TCP between its hosts and nothing else", caller())

    def add_signal_handler(self, *_: Any) -> None:  # type: ignore[override] # it takes anything
        """Raise what asyncio raises where signals cannot be handled: servers cope with that."""
        raise NotImplementedError

    def remove_signal_handler(self, *_: Any) -> bool:
        """Nothing was ever added."""
        return False

    def add_reader(self, *_: Any) -> None:  # type: ignore[override] # it takes anything
        """Raise: there are no file descriptors here."""
        self.escape("add_reader")

    def add_writer(self, *_: Any) -> None:  # type: ignore[override] # it takes anything
        """Raise: there are no file descriptors here."""
        self.escape("add_writer")

    async def create_datagram_endpoint(self, *_: Any, **__: Any) -> NoReturn:
        """Raise: no UDP."""
        self.escape("create_datagram_endpoint (UDP)")

    async def create_unix_connection(self, *_: Any, **__: Any) -> NoReturn:
        """Raise: no unix sockets."""
        self.escape("create_unix_connection")

    async def create_unix_server(self, *_: Any, **__: Any) -> NoReturn:
        """Raise: no unix sockets."""
        self.escape("create_unix_server")

    async def subprocess_exec(self, *_: Any, **__: Any) -> NoReturn:
        """Raise: no subprocesses."""
        self.escape("subprocess_exec")

    async def subprocess_shell(self, *_: Any, **__: Any) -> NoReturn:
        """Raise: no subprocesses."""
        self.escape("subprocess_shell")

    async def connect_read_pipe(self, *_: Any, **__: Any) -> NoReturn:
        """Raise: no pipes."""
        self.escape("connect_read_pipe")

    async def connect_write_pipe(self, *_: Any, **__: Any) -> NoReturn:
        """Raise: no pipes."""
        self.escape("connect_write_pipe")
