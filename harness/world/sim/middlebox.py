"""Where toxics act on a simulated connection: a middlebox that stands where segments arrive.

Whatever a segment brings to a receiver's kernel goes into the connection's conduit, and from there, maybe later, maybe
never, into the receive buffer. Bytes that the conduit holds are unread, so they count against the sender's window:
that is the backpressure. Bytes that it dropped do not, so a sender into the void is never blocked. Resets pass at
once.

The real world has a proxy there, and the ends of connections follow it: when one direction ends, the other does too,
unless a toxic keeps half-close; what is sent to a side that the proxy has closed is answered by a reset. A direction
that is cut stops behind the toxics as well as before them, and is tried again as kernels retransmit.

One difference is left, on purpose: a reset that the peer itself sends arrives as a reset here, and as a plain close
through the proxy, which is Toxiproxy's way. A dependency that crashes or refuses is met as a reset in both worlds all
the same, since the real one has its proxies reset the hosts before it goes (`Doors` in harness/world/real/proxies.py);
to pass that on as a close here would lose the evidence `reset`. So only what a dependency resets by itself, one
connection at a time, is `reset` here and `closed` there, and what it meets when a host is killed.
"""

import errno
from typing import TYPE_CHECKING, Any, Final

from harness.toxics.base import OPPOSITE, Active, Direction, Item, Signal
from harness.world.sim.endpoint import FIN, RETRANSMIT_FIRST_NS, RETRANSMIT_MAX_NS, RST, Endpoint

if TYPE_CHECKING:
    from harness.toxics.conduit import Conduit, Output
    from harness.world.sim.host_link import HostLink

_DIRECTIONS: Final[tuple[Direction, Direction]] = ("upstream", "downstream")


class Middlebox:
    """One connection's conduit between its two endpoints. It lives and dies with them.

    A direction is *finished* when its sender may send no more, and *ended* when its receiver has been told so.
    """

    __slots__ = ("_armed_ns", "_conduit", "_ended", "_finished", "_inside", "_link", "_receivers", "_stopped")

    def __init__(self, link: "HostLink", server: Endpoint, conduit: "Conduit") -> None:
        self._link = link
        self._conduit = conduit
        self._receivers: dict[Direction, Endpoint] = {"upstream": server, "downstream": server.peer}
        self._inside: dict[Direction, int] = {"upstream": 0, "downstream": 0}
        self._finished: set[Direction] = set()
        self._ended: set[Direction] = set()
        self._stopped: dict[Direction, list[Item]] = {"upstream": [], "downstream": []}
        self._armed_ns: int | None = None

    def inside(self, direction: Direction) -> int:
        """Return how many bytes are held in that direction."""
        return self._inside[direction]

    def stopped(self, direction: Direction) -> int:
        """Return how many of them wait, behind the toxics, for a cut to end and a retransmission to get through."""
        return sum(len(item) for item in self._stopped[direction] if isinstance(item, bytes))

    # --- from the sender ----------------------------------------------------------------------------------------

    def take(self, receiver: Endpoint, item: Any) -> None:
        """A segment (bytes or FIN) has arrived where `receiver` is."""
        direction: Direction = "downstream" if receiver.initiator else "upstream"
        if direction in self._finished:
            if item is not FIN:
                receiver.transmit(RST, 0)
        elif item is FIN:
            self._finish(direction)
            self._settle()
        elif self._conduit.is_bare(direction) and not self._stopped[direction]:
            self._deliver(direction, item)
        else:
            self._inside[direction] += len(item)
            self._put(self._conduit.feed(direction, self._now, item))
            self._settle()

    # --- from the link ------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Begin to act: some toxics do so before the first byte."""
        self._settle()

    def add(self, active: Active) -> None:
        """A toxic was created."""
        self._conduit.add(active)
        self._settle()

    def remove(self, active: Active) -> None:
        """A toxic was removed."""
        self._put(self._conduit.remove(active, self._now))
        self._settle()

    def close(self) -> None:
        """Close both ends now; what is held is lost."""
        open_ways = [direction for direction in _DIRECTIONS if direction not in self._ended]
        self._end_all()
        for direction in open_ways:
            self._receivers[direction].arrive(FIN, filtered=True)
        self._settle()

    def reset(self) -> int:
        """Reset both ends now; return 1, or 0 if there was nothing left to reset."""
        ends = [end for end in self._receivers.values() if not (end.dead or end.vanished)]
        self._end_all()
        for end in ends:
            end.fail(errno.ECONNRESET)
        self._settle()
        return 1 if ends else 0

    # --- to the receiver ----------------------------------------------------------------------------------------

    @property
    def _now(self) -> int:
        return self._link.loop.now

    def _put(self, output: "Output") -> None:
        """Send on what has left the conduit."""
        for direction, item in output:
            if item is not Signal.RESET and (self._stopped[direction] or self._receivers[direction].peer.link.cut):
                self._stop(direction, item)
            else:
                self._pass(direction, item)

    def _pass(self, direction: Direction, item: Item) -> None:
        if direction in self._ended:
            return
        if isinstance(item, bytes):
            self._inside[direction] -= len(item)
            self._deliver(direction, item)
        elif item is Signal.END:
            self._end(direction)
        elif item is Signal.CLOSE:
            self.close()
        else:
            self.reset()

    def _deliver(self, direction: Direction, data: bytes) -> None:
        receiver = self._receivers[direction]
        if (receiver.dead or receiver.closed) and OPPOSITE[direction] in self._ended:
            self._forgo(direction, len(data))  # the sender knows that nobody is there: it needs no reset
        else:
            receiver.arrive(data, filtered=True)

    def _end(self, direction: Direction) -> None:
        """Tell the receiver that no more will come; a proxy then closes the other direction too."""
        self._ended.add(direction)
        self._receivers[direction].arrive(FIN, filtered=True)
        if not self._link.keeps_half_close(direction):
            self._finish(OPPOSITE[direction])

    def _finish(self, direction: Direction) -> None:
        if direction not in self._finished:
            self._finished.add(direction)
            self._put(self._conduit.finish(direction, self._now))

    def _end_all(self) -> None:
        self._finished.update(_DIRECTIONS)
        self._ended.update(_DIRECTIONS)
        for items in self._stopped.values():
            items.clear()

    # --- a cut --------------------------------------------------------------------------------------------------

    def _stop(self, direction: Direction, item: Item) -> None:
        """The way on is cut, or others wait already: hold it until a retransmission gets through."""
        items = self._stopped[direction]
        if isinstance(item, bytes):
            self._receivers[direction].peer.link.held_bytes += len(item)
        items.append(item)
        if len(items) == 1:
            self._retry_later(direction, RETRANSMIT_FIRST_NS)

    def _retry_later(self, direction: Direction, pause_ns: int) -> None:
        self._link.loop.after_kernel(self._now + pause_ns, self._retry, (direction, pause_ns))

    def _retry(self, attempt: tuple[Direction, int]) -> None:
        direction, pause_ns = attempt
        items = self._stopped[direction]
        if not items:
            return
        if self._receivers[direction].peer.link.cut:
            self._retry_later(direction, min(2 * pause_ns, RETRANSMIT_MAX_NS))
            return
        self._stopped[direction] = []
        for item in items:
            self._pass(direction, item)
        self._settle()

    # --- accounts and time --------------------------------------------------------------------------------------

    def _settle(self) -> None:
        """Account for what the conduit dropped or added, and see when it wants to be woken."""
        for direction, inside in self._inside.items():
            held = 0
            if direction not in self._ended:
                held = self._conduit.held(direction) + self.stopped(direction)
            if inside != held:
                self._inside[direction] = held
                self._forgo(direction, inside - held)
        due_ns = self._conduit.due_ns
        if due_ns is None or len(self._ended) == len(_DIRECTIONS):
            return
        if self._armed_ns is None or due_ns < self._armed_ns:
            self._armed_ns = max(due_ns, self._now)
            self._link.loop.after_kernel(self._armed_ns, self._wake, None)

    def _forgo(self, direction: Direction, size: int) -> None:
        """Take `size` bytes that will never be read out of the sender's account (put them in, if negative)."""
        sender = self._receivers[direction].peer
        sender.unread -= size
        if sender.writer is not None:
            sender.poll_soon()

    def _wake(self, _: None) -> None:
        if self._armed_ns is None or self._armed_ns > self._now:
            return
        self._armed_ns = None
        if len(self._ended) < len(_DIRECTIONS):
            self._put(self._conduit.wake(self._now))
            self._settle()
