"""Verdicts and the results that carry them. Plain data; `reports` renders it, scripts read it as JSON."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from harness.comparison import Comparison

COMBINED: Final = 11
"""The number of a scenario over all ten patches."""


def patch_name(patch: int) -> str:
    """Return what a person calls it: `patch 7`, or `all patches`."""
    return "all patches" if patch == COMBINED else f"patch {patch}"


class Verdict(StrEnum):
    """What a run, or a gate, comes to."""

    PASS = "PASS"  # noqa: S105 - a verdict
    FAIL = "FAIL"
    INCONCLUSIVE = "INCONCLUSIVE"
    ERROR = "ERROR"


class Outcome(StrEnum):
    """What one invariant comes to."""

    HOLDS = "HOLDS"
    VIOLATED = "VIOLATED"
    INCONCLUSIVE = "INCONCLUSIVE"
    ERROR = "ERROR"


INTERRUPTED = "interrupted before it ended"
"""The doubt of a run that Ctrl-C or SIGTERM ended: it is nobody's error, and no verdict either."""

CRASHED = "crashed"
TIMED_OUT = "timed out"
"""What became of a run that was lost: its process died, or was ended as it took longer than it may."""

NOT_REPRODUCIBLE = "not reproducible"
"""How the error of a run begins that came out otherwise when it was made a second time."""

_WORST_FIRST = (Verdict.ERROR, Verdict.FAIL, Verdict.INCONCLUSIVE, Verdict.PASS)

EXIT_PASS = 0
EXIT_VIOLATED = 1
EXIT_INTERRUPTED = 2
EXIT_HARNESS_ERROR = 3
EXIT_USAGE = 4
EXIT_NOTHING_SELECTED = 5
EXIT_INCONCLUSIVE = 7
EXIT_REGRESSION = 8

EXIT_CODES = {
    Verdict.PASS: EXIT_PASS,
    Verdict.FAIL: EXIT_VIOLATED,
    Verdict.INCONCLUSIVE: EXIT_INCONCLUSIVE,
    Verdict.ERROR: EXIT_HARNESS_ERROR,
}


def worst(verdicts: Iterable[Verdict]) -> Verdict:
    """Return the verdict that decides: ERROR over FAIL over INCONCLUSIVE over PASS. Nothing at all is INCONCLUSIVE."""
    seen = set(verdicts)
    return next((verdict for verdict in _WORST_FIRST if verdict in seen), Verdict.INCONCLUSIVE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One row of a finding's timeline. `offending` marks the rows that make it a violation."""

    time_s: float
    actor: str
    event: str
    id: str
    offending: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One violation, explained: a sentence with limit and observed value, and at most 25 rows of timeline."""

    sentence: str
    count: int
    first: str
    worst: str
    last: str
    rows: tuple[Row, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class InvariantResult:
    """What one invariant found in one history. `checked` is how many things it looked at: 0 is never HOLDS."""

    id: str
    name: str
    statement: str
    verdict: Outcome
    checked: int
    observed: float | int | str | None = None
    limit: float | int | str | None = None
    unit: str = ""
    reason: str = ""
    finding: Finding | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NeedResult:
    """What a scenario says must have happened, and what did."""

    text: str
    met: bool
    observed: float | int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultResult:
    """One fault: when it held, and what proves that it bit. `end_s` is None when it was never healed."""

    name: str
    mode: str
    on: str
    start_s: float
    end_s: float | None
    bit: bool
    evidence: dict[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunResult:
    """One scenario, in one world, with one seed, against one target."""

    scenario: str
    title: str
    patch: int
    priority: str
    world: str
    profile: str
    seed: int
    target: dict[str, str]
    verdict: Verdict
    trace_digest: str | None = None
    simulated_s: float | None = None
    wall_s: float | None = None
    history: str | None = None
    replay: str = ""
    needs: tuple[NeedResult, ...] = ()
    faults: tuple[FaultResult, ...] = ()
    invariants: tuple[InvariantResult, ...] = ()
    metrics: dict[str, float | int | None] = field(default_factory=dict)
    errors: tuple[str, ...] = ()
    """What the harness, a host or a checker got wrong: any of these makes the run an ERROR."""
    doubts: tuple[str, ...] = ()
    """What keeps the run from being a PASS although nothing is violated, in words."""
    left_out: tuple[str, ...] = ()
    """Faults, each with a mode, that the schedule has and that could not be done with the servers that were given."""
    lost: str = ""
    """Why the run itself has no result: `CRASHED` or `TIMED_OUT`. It is neither a pass nor a failure."""
    config: str = ""
    """A hash of what was asked, whatever the seed and the target: runs that differ in it cannot be compared."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FlawedResult:
    """One flawed variant: was it caught, by what, in how many seeds. `expected`: the invariants meant for it."""

    variant: str
    scenario: str
    world: str
    expected: tuple[str, ...]
    caught: bool
    by: tuple[str, ...]
    seeds: int
    example: RunResult | None = None
    seed: int | None = None
    """The seed that caught it; the hunt may have begun there, as it caught it before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PatchReadiness:
    """One patch of one priority: is it ready, and if not, why. `is_required`: the gate is shut unless it is ready.

    `invariants` held of `invariants_total`, over `worlds` and `runs`; `caught` of `variants`.
    """

    patch: int
    priority: str
    is_required: bool
    worlds: tuple[str, ...]
    runs: int
    passed: int
    invariants: int
    invariants_total: int
    variants: int
    caught: int
    reasons: tuple[str, ...] = ()

    @property
    def is_ready(self) -> bool:
        """Is there nothing against it?"""
        return not self.reasons


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """Everything one command did: what the reports are made of."""

    verdict: Verdict
    exit_code: int
    harness_version: str
    command: tuple[str, ...]
    started_utc: str
    runs: tuple[RunResult, ...] = ()
    flawed: tuple[FlawedResult, ...] = ()
    skipped: tuple[str, ...] = ()
    omitted: tuple[str, ...] = ()
    """What there was no time for and nobody requires: it is said, and keeps nothing from passing."""
    readiness: tuple[PatchReadiness, ...] = ()
    environment: dict[str, Any] = field(default_factory=dict)
    comparison: Comparison | None = None
