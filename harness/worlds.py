"""Enters a world with a planned scenario and leaves it again. Worlds are imported only when they are entered."""

import asyncio
import logging
import shutil
import signal
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from harness.director import Alarm, direct
from harness.history.recorder import Sink
from harness.scenario import PlannedFault, Profile, Scenario
from harness.tape import Tape
from harness.targets import resolve
from harness.world.base import Dependency, World

if TYPE_CHECKING:
    from harness.world.real.world import RealWorld

    StartRedis: TypeAlias = Callable[[RealWorld, str, Mapping[str, Any]], Awaitable[Dependency]]


_SIM_WALL_S_MAX: Final = 300.0
"""A sim run that takes longer is stuck: in a blocking call, or in a loop that never waits."""


@dataclass(frozen=True, slots=True)
class Options:
    """What a person may choose of a world: the Redis server of the real one (a path, or a name on PATH)."""

    redis: str | None = None


@dataclass(frozen=True, slots=True)
class Staging:
    """All that a world needs to carry out one run. `name` is unique within the run folder."""

    name: str
    scenario: Scenario
    profile: Profile
    plan: tuple[PlannedFault, ...]
    tape: Tape
    targets: Mapping[str, str]
    folder: Path
    options: Options
    alarm: Alarm

    @property
    def scratch(self) -> Path:
        """The folder of this run alone: disks while it lasts, logs."""
        return self.folder / "hosts" / self.name


@dataclass(frozen=True, slots=True)
class Ended:
    """How a world was left. `trouble` names what went wrong without an exception (escapes, hosts that failed)."""

    digest: str | None
    simulated_ns: int | None
    trouble: tuple[str, ...] = ()


def run_in_sim(staging: Staging, sink: Sink) -> Ended:
    """Run in the sim world: this process, virtual time, an in-memory network."""
    from harness.dependencies.redis.sim import start_sim
    from harness.world.sim.disks import disks
    from harness.world.sim.escapes import watchdog
    from harness.world.sim.run import run_sim

    async def director(world: World) -> None:
        await direct(world, staging.scenario, staging.profile, staging.plan, staging.alarm)

    targets = {port: resolve(path) for port, path in staging.targets.items()}
    with disks() as directory, _logging_to(staging.scratch / "sim.log"), watchdog(_SIM_WALL_S_MAX):
        ended = run_sim(
            director,
            tape=staging.tape,
            sink=sink,
            targets=targets,
            directory=directory,
            dependency_kinds={"redis": start_sim},
        )
    return Ended(ended.digest, ended.simulated_ns, ended.escapes)


def run_in_real(staging: Staging, sink: Sink) -> Ended:
    """Run in the real world: processes, sockets, signals. SIGINT and SIGTERM heal, stop every child, and raise."""
    return asyncio.run(_real(staging, sink))


async def _real(staging: Staging, sink: Sink) -> Ended:
    from harness.dependencies.redis.real import start_real
    from harness.world.real.world import RealWorld

    loop = asyncio.get_running_loop()
    work = asyncio.current_task()
    assert work is not None
    interrupted = False

    def interrupt() -> None:
        nonlocal interrupted
        interrupted = True
        work.cancel()

    for number in (signal.SIGINT, signal.SIGTERM):
        with suppress(NotImplementedError, RuntimeError, ValueError):  # not the main thread, or not a Unix
            loop.add_signal_handler(number, interrupt)
    try:
        async with RealWorld(
            staging.tape,
            sink,
            targets=staging.targets,
            directory=staging.scratch,
            dependency_kinds={"redis": _with_server(start_real, staging.options.redis)},
        ) as world:
            await direct(world, staging.scenario, staging.profile, staging.plan, staging.alarm)
            return Ended(None, None)
    except asyncio.CancelledError:
        if interrupted:
            raise KeyboardInterrupt from None
        raise
    finally:
        shutil.rmtree(staging.scratch / "disks", ignore_errors=True)  # the logs stay


def _with_server(start: "StartRedis", server: str | None) -> "StartRedis":
    """Have a Redis dependency run the program that the person asked for, whatever the scenario says."""
    if server is None:
        return start

    async def start_server(world: "RealWorld", name: str, options: Mapping[str, Any]) -> Dependency:
        return await start(world, name, {**options, "server": server})

    return start_server


@contextmanager
def _logging_to(path: Path) -> Iterator[None]:
    """Send what the target logs to a file: a terminal is for verdicts."""
    path.parent.mkdir(parents=True, exist_ok=True)
    root = logging.getLogger()
    with path.open("w", encoding="utf-8") as file:
        handler = logging.StreamHandler(file)
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s %(message)s"))
        before, root.handlers = root.handlers, [handler]
        try:
            yield
        finally:
            root.handlers = before
