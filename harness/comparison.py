"""What a comparison with a baseline comes to. Plain data: `compare.py` makes it, `reports` renders it."""

from dataclasses import dataclass, field
from typing import Literal, TypeAlias

Standing: TypeAlias = Literal["compared", "not comparable", "added", "missing"]
Change: TypeAlias = Literal["", "regression", "improvement"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Delta:
    """One measure, before and after: medians over seeds, and the interval of the shift (None: too few seeds for one).

    `before` and `after` are None where no run has the figure.
    """

    name: str
    unit: str
    less_is_better: bool
    before: float | None
    after: float | None
    samples: tuple[int, int]
    shift: float | None = None
    low: float | None = None
    high: float | None = None
    change: Change = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupComparison:
    """One scenario in one world against one target. `why` says what keeps it from being compared, or what limits it."""

    scenario: str
    world: str
    profile: str
    standing: Standing
    is_paired: bool = False
    why: str = ""
    deltas: tuple[Delta, ...] = ()

    @property
    def regressions(self) -> tuple[Delta, ...]:
        """The measures that became worse beyond the spread of seeds."""
        return tuple(delta for delta in self.deltas if delta.change == "regression")


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class KnownFinding:
    """A finding as far as two sessions have it in common. `what` names an invariant, or says what else is wrong."""

    scenario: str
    world: str
    profile: str
    what: str

    def __str__(self) -> str:
        return f"{self.scenario} [{self.world}, {self.profile}]: {self.what}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """A session against a baseline. `unseen` are findings of the baseline whose seeds were not run this time."""

    baseline: str
    groups: tuple[GroupComparison, ...] = ()
    new: tuple[KnownFinding, ...] = ()
    ongoing: tuple[KnownFinding, ...] = ()
    resolved: tuple[KnownFinding, ...] = ()
    unseen: tuple[KnownFinding, ...] = ()
    environment: tuple[str, ...] = field(default=())
    """What else differs and may explain a shift: versions of the harness, of Python."""

    @property
    def regressed(self) -> tuple[GroupComparison, ...]:
        """The groups with a regression."""
        return tuple(group for group in self.groups if group.regressions)

    @property
    def is_empty(self) -> bool:
        """Was nothing comparable?"""
        return not any(group.standing == "compared" for group in self.groups)
