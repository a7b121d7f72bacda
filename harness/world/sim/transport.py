"""asyncio's stream transport, with a short way for what nearly always happens to a simulated socket.

Sending takes everything at once while the window has room, and reading takes one segment that arrived as it is. Both
then need none of the buffers and retries that asyncio has for real sockets, which cost as much as the rest of a
segment's journey. Whatever else happens (a full window, a reset, the end of the stream, BufferedProtocol) goes
asyncio's own way, so programs meet the same exceptions in the same order.
"""

from asyncio import selector_events
from typing import TYPE_CHECKING, Any

from harness.world.sim.endpoint import WINDOW

if TYPE_CHECKING:
    from harness.world.sim.sockets import SimSocket

_SocketTransport: Any = selector_events._SelectorSocketTransport  # type: ignore[attr-defined] # not in the stubs


class SimTransport(_SocketTransport):  # type: ignore[misc] # not in the stubs, hence Any
    """A transport over a `SimSocket`."""

    _sock: "SimSocket"

    def write(self, data: Any) -> None:
        """Like asyncio's."""
        sock = self._sock
        if (
            data.__class__ is bytes
            and not self._buffer
            and not self._conn_lost
            and self._empty_waiter is None
            and not (sock.shut or sock.dead or sock.error or sock.closed)
        ):
            size = len(data)
            if 0 < size <= WINDOW - sock.unread:
                sock.unread += size
                sock.transmit(data, size)
                return
        super().write(data)

    def set_protocol(self, protocol: Any) -> None:
        """Like asyncio's."""
        super().set_protocol(protocol)
        self._takes_bytes = self._read_ready_cb.__func__ is _SocketTransport._read_ready__data_received

    def _read_ready(self) -> None:
        sock = self._sock
        if self._conn_lost or not self._takes_bytes or len(sock.received) != 1:
            self._read_ready_cb()
            return
        data = sock.received.popleft()  # never more than the window, which is what asyncio reads at once
        size = len(data)
        peer = sock.peer
        if peer.writer is None:  # what `consumed` does, without the call
            sock.received_bytes -= size
            peer.unread -= size + sock.credit
            sock.credit = 0
        else:
            sock.consumed(size)
        try:
            self._protocol.data_received(data)
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as error:  # noqa: BLE001 - asyncio ends the connection whatever it was
            self._fatal_error(error, "Fatal error: protocol.data_received() call failed.")
