"""One connection through the proxy: two sockets and, between them, a conduit.

asyncio protocols, not streams: a chunk goes from one transport to the other within the callback that read it. While no
toxic has taken a direction, it does not even pass the conduit.

How ends are passed on is Toxiproxy's way: the end of one side closes the other, after the bytes that are still on
their way; a peer's reset arrives as a plain close; only a toxic resets. Half-closing is kept where a toxic asks for it.
The sim world differs in one thing, on purpose: there a peer's reset arrives as one (harness/world/sim/middlebox.py).

Backpressure is the only bound on memory, and it works in both directions alike: a side is not read from while its
direction of the conduit holds `HELD_MAX`, or while the other side's transport has more to write than its high-water
mark. Reading is in pieces of at most `READ_MAX` (twice that where nothing can be held besides), so a stalled connection
keeps at most about the sum of the three.
"""

import asyncio
import socket
import struct
import time
from collections.abc import Callable
from typing import Any, Final, Protocol, cast

from harness.toxics.base import Active, Direction, Signal
from harness.toxics.conduit import Conduit, Output
from harness.toxiproxy.traffic import Flow

READ_MAX: Final = 64 * 1024
_READ_BARE_MAX: Final = 128 * 1024
_WRITE_HIGH: Final = 64 * 1024
_NANOSECOND: Final = 1e-9
_LINGER_NOT: Final = struct.pack("ii", 1, 0)


class Owner(Protocol):
    """The proxy, as its connections see it."""

    def keeps_half_close(self, direction: Direction) -> bool:
        """Say whether the end of that direction is to be passed on as a half-close."""

    def over(self, relay: "Relay") -> None:
        """Both sockets are closed."""


class Side(asyncio.Protocol):
    """One of the two sockets. `direction` is that of the bytes which it sends to us."""

    __slots__ = (
        "_paused",
        "_relay",
        "direction",
        "ended",
        "flow",
        "is_bare",
        "is_closing",
        "is_full",
        "is_lost",
        "is_shut",
        "peer",
        "transport",
        "write_to_peer",
    )

    peer: "Side"
    write_to_peer: Callable[[bytes], None]

    def __init__(self, relay: "Relay", direction: Direction, flow: Flow) -> None:
        self._relay = relay
        self._paused = False
        self.direction = direction
        self.flow = flow
        self.transport: asyncio.Transport | None = None
        self.ended = False
        """It sends nothing more, or we listen no more."""
        self.is_closing = False
        """Nothing more can be written to it."""
        self.is_shut = False
        """We have closed our side to it, as its peer has closed its own."""
        self.is_lost = False
        """Its socket is closed."""
        self.is_full = False
        """It takes what we write slower than we do."""
        self.is_bare = False
        """What it sends goes straight to its peer."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The socket is ours."""
        assert isinstance(transport, asyncio.Transport)
        transport.set_write_buffer_limits(high=_WRITE_HIGH)
        self.transport = transport
        self.go_straight(is_bare=False)
        self.peer.write_to_peer = transport.write
        # Not at once: on some Pythons (3.11.2 is one) asyncio begins to read right after this call even if reading was
        # paused in it, and what a client says before its server is connected would be lost. Called this way, it pauses
        # after that, and still before anything is read.
        asyncio.get_running_loop().call_soon(self._relay.made, self)

    def data_received(self, data: bytes) -> None:
        """Bytes have arrived: the path that every byte takes, so kept short."""
        flow = self.flow
        flow.received += len(data)
        if self.is_bare:
            flow.sent += len(data)
            self.write_to_peer(data)
        else:
            self._relay.arrived(self.direction, data)

    def eof_received(self) -> bool:
        """The peer has closed its side; asyncio is to leave ours open."""
        self._relay.ended(self)
        return True

    def pause_writing(self) -> None:
        """Our write buffer is above its mark."""
        self.is_full = True
        self.peer.regulate()

    def resume_writing(self) -> None:
        """Our write buffer has drained."""
        self.is_full = False
        self.peer.regulate()

    def connection_lost(self, exc: Exception | None) -> None:
        """The socket is closed, by us or by an error."""
        del exc
        self.is_closing = self.is_lost = True
        self._relay.lost(self)

    def regulate(self) -> None:
        """Read on, or stop reading, as there is room for what comes."""
        if self.ended or self.transport is None:
            return
        wait = self.peer.transport is None or self.peer.is_full or self._relay.conduit.is_full(self.direction)
        if wait != self._paused:
            self._paused = wait
            if wait:
                self.transport.pause_reading()
            else:
                self.transport.resume_reading()

    def go_straight(self, *, is_bare: bool) -> None:
        """Have what it sends pass the conduit by, or not."""
        self.is_bare = is_bare
        if self.transport is not None:
            # How much asyncio's selector transports read at once; public by name, but not in its interface.
            cast("Any", self.transport).max_size = _READ_BARE_MAX if is_bare else READ_MAX

    def close(self) -> None:
        """Send what is written, then close; nothing more is read."""
        self.ended = self.is_closing = True
        if self.transport is not None:
            self.transport.close()

    def abort(self, *, reset: bool) -> None:
        """Close now, by a reset or as the kernel would."""
        self.ended = self.is_closing = True
        if self.transport is not None:
            sock = self.transport.get_extra_info("socket")
            if reset and sock.fileno() >= 0:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NOT)
            self.transport.abort()


class Relay:
    """One connection. `client` is there first; it waits, unread, until `server` is connected."""

    __slots__ = (
        "_loop",
        "_owner",
        "_timer",
        "_timer_ns",
        "_was_reset",
        "client",
        "conduit",
        "dialling",
        "is_over",
        "server",
    )

    def __init__(self, conduit: Conduit, owner: Owner, flows: dict[Direction, Flow]) -> None:
        self._loop = asyncio.get_running_loop()
        self._owner = owner
        self._timer: asyncio.TimerHandle | None = None
        self._timer_ns = 0
        self._was_reset = False
        self.conduit = conduit
        self.client = Side(self, "upstream", flows["upstream"])
        self.server = Side(self, "downstream", flows["downstream"])
        self.client.peer, self.server.peer = self.server, self.client
        self.dialling: asyncio.Task[None] | None = None
        """Who connects to the server, as long as it may be cancelled."""
        self.is_over = False
        """Both sides are closed, or will be once what was written to them is sent."""

    def made(self, side: Side) -> None:
        """A socket is there."""
        if self.is_over:
            side.abort(reset=self._was_reset)
        else:
            self._wake()

    def drop(self, sock: socket.socket) -> None:
        """End the accepted socket of a client that has never come to be ours, as this connection was ended."""
        if self._was_reset:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NOT)
        sock.close()

    def arrived(self, direction: Direction, data: bytes) -> None:
        """Bytes for the conduit."""
        self._put(self.conduit.feed(direction, time.monotonic_ns(), data))

    def ended(self, side: Side) -> None:
        """No more bytes will come from that side."""
        if not side.ended:
            side.ended = True
            self._put(self.conduit.finish(side.direction, time.monotonic_ns()))

    def lost(self, side: Side) -> None:
        """That side's socket is closed."""
        self.ended(side)
        self._put([])
        if self.client.is_lost and (self.server.is_lost or self.server.transport is None):
            self._owner.over(self)

    def add(self, active: Active) -> None:
        """A toxic was created."""
        self.conduit.add(active)
        self._wake()

    def change(self, active: Active) -> None:
        """A toxic was given other attributes."""
        self._put(self.conduit.change(active, time.monotonic_ns()))

    def remove(self, active: Active) -> None:
        """A toxic was removed."""
        self._put(self.conduit.remove(active, time.monotonic_ns()))

    def close(self) -> None:
        """Close both sides once what was written to them is sent."""
        self.client.close()
        self.server.close()
        self._end()

    def abort(self, *, reset: bool = False) -> None:
        """Close both sides now; what is on its way is lost."""
        self._was_reset = reset
        self.client.abort(reset=reset)
        self.server.abort(reset=reset)
        self._end()

    def _put(self, output: Output) -> None:
        """Pass on what the conduit lets go, then look at what has changed by it."""
        for direction, item in output:
            if self.is_over:
                return
            sender = self.client if direction == self.client.direction else self.server
            if item is Signal.CLOSE:
                self.close()
            elif item is Signal.RESET:
                self.abort(reset=True)
            elif item is Signal.END:
                self._pass_end(sender)
            else:
                self._pass_bytes(sender, item)
        self._settle()

    def _pass_bytes(self, sender: Side, data: bytes) -> None:
        receiver = sender.peer
        if receiver.transport is not None and not receiver.is_closing:
            sender.flow.sent += len(data)
            receiver.transport.write(data)

    def _pass_end(self, sender: Side) -> None:
        receiver = sender.peer
        if receiver.is_closing:
            sender.close()  # nobody is left to talk to
        elif (
            receiver.transport is not None and not sender.is_closing and self._owner.keeps_half_close(sender.direction)
        ):
            receiver.transport.write_eof()
            receiver.is_shut = True
            if sender.is_shut:
                self.close()
        else:
            silent = not receiver.ended
            receiver.close()
            if silent:  # closed by us, it will not end by itself
                self._put(self.conduit.finish(receiver.direction, time.monotonic_ns()))

    def _wake(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._put(self.conduit.wake(time.monotonic_ns()))

    def _settle(self) -> None:
        """Work out again who is read from, whose bytes go straight through, and when to wake."""
        if self.client.is_closing and self.server.is_closing:
            self._end()
        if self.is_over:
            return
        for side in (self.client, self.server):
            receiver = side.peer
            can_write = receiver.transport is not None and not receiver.is_closing and not receiver.is_shut
            is_bare = can_write and self.conduit.is_bare(side.direction)
            if is_bare != side.is_bare:
                side.go_straight(is_bare=is_bare)
            side.regulate()
        due_ns = self.conduit.due_ns
        if due_ns is not None and (self._timer is None or due_ns < self._timer_ns):
            if self._timer is not None:
                self._timer.cancel()
            self._timer_ns = due_ns
            self._timer = self._loop.call_at(due_ns * _NANOSECOND, self._wake)

    def _end(self) -> None:
        """Nothing more will be passed on: let go of what would keep this alive."""
        if self.is_over:
            return
        self.is_over = True
        self.client.is_bare = self.server.is_bare = False
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self.dialling is not None:
            self.dialling.cancel()
