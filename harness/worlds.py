"""Enters a world with a planned scenario and leaves it again. Worlds are imported only when they are entered."""

import asyncio
import logging
import shutil
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from harness import interrupts
from harness.director import Alarm, direct
from harness.history.recorder import Sink
from harness.load.spec import Crew
from harness.scenario import PlannedFault, Profile, Scenario
from harness.tape import Tape
from harness.targets import resolve
from harness.world.base import Dependency, World, WorldKind

if TYPE_CHECKING:
    from harness.world.real.world import RealWorld

    StartRedis: TypeAlias = Callable[[RealWorld, str, Mapping[str, Any]], Awaitable[Dependency]]


_SIM_WALL_S_MAX: Final = 300.0
"""A sim run that takes longer is stuck: in a blocking call, or in a loop that never waits."""


@dataclass(frozen=True, slots=True)
class Options:
    """What a person may choose of the real world.

    `redis` is a server's program to run, or the URL of one that runs (whose database may be emptied if `redis_flush`);
    `toxiproxy` the URL of a toxiproxy-server to use instead of the embedded one; `crew` the processes of loads.
    """

    redis: str | None = None
    redis_flush: bool = False
    toxiproxy: str | None = None
    crew: Crew = field(default_factory=Crew)

    @property
    def redis_url(self) -> str | None:
        """The URL, if that is what was chosen."""
        return self.redis if self.redis is not None and "://" in self.redis else None

    @property
    def told(self) -> "Options":
        """These choices without any secret."""
        from harness.world.real.secrets_mask import masked

        return self if self.redis is None else replace(self, redis=masked(self.redis))

    @property
    def shared(self) -> bool:
        """Is there a server or port that all runs would meet at, were there more than one at a time?"""
        return self.redis_url is not None or self.toxiproxy is not None or self.crew.shared

    def left_out(self, world: WorldKind) -> tuple[str, ...]:
        """Return the faults, each with its mode, that cannot be done in that world with these choices."""
        if world == "sim":
            return ()
        from harness.dependencies.redis import foreign
        from harness.world.real import foreign_proxy

        of_redis = foreign.LEFT_OUT if self.redis_url is not None else ()
        of_proxy = foreign_proxy.LEFT_OUT if self.toxiproxy is not None else ()
        return (*of_redis, *of_proxy)


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
    """Run in the sim world: this process, virtual time, an in-memory network. An interrupt tears down and raises."""
    from harness.dependencies.binance.sim import start_sim as start_binance
    from harness.dependencies.redis.sim import start_sim as start_redis
    from harness.world.sim.disks import disks
    from harness.world.sim.escapes import watchdog
    from harness.world.sim.run import run_sim
    from harness.world.sim.schedule import DEFAULT_ONE_IN

    async def director(world: World) -> None:
        await direct(world, staging.scenario, staging.profile, staging.plan, staging.alarm)

    targets = {port: resolve(path) for port, path in staging.targets.items()}
    pinned = staging.scenario.pinned
    changes = None if pinned is None else pinned.experiment.changes
    with disks() as directory, _logging_to(staging.scratch / "sim.log"), watchdog(_SIM_WALL_S_MAX):
        ended = run_sim(
            director,
            tape=staging.tape,
            permute_one_in=DEFAULT_ONE_IN if changes is None else 0,
            priority_changes=changes or 0,
            sink=sink,
            targets=targets,
            directory=directory,
            dependency_kinds={"binance": start_binance, "redis": start_redis},
            interrupted=interrupts.asked,
        )
    return Ended(ended.digest, ended.simulated_ns, ended.escapes)


def run_in_real(staging: Staging, sink: Sink) -> Ended:
    """Run in the real world: processes, sockets, signals. An interrupt heals, stops every child, and raises."""
    return asyncio.run(_real(staging, sink))


async def _real(staging: Staging, sink: Sink) -> Ended:
    from harness.dependencies.binance.real import start_real as start_binance
    from harness.world.real.foreign_proxy import parse_place
    from harness.world.real.world import RealWorld

    loop = asyncio.get_running_loop()
    work = asyncio.current_task()
    assert work is not None
    interrupted = False

    def interrupt() -> None:
        nonlocal interrupted
        if interrupts.woken() and not interrupted:  # once: another cancellation would break off the healing
            interrupted = True
            work.cancel()

    if interrupts.asked():
        raise KeyboardInterrupt
    for descriptor in interrupts.descriptors():
        loop.add_reader(descriptor, interrupt)
    try:
        async with RealWorld(
            staging.tape,
            sink,
            targets=staging.targets,
            directory=staging.scratch,
            dependency_kinds={"binance": start_binance, "redis": _redis_of(staging.options)},
            toxiproxy=None if staging.options.toxiproxy is None else parse_place(staging.options.toxiproxy),
            crew=staging.options.crew,
        ) as world:
            await direct(world, staging.scenario, staging.profile, staging.plan, staging.alarm)
            return Ended(None, None)
    except asyncio.CancelledError:
        if interrupted:
            raise KeyboardInterrupt from None
        raise
    finally:
        shutil.rmtree(staging.scratch / "disks", ignore_errors=True)  # the logs stay


def _redis_of(chosen: Options) -> "StartRedis":
    """Have a Redis dependency be the server that the person asked for, whatever the scenario says."""
    from harness.dependencies.redis.real import start_real

    if chosen.redis is None:
        return start_real

    async def start(world: "RealWorld", name: str, options: Mapping[str, Any]) -> Dependency:
        if chosen.redis_url is None:
            return await start_real(world, name, {**options, "server": chosen.redis})
        from harness.dependencies.redis.foreign import start_foreign

        return await start_foreign(world, name, chosen.redis_url, flush=chosen.redis_flush)

    return start


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
