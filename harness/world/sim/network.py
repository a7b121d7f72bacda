"""The network: machines' addresses and listeners, the links between them, and the faults that befall them."""

import errno
import os
import socket
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

from harness.history.recorder import Sink
from harness.tape import Tape
from harness.world.sim.endpoint import Endpoint
from harness.world.sim.handshake import Handshake
from harness.world.sim.incarnation import HOST, Incarnation
from harness.world.sim.links import LOOPBACK_MAX_NS, LOOPBACK_MIN_NS, Link
from harness.world.sim.node import LOCAL, LOOPBACK, Node
from harness.world.sim.observer import LinkObserver
from harness.world.sim.sockets import SimSocket
from harness.world.sim.trace import SEGMENT, Trace

if TYPE_CHECKING:
    from harness.world.sim.loop import SimLoop

_FIRST_FD: Final = 1 << 20


class Network:
    """All machines and links of one run, and the fault controls: cut, heal, refuse, accept, reset, set_latency."""

    def __init__(self, loop: "SimLoop", tape: Tape, sink: Sink, trace: Trace) -> None:
        self.loop = loop
        self.segments = 0
        self.harness: Incarnation
        self._tape = tape
        self.observer = LinkObserver(loop, sink)
        self._trace = trace
        self._nodes: dict[str, Node] = {}
        self._by_address: dict[str, Node] = {}
        self._links: dict[tuple[str, str], Link] = {}
        self._last_fd = _FIRST_FD
        self._pipe: tuple[int, int] | None = None
        self._stand_ins: dict[int, SimSocket] = {}

    # --- machines and links -------------------------------------------------------------------------------------

    def node(self, name: str) -> Node:
        """Return a machine by name, known from now on."""
        node = self._nodes.get(name)
        if node is None:
            node = self._nodes[name] = Node(name, len(self._nodes) + 1)
            self._by_address[node.address] = node
        return node

    def address(self, name: str) -> str:
        """Return the machine's IP address."""
        return self.node(name).address

    def is_on(self, name: str) -> bool:
        """Say whether the machine has power."""
        return self._nodes[name].on

    def link(self, source: str, destination: str) -> Link:
        """Return the directed link between two machines."""
        link = self._links.get((source, destination))
        if link is None:
            link = self._make_link(source, destination)
            link.back = link if source == destination else self._make_link(destination, source)
            link.back.back = link
        return link

    def _make_link(self, source: str, destination: str) -> Link:
        name = f"{source}->{destination}"
        link = Link(name, self._tape.stream(f"link/{name}"), self.node(source).code, self.node(destination).code)
        if source == destination:
            link.set_latency(LOOPBACK_MIN_NS, LOOPBACK_MAX_NS)
        self._links[source, destination] = link
        return link

    # --- faults -------------------------------------------------------------------------------------------------

    def cut(self, source: str, destination: str, *, both_ways: bool = True) -> None:
        """Lose everything from `source` to `destination`, and back."""
        self._set_cut(source, destination, both_ways=both_ways, cut=True)

    def heal(self, source: str, destination: str, *, both_ways: bool = True) -> None:
        """End a cut. What was lost arrives at its next retransmission."""
        self._set_cut(source, destination, both_ways=both_ways, cut=False)

    def _set_cut(self, source: str, destination: str, *, both_ways: bool, cut: bool) -> None:
        link = self.link(source, destination)
        link.cut = cut
        if both_ways:
            link.back.cut = cut
        self._trace.note(self.loop.now, f"{'cut' if cut else 'heal'} {link.name} {both_ways}")

    def set_latency(self, source: str, destination: str, low_ns: int, high_ns: int) -> None:
        """Draw the latency from `source` to `destination` from `[low_ns, high_ns]` from now on."""
        self.link(source, destination).set_latency(low_ns, high_ns)
        self._trace.note(self.loop.now, f"latency {source}->{destination} {low_ns} {high_ns}")

    def refuse(self, name: str, *, reset_existing: bool = False) -> None:
        """Answer new connections to the machine with a reset, and reset those there are if asked."""
        self.node(name).refusing = True
        self._trace.note(self.loop.now, f"refuse {name}")
        if reset_existing:
            for other in list(self._nodes):
                self.reset(name, other)

    def accept(self, name: str) -> None:
        """End `refuse`."""
        self.node(name).refusing = False
        self._trace.note(self.loop.now, f"accept {name}")

    def reset(self, first: str, second: str) -> int:
        """Reset every connection between two machines, at both ends; return how many there were."""
        count = 0
        for sock in list(self.node(first).sockets.values()):
            if sock.remote is not None and not sock.connecting and not sock.dead and sock.peer.host.machine == second:
                for end in (sock, sock.peer):
                    end.fail(errno.ECONNRESET)
                count += 1
        self._trace.note(self.loop.now, f"reset {first} {second} {count}")
        return count

    def connections(self, name: str) -> Iterator[SimSocket]:
        """Return a machine's ends of its connections, in order of creation, those in a backlog included."""
        for sock in list(self.node(name).sockets.values()):
            if sock.remote is not None and not sock.connecting and not sock.dead:
                yield sock

    def power(self, name: str, *, on: bool) -> None:
        """Switch a machine's kernel on, or off: then its connections vanish without a word."""
        node = self.node(name)
        node.on = on
        if not on:
            for sock in list(node.sockets.values()):
                sock.vanished = True
                sock.reader = sock.writer = None
                sock.held = None
            self._forget(node)

    def end_process(self, host: Incarnation, *, reset: bool) -> None:
        """The machine's process is gone: its kernel resets (or closes) its connections and stops listening."""
        node = self.node(host.machine)
        for sock in list(node.sockets.values()):
            if sock.remote is not None and not sock.connecting and not sock.dead and reset:
                sock.reset_peer()
            sock.close()
        self._forget(node)

    def tear_down(self) -> None:
        """The run is over: heal every link and end every connection, so that nobody waits for an answer any more.

        Listeners stay: a failed one is ready for ever, and its server would try to accept until the steps run out.
        """
        for link in self._links.values():
            link.cut = False
        for node in self._nodes.values():
            for sock in list(node.sockets.values()):
                if sock.accepting is None:
                    sock.fail(errno.ECONNRESET)

    def _forget(self, node: Node) -> None:
        for fd in node.sockets:
            self.loop.sockets.pop(fd, None)
        node.sockets.clear()
        node.bound.clear()
        node.listeners.clear()

    # --- sockets ------------------------------------------------------------------------------------------------

    def make_socket(self, family: int = -1, type: int = -1, proto: int = -1, fileno: Any = None) -> Any:  # noqa: A002
        """Stand in for `socket.socket` in asyncio."""
        family = socket.AF_INET if family == -1 else family
        if fileno is not None or family not in (socket.AF_INET, socket.AF_INET6):
            self.loop.escape(f"a socket of family {family!r}")
        if type not in (-1, socket.SOCK_STREAM):
            self.loop.escape(f"a socket of type {type!r}")
        return SimSocket(self, HOST.get(), family, socket.IPPROTO_TCP if proto <= 0 else proto)

    def next_fd(self) -> int:
        """Return a descriptor that no real file has."""
        self._last_fd += 1
        return self._last_fd

    def register(self, sock: SimSocket) -> None:
        """Put a new socket on the books."""
        self.loop.sockets[sock.fd] = sock
        self.node(sock.host.machine).sockets[sock.fd] = sock

    def unregister(self, sock: SimSocket) -> None:
        """Take a closed socket off the books."""
        self.loop.sockets.pop(sock.fd, None)
        self.node(sock.host.machine).forget(sock)

    def stand_in(self, sock: Any) -> SimSocket:
        """Return the simulated socket that stands for a real, unconnected one."""
        if isinstance(sock, SimSocket):
            return sock
        ours = self._stand_ins.get(sock.fileno())
        if ours is None or ours.closed or ours.stands_for is not sock:
            ours = SimSocket(self, HOST.get(), sock.family, sock.proto)
            ours.stands_for = sock
            self._stand_ins[sock.fileno()] = ours
        return ours

    def own(self, sock: Any) -> SimSocket:
        """Return the simulated socket to be used for `sock`; a real one that it stood for is closed."""
        if isinstance(sock, SimSocket):
            return sock
        ours = self._stand_ins.pop(sock.fileno(), None)
        if ours is None or ours.stands_for is not sock:
            self.loop.escape(f"a connection over a real socket, {sock!r}")
        ours.stands_for = None
        sock.close()
        return ours

    def quiet_fd(self) -> int:
        """Return a real descriptor that is never readable."""
        if self._pipe is None:
            self._pipe = os.pipe()
        return self._pipe[0]

    def close(self) -> None:
        """Close what is real."""
        if self._pipe is not None:
            for fd in self._pipe:
                os.close(fd)
            self._pipe = None

    # --- the handshake ------------------------------------------------------------------------------------------

    def connect(self, sock: SimSocket, address: tuple[Any, ...]) -> None:
        """Send the first SYN."""
        name, port = address[0], int(address[1])
        node = self.node(sock.host.machine)
        target = node if name in LOCAL else self._by_address.get(name)
        if target is None:
            raise OSError(errno.ENETUNREACH, os.strerror(errno.ENETUNREACH))
        if sock.remote is not None:
            raise OSError(errno.EISCONN, os.strerror(errno.EISCONN))
        own = "127.0.0.1" if target is node and name in LOCAL else node.address
        sock.local = (own, sock.local[1] or node.free_port())
        sock.remote = (target.address if own != "127.0.0.1" else own, port)
        sock.link = self.link(node.name, target.name)
        sock.connecting = sock.initiator = True
        Handshake(self, sock, target).send_syn(None)

    # --- names --------------------------------------------------------------------------------------------------

    def resolve(self, host: Any, port: Any, family: int, kind: int, flags: int) -> list[Any]:
        """Answer getaddrinfo: machine names and addresses, localhost, and the wildcard."""
        name = host.decode("idna") if isinstance(host, bytes) else host
        if family == socket.AF_INET6 and name not in (None, "", "::", "::1"):
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        if not name:
            address = "0.0.0.0" if flags & socket.AI_PASSIVE else "127.0.0.1"  # noqa: S104 - simulated
        elif name in ("0.0.0.0", "::"):  # noqa: S104 - simulated
            address = "0.0.0.0"  # noqa: S104 - simulated
        elif name in LOOPBACK:
            address = "127.0.0.1"
        elif name in self._nodes:
            address = self._nodes[name].address
        elif name in self._by_address:
            address = name
        else:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        if kind not in (0, socket.SOCK_STREAM):
            self.loop.escape(f"getaddrinfo for sockets of type {kind!r}")
        number = int(port) if port not in (None, "", b"") else 0
        return [(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (address, number))]

    def name_of(self, address: str) -> str:
        """Return the machine's name for an address."""
        node = self._by_address.get(address)
        return node.name if node else "localhost" if address in LOOPBACK else address

    # --- the trace and the history ------------------------------------------------------------------------------

    def note_segment(self, link: Link, now: int, when: int, item: Any, size: int) -> None:
        """Put a segment into the trace."""
        self.segments += 1
        trace = self._trace
        if item.__class__ is bytes:
            trace.buffer += SEGMENT(b"D", now, when, link.source_code, link.destination_code, size)
            trace.buffer += item
        else:
            trace.buffer += SEGMENT(item.encode(), now, when, link.source_code, link.destination_code, 0)
        if trace.rows is not None:
            trace.row(now, f"segment {link.name} due {when} {item!r}")

    def observe(self, sock: Endpoint, outcome: str) -> None:
        """Record what happened to a connection, if it is one of a host towards a dependency."""
        if sock.initiator and sock.remote is not None and sock.remote[0] in self._by_address:
            self.observer.saw(sock.host, self._by_address[sock.remote[0]].name, outcome)
