"""What explore may draw for a scenario, and what it drew: an `Experiment`, one run with nothing left to chance.

A scenario's own schedule is what somebody thought of. An experiment puts it aside: its faults, their times, the shape
of the workload, the order of callbacks and the seed are all in the experiment, so that it can be written down, made
again and taken apart. Plain data; `harness/explore` gives it a meaning.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from harness.faults.base import Fault


@dataclass(frozen=True, slots=True)
class AtMost:
    """A fault budget: beyond so many of the faults that match, invariants do not apply.

    `faults` is a pattern over `name/mode on` (`redis.outage/crash-lose-* on redis`). They count if they hold at once;
    `ever`: in the whole run. `invariants` are the ids of those that then do not judge; none are named: none would, and
    more than that is never drawn.
    """

    count: int
    faults: str
    ever: bool = False
    invariants: tuple[str, ...] = ()

    def covers(self, entry: str) -> bool:
        """Say whether that entry of a menu counts."""
        return fnmatchcase(entry, self.faults)


@dataclass(frozen=True, slots=True, kw_only=True)
class Exploring:
    """How a scenario may be explored.

    `profile` is the size. `span_ns` is how long faults may begin and hold before everything heals and has to converge;
    None: as long as the profile's own schedule. `add` are faults besides those that apply to every host, link and
    dependency, in the place of such of the same name on the same thing; `without` are patterns over `name/mode on`.
    `workload` gives, by host and parameter, the values it may take, lists written as tuples; the first is the simplest,
    and that of the profile.
    """

    profile: str = "short"
    span_ns: int | None = None
    add: "tuple[Fault, ...]" = ()
    without: tuple[str, ...] = ()
    budget: tuple[AtMost, ...] = ()
    workload: Mapping[str, Mapping[str, tuple[Any, ...]]] = field(default_factory=dict)

    def budget_of(self, invariant: str) -> tuple[AtMost, ...]:
        """Return the limits beyond which that invariant does not judge."""
        return tuple(limit for limit in self.budget if invariant in limit.invariants)

    @property
    def bounds(self) -> tuple[AtMost, ...]:
        """The limits beyond which nothing is drawn."""
        return tuple(limit for limit in self.budget if not limit.invariants)


def cannot_bear(*patterns: str, invariants: tuple[str, ...]) -> tuple[AtMost, ...]:
    """Return the budget of invariants that do not judge what happens when any such fault does."""
    return tuple(AtMost(0, pattern, ever=True, invariants=invariants) for pattern in patterns)


@dataclass(frozen=True, slots=True, order=True)
class Held:
    """One fault of an experiment: an entry of the menu, and when it holds, from when every host was started."""

    start_ms: int
    length_ms: int
    entry: str

    @property
    def end_ms(self) -> int:
        """When it is healed."""
        return self.start_ms + self.length_ms


@dataclass(frozen=True, slots=True, kw_only=True)
class Experiment:
    """One run, whole.

    `workload` holds (host, parameter, value) where it differs from the scenario's. `changes` is the order of ready
    callbacks: None shuffles some of them, 0 leaves asyncio's order alone, n runs them by priority, with n changes.
    `calm` are labels of the tape that give 0 throughout, but for `edits`: (label, position, value).
    """

    profile: str
    seed: int
    span_ms: int
    faults: tuple[Held, ...] = ()
    workload: tuple[tuple[str, str, Any], ...] = ()
    changes: int | None = None
    calm: tuple[str, ...] = ()
    edits: tuple[tuple[str, int, int], ...] = ()

    def edits_by_label(self) -> dict[str, dict[int, int]]:
        """Return the edits as a tape takes them."""
        by_label: dict[str, dict[int, int]] = {}
        for label, position, value in self.edits:
            by_label.setdefault(label, {})[position] = value
        return by_label

    def encoded(self) -> bytes:
        """Return it as JSON, the same bytes for the same experiment."""
        return msgspec.json.encode(self, order="deterministic")

    @staticmethod
    def decoded(text: bytes) -> "Experiment":
        """Return what `encoded` gave. Raises `ValueError` for anything else."""
        return _hashable(msgspec.json.decode(text, type=Experiment))

    def as_fields(self) -> dict[str, Any]:
        """Return it as a history's first line holds it."""
        fields: dict[str, Any] = msgspec.to_builtins(self)
        return fields

    @staticmethod
    def of_fields(fields: Mapping[str, Any]) -> "Experiment":
        """Return what `as_fields` gave. Raises `ValueError` for anything else."""
        return _hashable(msgspec.convert(fields, type=Experiment))


def _hashable(experiment: Experiment) -> Experiment:
    """Return it with the workload's lists as tuples: JSON knows no difference, an experiment is a key."""
    workload = tuple((host, parameter, _frozen(value)) for host, parameter, value in experiment.workload)
    return replace(experiment, workload=workload)


def _frozen(value: Any) -> Any:
    return tuple(map(_frozen, value)) if isinstance(value, list | tuple) else value


@dataclass(frozen=True, slots=True)
class Pinned:
    """That a scenario is one experiment with the scenario named `base`, and nothing else."""

    base: str
    experiment: Experiment
