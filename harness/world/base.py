"""The one interface of both worlds.

A *host program* is written once, `async def program(host: Host) -> None`, and never knows which world it is in.
The *director* (harness/runner.py) drives a `World`: it starts dependencies and hosts, injects and heals faults, and
waits. Faults see only this interface, so one fault is declared once for both worlds.

Observations that worlds make by themselves, from below the target, in the actor's name:

- `link` {to, outcome}: what happened to one connection attempt or connection of a host towards a dependency.
  `outcome` is `connected`, `refused`, `unreachable` (no answer to SYN until the caller gave up), `reset` or `closed`
  (by the peer). An observation that stands for several carries their `count`.
- `unanswered` {connections, bytes}, actor = the dependency, made just before it is thawed: how many open connections
  hold how many bytes that it never read while frozen or hung. Bytes > 0 proves that somebody spoke into the void.
- `toxic` {to, toxic, type, stream, ...counts}, actor = the host, made when something that was done to its link towards
  the dependency `to` has ended: what it did to how many bytes and connections (`Active.effects` documents the counts;
  a partition counts `held` bytes and the connection attempts it `lost`, a reset the connections it `reset`).
- `disk` {failed_writes}, actor = the host: so many writes were refused since the last such observation, because its
  disk is full. One when the disk is freed; the real world makes some before.
- `clock` {offset_ns, reads}, actor = the host: its wall clock is off by so much from now on, and was read so often
  since the last such observation, counting only reads while it was off. One for each step; the real world makes one
  more at the first read after a step.
- `damage` {file, mode, bytes, changed}, actor = the host: so many of the bytes that a file on its disk had are gone or
  different, because it was damaged while the host was down.
- `load_users`, `load_requests`, `load_failures`, `load_worker`: of a load by Locust; see `harness/load/__init__.py`.
- `internal_error` {what, error}, actor = a dependency that is an emulator of ours: it broke. The run is an ERROR.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol, TypeAlias

from harness.history.events import Event
from harness.history.recorder import OperationLog, Sink
from harness.load.spec import LocustLoad
from harness.tape import Stream, Tape
from harness.toxics.base import Direction, Toxic
from harness.toxics.exchange.match import Follow

WorldKind: TypeAlias = Literal["sim", "real"]


class Host(Protocol):
    """What a host program sees of the machine it runs on."""

    @property
    def name(self) -> str:
        """The host's name, the same for every incarnation."""

    @property
    def incarnation(self) -> int:
        """1 for the first start, one more for each restart."""

    @property
    def disk(self) -> Path:
        """A directory that survives the death of the host."""

    @property
    def endpoints(self) -> Mapping[str, str]:
        """URL of each dependency, and of each other host that serves, by name."""

    def listen(self) -> Any:
        """Return a TCP socket, bound, at which other hosts reach this one: for `create_server(sock=...)` and its like.

        Its address is the same in every life. Raises `WorldError` unless the host's spec says that it serves.
        """

    @property
    def params(self) -> Mapping[str, Any]:
        """Parameters of the workload, from the scenario."""

    @property
    def log(self) -> OperationLog:
        """Where operations and observations are recorded."""

    @property
    def past(self) -> Sequence[Event]:
        """What earlier incarnations of this host recorded, in order: where a restart resumes."""

    def now_ns(self) -> int:
        """Nanoseconds since the run began."""

    def draws(self, label: str) -> Stream:
        """The tape's stream `workload/<host>/<label>`."""

    def target(self, port: str) -> Callable[..., Any]:
        """The factory of the code under test behind that port."""

    async def stopping(self) -> None:
        """Return once the run asks the host to finish. A program then stops offering work and closes its target."""


Program: TypeAlias = Callable[[Host], Awaitable[None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class HostSpec:
    """One host: its program (a module-level function, so that another process can import it) and its parameters."""

    name: str
    program: Program
    params: Mapping[str, Any] = field(default_factory=dict)
    drain_ns: int = 0
    """How long the run goes on after this host has finished, before the next one is asked to finish."""
    serves: str | None = None
    """The scheme (`http`) of the URL under which the other hosts reach this one, if it serves them.

    To them, and to faults of links, it is then like a dependency: `endpoints["risk"]`, `network.partition("bot",
    "risk")`. While it is down they are refused, as by a dead server.
    """
    follow: Follow | None = None
    """What the others speak with it, if faults are to act on single requests; as `DependencySpec.follow`."""

    load: LocustLoad | None = None
    """What makes this host's load in the real world, instead of the program: Locust (`harness/load`).

    It has the host's parameters and links, and dies, freezes and restarts as a host does.
    """

    @property
    def program_path(self) -> str:
        """`module:function` of the program."""
        return f"{self.program.__module__}:{self.program.__qualname__}"


class Dependency(Protocol):
    """A running dependency, as the director and the faults see it."""

    @property
    def name(self) -> str:
        """Its name in the scenario."""

    @property
    def url(self) -> str:
        """Where hosts reach it."""

    async def stop(self) -> None:
        """End it for good, at the end of the run."""


class Link(Protocol):
    """The way from one host to one dependency, as faults see it. It exists before and after any one connection.

    Toxics act on the bytes of its connections, those there are and those to come; connecting is not delayed by them.
    Only `cut` and `refuse` act on connecting. Every method returns once the new condition is in force. Methods raise
    `WorldError` where a world (a foreign proxy, say) cannot do what is asked.
    """

    async def add(
        self, name: str, toxic: Toxic, *, stream: Direction, toxicity: float = 1.0, per_message: bool = False
    ) -> None:
        """Begin to do this to its bytes, after all that is done already. `name` is free on this link."""

    async def remove(self, name: str) -> None:
        """End it, after a `toxic` observation of its effects. What it held goes on its way.

        Connections that have lost bytes do not come back to life: TCP never delivers a stream with a hole.
        """

    async def cut(self, stream: Direction | None) -> None:
        """Partition, one way or (None) both: bytes that way stop, connecting gets no answer, nobody is told."""

    async def heal(self) -> None:
        """End the partition, after a `toxic` observation. Connections live on, and what was stopped arrives."""

    async def refuse(self) -> None:
        """Close every connection, and refuse new ones (ECONNREFUSED)."""

    async def accept(self) -> None:
        """End `refuse`."""

    async def reset(self) -> None:
        """Reset (RST) every connection there is now, at both ends; a `toxic` observation tells how many."""


class World(Protocol):
    """A place where a scenario runs."""

    kind: WorldKind
    tape: Tape
    history: Sink

    def now_ns(self) -> int:
        """Nanoseconds since the run began."""

    async def sleep_until(self, time_ns: int) -> None:
        """Return at that time, or at once if it has passed."""

    async def start_dependency(
        self, name: str, kind: str, options: Mapping[str, Any], *, follow: Follow | None = None
    ) -> Dependency:
        """Start a dependency (`kind` is `redis` or `binance`); hosts started later find its URL in `endpoints[name]`.

        With `follow`, the links' toxics follow every conversation of hosts with it from its first byte.
        """

    def dependency(self, name: str) -> Any:
        """Return the control surface of a running dependency; each kind has its own."""

    def link(self, host: str, dependency: str) -> Link:
        """Return the link of a host towards a running dependency. Raises `WorldError` if there is none."""

    async def offer(self, spec: HostSpec) -> None:
        """Give a host that serves its address, before any host is started that may look for it."""

    async def start_host(self, spec: HostSpec) -> None:
        """Start (or restart, as a new incarnation) a host."""

    async def kill_host(self, name: str, *, silent: bool = False) -> None:
        """SIGKILL: no finally block runs, the disk stays. Peers see a reset, or nothing if `silent` (power off)."""

    async def kill_host_inside(
        self, name: str, operation: str, *, where: Mapping[str, Any], steps: int, delay_ns: int
    ) -> None:
        """SIGKILL the host inside an operation; return once it is dead.

        It is the next of that name that it begins and whose value holds all of `where`.

        In the sim world it dies after `steps` more of its event loop's steps, counted from the one that began the
        operation, so that every step can be tried in turn. In the real world, where steps cannot be counted, it dies
        `delay_ns` after the operation is known to have begun. Cancelling ends the waiting; a kill that has begun is
        carried out. Raises `WorldError` if the host is not running.
        """

    async def freeze_host(self, name: str) -> None:
        """SIGSTOP: the host stands still; peers see silence."""

    async def thaw_host(self, name: str) -> None:
        """SIGCONT."""

    async def fill_disk(self, host: str) -> None:
        """Let no write to the host's disk succeed, until `free_disk` or the end of the world, over restarts too.

        Reading and deleting go on. Nothing happens if the disk is full already. Raises `WorldError` if no such host
        is running, or this machine gives no way to it.
        """

    async def free_disk(self, host: str) -> None:
        """Let writes succeed again, whether or not the host lives. Raises `WorldError` for a host never started."""

    async def damage_disk(self, host: str, pattern: str, mode: str, stream: Stream) -> None:
        """Damage the files of a host that is down: all whose path on its disk matches the glob `pattern`.

        `harness/world/damage.py` has the modes. A `damage` observation tells of each file. Raises `WorldError` if the
        host runs or was never started.
        """

    async def step_clock(self, host: str, by_ns: int) -> None:
        """Step the host's wall clock as its Python code sees it; monotonic clocks never step.

        Steps add up, and are the machine's: a host that is dead finds its clock stepped when it is started again. Not
        reached: clocks that C code reads by itself (SQLite's CURRENT_TIMESTAMP). Raises `WorldError` for a host never
        started, or where the clock cannot be stepped.
        """

    async def stop_host(self, name: str, *, timeout_ns: int) -> bool:
        """Ask the program to finish and wait; True if it did within the timeout, else it was killed."""
