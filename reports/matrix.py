"""The matrix of patches and invariants: one block a patch, one row a scenario and world, one cell an invariant."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from harness.verdict import Outcome, RunResult, Verdict

_USUAL = {"sim": "full", "real": "short"}
_WORST_FIRST = (Outcome.ERROR, Outcome.VIOLATED, Outcome.INCONCLUSIVE, Outcome.HOLDS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One invariant over all runs of a scenario: the worst outcome, and in how many of the runs."""

    outcome: Outcome
    count: int
    runs: int
    checked: int


@dataclass(frozen=True, slots=True, kw_only=True)
class MatrixRow:
    """One scenario in one world; `cells` is in the order of the block's invariants, None where it does not apply."""

    anchor: str
    scenario: str
    world: str
    profile: str
    verdict: Verdict
    runs: int
    cells: tuple[Cell | None, ...]

    @property
    def place(self) -> str:
        """The world, and the size where it is not the one that a world usually has."""
        return place_of(self.world, self.profile)


@dataclass(frozen=True, slots=True, kw_only=True)
class MatrixBlock:
    """One patch. `invariants` are (id, name), the columns."""

    patch: int
    priority: str
    invariants: tuple[tuple[str, str], ...]
    rows: tuple[MatrixRow, ...]


def matrix_of(groups: Mapping[str, tuple[RunResult, ...]]) -> tuple[MatrixBlock, ...]:
    """Return one block for each patch and priority, in order of the patch."""
    blocks: dict[tuple[int, str], dict[str, tuple[RunResult, ...]]] = {}
    for anchor, runs in groups.items():
        blocks.setdefault((runs[0].patch, runs[0].priority), {})[anchor] = runs
    return tuple(_block(patch, priority, rows) for (patch, priority), rows in sorted(blocks.items()))


def _block(patch: int, priority: str, groups: Mapping[str, tuple[RunResult, ...]]) -> MatrixBlock:
    names = {invariant.id: invariant.name for runs in groups.values() for run in runs for invariant in run.invariants}
    return MatrixBlock(
        patch=patch,
        priority=priority,
        invariants=tuple(names.items()),
        rows=tuple(_row(anchor, runs, tuple(names)) for anchor, runs in groups.items()),
    )


def _row(anchor: str, runs: tuple[RunResult, ...], invariants: tuple[str, ...]) -> MatrixRow:
    return MatrixRow(
        anchor=anchor,
        scenario=runs[0].scenario,
        world=runs[0].world,
        profile=runs[0].profile,
        verdict=_worst(runs),
        runs=len(runs),
        cells=tuple(_cell(runs, identity) for identity in invariants),
    )


def place_of(world: str, profile: str) -> str:
    """Return the world, and the size where it is not the one that a world usually has."""
    return world if _USUAL.get(world) == profile else f"{world}, {profile}"


def _worst(runs: tuple[RunResult, ...]) -> Verdict:
    order = (Verdict.ERROR, Verdict.FAIL, Verdict.INCONCLUSIVE, Verdict.PASS)
    return min((run.verdict for run in runs), key=order.index)


def _cell(runs: tuple[RunResult, ...], identity: str) -> Cell | None:
    results = [invariant for run in runs for invariant in run.invariants if invariant.id == identity]
    if not results:
        return None
    outcome = min((result.verdict for result in results), key=_WORST_FIRST.index)
    return Cell(
        outcome=outcome,
        count=sum(result.verdict is outcome for result in results),
        runs=len(results),
        checked=sum(result.checked for result in results),
    )


def shown_of(blocks: tuple[MatrixBlock, ...], cells_max: int) -> tuple[tuple[MatrixBlock, ...], int]:
    """Return at most about `cells_max` cells of the matrix, and how many rows were cut: those that passed go first."""
    rows = [(block, row) for block in blocks for row in block.rows]
    kept: set[str] = set()
    for block, row in sorted(rows, key=lambda one: one[1].verdict is Verdict.PASS):
        cells_max -= len(block.invariants) + 4
        if cells_max < 0 and kept:
            break
        kept.add(row.anchor)
    shown = (replace(block, rows=tuple(row for row in block.rows if row.anchor in kept)) for block in blocks)
    return tuple(block for block in shown if block.rows), len(rows) - len(kept)
