"""Says who is waiting where, for errors about a simulation that cannot go on."""

import asyncio
from collections.abc import Sequence
from pathlib import PurePath
from typing import Any, Final, Protocol

from harness.world.sim.incarnation import Incarnation

_SHOWN_MAX: Final = 12


class _HasTasks(Protocol):
    def tasks(self) -> Sequence[tuple[asyncio.Task[Any], Incarnation]]:
        """Return the tasks that are not done, and whose they are."""


def describe_tasks(loop: _HasTasks) -> str:
    """Return one text that names the waiting tasks: name, host, file:line of the innermost frame."""
    tasks = loop.tasks()
    shown = [describe_task(task, host) for task, host in tasks[:_SHOWN_MAX]]
    if len(tasks) > _SHOWN_MAX:
        shown.append(f"and {len(tasks) - _SHOWN_MAX} more")
    return f"{len(tasks)} tasks wait: {'; '.join(shown)}"


def describe_task(task: asyncio.Task[Any], host: Incarnation) -> str:
    """Return `name on host at file:line (function)`."""
    return f"{task.get_name()} on {host} at {_where(task.get_coro())}"


def _where(coro: Any) -> str:
    """Follow a chain of awaits to its innermost Python frame."""
    place = "?"
    while coro is not None:
        frame = getattr(coro, "cr_frame", None) or getattr(coro, "gi_frame", None) or getattr(coro, "ag_frame", None)
        if frame is None:
            break
        place = f"{PurePath(frame.f_code.co_filename).name}:{frame.f_lineno} ({frame.f_code.co_name})"
        coro = getattr(coro, "cr_await", None) or getattr(coro, "gi_yieldfrom", None)
    return place
