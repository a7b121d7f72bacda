"""The machines of a run: booting, killing, freezing them, and what each of them sees of time, dice and disk.

A kill parks the incarnation for good: none of its callbacks runs again, so no finally block does, and everything it
held is kept alive until the run is over, since collecting a coroutine would run its finally blocks after all. A freeze
parks until the thaw, then resumes as a stopped process does: what was ready, then what its sockets received, then the
timers that expired. The machine named `harness` is where the director lives.
"""

import asyncio
import contextvars
import os
import random
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final

from harness.errors import WorldError
from harness.history.events import JSON, Event, HostChanged, Observation
from harness.history.recorder import Sink
from harness.tape import Stream, Tape
from harness.world.damage import damage
from harness.world.sim import escapes, full_disks
from harness.world.sim.doom import Doom, Tripwire
from harness.world.sim.handles import SimTimerHandle, is_task_step
from harness.world.sim.incarnation import HOST, Incarnation, WallClock
from harness.world.sim.loop import SimLoop
from harness.world.sim.machine import EPOCH_NS
from harness.world.sim.network import Network
from harness.world.sim.threads import Threads
from harness.world.sim.trace import Trace

HARNESS: Final = "harness"
_TEXT_MAX: Final = 300
_LAST_STEPS_MAX: Final = 50


class SimMachine:
    """One machine: what survives its incarnations."""

    __slots__ = ("clock", "count", "disk", "disk_text", "draws", "life", "name", "program")

    def __init__(self, name: str, disk: Path, tape: Tape) -> None:
        self.name = name
        self.disk = disk
        self.disk_text = os.path.realpath(disk)
        self.clock = WallClock()
        self.count = 0
        self.life: Incarnation | None = None
        self.program: asyncio.Task[Any] | None = None
        self.draws = tape.stream(f"executor/{name}")


class Machines:
    """All machines of one run. Implements `harness.world.sim.machine.Machine` for the current one."""

    def __init__(self, loop: SimLoop, network: Network, tape: Tape, sink: Sink, trace: Trace, directory: Path) -> None:
        self.failures: dict[str, str] = {}
        """What ended the programs that failed, by machine."""
        self._loop = loop
        self._network = network
        self._tape = tape
        self._sink = sink
        self._trace = trace
        self._directory = directory
        self._machines: dict[str, SimMachine] = {}
        self._graveyard: list[Incarnation] = []
        self._lives = 0
        self._over = False
        self.harness = self._new_life(self._machine(HARNESS))
        self._threads = Threads(loop, self.harness, lambda name: self._machines[name].draws)
        self.run_blocking = self._threads.run
        network.harness = self.harness
        network.power(HARNESS, on=True)
        loop.run_blocking = self.run_blocking
        loop.exit = self._exit

    # --- what the current host sees -----------------------------------------------------------------------------

    def now_ns(self) -> int:
        """Virtual nanoseconds since the run began."""
        return self._loop.now

    def wall_ns(self) -> int:
        """The wall clock of the current host."""
        clock = HOST.get(self.harness).clock
        if clock.offset_ns:
            clock.reads += 1
        return EPOCH_NS + self._loop.now + clock.offset_ns

    def dice(self) -> random.Random:
        """Return the entropy of the current host's current incarnation."""
        host = self._current()
        dice = host.own_dice
        if dice is None:
            dice = host.own_dice = self._tape.stream(f"entropy/{host.label}").dice()
        return dice

    def host_label(self) -> str:
        """Return the current host and incarnation for error texts."""
        return self._current().label

    def may_write(self, path: str) -> bool:
        """Say whether `path` lies on the current host's disk (or is /dev/null)."""
        if path == os.devnull:
            return True
        disk = self._machines[self._current().machine].disk_text
        real = os.path.realpath(path)
        return real == disk or real.startswith(disk + os.sep)

    def _current(self) -> Incarnation:
        return HOST.get(self.harness)

    # --- machines -----------------------------------------------------------------------------------------------

    def _machine(self, name: str) -> SimMachine:
        machine = self._machines.get(name)
        if machine is None:
            disk = self._directory if name == HARNESS else self._directory / name
            with escapes.permitted():
                disk.mkdir(parents=True, exist_ok=True)
            machine = self._machines[name] = SimMachine(name, disk, self._tape)
            self._network.node(name)
        return machine

    def _new_life(self, machine: SimMachine) -> Incarnation:
        machine.count += 1
        self._lives += 1
        machine.life = life = Incarnation(machine.name, machine.count, self._lives)
        life.clock = machine.clock
        return life

    def declare(self, name: str) -> None:
        """Give a machine its address and disk before it is booted."""
        self._machine(name)

    def disk(self, name: str) -> Path:
        """Return the directory that survives the machine's death."""
        return self._machine(name).disk

    def life(self, name: str) -> Incarnation:
        """Return the machine's running incarnation; raise `WorldError` if there is none."""
        machine = self._machines.get(name)
        if machine is None or machine.life is None:
            raise WorldError(f"no host {name!r} is running")
        return machine.life

    def latest(self, name: str) -> int:
        """Return the number of the machine's latest incarnation, running or not. Raises `WorldError` if it has none."""
        return self._known(name).count

    def is_running(self, name: str) -> bool:
        """Say whether an incarnation of the machine is there, running or frozen."""
        machine = self._machines.get(name)
        return machine is not None and machine.life is not None

    def program(self, name: str) -> asyncio.Task[Any]:
        """Return the task of the machine's latest program."""
        program = self._machine(name).program
        if program is None:
            raise WorldError(f"{name!r} was never booted")
        return program

    def set_clock_offset(self, name: str, offset_ns: int) -> None:
        """Let the machine's wall clock be off by so much from now on."""
        self._machine(name).clock.offset_ns = offset_ns
        self._trace.note(self._loop.now, f"clock {name} {offset_ns}")

    def step_clock(self, name: str, by_ns: int) -> None:
        """Step the machine's wall clock, running or not, and record how often it was read since the step before."""
        clock = self._known(name).clock
        reads, clock.reads = clock.reads, 0
        self.set_clock_offset(name, clock.offset_ns + by_ns)
        self._observe(name, "clock", offset_ns=clock.offset_ns, reads=reads)

    def fill_disk(self, name: str) -> None:
        """Let no write to the machine's disk succeed; nothing happens if it is full. Raises `WorldError`."""
        self.life(name)
        with escapes.permitted():
            full_disks.fill(self._machines[name].disk_text)
        self._trace.note(self._loop.now, f"disk {name} full")

    def free_disk(self, name: str) -> None:
        """Let writes succeed again, and record how many were refused; nothing happens if the disk is not full."""
        disk = self._known(name).disk_text
        if full_disks.is_full(disk):
            self._observe(name, "disk", failed_writes=full_disks.free(disk))
            self._trace.note(self._loop.now, f"disk {name} free")

    def damage_disk(self, name: str, pattern: str, mode: str, stream: Stream) -> None:
        """Damage the files of a machine that is down, and record what was done to each. Raises `WorldError`."""
        machine = self._known(name)
        if machine.life is not None:
            raise WorldError(f"{name!r} is running; only the files of a host that is down can be damaged")
        with escapes.permitted():
            damaged = damage(machine.disk, pattern, mode, stream)
        for one in damaged:
            self._observe(name, "damage", **one)
            self._trace.note(self._loop.now, f"disk {name} {one}")

    def _known(self, name: str) -> SimMachine:
        """Return a machine that was booted at some time, or raise `WorldError`."""
        machine = self._machines.get(name)
        if machine is None or not machine.count:
            raise WorldError(f"no host {name!r} was ever started")
        return machine

    def _observe(self, name: str, what: str, **value: JSON) -> None:
        number = self._machines[name].count
        self._sink.record(Observation(self._loop.now, name, number, what, dict(value)))

    def boot(self, name: str, program: Callable[..., Awaitable[Any]], *args: Any) -> asyncio.Task[Any]:
        """Start a new incarnation that runs `program(*args)`, and return its task, which never fails.

        When the program ends, the process does: tasks it left are cancelled, its sockets closed.
        """
        machine = self._machine(name)
        if machine.life is not None:
            raise WorldError(f"{name!r} is running already")
        life = self._new_life(machine)
        self._network.power(name, on=True)
        self._change(life, "started")
        context = contextvars.copy_context()
        context.run(HOST.set, life)
        self.failures.pop(name, None)
        machine.program = context.run(
            lambda: self._loop.create_task(self._live(machine, life, program, args), name=life.label)
        )
        return machine.program

    async def _live(
        self, machine: SimMachine, life: Incarnation, program: Callable[..., Awaitable[Any]], args: tuple[Any, ...]
    ) -> None:
        detail = None
        try:
            await program(*args)
        except (Exception, asyncio.CancelledError, SystemExit) as error:  # whatever it was, it ended the program
            if self._over:
                raise
            detail = _detail(error)
        for _ in range(_LAST_STEPS_MAX):
            left = [task for task, host in self._loop.tasks() if host is life and task is not machine.program]
            if not left:
                break
            for task in left:
                task.cancel()
            await asyncio.wait(left, timeout=1.0)
        self._finish(machine, life, detail)

    def _exit(self, life: Incarnation, error: BaseException) -> bool:
        """A task of a host called `sys.exit`: its process is gone at once."""
        if not isinstance(error, SystemExit) or life is self.harness or not life.alive:
            return False
        self._finish(self._machines[life.machine], life, _detail(error))
        return True

    def _finish(self, machine: SimMachine, life: Incarnation, detail: str | None) -> None:
        self._end(machine, life, reset=False)
        if detail is not None:
            self.failures[machine.name] = detail
            self._change(life, "failed", detail)
        else:
            asked = life.stopping is not None and life.stopping.is_set()
            self._change(life, "stopped" if asked else "finished")

    def _end(self, machine: SimMachine, life: Incarnation, *, reset: bool, silent: bool = False) -> None:
        """Take an incarnation out of the run; keep what it holds until the end."""
        life.alive = False
        if life.parked is None:
            life.parked = []
        life.kept.extend(task for task, host in self._loop.tasks() if host is life)
        life.kept.extend(self._network.node(machine.name).sockets.values())
        for sock in self._network.node(machine.name).sockets.values():
            life.kept.extend((sock.reader, sock.writer))
        if silent:
            self._network.power(machine.name, on=False)
        else:
            self._network.end_process(life, reset=reset)
        machine.life = None
        self._graveyard.append(life)

    def kill(self, name: str) -> None:
        """SIGKILL: nothing of the host runs again, peers get a reset."""
        life = self.life(name)
        self._end(self._machines[name], life, reset=True)
        self._change(life, "killed")

    def power_off(self, name: str) -> None:
        """Pull the plug: nothing of the host runs again, peers see silence."""
        life = self.life(name)
        self._end(self._machines[name], life, reset=False, silent=True)
        self._change(life, "powered_off")

    async def kill_inside(self, name: str, begins: Callable[[Event], bool], steps: int) -> None:
        """Kill the host `steps` steps after the one in which it records an event of which `begins` is true."""
        life = self.life(name)
        log = life.log
        if log is None:
            raise WorldError(f"{name!r} runs no program whose operations could be seen")
        doom = Doom(life, steps, lambda: self.kill(name), self._loop.create_future())

        def begun() -> None:
            log.sink = wire.sink
            self._loop.doomed.append(doom)

        wire = log.sink = Tripwire(log.sink, begins, begun)
        try:
            await doom.done
        finally:
            if log.sink is wire:
                log.sink = wire.sink
            if doom in self._loop.doomed:
                self._loop.doomed.remove(doom)

    def freeze(self, name: str) -> None:
        """SIGSTOP: the program stands still; its kernel goes on."""
        life = self.life(name)
        if life.parked is None:
            life.parked = []
            self._change(life, "frozen")

    def thaw(self, name: str) -> None:
        """SIGCONT."""
        life = self.life(name)
        parked = life.parked
        if parked is None:
            return
        life.parked = None
        self._change(life, "thawed")
        ready = self._loop._ready
        ready.extend(handle for handle in parked if not isinstance(handle, SimTimerHandle))
        for sock in list(self._network.node(name).sockets.values()):
            sock.poll()
        ready.extend(handle for handle in parked if isinstance(handle, SimTimerHandle))

    def unread(self, name: str) -> tuple[int, int]:
        """Return how many open connections of the machine hold how many bytes that it has not read."""
        sizes = [sock.received_bytes for sock in self._network.connections(name)]
        return len(sizes), sum(sizes)

    def unpark_all(self) -> None:
        """Let every task run again, dead hosts' included: the run is over, and coroutines must be brought to an end."""
        self._over = self._threads.over = True
        lives = [*(m.life for m in self._machines.values() if m.life), *self._graveyard]
        for life in lives:
            if life.parked is not None:
                parked, life.parked = life.parked, None
                self._loop._ready.extend(handle for handle in parked if is_task_step(handle))

    def forget(self) -> None:
        """Let go of everything that dead hosts held."""
        for life in self._graveyard:
            life.kept.clear()
        self._graveyard.clear()
        for machine in self._machines.values():
            machine.program = None

    def _change(self, life: Incarnation, change: str, detail: str = "") -> None:
        now = self._loop.now
        self._trace.note(now, f"{life.label} {change}")
        if life is not self.harness:
            self._sink.record(HostChanged(now, life.machine, life.number, change, detail))


def _detail(error: BaseException) -> str | None:
    """Return what to say of the error that ended a program; None for an exit that means success."""
    if isinstance(error, SystemExit) and error.code in (None, 0):
        return None
    return f"{type(error).__name__}: {error}"[:_TEXT_MAX]
