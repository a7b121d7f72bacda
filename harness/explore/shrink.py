"""Shrinking: from an experiment that fails to the simplest one found that still violates the same invariant.

Candidates go from bold to timid, each is made once, and the first that still fails is taken; the rounds end when none
does, or after a set number of executions. Nothing here is left to chance, so the same failure shrinks the same way.
Another failure than the one being shrunk does not count: that would drift from bug to bug.

In this order: fewer faults; nothing of callback order and delays; the workload as the scenario has it, and less of it;
simpler faults, shorter, at rounder times; the first seed; then, of orders and delays that are needed after all, the
single choices that are.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from harness.experiment import Experiment, Held
from harness.explore.draw import Larder
from harness.explore.legal import LENGTH_MS_MIN, legal

DELAYS: Final = ("link/*", "executor/*")
ORDER: Final = "schedule"
_LENGTHS_MS: Final = (50, 100, 200, 500, 1_000, 2_000, 3_000, 5_000)
_ROUND_MS: Final = (1_000, 500, 100, 50)
_EDITS_MAX: Final = 16
"""Of one label. If more of its choices matter than that, a list of them says less than the seed that they come from."""
_PER_LABEL_MAX: Final = 12
"""Executions to find which choices of one label matter."""

Fails = Callable[[Experiment], bool]
Recorded = Callable[[Experiment], dict[str, list[int]]]


@dataclass(frozen=True, slots=True)
class Shrunk:
    """The simplest failing experiment found, the nearest one that does not fail, and what finding them took.

    `complete`: nothing simpler was left to try, rather than executions.
    """

    experiment: Experiment
    passing: Experiment | None
    executions: int
    complete: bool


class _SpentError(Exception):
    """No more executions."""


def shrink(
    experiment: Experiment, fails: Fails, larder: Larder, *, executions_max: int, recorded: Recorded | None = None
) -> Shrunk:
    """Shrink an experiment that fails. `recorded` gives what an experiment draws, for taking single choices apart.

    Pure but for what `fails` does; a candidate that was tried is not tried again.
    """
    run = _Shrinking(experiment, fails, larder, executions_max)
    complete = True
    try:
        run.to_the_end()
        if recorded is not None:
            run.thin(recorded)
            run.to_the_end()
    except _SpentError:
        complete = False
    return Shrunk(run.best, run.nearest(), len(run.tried), complete)


class _Shrinking:
    """A shrinking under way. `best` fails, and everything in `tried` was made."""

    def __init__(self, experiment: Experiment, fails: Fails, larder: Larder, executions_max: int) -> None:
        self.best = experiment
        self.tried: dict[Experiment, bool] = {}
        self._fails = fails
        self._larder = larder
        self._executions_max = executions_max

    def to_the_end(self) -> None:
        """Take simplifications until a whole round has none."""
        simplifications = (_fewer_faults, _calmer, _lighter, _simpler_faults, _rounder, _shorter_span, _first_seeds)
        progress = True
        while progress:
            progress = False
            for simplify in simplifications:
                while self._first(simplify(self.best, self._larder)):
                    progress = True

    def thin(self, recorded: Recorded) -> None:
        """Where order or delays are needed, find which of their choices are; all others become 0."""
        if self.best.changes != 0 and ORDER not in self.best.calm:
            self._thin(ORDER, recorded)
        labels = sorted(label for label in recorded(self.best) if label.startswith(("link/", "executor/")))
        for label in labels:
            if not _is_calm(label, self.best):
                self._thin(label, recorded)

    def _thin(self, label: str, recorded: Recorded) -> None:
        if self._take(replace(self.best, calm=(*self.best.calm, label))):
            return
        before = self.best
        drawn = recorded(before).get(label, [])
        mine = tuple((label, at, value) for at, value in enumerate(drawn) if value)
        calm, others = (*before.calm, label), before.edits
        size, until = -(-len(mine) // 2), len(self.tried) + _PER_LABEL_MAX
        while size and len(self.tried) < until:
            for at in range(0, len(mine), size):
                less = (*mine[:at], *mine[at + size :])
                if len(self.tried) < until and self._take(replace(before, calm=calm, edits=(*others, *less))):
                    mine = less
                    break
            else:
                size = 0 if size == 1 else -(-size // 2)
        if len(mine) > _EDITS_MAX:
            self.best = before

    def nearest(self) -> Experiment | None:
        """Return the experiment that passed and differs least from the best one; of several the latest."""
        passed = [experiment for experiment, failed in self.tried.items() if not failed]
        if not passed:
            return None
        return min(reversed(passed), key=lambda experiment: distance(experiment, self.best))

    def _first(self, candidates: Iterator[Experiment]) -> bool:
        return any(self._take(candidate) for candidate in candidates)

    def _take(self, candidate: Experiment) -> bool:
        """Make a candidate the best one if it fails as well. Raises `_SpentError` when nothing more may be made."""
        if candidate == self.best or candidate in self.tried:
            return False
        if len(self.tried) >= self._executions_max:
            raise _SpentError
        failed = self.tried[candidate] = self._fails(candidate)
        if failed:
            self.best = candidate
        return failed


def distance(one: Experiment, other: Experiment) -> int:
    """Return in how many choices two experiments differ."""
    faults = len(set(one.faults) ^ set(other.faults))
    edits = len(set(one.edits) ^ set(other.edits))
    others = (
        one.profile != other.profile,
        one.seed != other.seed,
        one.span_ms != other.span_ms,
        one.workload != other.workload,
        one.changes != other.changes,
        one.calm != other.calm,
    )
    return faults + edits + sum(others)


def _is_calm(label: str, experiment: Experiment) -> bool:
    return any(label == one or (one.endswith("*") and label.startswith(one[:-1])) for one in experiment.calm)


def _fewer_faults(best: Experiment, larder: Larder) -> Iterator[Experiment]:
    del larder
    faults = best.faults
    if not faults:
        return
    yield replace(best, faults=())
    for fault in faults:
        if len(faults) > 1:
            yield replace(best, faults=(fault,))
    for at in reversed(range(len(faults))):
        yield replace(best, faults=(*faults[:at], *faults[at + 1 :]))


def _calmer(best: Experiment, larder: Larder) -> Iterator[Experiment]:
    del larder
    everything = tuple(dict.fromkeys((*best.calm, *DELAYS)))
    yield replace(best, changes=0, calm=everything)
    yield replace(best, changes=0)
    if best.changes is None or best.changes > 1:
        yield replace(best, changes=1)
    yield replace(best, calm=everything)
    for label in DELAYS:
        if label not in best.calm:
            yield replace(best, calm=(*best.calm, label))


def _lighter(best: Experiment, larder: Larder) -> Iterator[Experiment]:
    del larder
    if best.workload:
        yield replace(best, workload=())
    for at in range(len(best.workload)):
        yield replace(best, workload=(*best.workload[:at], *best.workload[at + 1 :]))


def _simpler_faults(best: Experiment, larder: Larder) -> Iterator[Experiment]:
    """Take the first mode, target or strength of the same kind that still fails."""
    for at, fault in enumerate(best.faults):
        kind = next((kind for kind in larder.kinds if fault.entry in kind), ())
        for entry in kind[: kind.index(fault.entry)] if kind else ():
            yield _with(best, at, replace(fault, entry=entry), larder)


def _rounder(best: Experiment, larder: Larder) -> Iterator[Experiment]:
    """Hold shorter, begin at rounder times."""
    for at, fault in enumerate(best.faults):
        for length_ms in _LENGTHS_MS:
            if LENGTH_MS_MIN <= length_ms < fault.length_ms:
                yield _with(best, at, replace(fault, length_ms=length_ms), larder)
        for step_ms in _ROUND_MS:
            rounded = step_ms * round(fault.start_ms / step_ms)
            if _roundness(rounded) > _roundness(fault.start_ms):
                yield _with(best, at, replace(fault, start_ms=rounded), larder)


def _roundness(time_ms: int) -> int:
    return next((step for step in _ROUND_MS if time_ms % step == 0), 1)


def _shorter_span(best: Experiment, larder: Larder) -> Iterator[Experiment]:
    """Have the workload go on for a shorter time: less to happen, and to read."""
    del larder
    least = max((fault.end_ms for fault in best.faults), default=0)
    for span_ms in (least, least + (best.span_ms - least) // 2):
        rounded = 100 * -(-span_ms // 100)
        if rounded < best.span_ms:
            yield replace(best, span_ms=rounded)


def _first_seeds(best: Experiment, larder: Larder) -> Iterator[Experiment]:
    del larder
    for seed in range(min(best.seed, 2)):
        yield replace(best, seed=seed)


def _with(best: Experiment, at: int, fault: Held, larder: Larder) -> Experiment:
    """Put a fault in the place of another, if that is possible; else leave all as it is."""
    faults: Sequence[Held] = [*best.faults[:at], fault, *best.faults[at + 1 :]]
    allowed = legal(faults, larder.menu, larder.wishes.bounds, best.span_ms)
    return replace(best, faults=allowed) if len(allowed) == len(faults) else best
