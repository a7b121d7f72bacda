"""`asyncio.all_tasks` as a host sees it: its own tasks only.

Hosts stand for processes, but they share one loop. A program that cancels all tasks when it shuts down, as asyncio's
own runner does, must not cancel its neighbours'.
"""

import asyncio
import contextlib
import sys
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any, Final

from harness.world.sim.clockwork import ClockworkLoop

_NAME: Final = "all_tasks"
_original: Final[Callable[..., set[asyncio.Task[Any]]]] = asyncio.all_tasks


def all_tasks(loop: asyncio.AbstractEventLoop | None = None) -> set[asyncio.Task[Any]]:
    """Return a set of all tasks for the loop. Like asyncio's on any other loop, as modules keep what they imported."""
    if loop is None:
        loop = asyncio.get_running_loop()
    found = _original(loop)
    return loop.own(found) if isinstance(loop, ClockworkLoop) else found


@contextlib.contextmanager
def own_tasks_only() -> Iterator[None]:
    """Put `all_tasks` in the place of asyncio's for the length of one run, wherever a module has it by its name."""
    holders: list[ModuleType] = [
        module
        for module in list(sys.modules.values())
        if isinstance(module, ModuleType) and vars(module).get(_NAME) is _original
    ]
    for module in holders:
        setattr(module, _NAME, all_tasks)
    try:
        yield
    finally:
        for module in holders:
            setattr(module, _NAME, _original)
