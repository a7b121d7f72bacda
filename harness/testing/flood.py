"""The fixture `flood`: an open loop. Work is offered at its own times, whether or not earlier work has returned.

So code that stalls cannot slow down the load that shows it (no coordinated omission): a latency counts from when the
work was due. It keeps the running loop's time, in a sim world as well.
"""

import asyncio
import math
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Protocol

from harness.tape import Tape


@dataclass(slots=True)
class Flooded:
    """What became of a flood."""

    offered: int = 0
    returned: int = 0
    errors: Counter[str] = field(default_factory=Counter)
    """How many raised, by the error's type."""
    latencies_s: list[float] = field(default_factory=list)
    """Of those that returned, in seconds from when they were due."""
    under_way_max: int = 0

    def latency_s(self, share: float) -> float:
        """Return a percentile: `latency_s(0.999)`. Raises `ValueError` if nothing returned."""
        if not self.latencies_s:
            raise ValueError("nothing returned, so there are no latencies")
        ordered = sorted(self.latencies_s)
        return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


class Flood(Protocol):
    """The fixture."""

    async def __call__(
        self, offer: Callable[[int], Awaitable[object]], *, count: int, per_s: float, seed: int = 1
    ) -> Flooded:
        """Offer so much work, and return when all of it has ended."""


async def flood(offer: Callable[[int], Awaitable[object]], *, count: int, per_s: float, seed: int = 1) -> Flooded:
    """Call `offer(number)` for each number below `count`, `per_s` a second, gaps drawn between 0.5 and 1.5 of it."""
    loop = asyncio.get_running_loop()
    gaps = Tape(seed).stream("flood/gaps")
    done = Flooded()
    gap_us = max(1, round(1_000_000 / per_s))
    under_way = 0

    async def one(number: int, due_s: float) -> None:
        nonlocal under_way
        under_way += 1
        done.under_way_max = max(done.under_way_max, under_way)
        try:
            await offer(number)
        except Exception as error:  # noqa: BLE001 - what it raises is the answer
            done.errors[type(error).__name__] += 1
        else:
            done.returned += 1
            done.latencies_s.append(loop.time() - due_s)
        finally:
            under_way -= 1

    due_s = loop.time()
    async with asyncio.TaskGroup() as group:
        for number in range(count):
            due_s += (gap_us // 2 + gaps.below(gap_us + 1)) / 1_000_000
            await asyncio.sleep(max(0.0, due_s - loop.time()))
            done.offered += 1
            group.create_task(one(number, due_s))
    return done
