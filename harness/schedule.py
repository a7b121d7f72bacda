"""In which order the jobs of a campaign are done, so that a time budget goes to what tells most.

First what failed the last time and the first seed of each scenario, size and world: a target that is broken is mostly
broken in any seed. Then the hunts for flawed variants: without them no pass means anything. Then further seeds, those
that are required and then the others, shared out by stride scheduling (Waldspurger and Weihl, 1995): each scenario has
a pass that grows by the cost of a run over the scenario's weight, and the least pass goes next. So a scenario of 10 s a
seed takes no more time than one of 1 s, and one that failed of late, whose seeds evidently differ, has more of it.

Pure: the same jobs and the same past give the same order.
"""

import heapq
from collections.abc import Callable, Iterable, Sequence
from itertools import count
from typing import Final, TypeAlias

from harness.campaign import Hunt, Job
from harness.ledger import is_optional
from harness.past import GroupPast, Past

FAILED_WEIGHT: Final = 4.0
"""How much more time a scenario gets whose last seeds did not all pass."""
_COST_MIN_S: Final = 0.01
_COST_UNKNOWN_S: Final = 1.0

_Group: TypeAlias = tuple[str, str, str]


def in_order(past: Past) -> Callable[[Sequence[Job]], list[Job]]:
    """Return what puts jobs in order, given what is known of earlier runs."""
    return lambda jobs: _ordered(jobs, past)


def _ordered(jobs: Sequence[Job], past: Past) -> list[Job]:
    groups: dict[_Group, list[Job]] = {}
    hunts: list[Job] = []
    for job in jobs:
        (hunts if isinstance(job, Hunt) else groups.setdefault(_group(job), [])).append(job)
    failed: list[Job] = []
    first: list[Job] = []
    required: dict[_Group, list[Job]] = {}
    further: dict[_Group, list[Job]] = {}
    for group, members in groups.items():
        before = [job for job in members if job.order.seed in past.of(*group).failed]
        failed += before
        others = [job for job in members if job not in before]
        first += others[:1]
        required[group] = [job for job in others[1:] if not is_optional(job)]
        further[group] = [job for job in others[1:] if is_optional(job)]
    return [
        *sorted(failed, key=lambda job: _cost(past, job)),
        *sorted(first, key=lambda job: _cost(past, job)),
        *sorted(hunts, key=lambda job: _cost(past, job)),
        *_shared_out(required, past),
        *_shared_out(further, past),
    ]


def _shared_out(groups: dict[_Group, list[Job]], past: Past) -> Iterable[Job]:
    number = count()
    line: list[tuple[float, int, _Group]] = []
    for group, members in groups.items():
        if members:
            heapq.heappush(line, (_stride(past.of(*group)), next(number), group))
    at = dict.fromkeys(groups, 0)
    while line:
        passed, _, group = heapq.heappop(line)
        yield groups[group][at[group]]
        at[group] += 1
        if at[group] < len(groups[group]):
            heapq.heappush(line, (passed + _stride(past.of(*group)), next(number), group))


def _stride(known: GroupPast) -> float:
    return max(_COST_MIN_S, known.cost_s or _COST_UNKNOWN_S) / (FAILED_WEIGHT if known.failed else 1.0)


def _cost(past: Past, job: Job) -> float:
    return past.of(*_group(job)).cost_s or _COST_UNKNOWN_S


def _group(job: Job) -> _Group:
    return job.order.scenario.name, job.order.world, job.order.profile
