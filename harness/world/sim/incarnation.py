"""One life of one simulated machine, and the context variable that says whose callback is running.

Every task, timer and protocol callback carries the incarnation it belongs to in its context. The loop looks there
before each step: a host that is frozen or dead has a `parked` list, and its steps go into it instead of being run.
"""

import contextvars
from typing import TYPE_CHECKING, Any, Final

from harness.world.sim.trace import STEP

if TYPE_CHECKING:
    import asyncio
    import random

    from harness.history.recorder import OperationLog


class WallClock:
    """What a machine's wall clock is off by, and how often it was read while it was. All incarnations share it."""

    __slots__ = ("offset_ns", "reads")

    def __init__(self) -> None:
        self.offset_ns = 0
        self.reads = 0


class Incarnation:
    """One start of one machine.

    `code` is unique within a run and goes into the trace; `plain_step` is the trace of a step that is no task's.
    `parked` is None while the host runs; otherwise it collects, in order, the steps that it may not take.
    `kept` holds what must not be garbage collected although nobody will ever use it again: collecting a dead host's
    coroutine would run its finally blocks.
    """

    __slots__ = (
        "alive",
        "clock",
        "code",
        "context",
        "kept",
        "label",
        "log",
        "machine",
        "number",
        "own_dice",
        "parked",
        "plain_step",
        "stopping",
    )

    def __init__(self, machine: str, number: int, code: int) -> None:
        self.machine = machine
        self.number = number
        self.code = code
        self.plain_step = STEP(code, 0)
        self.clock = WallClock()
        self.label = f"{machine}#{number}"
        self.alive = True
        self.parked: list[asyncio.Handle] | None = None
        self.kept: list[Any] = []
        self.own_dice: random.Random | None = None
        self.stopping: asyncio.Event | None = None
        self.log: OperationLog | None = None
        self.context = contextvars.Context()
        self.context.run(HOST.set, self)

    def __repr__(self) -> str:
        return self.label


HOST: Final[contextvars.ContextVar[Incarnation]] = contextvars.ContextVar("harness_sim_host")
"""The incarnation whose callback is running."""
