"""The comparison with a baseline in words and rows: the same in every format."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from harness.comparison import Comparison, Delta, GroupComparison, Standing
from reports.matrix import place_of
from reports.text import figure, plural

_STANDINGS: Final[tuple[tuple[Standing, str], ...]] = (
    ("added", "not in the baseline"),
    ("missing", "missing, though the baseline has them"),
    ("not comparable", "not comparable"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class DeltaRow:
    """One measure that moved, in words. `interval` is empty where there were too few seeds for one."""

    where: str
    measure: str
    before: str
    after: str
    shift: str
    interval: str
    seeds: str
    change: str


def headline_of(comparison: Comparison) -> str:
    """Return what came of the comparison, in one sentence."""
    compared = sum(group.standing == "compared" for group in comparison.groups)
    flagged = [delta for group in comparison.groups for delta in group.deltas]
    worse = sum(delta.change == "regression" for delta in flagged)
    better = sum(delta.change == "improvement" for delta in flagged)
    parts = [
        f"{plural(worse, 'regression')} and {plural(better, 'improvement')} beyond the spread of seeds",
        f"{plural(compared, 'scenario')} compared",
        *(
            f"{count} {words}"
            for standing, words in _STANDINGS
            if (count := sum(group.standing == standing for group in comparison.groups))
        ),
        f"findings: {len(comparison.new)} new, {len(comparison.ongoing)} ongoing, {len(comparison.resolved)} resolved",
    ]
    return f"Against {comparison.baseline}: {'; '.join(parts)}."


def rows_of(comparison: Comparison) -> tuple[DeltaRow, ...]:
    """Return the measures that moved at all: regressions first, then improvements, then what is within the spread."""
    moved = [
        (group, delta)
        for group in comparison.groups
        for delta in group.deltas
        if delta.change or delta.before != delta.after
    ]
    rank = ("regression", "improvement", "")
    return tuple(_row(group, delta) for group, delta in sorted(moved, key=lambda one: rank.index(one[1].change)))


def notes_of(comparison: Comparison) -> tuple[str, ...]:
    """Return what a reader must know besides: what was not compared and why, what differs, what came and went."""
    texts: list[str] = []
    for standing, words in _STANDINGS:
        groups = [group for group in comparison.groups if group.standing == standing]
        if groups and standing == "not comparable":
            texts += [f"{_where(group)}: {words}: {group.why}" for group in groups]
        elif groups:
            texts.append(f"{words[0].upper()}{words[1:]}: {', '.join(map(_where, groups))}")
    texts += _limits(comparison)
    for label, findings in (
        ("New finding", comparison.new),
        ("Ongoing finding", comparison.ongoing),
        ("Resolved finding", comparison.resolved),
        ("Not looked at again (its seeds were not run)", comparison.unseen),
    ):
        texts += [f"{label}: {finding}" for finding in findings]
    return (*texts, *comparison.environment)


def _limits(comparison: Comparison) -> Iterable[str]:
    """Return what limits the groups that were compared, each reason once."""
    by_reason: dict[str, list[str]] = {}
    for group in comparison.groups:
        if group.standing == "compared" and group.why:
            by_reason.setdefault(group.why, []).append(_where(group))
    return (f"{', '.join(places)}: {reason}" for reason, places in by_reason.items())


def _row(group: GroupComparison, delta: Delta) -> DeltaRow:
    told = delta.shift is not None
    first, second = delta.samples
    seeds = f"{first} paired" if group.is_paired else f"{first} and {second}"
    return DeltaRow(
        where=_where(group),
        measure=delta.name,
        before=figure(delta.before, delta.unit),
        after=figure(delta.after, delta.unit),
        shift=_signed(delta.shift) if told else "",
        interval=f"{_signed(delta.low)} to {_signed(delta.high)}" if told else "",
        seeds=seeds,
        change=delta.change or ("within the spread of seeds" if told else "too few seeds"),
    )


def _signed(value: float | None) -> str:
    shown = figure(value)
    return f"+{shown}" if value is not None and value > 0 else shown


def _where(group: GroupComparison) -> str:
    return f"{group.scenario} {place_of(group.world, group.profile)}"
