"""A machine without a loop: one host whose clock and dice the test sets."""

import asyncio
import random
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

WALL_NS = 1_700_000_000_123_456_789


class FakeMachine:
    """Implements `harness.world.sim.machine.Machine`."""

    def __init__(self, seed: int = 1, disk: str = "/nowhere") -> None:
        self.time_ns = 5_000_000_001
        self.skew_ns = 0
        self.disk = disk
        self.label = "publisher#2"
        self.blocking: list[object] = []
        self._dice = random.Random(f"dice{seed}")

    def now_ns(self) -> int:
        return self.time_ns

    def wall_ns(self) -> int:
        return WALL_NS + self.time_ns + self.skew_ns

    def dice(self) -> random.Random:
        return self._dice

    def host_label(self) -> str:
        return self.label

    def may_write(self, path: str) -> bool:
        return path == "/dev/null" or path.startswith(self.disk + "/")

    def run_blocking(self, executor: object, call: Callable[[], T]) -> "asyncio.Future[T]":
        self.blocking.append(executor)
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        try:
            future.set_result(call())
        except Exception as error:  # noqa: BLE001 - whatever the work raises is its outcome
            future.set_exception(error)
        return future
