"""A comparison as JSON: `comparison` in `report.json`, and what `harness compare --json` prints."""

import json
import math
from dataclasses import asdict
from typing import Any

import msgspec

from harness.comparison import Comparison, Delta, GroupComparison


class DeltaJson(msgspec.Struct, frozen=True, kw_only=True):
    """One measure before and after; `change` is null where it is within the spread, or nothing can be told."""

    name: str
    unit: str
    less_is_better: bool
    before: float | None
    after: float | None
    samples: list[int]
    shift: float | None
    low: float | None
    high: float | None
    change: str | None


class GroupJson(msgspec.Struct, frozen=True, kw_only=True):
    """One scenario in one world: compared, not comparable, added or missing."""

    scenario: str
    world: str
    profile: str
    standing: str
    paired: bool
    why: str
    measures: list[DeltaJson]


class KnownFindingJson(msgspec.Struct, frozen=True, kw_only=True):
    """A finding that two sessions can have in common."""

    scenario: str
    world: str
    profile: str
    what: str


class ComparisonJson(msgspec.Struct, frozen=True, kw_only=True):
    """A session against a baseline."""

    baseline: str
    groups: list[GroupJson]
    new: list[KnownFindingJson]
    ongoing: list[KnownFindingJson]
    resolved: list[KnownFindingJson]
    unseen: list[KnownFindingJson]
    differs: list[str]


def document(comparison: Comparison) -> ComparisonJson:
    """Return the comparison as typed JSON."""
    new, ongoing, resolved, unseen = (
        [KnownFindingJson(**asdict(finding)) for finding in findings]
        for findings in (comparison.new, comparison.ongoing, comparison.resolved, comparison.unseen)
    )
    return ComparisonJson(
        baseline=comparison.baseline,
        groups=[_group(group) for group in comparison.groups],
        new=new,
        ongoing=ongoing,
        resolved=resolved,
        unseen=unseen,
        differs=list(comparison.environment),
    )


def render(comparison: Comparison) -> str:
    """Return the JSON text, indented, with a line feed at its end."""
    return json.dumps(finite(msgspec.to_builtins(document(comparison))), indent=1, allow_nan=False) + "\n"


def _group(group: GroupComparison) -> GroupJson:
    return GroupJson(
        scenario=group.scenario,
        world=group.world,
        profile=group.profile,
        standing=group.standing,
        paired=group.is_paired,
        why=group.why,
        measures=[_delta(delta) for delta in group.deltas],
    )


def _delta(delta: Delta) -> DeltaJson:
    fields = asdict(delta)
    return DeltaJson(**{**fields, "samples": list(delta.samples), "change": delta.change or None})


def finite(value: Any) -> Any:
    """Replace what JSON cannot hold: numbers that are none become null, lone surrogates the replacement character."""
    if isinstance(value, dict):
        return {finite(key): finite(item) for key, item in value.items()}
    if isinstance(value, list):
        return [finite(item) for item in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, str) and not value.isascii():
        return value.encode("utf-8", "replace").decode("utf-8")
    return value
