"""What a project asks of its gate: `[tool.harness.gate]`, checked key by key.

[tool.harness.gate]
scenarios = ["redis-outage"]      # all by default
worlds = ["sim", "real"]
sim_seeds = 20                    # a scenario; `seeds` says otherwise for some
sim_seeds_min = 5                 # so many are required; the others are run while `budget_s` lasts, and without
                                  # one beside what is required: real runs mostly wait, so they cost no time
real_seeds = 2
hunt_seeds = 20                   # how many a flawed variant may take to be caught
real_hunt_seeds = 3
real_variants = ["planned"]       # hunted in the real world too, where a run costs its own length
real_jobs = 1                     # real runs at once
require = ["P0", "P1", "P2"]      # patches of these priorities must be ready; the others are told
budget_s = 600                    # start nothing new after so long
run_timeout_s = 120               # a run that takes longer is lost

[tool.harness.gate.seeds]         # sim seeds of single scenarios
perfect-storm = 3

[tool.harness.gate.limits.redis-outage]   # stricter than the scenario: the worst of all seeds
recovery_s = 3.0
"""

import difflib
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, get_args

from harness.errors import UsageError, unknown_name
from harness.measures import measure_of
from harness.scenario import Priority
from harness.world.base import WorldKind


@dataclass(frozen=True, slots=True, kw_only=True)
class GatePolicy:
    """How much a gate does, and what of it must be ready. The module's text says what each key means.

    `targets` are a project's own, by port; the reference stands behind the other ports.
    """

    scenarios: tuple[str, ...] = ()
    sim_seeds: int = 20
    sim_seeds_min: int | None = None
    real_seeds: int = 2
    hunt_seeds: int = 20
    real_hunt_seeds: int = 3
    real_jobs: int = 1
    real_variants: tuple[str, ...] = ("planned",)
    worlds: tuple[WorldKind, ...] = ("sim", "real")
    require: tuple[str, ...] = get_args(Priority)
    budget_s: float | None = None
    run_timeout_s: float | None = None
    seeds: Mapping[str, int] = field(default_factory=dict)
    limits: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    targets: Mapping[str, str] = field(default_factory=dict)

    def sim_seeds_of(self, scenario: str) -> int:
        """Return how many sim seeds that scenario has."""
        return self.seeds.get(scenario, self.sim_seeds)

    def required_of(self, scenario: str) -> int:
        """Return how many of its sim seeds must have been run."""
        seeds = self.sim_seeds_of(scenario)
        return seeds if self.sim_seeds_min is None else min(seeds, self.sim_seeds_min)


def parse_policy(table: Mapping[str, Any], where: str) -> GatePolicy:
    """Return the policy of a `gate` table whose keys are known. Raises `UsageError`, in one line, for bad values."""
    return GatePolicy(**{key: _PARSERS[key](value, f"{where}.{key}") for key, value in table.items()})


def check_scenarios(policy: GatePolicy, scenarios: Iterable[str], where: str) -> None:
    """Raise `UsageError` for a scenario with seeds or limits that there is none of: it would be left out in silence."""
    known = sorted(scenarios)
    for key in ("seeds", "limits"):
        for name in getattr(policy, key):
            if name not in known:
                raise unknown_name(f"scenario in {where}.{key}", name, known)


def _seeds(value: object, where: str) -> dict[str, int]:
    return {scenario: _whole(count, f"{where}.{scenario}") for scenario, count in _table(value, where).items()}


def _limits(value: object, where: str) -> dict[str, dict[str, float]]:
    return {scenario: _measures(limits, f"{where}.{scenario}") for scenario, limits in _table(value, where).items()}


def _measures(value: object, where: str) -> dict[str, float]:
    limits = _table(value, where)
    for name in limits:
        if measure_of(name) is None:
            raise _no_measure(where, name)
    return {name: _number(limit, f"{where}.{name}") for name, limit in limits.items()}


def _no_measure(where: str, name: str) -> UsageError:
    endings = ("recovery_s", "publish_p50_ms", "publish_p99_ms", "publish_fail", "publish_info", "publish_per_s")
    near = difflib.get_close_matches(name, endings, n=1, cutoff=0.6)
    hint = f"did you mean something like {near[0]!r}?" if near else f"measures are called like {', '.join(endings)}"
    return UsageError(f"{where}: {name!r} is no measure; {hint}")


def _table(value: object, where: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise UsageError(f"{where} is not a table")
    return value


def _whole(value: object, where: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise UsageError(f"{where} is not a positive whole number")
    return value


def _number(value: object, where: str) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool) or not math.isfinite(value):
        raise UsageError(f"{where} is not a number")
    return float(value)


def _seconds(value: object, where: str) -> float:
    seconds = _number(value, where)
    if seconds <= 0:
        raise UsageError(f"{where} is not a positive number of seconds")
    return seconds


def _strings(value: object, where: str) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise UsageError(f"{where} is not a list of strings")
    return tuple(value)


def _selection(value: object, where: str) -> tuple[str, ...]:
    names = _strings(value, where)
    if not names:
        raise UsageError(f"{where} is empty, so the gate would judge nothing")
    return names


def _chosen(kind: str, known: tuple[str, ...]) -> Callable[[object, str], tuple[str, ...]]:
    def parse(value: object, where: str) -> tuple[str, ...]:
        names = _selection(value, where)
        for name in names:
            if name not in known:
                raise unknown_name(kind, name, known)
        return tuple(name for name in known if name in names)

    return parse


_PARSERS: Final[Mapping[str, Callable[[object, str], Any]]] = {
    "scenarios": _selection,
    "worlds": _chosen("world", get_args(WorldKind)),
    "sim_seeds": _whole,
    "sim_seeds_min": _whole,
    "real_seeds": _whole,
    "hunt_seeds": _whole,
    "real_hunt_seeds": _whole,
    "real_variants": _strings,
    "real_jobs": _whole,
    "require": _chosen("priority", get_args(Priority)),
    "budget_s": _seconds,
    "run_timeout_s": _seconds,
    "seeds": _seeds,
    "limits": _limits,
}
KEYS: Final = tuple(_PARSERS)
