"""The link from a host to a dependency, as faults see it: `harness.world.base.Link` on the simulated network.

A connection of the link gets a middlebox when it first needs one: when it is accepted while toxics are there (or while
conversations are followed), when a toxic is added in the midst of it, or when one of its ends closes. Until then its
segments arrive as they always do. Middleboxes stay with their connections after the toxics are gone.

A partition is the network's own cut: it stops segments before and behind the middleboxes, handshakes included.
"""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Final

from harness.errors import WorldError
from harness.toxics.base import Active, Dice, Direction, Toxic
from harness.toxics.conduit import Conduit
from harness.world.sim.middlebox import Middlebox

if TYPE_CHECKING:
    from harness.tape import Tape
    from harness.toxics.exchange.match import Follow
    from harness.world.sim.endpoint import Endpoint
    from harness.world.sim.links import Link
    from harness.world.sim.loop import SimLoop
    from harness.world.sim.network import Network

_BOTH_WAYS: Final[tuple[Direction, Direction]] = ("upstream", "downstream")


class HostLink:
    """The link between two machines. `observe` records a `toxic` observation of the host, given its fields.

    With `follow`, every conversation is followed from its first byte, so that matching toxics can come at any time.
    """

    def __init__(
        self,
        network: "Network",
        tape: "Tape",
        host: str,
        dependency: str,
        *,
        follow: "Follow | None",
        observe: Callable[[dict[str, Any]], None],
    ) -> None:
        self.loop: SimLoop = network.loop
        self._network = network
        self._tape = tape
        self._host = host
        self._dependency = dependency
        self._follow = follow
        self._observe = observe
        self._actives: dict[str, Active] = {}
        self._ways: dict[Direction, Link] = {
            "upstream": network.link(host, dependency),
            "downstream": network.link(dependency, host),
        }
        self._lost_before: dict[str, int] = {}
        self._cuts: dict[Direction, tuple[int, int]] = {}
        self._numbers = 0
        self._ways["upstream"].host_link = self

    def keeps_half_close(self, direction: Direction) -> bool:
        """Say whether the end of that direction leaves the other one open."""
        return any(active.stream == direction and active.toxic.keeps_half_close for active in self._actives.values())

    # --- connections --------------------------------------------------------------------------------------------

    def accepted(self, server: "Endpoint") -> None:
        """A new connection stands; `server` is the dependency's end of it."""
        if self._actives or self._follow is not None:
            self.intercept(server)

    def intercept(self, end: "Endpoint") -> Middlebox:
        """Return the middlebox of the connection that has this end, made and set up if it has none yet."""
        box = end.middlebox
        if box is None:
            server = end.peer if end.initiator else end
            self._numbers += 1
            conduit = Conduit(self._actives.values(), self._dice_of(self._numbers), follow=self._follow)
            box = Middlebox(self, server, conduit)
            server.middlebox = server.peer.middlebox = box
            box.start()
        return box

    def _dice_of(self, number: int) -> Callable[[str], Dice]:
        return lambda name: self._tape.stream(f"toxic/{self._host}->{self._dependency}/{name}/{number}")

    def _servers(self) -> Iterator["Endpoint"]:
        """Return the dependency's ends of the connections there are, each once, also where only one end is open."""
        ends: dict[Endpoint, None] = dict.fromkeys(self._network.connections(self._dependency))
        ends.update(dict.fromkeys(end.peer for end in self._network.connections(self._host) if end.initiator))
        for end in ends:
            peer = end.peer
            if (
                not end.initiator
                and end.host.machine == self._dependency
                and peer.host.machine == self._host
                and not peer.connecting
            ):
                yield end

    # --- toxics -------------------------------------------------------------------------------------------------

    async def add(
        self, name: str, toxic: Toxic, *, stream: Direction, toxicity: float = 1.0, per_message: bool = False
    ) -> None:
        """Begin to do this to its bytes, after all that is done already. `name` is free on this link."""
        if name in self._actives:
            raise WorldError(f"there is a toxic {name!r} on {self._name} already")
        active = Active(name=name, stream=stream, toxic=toxic, toxicity=toxicity, per_message=per_message)
        self._note(f"add {name} {stream} {toxicity} {per_message} {toxic!r}")
        boxes = [self.intercept(server) for server in self._servers()]
        self._actives[name] = active
        self._lost_before[name] = self._ways["upstream"].lost_connects
        self._listen()
        for box in boxes:
            box.add(active)

    async def remove(self, name: str) -> None:
        """End it; a `toxic` observation tells its effects. What it held goes on its way."""
        active = self._actives.pop(name, None)
        if active is None:
            raise WorldError(f"there is no toxic {name!r} on {self._name}")
        self._note(f"remove {name}")
        self._listen()
        for server in list(self._servers()):
            if server.middlebox is not None:
                server.middlebox.remove(active)
        lost = self._ways["upstream"].lost_connects - self._lost_before.pop(name)
        if lost and active.toxic.loses_connects:
            active.effects["lost"] += lost
        self._tell(name, active.toxic.type, active.stream, **active.effects)

    def _listen(self) -> None:
        """Answer SYNs, or do not: a toxic may say so."""
        self._ways["upstream"].deaf = any(active.toxic.loses_connects for active in self._actives.values())

    # --- partitions ---------------------------------------------------------------------------------------------

    async def cut(self, stream: Direction | None) -> None:
        """Partition, one way or (None) both. A direction that is cut already stays so."""
        for direction in _BOTH_WAYS:
            if stream in (None, direction) and direction not in self._cuts:
                way = self._ways[direction]
                self._cuts[direction] = way.held_bytes - self._still_held(direction), way.lost_connects
                way.cut = True
                self._note(f"cut {direction}")

    async def heal(self) -> None:
        """End the partition; a `toxic` observation for each direction that was cut tells what it did."""
        cuts, self._cuts = self._cuts, {}
        for direction, (held, lost) in cuts.items():
            way = self._ways[direction]
            way.cut = False
            self._note(f"heal {direction}")
            counts = {"held": way.held_bytes - held, "lost": way.lost_connects - lost}
            self._tell(f"partition_{direction}", "partition", direction, **counts)

    def _still_held(self, direction: Direction) -> int:
        """Return how many bytes wait for a retransmission since an earlier cut: this one will hold them too."""
        total = 0
        for server in self._servers():
            sender = server if direction == "downstream" else server.peer
            total += sum(len(item) for item in sender.held or () if item.__class__ is bytes)
            if sender.middlebox is not None:
                total += sender.middlebox.stopped(direction)
        return total

    # --- refusing and resetting ---------------------------------------------------------------------------------

    async def refuse(self) -> None:
        """Close every connection, and refuse new ones (ECONNREFUSED)."""
        self._ways["upstream"].refusing = True
        self._note("refuse")
        for server in list(self._servers()):
            self.intercept(server).close()

    async def accept(self) -> None:
        """End `refuse`."""
        self._ways["upstream"].refusing = False
        self._note("accept")

    async def reset(self) -> None:
        """Reset (RST) every connection there is now, at both ends; a `toxic` observation tells how many."""
        count = sum(self.intercept(server).reset() for server in list(self._servers()))
        self._note(f"reset {count}")
        self._tell("reset", "reset", "both", reset=count)

    # --- the record ---------------------------------------------------------------------------------------------

    @property
    def _name(self) -> str:
        return f"{self._host}->{self._dependency}"

    def _note(self, text: str) -> None:
        self.loop.trace.note(self.loop.now, f"link {self._name} {text}")

    def _tell(self, toxic: str, kind: str, stream: str, **counts: int) -> None:
        self._observe({"to": self._dependency, "toxic": toxic, "type": kind, "stream": stream, **counts})
