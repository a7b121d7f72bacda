"""A host as a process: `python -m harness.world.real.host_main`, started by `host_process.py`.

Runs one program on an observing event loop. Every event goes to the history pipe by `write(2)` in the moment
in which it is recorded, before the program can act on it, so it survives the SIGKILL that comes later: the
kernel holds it, and the harness drains the pipe even after the host's death. If the harness is slow, the pipe
(1 MiB) fills and recording blocks: a history has no holes.

Exit codes: 0 the program returned, 1 it failed (reported as a message, traceback on stderr, which is a log
file).
"""

import asyncio
import contextlib
import importlib
import logging
import os
import socket
import sys
import threading
import time
import traceback
from collections.abc import Callable, Coroutine, Mapping, Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from harness.errors import WorldError
from harness.history.events import Event
from harness.history.recorder import OperationLog
from harness.load.errors import LocustError
from harness.load.host import run_load
from harness.tape import Stream, Tape
from harness.targets import split_command
from harness.world.base import Host, Program
from harness.world.real import wire
from harness.world.real.launch import die_with_parent
from harness.world.real.links import LinkLog, ObservingEventLoop
from harness.world.real.pipes import LineSplitter
from harness.world.real.refused_writes import RefusedWrites
from harness.world.real.secrets_mask import masked
from harness.world.real.stepped_clock import SteppedClock

_PAST_READ = 1 << 20
_ORDERS_READ = 1 << 12


class LoadError(Exception):
    """What a `module:function` names cannot be loaded; the text is one line for people."""


class HistoryPipe:
    """A `Sink` that writes each event to a pipe before it returns; safe to use from any thread."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._lock = threading.Lock()

    def record(self, event: Event) -> None:
        """Write one event."""
        self.send(event)

    def send(self, message: Event | wire.Message) -> None:
        """Write one line. Ends the process if the harness no longer reads: nothing counts any more."""
        line = wire.ENCODER.encode(message) + b"\n"
        with self._lock:
            try:
                written = os.write(self._descriptor, line)
                while written < len(line):  # a signal handler of the program interrupted a blocked write
                    written += os.write(self._descriptor, line[written:])
            except BrokenPipeError:
                os._exit(1)


class ProcessHost:
    """The `Host` that a program sees in the real world."""

    def __init__(self, assignment: wire.Assignment, sink: HistoryPipe, past_descriptor: int) -> None:
        self._assignment = assignment
        self._past_descriptor = past_descriptor
        self._tape = Tape(assignment.seed)
        self._targets: dict[str, Callable[..., Any]] = {}
        self.stop = asyncio.Event()
        self.log = OperationLog(sink, self.now_ns, assignment.name, assignment.incarnation)
        self.disk = Path(assignment.disk)

    @property
    def name(self) -> str:
        """The host's name."""
        return self._assignment.name

    @property
    def incarnation(self) -> int:
        """1 for the first start."""
        return self._assignment.incarnation

    @property
    def endpoints(self) -> Mapping[str, str]:
        """URL of each dependency."""
        return self._assignment.endpoints

    @property
    def params(self) -> Mapping[str, Any]:
        """Parameters of the workload."""
        return self._assignment.params

    @cached_property
    def past(self) -> Sequence[Event]:
        """What earlier incarnations recorded; read when first asked for."""
        text = bytearray()
        while left := self._assignment.past_bytes - len(text):
            text += os.pread(self._past_descriptor, min(left, _PAST_READ), len(text))
        return wire.PAST.decode_lines(text)

    def listen(self) -> socket.socket:
        """Return the socket at which other hosts reach this one. The harness keeps its port for it (`SO_REUSEPORT`)."""
        port = self._assignment.listen_port
        if port is None:
            raise WorldError(f"host {self.name!r} serves nobody: its spec has no `serves`")
        sock = socket.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        sock.setblocking(False)  # noqa: FBT003 - the socket module's signature
        sock.bind(("127.0.0.1", port))
        return sock

    def now_ns(self) -> int:
        """Nanoseconds since the run began; CLOCK_MONOTONIC is the same for all processes."""
        return time.monotonic_ns() - self._assignment.start_ns

    def draws(self, label: str) -> Stream:
        """The stream `workload/<host>/<label>`; a later incarnation draws anew, not the same values again."""
        again = f"#{self.incarnation}" if self.incarnation > 1 else ""
        return self._tape.stream(f"workload/{self.name}/{label}{again}")

    def load_targets(self) -> None:
        """Import every target. Raises `LoadError`."""
        for port, path in self._assignment.targets.items():
            named, words = split_command(path)
            factory = load(named, f"target of port {port!r}")
            self._targets[port] = factory if words is None else partial(factory, command=words)

    def target(self, port: str) -> Callable[..., Any]:
        """The factory behind that port. Raises `LoadError` if the run names none."""
        try:
            return self._targets[port]
        except KeyError:
            known = ", ".join(sorted(self._targets)) or "none"
            raise LoadError(f"no target was given for port {port!r}; there are: {known}") from None

    async def stopping(self) -> None:
        """Return once the run asks the host to finish."""
        await self.stop.wait()


def load(path: str, what: str) -> Callable[..., Any]:
    """Return what `module:function` names. Raises `LoadError`: one line that names `what` and the reason."""
    module_name, _, attributes = path.partition(":")
    try:
        found: Any = importlib.import_module(module_name)
    except Exception as error:
        raise LoadError(f"cannot import the {what}, {path}: {type(error).__name__}: {error}") from error
    for attribute in attributes.split("."):
        try:
            found = getattr(found, attribute)
        except AttributeError as error:
            raise LoadError(f"cannot find the {what}, {path}: {error}") from error
    if not callable(found):
        raise LoadError(f"the {what}, {path}, is a {type(found).__name__} and cannot be called")
    return found  # type: ignore[no-any-return] # callable() does not narrow Any


async def run_program(program: Program, host: Host) -> None:
    """Run the program to its end."""
    await program(host)


def watch_control(
    loop: asyncio.AbstractEventLoop, descriptor: int, stop: asyncio.Event, set_clock: Callable[[int], None]
) -> None:
    """Carry out the orders of the harness; end at once when it is gone."""
    lines = LineSplitter()

    def readable() -> None:
        data = os.read(descriptor, _ORDERS_READ)
        for line in lines.feed(data):
            order = wire.ORDER.decode(line)
            if isinstance(order, wire.SetClock):
                set_clock(order.offset_ns)
            else:
                stop.set()
        if data:
            return
        if not stop.is_set():
            os._exit(1)
        loop.remove_reader(descriptor)

    loop.add_reader(descriptor, readable)


def run(assignment: wire.Assignment, pipe: HistoryPipe, control: int, past: int) -> None:
    """Load and run the program. Raises `LoadError`, or whatever the program raises."""
    host = ProcessHost(assignment, pipe, past)
    loop = ObservingEventLoop(assignment.endpoints)
    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        runner.get_loop()
        links = LinkLog(_observer(host, "link"), already=assignment.links_before, later=loop.call_later)
        loop.links = links
        refused = RefusedWrites(_observer(host, "disk"))
        refused.watch(loop)
        clock = SteppedClock(_observer(host, "clock"), loop.call_soon_threadsafe)
        if assignment.clock_offset_ns:
            clock.step_to(assignment.clock_offset_ns)
        set_clock = partial(_set_clock, clock, pipe) if assignment.load is None else partial(_leave_clock, pipe)
        watch_control(loop, control, host.stop, set_clock)
        begin = _begin_program if assignment.load is None else _begin_load
        work = begin(assignment, host, pipe)
        try:
            runner.run(work)
        finally:
            links.flush()
            refused.flush()
            loop.remove_reader(control)


def _begin_program(assignment: wire.Assignment, host: ProcessHost, pipe: HistoryPipe) -> Coroutine[Any, Any, None]:
    """Return the program at work; what it needs is there. Raises `LoadError`."""
    program = load(assignment.program, "program")
    host.load_targets()
    pipe.send(wire.ProgramRunning())
    return run_program(program, host)


def _begin_load(assignment: wire.Assignment, host: ProcessHost, pipe: HistoryPipe) -> Coroutine[Any, Any, None]:
    """Return the load at work, which tells itself when it has begun."""
    return run_load(assignment, pipe, began=lambda: pipe.send(wire.ProgramRunning()), asked_to_stop=host.stopping)


def main(parent: int, history: int, control: int, past: int) -> int:
    """Run the assignment on stdin; return the exit code. Takes the harness's pid and three descriptors."""
    die_with_parent(parent)
    for descriptor in (history, control, past):
        os.set_inheritable(descriptor, False)  # noqa: FBT003 - lest what the program starts keep the pipes open
    pipe = HistoryPipe(history)
    assignment = wire.ASSIGNMENT.decode(sys.stdin.buffer.read())
    sys.path[:] = assignment.sys_path
    logging.basicConfig(level=assignment.log_level, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    try:
        run(assignment, pipe, control, past)
    except (LoadError, LocustError) as error:
        return _failed(pipe, str(error))
    except BaseException as error:  # noqa: BLE001 - SystemExit of a program is its failure as well
        return _failed(pipe, f"the program raised {type(error).__name__}: {error}")
    return 0


def _observer(host: ProcessHost, name: str) -> Callable[..., None]:
    def observe(**value: object) -> None:
        host.log.observe(name, **value)

    return observe


def _set_clock(clock: SteppedClock, pipe: HistoryPipe, offset_ns: int) -> None:
    try:
        clock.step_to(offset_ns)
    except WorldError as error:
        pipe.send(wire.ClockSet(str(error)))
    else:
        pipe.send(wire.ClockSet())


def _leave_clock(pipe: HistoryPipe, offset_ns: int) -> None:
    del offset_ns
    pipe.send(wire.ClockSet("it is a load by Locust, whose processes have the machine's clock"))


def _failed(pipe: HistoryPipe, error: str) -> int:
    traceback.print_exc()
    with contextlib.suppress(OSError):
        sys.stderr.flush()
    pipe.send(wire.ProgramFailed(masked(" ".join(error.split()))[:500]))
    return 1


if __name__ == "__main__":
    sys.exit(main(*(int(argument) for argument in sys.argv[1:])))
