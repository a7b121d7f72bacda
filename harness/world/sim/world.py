"""The sim world as the director sees it: `harness.world.base.World` on virtual time."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, Final

from harness.errors import WorldError, unknown_name
from harness.history.events import Observation, begins
from harness.history.recorder import OperationLog, Sink
from harness.tape import Stream, Tape
from harness.toxics.exchange.match import Follow
from harness.world.base import Dependency, HostSpec, WorldKind
from harness.world.sim.clockwork import Budget
from harness.world.sim.host import SimHost
from harness.world.sim.host_link import HostLink
from harness.world.sim.hosts import Machines
from harness.world.sim.incarnation import HOST
from harness.world.sim.loop import SimLoop
from harness.world.sim.network import Network
from harness.world.sim.schedule import DEFAULT_ONE_IN, ByPriority, Schedule, Shuffled
from harness.world.sim.sink import RunSink
from harness.world.sim.trace import Trace

_SERVICE_PORT: Final = 8000
_UNHANDLED_MAX: Final = 100
_TEXT_MAX: Final = 300


class SimWorld:
    """One simulated world; `run.run_sim` runs one, and takes it down.

    `dependency_kinds` maps a kind to `async (world, name, options) -> Dependency`, which boots machines through
    `machines` and shapes their links through `network`. `targets` maps a port to the factory of the code under test.
    """

    kind: WorldKind = "sim"

    def __init__(
        self,
        tape: Tape,
        sink: Sink,
        *,
        targets: Mapping[str, Callable[..., Any]],
        directory: Path,
        dependency_kinds: Mapping[str, Callable[..., Awaitable[Any]]],
        budget: Budget | None = None,
        permute_one_in: int = DEFAULT_ONE_IN,
        priority_changes: int = 0,
        rows_max: int = 0,
    ) -> None:
        self.tape = tape
        self.run_sink = RunSink(sink)
        self.history: Sink = self.run_sink
        self.trace = Trace(rows_max=rows_max)
        draws = tape.stream("schedule")
        schedule: Schedule = Shuffled(draws, one_in=permute_one_in)
        if priority_changes:
            schedule = ByPriority(draws, changes=priority_changes)
        self.loop = SimLoop(schedule, self.trace, budget or Budget())
        self.network = Network(self.loop, tape, self.run_sink, self.trace)
        self.loop.network = self.network
        self.machines = Machines(self.loop, self.network, tape, self.run_sink, self.trace, directory)
        self.loop.report = self._report
        self.unhandled = 0
        self._targets = targets
        self._kinds = dependency_kinds
        self._dependencies: dict[str, Any] = {}
        self._services: dict[str, str] = {}
        self._follow: dict[str, Follow | None] = {}
        self._links: dict[tuple[str, str], HostLink] = {}

    # --- World --------------------------------------------------------------------------------------------------

    def now_ns(self) -> int:
        """Virtual nanoseconds since the run began."""
        return self.loop.now

    async def sleep_until(self, time_ns: int) -> None:
        """Return at that time, or at once if it has passed."""
        if time_ns <= self.loop.now:
            return
        done = self.loop.create_future()
        timer = self.loop.call_at_ns(time_ns, _wake, done)
        try:
            await done
        finally:
            timer.cancel()

    async def start_dependency(
        self, name: str, kind: str, options: Mapping[str, Any], *, follow: Follow | None = None
    ) -> Dependency:
        """Start a dependency; hosts started later find its URL in `endpoints[name]`."""
        if name in self._dependencies:
            raise WorldError(f"the dependency {name!r} is running already")
        if kind not in self._kinds:
            raise unknown_name("kind of dependency", kind, self._kinds)
        self.network.observer.dependencies.add(name)
        self._follow[name] = follow
        self.machines.declare(name)
        dependency: Dependency = await self._kinds[kind](self, name, options)
        self._dependencies[name] = dependency
        return dependency

    def dependency(self, name: str) -> Any:
        """Return the control surface of a running dependency."""
        if name not in self._dependencies:
            raise unknown_name("dependency", name, self._dependencies)
        return self._dependencies[name]

    def link(self, host: str, dependency: str) -> HostLink:
        """Return the link of a host towards a running dependency. Raises `WorldError` if there is none."""
        self._check_host(host)
        self.machines.latest(host)
        places = [*self._dependencies, *self._services]
        if dependency not in places or dependency == host:
            raise WorldError(str(unknown_name("dependency", dependency, places)))
        return self._link(host, dependency)

    async def offer(self, spec: HostSpec) -> None:
        """Give a host that serves its address."""
        self.network.observer.dependencies.add(spec.name)
        self._follow[spec.name] = spec.follow
        self.machines.declare(spec.name)
        self._services[spec.name] = f"{spec.serves}://{spec.name}:{_SERVICE_PORT}"

    async def start_host(self, spec: HostSpec) -> None:
        """Start (or restart, as a new incarnation) a host."""
        for name in (*self._dependencies, *(service for service in self._services if service != spec.name)):
            self._link(spec.name, name)  # the host finds a middlebox in its way from its first connection on
        stopping = asyncio.Event()
        self.machines.boot(spec.name, self._run_program, spec, stopping)
        self.machines.life(spec.name).stopping = stopping  # before its first step: it may be asked to stop by then

    async def kill_host(self, name: str, *, silent: bool = False) -> None:
        """SIGKILL, or power off if `silent`."""
        if silent:
            self.machines.power_off(name)
        else:
            self.machines.kill(name)

    async def kill_host_inside(
        self, name: str, operation: str, *, where: Mapping[str, Any], steps: int, delay_ns: int
    ) -> None:
        """SIGKILL `steps` steps after the one that begins the operation; `delay_ns` is for worlds without steps."""
        del delay_ns
        self._check_host(name)
        await self.machines.kill_inside(name, lambda event: begins(event, operation, where), steps)

    async def freeze_host(self, name: str) -> None:
        """SIGSTOP."""
        self.machines.freeze(name)

    async def thaw_host(self, name: str) -> None:
        """SIGCONT. A dependency's unread bytes are observed first."""
        if name in self.network.observer.dependencies and name not in self._services:
            self.observe_unanswered(name)
        self.machines.thaw(name)

    async def fill_disk(self, host: str) -> None:
        """Let no write to the host's disk succeed. full_disks.py tells what is reached."""
        self._check_host(host)
        self.machines.fill_disk(host)

    async def free_disk(self, host: str) -> None:
        """Let writes succeed again; a `disk` observation tells how many were refused."""
        self._check_host(host)
        self.machines.free_disk(host)

    async def damage_disk(self, host: str, pattern: str, mode: str, stream: Stream) -> None:
        """Damage the files of a host that is down."""
        self._check_host(host)
        self.machines.damage_disk(host, pattern, mode, stream)

    async def step_clock(self, host: str, by_ns: int) -> None:
        """Step the host's wall clock; a `clock` observation tells of it."""
        self._check_host(host)
        self.machines.step_clock(host, by_ns)

    def _check_host(self, name: str) -> None:
        if name in self._dependencies:
            raise WorldError(f"{name!r} is a dependency, not a host")

    async def stop_host(self, name: str, *, timeout_ns: int) -> bool:
        """Ask the program to finish and wait; True if it did within the timeout, else it was killed."""
        if not self.machines.is_running(name):
            return name not in self.machines.failures
        life = self.machines.life(name)
        program = self.machines.program(name)
        if life.stopping is not None:
            life.stopping.set()
        deadline = self.loop.now + timeout_ns
        timer = asyncio.ensure_future(self.sleep_until(deadline))
        try:
            await asyncio.wait([timer, program], return_when=asyncio.FIRST_COMPLETED)
        finally:
            timer.cancel()
        if program.done() or not self.machines.is_running(name):
            return name not in self.machines.failures
        self.machines.kill(name)
        return False

    def _link(self, host: str, dependency: str) -> HostLink:
        link = self._links.get((host, dependency))
        if link is None:

            def observe(value: dict[str, Any]) -> None:
                number = self.machines.latest(host)
                self.history.record(Observation(self.loop.now, host, number, "toxic", value))

            follow = self._follow[dependency]
            link = HostLink(self.network, self.tape, host, dependency, follow=follow, observe=observe)
            self._links[host, dependency] = link
        return link

    # --- more than World ----------------------------------------------------------------------------------------

    def observe_unanswered(self, name: str) -> None:
        """Record how many bytes a standing dependency never read; call it just before it is thawed."""
        connections, size = self.machines.unread(name)
        number = self.machines.life(name).number
        value = {"connections": connections, "bytes": size}
        self.history.record(Observation(self.loop.now, name, number, "unanswered", value))

    async def _run_program(self, spec: HostSpec, stopping: asyncio.Event) -> None:
        life = HOST.get()
        life.log = OperationLog(self.history, self.now_ns, spec.name, life.number)
        host = SimHost(
            log=life.log,
            disk=self.machines.disk(spec.name),
            endpoints=self._endpoints(spec.name),
            params=spec.params,
            past=self.run_sink.past(spec.name),
            targets=self._targets,
            tape=self.tape,
            stopping=stopping,
            listen=lambda: self._listen(spec.name),
        )
        await spec.program(host)

    def _endpoints(self, host: str) -> dict[str, str]:
        services = {name: url for name, url in self._services.items() if name != host}
        return {name: dependency.url for name, dependency in self._dependencies.items()} | services

    def _listen(self, host: str) -> Any:
        if host not in self._services:
            raise WorldError(f"host {host!r} serves nobody: its spec has no `serves`")
        sock = self.network.make_socket()
        sock.bind((self.network.address(host), _SERVICE_PORT))
        return sock

    def _report(self, context: dict[str, Any]) -> None:
        """Record an error that a host's code neither handled nor fetched."""
        self.unhandled += 1
        error = context.get("exception")
        text = f"{context.get('message')}: {type(error).__name__}: {error}" if error else str(context.get("message"))
        host = context.get("host") or self.loop.blamed or HOST.get(self.machines.harness)
        self.trace.note(self.loop.now, f"unhandled {host.label}")
        if self.unhandled <= _UNHANDLED_MAX:
            self.history.record(
                Observation(self.loop.now, host.machine, host.number, "unhandled", {"error": text[:_TEXT_MAX]})
            )


def _wake(done: "asyncio.Future[None]") -> None:
    if not done.done():
        done.set_result(None)
