"""One incarnation of a host: its process, its history stream, its log, and how it came to its end.

The world asks for things (`stop`, `kill`, `freeze`); what became of the process is decided in one place,
`_end`, from what had been asked and the exit code:

    asked to      exit code   change
    kill          -9          killed      any other code: it ended before the signal came, as below
    stop          0           stopped
    stop          other       failed
    (nothing)     0           finished    the program returned by itself
    (nothing)     other       failed

The end is recorded after the history pipe is drained, so a history never has an event of a host after its
end.
"""

import asyncio
import os
import resource
import signal
import sys
import tempfile
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import IO, Final, Literal, TypeAlias

import msgspec
import psutil

import harness
from harness.errors import WorldError
from harness.history.events import HostChanged, Observation
from harness.history.recorder import Sink
from harness.units import SECOND, as_seconds
from harness.world.real import guard, wire
from harness.world.real.pipes import BoundedLog, LineSplitter, PipeReader
from harness.world.real.process import ChildProcess, Run

Asked: TypeAlias = Literal["", "stop", "kill"]

_LOG_BYTES_MAX: Final = 1 << 20
_FREEZE_NS_MAX: Final = SECOND
_CLOCK_S_MAX: Final = 10.0
_FILES_UNLIMITED: Final = resource.getrlimit(resource.RLIMIT_FSIZE)
"""What every host inherits from this process."""


def how_it_ended(asked: Asked, returncode: int) -> Literal["killed", "stopped", "finished", "failed"]:
    """Return the `HostChanged.change` for the end of a host."""
    if asked == "kill" and returncode == -signal.SIGKILL:
        return "killed"
    if returncode != 0:
        return "failed"
    return "stopped" if asked == "stop" else "finished"


class Past:
    """What all incarnations of a host recorded, as JSON lines in a nameless file for the next one to read."""

    def __init__(self, directory: Path) -> None:
        self.file: IO[bytes] = tempfile.TemporaryFile(dir=directory, buffering=0)  # noqa: SIM115 - see `close`
        self.links = 0
        self.bytes = 0

    def append(self, line: bytes, event: wire.HostEvent) -> None:
        """Append one event."""
        self.links += isinstance(event, Observation) and event.name == "link"
        self.bytes += self.file.write(line + b"\n")

    def close(self) -> None:
        """Let go of the file."""
        self.file.close()


class HostProcess:
    """One incarnation, from its start to its end. Made by `start`."""

    def __init__(self, assignment: wire.Assignment, past: Past, sink: Sink, now_ns: Callable[[], int]) -> None:
        self.name = assignment.name
        self.incarnation = assignment.incarnation
        self.frozen = False
        self.change = ""
        self.detail = ""
        self._assignment = assignment
        self._past = past
        self._sink = sink
        self._now_ns = now_ns
        self._asked: Asked = ""
        self._reported = ""
        self._lines = LineSplitter()
        self._begun = asyncio.Event()
        self._control = -1
        self._clock_orders: deque[asyncio.Future[str]] = deque()
        self._awaited: list[tuple[Callable[[wire.HostEvent], bool], asyncio.Future[None]]] = []
        self._child: ChildProcess
        self._history: PipeReader
        self._ending: asyncio.Task[None]

    @property
    def alive(self) -> bool:
        """Whether it has not come to its end."""
        return not self.change

    @property
    def is_load(self) -> bool:
        """Whether Locust makes it, and not a program."""
        return self._assignment.load is not None

    async def start(self, run: Run, log_path: Path, scratch: Path) -> None:
        """Start the process and record it; use `begun` to wait for its program."""
        log = BoundedLog(log_path, bytes_max=_LOG_BYTES_MAX)
        self._history = PipeReader(self._take)
        output = PipeReader(log.feed)
        control, self._control = os.pipe()
        root = str(Path(harness.__file__).parents[1])
        search = os.pathsep.join(filter(None, (root, os.environ.get("PYTHONPATH"))))
        descriptors = (self._history.write_end, control, self._past.file.fileno())
        argv = [sys.executable, "-m", f"{__package__}.host_main", *map(str, (os.getpid(), *descriptors))]
        try:
            with tempfile.TemporaryFile(dir=scratch) as stdin:
                stdin.write(wire.ENCODER.encode(self._assignment))
                stdin.seek(0)
                self._child = await run.spawn(
                    argv,
                    name=self.name,
                    env={**os.environ, "PYTHONPATH": search},
                    stdin=stdin,
                    stdout=output.write_end,
                    stderr=output.write_end,
                    pass_fds=descriptors,
                    launcher=False,
                )
        except BaseException:
            self._history.close()
            output.close()
            log.close()
            os.close(self._control)
            self.change = "failed"
            raise
        finally:
            self._history.release_write_end()
            output.release_write_end()
            os.close(control)
        self._record("started", f"pid {self._child.pid}")
        self._ending = asyncio.create_task(self._end(output, log), name=f"end of {self.name}")

    async def begun(self) -> None:
        """Return once the program runs, or the process has ended without getting that far."""
        await self._begun.wait()

    async def ended(self) -> None:
        """Return after its end was recorded. Raises `WorldError` if its history could not be read."""
        await asyncio.shield(self._ending)
        if self._history.error is not None:
            raise WorldError(str(self._history.error)) from self._history.error

    async def kill(self) -> None:
        """SIGKILL, and return after the end was recorded."""
        if self.alive:
            self._asked = "kill"
            self._child.kill()
        await self.ended()

    async def kill_inside(self, begins: Callable[[wire.HostEvent], bool], delay_ns: int) -> None:
        """SIGKILL so long after the host is known to have recorded an event of which `begins` is true."""
        begun: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        awaited = (begins, begun)
        self._awaited.append(awaited)
        try:
            await begun
        finally:
            self._awaited.remove(awaited)
        await asyncio.sleep(as_seconds(delay_ns))
        killing = asyncio.ensure_future(self.kill())
        try:
            await asyncio.shield(killing)
        except asyncio.CancelledError:  # it is dead already, and whoever starts it again must know
            await killing

    async def stop(self, timeout_ns: int) -> bool:
        """Ask the program to finish; after the timeout kill it. Return whether it finished by itself."""
        if self.alive and not self._asked:
            self._asked = "stop"
            self._order(wire.Stop())
        try:
            await asyncio.wait_for(self.ended(), as_seconds(timeout_ns))
        except TimeoutError:
            await self.kill()
        return self.change != "killed"

    async def freeze(self) -> None:
        """SIGSTOP to the process and what it started; return when it stands still and its words are recorded."""
        if self.frozen:
            return
        self._child.signal_group(signal.SIGSTOP)
        deadline_ns = self._now_ns() + _FREEZE_NS_MAX
        while (status := guard.status_of(self._child.pid)) is not None and not status.still:
            if self._now_ns() > deadline_ns:
                raise WorldError(f"host {self.name!r} did not stop at SIGSTOP")
            await asyncio.sleep(0.001)  # the kernel tells of a stop only by SIGCHLD, which belongs to the program
        self._history.drain()
        if self.alive and self._child.returncode is None:
            self.frozen = True
            self._record("frozen")

    def thaw(self) -> None:
        """SIGCONT."""
        self.frozen = False
        self._record("thawed")
        self._child.signal_group(signal.SIGCONT)

    def fill_disk(self) -> None:
        """Have the kernel refuse each write to a regular file by the process and what it started: RLIMIT_FSIZE is 0.

        From outside, at once, and without root: a soft limit may be lowered and raised again. The program sees EFBIG
        where a full disk gives ENOSPC; SQLite says "disk I/O error" instead of "database or disk is full". What is no
        regular file goes on: the history pipe, the log, sockets. A child that does not ignore SIGXFSZ, as Python
        does, is killed by its first write.
        """
        self._limit_files(0)

    def free_disk(self) -> None:
        """Let writes succeed again."""
        self._limit_files(None)

    async def set_clock(self, offset_ns: int) -> None:
        """Have the wall clock be off by so much; return when it is. A frozen host is not waited for.

        Raises:
            WorldError: The host's clock cannot be stepped, or the host's event loop is blocked.

        """
        answer: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._clock_orders.append(answer)
        self._order(wire.SetClock(offset_ns))
        if self.frozen:
            return
        try:
            error = await asyncio.wait_for(answer, _CLOCK_S_MAX)
        except TimeoutError:
            error = f"no answer within {_CLOCK_S_MAX:.0f} s; is its event loop blocked?"
        if error:
            raise WorldError(f"the clock of host {self.name!r} was not stepped: {error}")

    def _order(self, order: wire.Order) -> None:
        with suppress(BrokenPipeError):  # it is ending already
            os.write(self._control, wire.ENCODER.encode(order) + b"\n")

    def _limit_files(self, soft: int | None) -> None:
        """Set the limit (None: as it was) of the process and all that descends from it."""
        with suppress(psutil.NoSuchProcess):
            leader = psutil.Process(self._child.pid)
            for member in (leader, *leader.children(recursive=True)):
                with suppress(ProcessLookupError, PermissionError):  # gone meanwhile, or another user's
                    _, hard = resource.prlimit(member.pid, resource.RLIMIT_FSIZE)
                    wanted = _FILES_UNLIMITED[0] if soft is None else soft
                    resource.prlimit(member.pid, resource.RLIMIT_FSIZE, (wanted, hard))

    async def _end(self, output: PipeReader, log: BoundedLog) -> None:
        """Wait for the process to end, take its last words, and record what became of it."""
        returncode = await self._child.wait()
        self._history.close()
        output.close()
        log.close()
        os.close(self._control)
        self.detail = self._reported or f"returncode {returncode}"
        self.change = how_it_ended(self._asked, returncode)
        if self._history.error is not None:
            self.change, self.detail = "failed", str(self._history.error)
        self._begun.set()
        self._clock_answered("")
        self._record(self.change, self.detail)

    def _take(self, data: bytes) -> None:
        try:
            for line in self._lines.feed(data):
                self._take_line(line)
        except Exception:
            self._child.kill()  # its history can no longer be trusted
            raise

    def _take_line(self, line: bytes) -> None:
        try:
            message = wire.DECODER.decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise WorldError(f"host {self.name!r} sent a malformed line: {error}: {line[:80]!r}") from error
        if isinstance(message, wire.ProgramRunning):
            self._begun.set()
        elif isinstance(message, wire.ClockSet):
            self._clock_answered(message.error)
        elif isinstance(message, wire.ProgramFailed):
            self._reported = message.error
        elif (message.actor, message.incarnation) != (self.name, self.incarnation):
            raise WorldError(f"host {self.name!r} recorded in the name of {message.actor}#{message.incarnation}")
        else:
            self._past.append(line, message)
            self._sink.record(message)
            for begins, begun in self._awaited:
                if not begun.done() and begins(message):
                    begun.set_result(None)

    def _clock_answered(self, error: str) -> None:
        """The oldest order is answered; once the host has come to its end, all are."""
        while self._clock_orders:
            answer = self._clock_orders.popleft()
            if not answer.done():
                answer.set_result(error)
            if self.alive:
                break

    def _record(self, change: str, detail: str = "") -> None:
        self._sink.record(HostChanged(self._now_ns(), self.name, self.incarnation, change, detail))
