"""Which ready callback runs next.

Between hosts nobody promises an order, and between tasks of one host no program should rely on one. Plain callbacks are
different: asyncio itself relies on running them first come, first served (it takes a socket's connect callback away
with one before the connecting task goes on), so no task of a host overtakes a plain callback of its host, nor is
overtaken by one.

So a drawn share of the batches of ready callbacks is merged anew. A host's callbacks form *stages*: a run of plain
callbacks, or a run of task steps between two such; within a stage of task steps each task is a *strand* that keeps its
own order. Every draw is an index into the strands that may go next, sorted by their oldest callback: 0 is always the
order that asyncio would have taken.

`Shuffled` draws that index anew each time: every two neighbours are swapped in some run, but an order that takes one
task to be last a hundred times running is never seen. `ByPriority` is for those, after PCT (Burckhardt et al., "A
Randomized Scheduler with Probabilistic Guarantees of Finding Bugs", ASPLOS 2010): every task has a drawn priority and
keeps it, and at a few drawn moments whoever would go first goes last from then on. A bug that takes d such decisions is
met with a probability that does not shrink exponentially in the length of the run.
"""

import asyncio
from collections import deque
from typing import Final, Protocol, TypeAlias
from weakref import WeakKeyDictionary

from harness.tape import Stream
from harness.world.sim.incarnation import HOST

DEFAULT_ONE_IN: Final = 4
"""Every how many batches, on average, one is merged anew."""

_Strand: TypeAlias = deque[tuple[int, asyncio.Handle]]
_Stage: TypeAlias = dict[asyncio.Task[object] | None, _Strand]


class Schedule(Protocol):
    """An order of ready callbacks."""

    def merge(self, ready: deque[asyncio.Handle]) -> None:
        """Bring a batch of at least two ready callbacks into the order in which they run."""


class Shuffled:
    """One in `one_in` batches is merged anew, drawn from the tape; `one_in` = 0 leaves asyncio's order alone."""

    __slots__ = ("_draws", "_one_in")

    def __init__(self, draws: Stream, *, one_in: int = DEFAULT_ONE_IN) -> None:
        self._draws = draws
        self._one_in = one_in

    def merge(self, ready: deque[asyncio.Handle]) -> None:
        """Bring a batch of at least two ready callbacks into the order in which they run."""
        one_in = self._one_in
        if not one_in or self._draws.below(one_in) != one_in - 1:
            return
        hosts = _stages(ready)
        if len(hosts) == 1 and all(len(stage) == 1 for stages in hosts for stage in stages):
            return  # one host, and nothing in it that may be swapped
        ready.clear()
        while hosts:
            candidates = [(strand[0][0], strand) for stages in hosts for strand in stages[0].values()]
            if len(candidates) > 1:
                candidates.sort(key=_first)
                strand = candidates[self._draws.below(len(candidates))][1]
            else:
                strand = candidates[0][1]
            ready.append(strand.popleft()[1])
            if not strand:
                _drop_empty(hosts)


class ByPriority:
    """In every batch the task of highest priority goes first; `changes` times whoever is first becomes the last.

    Priorities are drawn when a task is first met, and the moments of the changes, counted in batches, in advance: few
    bugs wait for the thousandth batch, so early moments are as likely as late ones, order of magnitude for order of
    magnitude.
    """

    __slots__ = ("_batches", "_change_at", "_draws", "_lowest", "_of_hosts", "_of_tasks")

    def __init__(self, draws: Stream, *, changes: int) -> None:
        self._draws = draws
        self._change_at = {draws.below(2 << draws.below(_MAGNITUDES)) for _ in range(changes)}
        self._batches = 0
        self._lowest = 0
        self._of_hosts: dict[object, int] = {}
        """Of the plain callbacks of a host, which share one."""
        self._of_tasks: WeakKeyDictionary[asyncio.Task[object], int] = WeakKeyDictionary()

    def merge(self, ready: deque[asyncio.Handle]) -> None:
        """Bring a batch of at least two ready callbacks into the order in which they run."""
        hosts = _stages(ready)
        if len(hosts) == 1 and all(len(stage) == 1 for stages in hosts for stage in stages):
            return
        change = self._batches in self._change_at
        self._batches += 1
        ready.clear()
        while hosts:
            candidates = [
                (-self._priority(host, task), strand[0][0], (host, task), strand)
                for host, stages in ((_host_of(stages), stages) for stages in hosts)
                for task, strand in stages[0].items()
            ]
            candidates.sort(key=_urgency)
            _, _, (host, task), strand = candidates[0]
            if change and len(candidates) > 1:
                change = False
                self._lowest -= 1
                self._set(host, task, self._lowest)
                _, _, _, strand = candidates[1]
            ready.append(strand.popleft()[1])
            if not strand:
                _drop_empty(hosts)

    def _priority(self, host: object, task: asyncio.Task[object] | None) -> int:
        known = self._of_hosts.get(host) if task is None else self._of_tasks.get(task)
        if known is None:
            known = self._draws.below(_PRIORITIES)
            self._set(host, task, known)
        return known

    def _set(self, host: object, task: asyncio.Task[object] | None, priority: int) -> None:
        if task is None:
            self._of_hosts[host] = priority
        else:
            self._of_tasks[task] = priority


_MAGNITUDES: Final = 13
_PRIORITIES: Final = 1 << 16


def _host_of(stages: deque[_Stage]) -> object:
    handle = next(iter(stages[0].values()))[0][1]
    return handle._context.get(HOST)  # type: ignore[attr-defined] # not in the stubs


def _urgency(candidate: tuple[int, int, object, object]) -> tuple[int, int]:
    return candidate[:2]


def _first(candidate: tuple[int, _Strand]) -> int:
    return candidate[0]


def _stages(ready: deque[asyncio.Handle]) -> list[deque[_Stage]]:
    """Sort a batch into stages by host, in order of each host's first callback."""
    hosts: dict[object, deque[_Stage]] = {}
    for index, handle in enumerate(ready):
        if handle._cancelled:
            continue
        host = handle._context.get(HOST)  # type: ignore[attr-defined] # not in the stubs
        owner = getattr(handle._callback, "__self__", None)  # type: ignore[attr-defined] # not in the stubs
        task = owner if isinstance(owner, asyncio.Task) else None
        stages = hosts.setdefault(host, deque())
        if not stages or (None in stages[-1]) != (task is None):
            stages.append({})
        stages[-1].setdefault(task, deque()).append((index, handle))
    return list(hosts.values())


def _drop_empty(hosts: list[deque[_Stage]]) -> None:
    """Take out the strand, the stage and the host that have nothing left."""
    for position, stages in enumerate(hosts):
        stage = stages[0]
        for task, strand in stage.items():
            if not strand:
                del stage[task]
                if not stage:
                    stages.popleft()
                    if not stages:
                        del hosts[position]
                return
