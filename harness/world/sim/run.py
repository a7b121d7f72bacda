"""Runs one director in one sim world: sets up, runs, seals the trace, takes everything down.

Nothing may leak from one run into the next. The garbage collector stands still during a run, except at set step
counts, so that finalizers run at the same moment each time; what existed before the run is frozen out of its sight.
After the digest is sealed every host is let go on, every task cancelled and every coroutine brought to its end, in
silence: nothing that happens then is recorded.
"""

import asyncio
import contextlib
import gc
import itertools
import logging
import warnings
from asyncio import base_events
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Generic, TypeVar, cast

from harness.history.recorder import Sink
from harness.tape import Tape
from harness.world.sim import identity
from harness.world.sim.active import Escapes
from harness.world.sim.clockwork import Budget
from harness.world.sim.modules import SocketModule
from harness.world.sim.own_tasks import own_tasks_only
from harness.world.sim.schedule import DEFAULT_ONE_IN
from harness.world.sim.sources import virtual
from harness.world.sim.world import SimWorld

T = TypeVar("T")

_RUNS_PER_COLLECTION: Final = 16
"""Each leaves one to three megabytes."""
_runs = itertools.count(1)

_ROUNDS_MAX: Final = 20
_STEPS_PER_ROUND_MAX: Final = 200_000
_LAST_WAIT_S: Final = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class SimRun(Generic[T]):
    """What a run came to. `escapes` holds texts of what left the sim world, whether or not the target noticed."""

    result: T
    digest: str
    simulated_ns: int
    steps: int
    segments: int
    escapes: tuple[str, ...]
    failures: Mapping[str, str]
    unhandled: int
    rows: tuple[str, ...]


def run_sim(
    director: Callable[[SimWorld], Awaitable[T]],
    *,
    tape: Tape,
    sink: Sink,
    directory: Path,
    targets: Mapping[str, Callable[..., Any]] | None = None,
    dependency_kinds: Mapping[str, Callable[..., Awaitable[Any]]] | None = None,
    budget: Budget | None = None,
    permute_one_in: int = DEFAULT_ONE_IN,
    priority_changes: int = 0,
    rows_max: int = 0,
    interrupted: Callable[[], bool] | None = None,
) -> SimRun[T]:
    """Run `director(world)` on the machine named `harness`, until it returns.

    `directory` is where the machines' disks go; keep it in memory (/dev/shm), as fsync is part of many a hot path.
    With `priority_changes` ready callbacks run by priority, which changes so often (schedule.py).
    `interrupted` is asked every so many steps whether to leave it at that.

    Raises:
        DeadlockError: nothing could run any more.
        BudgetError: the run went past its budget.
        KeyboardInterrupt: `interrupted` said so; everything has been taken down.
        Exception: whatever the director raised.

    """
    identity.reset()
    world = SimWorld(
        tape,
        sink,
        targets=targets or {},
        directory=directory,
        dependency_kinds=dependency_kinds or {},
        budget=budget,
        permute_one_in=permute_one_in,
        priority_changes=priority_changes,
        rows_max=rows_max,
    )
    world.loop.interrupted = interrupted
    return world.machines.harness.context.run(_run, world, director)


def _run(world: SimWorld, director: Callable[[SimWorld], Awaitable[T]]) -> SimRun[T]:
    escapes = Escapes()
    loop = world.loop
    with _installed(world), virtual(world.machines, escapes), _collector_at_rest():
        try:
            result = loop.run_until_complete(_call(director, world))
        finally:
            loop.prune()
            world.network.observer.flush()
            digest = world.trace.seal()
            simulated_ns, steps, segments = loop.now, loop.steps, world.network.segments
            world.run_sink.seal()
            _take_down(world)
    return SimRun(
        result=result,
        digest=digest,
        simulated_ns=simulated_ns,
        steps=steps,
        segments=segments,
        escapes=tuple(escapes.texts),
        failures=dict(world.machines.failures),
        unhandled=world.unhandled,
        rows=tuple(world.trace.rows or ()),
    )


async def _call(director: Callable[[SimWorld], Awaitable[T]], world: SimWorld) -> T:
    return await director(world)


@contextlib.contextmanager
def _installed(world: SimWorld) -> Iterator[None]:
    """Make asyncio's stream code open simulated sockets."""
    asyncio_base = cast("Any", base_events)  # its stubs hide what it imports
    real = asyncio_base.socket
    asyncio_base.socket = SocketModule(world.network)
    asyncio.events._set_running_loop(None)
    asyncio.set_event_loop(world.loop)
    try:
        with own_tasks_only():
            yield
    finally:
        asyncio_base.socket = real
        asyncio.set_event_loop(None)
        world.loop.close()
        world.network.close()


@contextlib.contextmanager
def _collector_at_rest() -> Iterator[None]:
    """Have nothing collected in a run but where it says so, nor what was there before looked at.

    What is left of a run before, a world full of cycles with all that it recorded, would be frozen by each next run and
    never go. It goes every so many runs: looking at everything costs as much as a fifth of a small run.
    """
    enabled = gc.isenabled()
    if next(_runs) % _RUNS_PER_COLLECTION == 0:
        gc.collect()
    gc.freeze()
    gc.disable()
    try:
        yield
    finally:
        gc.unfreeze()
        if enabled:
            gc.enable()


def _take_down(world: SimWorld) -> None:
    """Bring every coroutine to its end, dead hosts' included, and collect, without a word."""
    loop = world.loop
    loop.report = _ignore
    loop.interrupted = None
    disabled = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            world.network.tear_down()
            world.machines.unpark_all()
            for _ in range(_ROUNDS_MAX):
                left = [task for task, _ in loop.tasks()]
                if not left:
                    break
                for task in left:
                    task.cancel()
                    del task  # nothing may hold on to what is collected below
                loop.allow_steps(_STEPS_PER_ROUND_MAX)
                with contextlib.suppress(Exception):
                    loop.run_until_complete(asyncio.wait(left, timeout=_LAST_WAIT_S))
            del left
            loop.allow_steps(_STEPS_PER_ROUND_MAX)
            with contextlib.suppress(Exception):
                loop.run_until_complete(loop.shutdown_asyncgens())
            loop.end_transports()
            loop.clear()
            world.machines.forget()
            gc.collect()
        finally:
            logging.disable(disabled)


def _ignore(_: dict[str, Any]) -> None:
    pass
