"""The load host's own process: starts Locust as its children, hands on what they report, ends them within a bound.

The children stay in the process group of the host, so that what kills or freezes the host meets them as well, and the
kernel kills them should the host process die by itself. Locust's master is asked to end by SIGTERM; it then asks its
workers. One that ends in any other way, or with a code, is a `LocustError`, and so the failure of the host.
"""

import asyncio
import contextlib
import importlib.util
import os
import signal
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

from harness.history.recorder import Sink
from harness.load import wire
from harness.load.errors import LocustError
from harness.load.spec import Crew, LocustLoad
from harness.world.real import launch
from harness.world.real import wire as host_wire
from harness.world.real.pipes import LineSplitter, PipeReader
from harness.world.real.service import Service

EXTRA: Final = "pip install 'trading-chaos-harness[load]'"
_FINISH_S_MAX: Final = 6.0
"""Workers have 3 s to report, then Locust waits half a second for them; a host has 10 s."""


def check_installed() -> None:
    """Raise `LocustError` if there is no Locust. Nothing is imported, as that would patch this process."""
    if importlib.util.find_spec("locust") is None:
        raise LocustError(f"the load needs Locust, which is not installed; it is an extra: {EXTRA}")


def locate(locustfile: str) -> Path:
    """Return the file of a locustfile, given as a path or as a module's name. Raises `LocustError`."""
    path = Path(locustfile)
    if path.suffix != ".py":
        try:
            spec = importlib.util.find_spec(locustfile)
        except (ImportError, ValueError) as error:
            raise LocustError(f"there is no locustfile {locustfile!r}: {error}") from error
        path = Path(spec.origin or "") if spec is not None else Path()
    if not path.is_file():
        raise LocustError(f"there is no locustfile {locustfile!r}")
    return path.resolve()


async def run_load(
    host: host_wire.Assignment,
    sink: Sink,
    *,
    began: Callable[[], None],
    asked_to_stop: Callable[[], Coroutine[Any, Any, None]],
) -> None:
    """Make the host's load until `asked_to_stop` returns; call `began` once it has begun. Raises `LocustError`."""
    load, crew = host.load, host.crew
    assert load is not None
    check_installed()
    assignment = wire.Assignment(
        name=host.name,
        incarnation=host.incarnation,
        params=host.params,
        endpoints=host.endpoints,
        seed=host.seed,
        start_ns=host.start_ns,
        users=load.users,
        spawn_rate=load.spawn_rate,
        workers=crew.workers + crew.elsewhere,
        links_before=host.links_before,
    )
    words = arguments(load, crew, locate(load.locustfile), assignment)
    async with _locust(sink, began) as locust:
        await locust.start(words, crew, assignment, Path(host.disk))
        await locust.until(asked_to_stop)
        await locust.finish()


def arguments(load: LocustLoad, crew: Crew, locustfile: Path, assignment: wire.Assignment) -> list[str]:
    """Return Locust's arguments for the master, or the only process; port and expected workers come with the crew."""
    words = ["-f", str(locustfile), "--headless", "--only-summary", "--exit-code-on-error", "0"]
    words += ["--users", str(load.users), "--spawn-rate", f"{load.spawn_rate:g}"]
    if load.host is not None:
        if load.host not in assignment.endpoints:
            raise LocustError(f"the load is for {load.host!r}; there are: {', '.join(assignment.endpoints) or 'none'}")
        words += ["--host", assignment.endpoints[load.host]]
    if not crew.alone:
        words += ["--master", "--expect-workers", str(crew.workers + crew.elsewhere)]
        words += ["--expect-workers-max-wait", f"{crew.begin_s_max:.0f}"]
    return words


class _Child:
    """One Locust process, and the pipe of its reports."""

    def __init__(self, name: str, process: asyncio.subprocess.Process, reports: PipeReader) -> None:
        self.name = name
        self.process = process
        self.reports = reports
        self.ended = asyncio.ensure_future(process.wait())

    def how(self) -> str:
        """Say how it ended."""
        code = self.process.returncode or 0
        if code < 0:
            return f"{self.name} was killed by {signal.Signals(-code).name}"
        return f"{self.name} ended with code {code}"


class _Locust:
    """All Locust processes of this host."""

    def __init__(self, sink: Sink, began: Callable[[], None]) -> None:
        self._sink = sink
        self._began = began
        self._children: list[_Child] = []
        self._failure: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._port: Service | None = None
        self._envoy = False

    async def start(self, words: list[str], crew: Crew, assignment: wire.Assignment, folder: Path) -> None:
        """Start every process; they find each other. The first has the assignment."""
        if crew.master is None:
            host, port = crew.bind_host, crew.bind_port
            if not crew.alone and port == 0:
                self._port = Service()
                port = self._port.port
            bind = [] if crew.alone else ["--master-bind-host", host, "--master-bind-port", str(port)]
            children = [("Locust" if crew.alone else "Locust's master", [*words, *bind])]
        else:
            self._envoy = True
            host, port = crew.master
            children = []
        joins = [*words[:2], "--worker", "--master-host", host, "--master-port", str(port)]
        children += [(f"Locust's worker process {number + 1}", joins) for number in range(crew.workers)]
        with tempfile.TemporaryFile() as file:
            file.write(wire.ENCODER.encode(assignment))
            file.seek(0)
            given = file.fileno()
            for name, its_words in children:
                await self._start_one(name, its_words, folder, assignment=given)
                given = -1

    async def _start_one(self, name: str, words: Sequence[str], folder: Path, *, assignment: int = -1) -> None:
        splitter = LineSplitter()

        def take(data: bytes) -> None:
            for line in splitter.feed(data):
                try:
                    self._take(name, line)
                except msgspec.MsgspecError as error:
                    self._fail(f"{name} reported what cannot be read: {error}: {line[:80]!r}")

        reports = PipeReader(take)
        descriptors = tuple(one for one in (assignment, reports.write_end) if one >= 0)
        launcher = (sys.executable, "-I", "-S", launch.__file__, str(os.getpid()))
        try:
            process = await asyncio.create_subprocess_exec(
                *launcher,
                *(sys.executable, "-m", "harness.load.process", *words),
                stdin=asyncio.subprocess.DEVNULL,
                pass_fds=descriptors,
                env=_environment(f"{assignment},{reports.write_end}"),
                cwd=folder,
            )
        except OSError as error:
            reports.close()
            raise LocustError(f"cannot start {name}: {error}") from error
        finally:
            reports.release_write_end()
        self._children.append(_Child(name, process, reports))

    async def until(self, asked_to_stop: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Return once asked to stop. Raises `LocustError` as soon as Locust is not well."""
        stopping = asyncio.ensure_future(asked_to_stop())
        waiting: list[asyncio.Future[Any]] = [stopping, self._failure, *(child.ended for child in self._children)]
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        self._check()
        if not stopping.done():
            stopping.cancel()
            ended = next(child for child in self._children if child.ended.done())
            raise LocustError(f"{ended.how()}, though nobody asked it to end; the host's log has more")

    async def finish(self) -> None:
        """Ask the master to end everything, wait for it, and raise `LocustError` if anything was not well.

        A master that is not ours is asked by the envoy; our other workers are then asked to leave it.
        """
        first, *others = self._children
        first.process.send_signal(signal.SIGTERM)
        if self._envoy:
            await asyncio.wait([first.ended], timeout=_FINISH_S_MAX)
            for child in others:
                if not child.ended.done():
                    child.process.send_signal(signal.SIGTERM)
        _, late = await asyncio.wait([child.ended for child in self._children], timeout=_FINISH_S_MAX)
        self._check()
        for child in self._children:
            if child.ended in late:
                raise LocustError(f"{child.name} did not end within {_FINISH_S_MAX:.0f} s")
            if child.process.returncode:
                raise LocustError(f"{child.how()}; the host's log has more")

    async def close(self) -> None:
        """Kill what is left."""
        for child in self._children:
            if child.process.returncode is None:
                child.process.kill()
        for child in self._children:
            await child.ended
            child.reports.close()
        if self._port is not None:
            self._port.close()

    def _check(self) -> None:
        for child in self._children:
            if child.process.returncode is not None:
                child.reports.drain()
        if self._failure.done():
            raise LocustError(self._failure.result())

    def _take(self, name: str, line: bytes) -> None:
        report = wire.REPORT.decode(line)
        if isinstance(report, wire.LoadBegan):
            self._began()
        elif isinstance(report, wire.LoadFailed):
            self._fail(f"{name}: {report.error}")
        else:
            self._sink.record(report)

    def _fail(self, why: str) -> None:
        """Keep the first failure: the others follow from it."""
        if not self._failure.done():
            self._failure.set_result(why)


@contextlib.asynccontextmanager
async def _locust(sink: Sink, began: Callable[[], None]) -> AsyncIterator[_Locust]:
    locust = _Locust(sink, began)
    try:
        yield locust
    finally:
        await locust.close()


def _environment(descriptors: str) -> dict[str, str]:
    """Return this environment, importing from where this process does, without what Locust would take for options."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("LOCUST_")}
    return {**kept, "PYTHONPATH": os.pathsep.join(filter(None, sys.path)), wire.DESCRIPTORS: descriptors}
