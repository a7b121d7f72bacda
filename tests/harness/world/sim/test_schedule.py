"""The order of ready callbacks: what may be swapped, what never is, and that 0 is asyncio's own order."""

import asyncio
import contextvars
from collections import deque
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hypothesis import given
from hypothesis import strategies as st

from harness.tape import Tape
from harness.world.sim.handles import ready_handle
from harness.world.sim.incarnation import HOST, Incarnation
from harness.world.sim.run import run_sim
from harness.world.sim.schedule import ByPriority, Shuffled
from harness.world.sim.sink import MemorySink
from harness.world.sim.world import SimWorld

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True)
class Item:
    """A ready callback: whose, and of which task (0: a plain callback)."""

    host: int
    task: int


ITEMS = st.lists(st.builds(Item, st.integers(0, 2), st.integers(0, 2)), min_size=2, max_size=12)


async def _nothing() -> None:
    await asyncio.sleep(0)


class Batch:
    """Handles made of items; real tasks own the steps."""

    def __init__(self, items: list[Item]) -> None:
        self.loop = asyncio.new_event_loop()
        hosts = [Incarnation(f"h{number}", 1, number) for number in range(3)]
        keys = sorted({(item.host, item.task) for item in items if item.task}, key=str)
        self.tasks = {key: self.loop.create_task(_nothing()) for key in keys}
        self.handles: deque[Any] = deque()
        self.item_of: dict[int, tuple[int, Item]] = {}
        for index, item in enumerate(items):
            context = contextvars.Context()
            context.run(HOST.set, hosts[item.host])
            owner: Callable[..., object] = self.tasks[item.host, item.task].get_name if item.task else (lambda: None)
            handle = ready_handle(owner, (), self.loop, context)
            self.handles.append(handle)
            self.item_of[id(handle)] = (index, item)

    def merged(self, seed: int, edits: dict[str, dict[int, int]] | None = None) -> list[tuple[int, Item]]:
        ready = deque(self.handles)
        Shuffled(Tape(seed, edits).stream("schedule"), one_in=1).merge(ready)
        return [self.item_of[id(handle)] for handle in ready]

    def by_priority(self, tape: Tape, changes: int, batches: int = 1) -> list[list[tuple[int, Item]]]:
        """Merge the same batch so many times running."""
        schedule = ByPriority(tape.stream("schedule"), changes=changes)
        merged = []
        for _ in range(batches):
            ready = deque(self.handles)
            schedule.merge(ready)
            merged.append([self.item_of[id(handle)] for handle in ready])
        return merged

    def close(self) -> None:
        for task in self.tasks.values():
            self.loop.run_until_complete(task)
        self.loop.close()


@given(items=ITEMS, seed=st.integers(0, 2**32))
def test_merging_keeps_what_asyncio_promises(items: list[Item], seed: int) -> None:
    """Nothing is lost; each task's steps and each host's plain callbacks keep their order, also among each other."""
    batch = Batch(items)
    merged = batch.merged(seed)
    batch.close()
    assert sorted(index for index, _ in merged) == list(range(len(items)))
    position = {index: place for place, (index, _) in enumerate(merged)}
    for later, second in enumerate(items):
        for earlier, first in enumerate(items[:later]):
            if first.host == second.host and (first.task == second.task or not first.task or not second.task):
                assert position[earlier] < position[later]


@given(items=ITEMS, seed=st.integers(0, 2**32), changes=st.integers(1, 4))
def test_priorities_keep_what_asyncio_promises(items: list[Item], seed: int, changes: int) -> None:
    """By priority too, nothing is lost, and each task's steps and each host's plain callbacks keep their order."""
    batch = Batch(items)
    (merged,) = batch.by_priority(Tape(seed), changes)
    batch.close()
    assert sorted(index for index, _ in merged) == list(range(len(items)))
    position = {index: place for place, (index, _) in enumerate(merged)}
    for later, second in enumerate(items):
        for earlier, first in enumerate(items[:later]):
            if first.host == second.host and (first.task == second.task or not first.task or not second.task):
                assert position[earlier] < position[later]


@given(items=ITEMS, changes=st.integers(1, 4))
def test_equal_priorities_are_asyncios_order(items: list[Item], changes: int) -> None:
    """Where everything drawn is 0, the first batch may have its change, and all others are as asyncio has them."""
    batch = Batch(items)
    merged = batch.by_priority(Tape(1, calm=["schedule"]), changes, batches=3)
    batch.close()
    assert merged[1] == merged[2]
    if len({(item.host, item.task) for item in items}) == 1:
        assert merged[0] == list(enumerate(items))


def test_a_priority_lasts_until_it_is_changed() -> None:
    """Two tasks that meet a thousand times meet in the same order, but for at most one change: shuffling never does."""
    batch = Batch([Item(0, 1), Item(0, 2)])
    for seed in range(20):
        first = [merged[0][0] for merged in batch.by_priority(Tape(seed), 1, batches=1_000)]
        assert sum(one != other for one, other in pairwise(first)) <= 1
    batch.close()


@given(items=ITEMS)
def test_drawing_zeros_is_asyncios_order(items: list[Item]) -> None:
    """An edited tape of zeros swaps nothing: the simplest choice."""
    batch = Batch(items)
    zeros = {"schedule": dict.fromkeys(range(100), 0)}
    assert batch.merged(1, zeros) == list(enumerate(items))
    batch.close()


def test_every_order_of_two_hosts_is_found() -> None:
    """Over some seeds all six orders of three hosts occur."""
    batch = Batch([Item(0, 0), Item(1, 1), Item(2, 0)])
    orders = {tuple(index for index, _ in batch.merged(seed)) for seed in range(200)}
    assert len(orders) == 6
    batch.close()


def test_races_between_tasks_are_found_and_repeat(tmp_path: Path) -> None:
    """Five tasks that wake at one instant finish in several orders over seeds; one seed gives one order."""

    async def director(_: SimWorld) -> list[int]:
        order: list[int] = []

        async def worker(number: int) -> None:
            await asyncio.sleep(1)
            order.append(number)

        await asyncio.gather(*map(worker, range(5)))
        return order

    def run(seed: int, **options: Any) -> tuple[int, ...]:
        return tuple(run_sim(director, tape=Tape(seed), sink=MemorySink(), directory=tmp_path, **options).result)

    orders = [run(seed) for seed in range(40)]
    assert len(set(orders)) > 3
    assert orders == [run(seed) for seed in range(40)]
    assert {run(seed, permute_one_in=0) for seed in range(5)} == {(0, 1, 2, 3, 4)}
