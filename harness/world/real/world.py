"""The real world: hosts are processes, time is CLOCK_MONOTONIC, a kill is SIGKILL.

    async with RealWorld(tape, sink, targets=..., directory=..., dependency_kinds=...) as world:
        await world.start_dependency("redis", "redis", {})
        await world.start_host(HostSpec(name="publisher", program=publish))

Every host reaches every dependency through a proxy of its own (proxies.py), which is where links are broken.

Leaving the block, by whatever way, thaws what is frozen, stops hosts and dependencies in the reverse order of
their start, and returns only when every process of the run is gone (process.py tells how that holds even for
SIGKILL of the harness). Below `directory` there are `disks/<host>` and `logs/<host>.log`.

Events of one host arrive in the order in which it recorded them, those of different hosts as their pipes
happen to be read, some microseconds to milliseconds after the time they bear.
"""

import asyncio
import re
import sys
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self, TypeAlias

from harness.errors import WorldError, unknown_name
from harness.history.events import HostChanged, Observation, begins
from harness.history.recorder import Sink
from harness.load.host import check_installed
from harness.load.spec import Crew
from harness.tape import Stream, Tape
from harness.toxics.exchange.match import Follow
from harness.units import as_seconds, seconds
from harness.world.base import Dependency, HostSpec, WorldKind
from harness.world.damage import damage
from harness.world.real import process, wire
from harness.world.real.foreign_proxy import use_foreign
from harness.world.real.host_link import HostLink
from harness.world.real.host_process import HostProcess, Past
from harness.world.real.proxies import Doors, Proxies
from harness.world.real.proxy_api import ProxyPlace
from harness.world.real.proxy_server import ProxyServer, start_embedded
from harness.world.real.service import Service

StartDependency: TypeAlias = Callable[["RealWorld", str, Mapping[str, Any]], Awaitable[Dependency]]

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
_LOOPBACK: Final = "127.0.0.1"
_BEGIN_S_MAX: Final = 60.0
_STOP_NS_MAX: Final = seconds(5)
_DEPENDENCY_STOP_S_MAX: Final = 15.0


@dataclass(frozen=True, slots=True, kw_only=True)
class HostExit:
    """A host that ended though nobody asked it to: `change` is `failed` or `finished`, `detail` says why."""

    host: str
    incarnation: int
    change: str
    detail: str


class RealWorld:
    """Implements `harness.world.base.World` with processes. Use it as an async context manager."""

    kind: WorldKind = "real"

    def __init__(
        self,
        tape: Tape,
        sink: Sink,
        *,
        targets: Mapping[str, str],
        directory: Path,
        dependency_kinds: Mapping[str, StartDependency],
        toxiproxy: ProxyPlace | None = None,
        crew: Crew | None = None,
        log_level: str = "INFO",
    ) -> None:
        """Targets map a port to `module:factory`; dependency kinds map a kind to what starts one.

        Hosts reach dependencies through proxies of the embedded server, or of the one at `toxiproxy`. Loads are made by
        the processes of `crew`, by one if there is none.
        """
        self.tape = tape
        self.history = sink
        self.directory = directory
        self.run = process.Run()
        self._targets = dict(targets)
        self._kinds = dict(dependency_kinds)
        self._log_level = log_level
        self._start_ns = time.monotonic_ns()
        self._scratch = Path()
        self._dependencies: dict[str, Dependency] = {}
        self._hosts: dict[str, HostProcess] = {}
        self._full_disks: set[str] = set()
        self._clock_offsets_ns: dict[str, int] = {}
        self._pasts: dict[str, Past] = {}
        self._services: dict[str, Service] = {}
        self._toxiproxy = toxiproxy
        self._crew = crew or Crew()
        self._proxies = Proxies(self._start_proxies, self._observe_toxic)
        self._exits: list[HostProcess] = []
        self._started: list[str] = []
        self._run_before: process.Run | None = None

    async def __aenter__(self) -> Self:
        """Start the guard and the clock."""
        self.run.open()
        try:
            self._scratch = self.run.temporary_directory()
            for name in ("disks", "logs"):
                (self.directory / name).mkdir(parents=True, exist_ok=True)
        except BaseException:
            await self.run.close()
            raise
        self._run_before = process.use(self.run)
        self._start_ns = time.monotonic_ns()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Thaw, stop and reap everything, however often the task is cancelled meanwhile."""
        process.use(self._run_before)
        closing = asyncio.create_task(self._close(gently=kind is None), name="close the real world")
        cancelled: asyncio.CancelledError | None = None
        while not closing.done():
            try:
                await asyncio.shield(closing)
            except asyncio.CancelledError as request:
                cancelled = request
            except Exception:  # noqa: BLE001, S110 - raised by result() below
                pass
        if cancelled is not None:
            raise cancelled
        if error is None:
            closing.result()

    def now_ns(self) -> int:
        """Nanoseconds since the run began."""
        return time.monotonic_ns() - self._start_ns

    async def sleep_until(self, time_ns: int) -> None:
        """Return at that time, or at once if it has passed."""
        while (left_ns := time_ns - self.now_ns()) > 0:  # noqa: ASYNC110 - the loop's timers may be early
            await asyncio.sleep(as_seconds(left_ns))

    async def start_dependency(
        self,
        name: str,
        kind: str,
        options: Mapping[str, Any],
        *,
        follow: Follow | None = None,
    ) -> Dependency:
        """Start a dependency. Raises `UsageError` for an unknown kind, `WorldError` if it does not start."""
        if kind not in self._kinds:
            raise unknown_name("dependency kind", kind, self._kinds)
        if name in self._dependencies:
            raise WorldError(f"there is a dependency {name!r} already")
        self._proxies.begin()
        dependency = await self._kinds[kind](self, name, options)
        self._dependencies[name] = dependency
        self._started.append(name)
        self._proxies.register(name, dependency.url, follow)
        return dependency

    def doors(self, dependency: str) -> Doors:
        """Return the proxies in front of a dependency that is being started, for it to shut when it goes away."""
        return self._proxies.doors(dependency)

    def link(self, host: str, dependency: str) -> HostLink:
        """Return the link of a host towards a running dependency. Raises `WorldError` if there is none."""
        self._host(host)
        if dependency not in self._services:
            self.dependency(dependency)
        return self._proxies.link(host, dependency)

    def dependency(self, name: str) -> Any:
        """Return the control surface of a running dependency. Raises `WorldError` if there is none."""
        try:
            return self._dependencies[name]
        except KeyError:
            raise WorldError(str(unknown_name("dependency", name, self._dependencies))) from None

    async def offer(self, spec: HostSpec) -> None:
        """Keep a port for a host that serves. Its proxies refuse until it runs."""
        self._proxies.begin()
        service = self._services[spec.name] = Service()
        self._proxies.register(spec.name, f"{spec.serves}://{service.address}", spec.follow)
        await self._proxies.doors(spec.name).shut()

    async def start_host(self, spec: HostSpec) -> None:
        """Start (or restart) a host, and return when its program runs, or has failed to (see `failures`)."""
        if not _NAME.fullmatch(spec.name):
            raise WorldError(f"{spec.name!r} cannot be the name of a host: letters, digits and ._- only")
        listen = _LOOPBACK
        begin_s_max = _BEGIN_S_MAX
        if spec.load is not None:
            check_installed()
            listen = self._crew.bind_host
            begin_s_max += self._crew.begin_s_max
        endpoints = await self._proxies.endpoints(spec.name, listen)
        before = self._hosts.get(spec.name)
        if before is not None and before.alive:
            raise WorldError(f"host {spec.name!r} is running already")
        past = self._pasts.get(spec.name)
        if past is None:
            past = self._pasts[spec.name] = Past(self._scratch)
        assignment = self._assign(spec, past, endpoints)
        host = HostProcess(assignment, past, self.history, self.now_ns)
        await host.start(self.run, self.directory / "logs" / f"{spec.name}.log", self._scratch)
        if spec.name in self._full_disks:
            host.fill_disk()
        self._hosts[spec.name] = host
        self._exits.append(host)
        self._started.append(spec.name)
        try:
            await asyncio.wait_for(host.begun(), begin_s_max)
        except TimeoutError:
            await host.kill()
            raise WorldError(f"host {spec.name!r} did not begin within {begin_s_max:.0f} s") from None
        if spec.name in self._services:
            await self._proxies.doors(spec.name).open()

    async def kill_host(self, name: str, *, silent: bool = False) -> None:  # noqa: ARG002 - see below
        """SIGKILL a host with all that it started; return when everything it recorded is in the history.

        `silent` makes no difference here: the kernel of a living machine always tells the peers of the dead
        process. Raises `WorldError` if the host is not running, or its history was malformed.
        """
        host = self._whole(name)
        await self._shut(name)
        await host.kill()

    async def kill_host_inside(
        self, name: str, operation: str, *, where: Mapping[str, Any], steps: int, delay_ns: int
    ) -> None:
        """SIGKILL `delay_ns` after the operation is known to have begun; `steps` is for worlds that can count them."""
        del steps
        await self._whole(name).kill_inside(lambda event: begins(event, operation, where), delay_ns)
        await self._shut(name)

    async def freeze_host(self, name: str) -> None:
        """SIGSTOP a host and what it started in its process group; return when it stands still."""
        await self._whole(name).freeze()

    async def thaw_host(self, name: str) -> None:
        """SIGCONT; nothing happens if the host is not frozen (it may have been killed meanwhile)."""
        host = self._host(name)
        if host.alive and host.frozen:
            host.thaw()

    async def fill_disk(self, host: str) -> None:
        """Let no write to a regular file by the host succeed; `HostProcess.fill_disk` tells how."""
        self._running(host).fill_disk()
        self._full_disks.add(host)

    async def free_disk(self, host: str) -> None:
        """Let writes succeed again."""
        process = self._host(host)
        self._full_disks.discard(host)
        if process.alive:
            process.free_disk()

    async def damage_disk(self, host: str, pattern: str, mode: str, stream: Stream) -> None:
        """Damage the files of a host that is down."""
        process = self._host(host)
        if process.alive:
            raise WorldError(f"{host!r} is running; only the files of a host that is down can be damaged")
        for one in damage(self.directory / "disks" / host, pattern, mode, stream):
            self.history.record(Observation(self.now_ns(), host, process.incarnation, "damage", one))

    async def step_clock(self, host: str, by_ns: int) -> None:
        """Step the host's wall clock, as its Python code sees it; a frozen host finds it stepped at the thaw."""
        process = self._host(host)
        offset_ns = self._clock_offsets_ns[host] = self._clock_offsets_ns.get(host, 0) + by_ns
        if process.alive:
            await process.set_clock(offset_ns)

    async def stop_host(self, name: str, *, timeout_ns: int) -> bool:
        """Ask the program to finish and wait; True if it ended within the timeout, else it was killed."""
        stopped = await self._host(name).stop(timeout_ns)
        await self._shut(name)
        return stopped

    @property
    def failures(self) -> list[HostExit]:
        """Every incarnation that ended though it was neither stopped nor killed, in the order of start."""
        return [
            HostExit(host=host.name, incarnation=host.incarnation, change=host.change, detail=host.detail)
            for host in self._exits
            if host.change in ("failed", "finished")
        ]

    async def _shut(self, name: str) -> None:
        """Have the proxies in front of a host that serves, and is no more, reset its clients and refuse them."""
        if name in self._services:
            await self._proxies.doors(name).shut()

    async def _start_proxies(self) -> ProxyServer:
        if self._toxiproxy is not None:
            return await use_foreign(self._toxiproxy, self.run)
        return await start_embedded(
            self.run, self.directory / "logs" / "toxiproxy.log", self.tape.seed, died=self._proxies_died
        )

    def _proxies_died(self, detail: str) -> None:
        """Nothing that is seen from now on can be believed: this ends the run, as the failure of a host does."""
        self.history.record(HostChanged(self.now_ns(), "toxiproxy", 1, "failed", detail))

    def _observe_toxic(self, host: str, value: dict[str, Any]) -> None:
        incarnation = self._hosts[host].incarnation if host in self._hosts else 1
        self.history.record(Observation(self.now_ns(), host, incarnation, "toxic", value))

    def _assign(self, spec: HostSpec, past: Past, endpoints: Mapping[str, str]) -> wire.Assignment:
        before = self._hosts.get(spec.name)
        disk = self.directory / "disks" / spec.name
        disk.mkdir(exist_ok=True)
        return wire.Assignment(
            name=spec.name,
            incarnation=before.incarnation + 1 if before else 1,
            program=spec.program_path,
            params=spec.params,
            endpoints=endpoints,
            disk=str(disk.resolve()),
            targets=self._targets,
            seed=self.tape.seed,
            start_ns=self._start_ns,
            sys_path=[str(Path(entry).resolve()) for entry in sys.path],
            log_level=self._log_level,
            past_bytes=past.bytes,
            listen_port=self._services[spec.name].port if spec.name in self._services else None,
            clock_offset_ns=self._clock_offsets_ns.get(spec.name, 0),
            links_before=past.links,
            load=spec.load,
            crew=self._crew,
        )

    def _host(self, name: str) -> HostProcess:
        try:
            return self._hosts[name]
        except KeyError:
            raise WorldError(str(unknown_name("host", name, self._hosts))) from None

    def _running(self, name: str) -> HostProcess:
        host = self._host(name)
        if not host.alive:
            raise WorldError(f"host {name!r} is not running: {host.change}, {host.detail}")
        return host

    def _whole(self, name: str) -> HostProcess:
        """Return a running host, all of which is on this machine, so that a signal meets all of it."""
        host = self._running(name)
        if host.is_load and not self._crew.whole:
            raise WorldError(f"host {name!r} cannot be killed or frozen: its master or workers are not ours alone")
        return host

    async def _close(self, *, gently: bool) -> None:
        """Stop everything in the reverse order of its start; go on after errors and raise them at the end."""
        errors: list[Exception] = []
        for name in self._hosts:
            await self.thaw_host(name)
        for name in dict.fromkeys(reversed(self._started)):
            try:
                if name in self._hosts:
                    await self._end_host(self._hosts[name], gently=gently)
                if name in self._dependencies:
                    await asyncio.wait_for(self._dependencies[name].stop(), _DEPENDENCY_STOP_S_MAX)
            except Exception as error:  # noqa: BLE001 - the others must be stopped as well
                errors.append(error)
        keepers: list[Past | Service] = [*self._pasts.values(), *self._services.values()]
        for keeper in keepers:
            keeper.close()
        for close in (self._proxies.close, self.run.close):
            try:
                await close()
            except Exception as error:  # noqa: BLE001 - joins the others
                errors.append(error)
        if errors:
            raise WorldError(f"while ending the run: {errors[0]!r}") from ExceptionGroup("all errors", errors)

    async def _end_host(self, host: HostProcess, *, gently: bool) -> None:
        if not host.alive:
            return
        if gently:
            await host.stop(_STOP_NS_MAX)
        else:
            await host.kill()
