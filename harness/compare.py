"""Two sessions, compared: which figures moved beyond the spread of repeated seeds, and which findings came and went.

A regression is claimed only if it would be a surprise among seeds. In the sim world, where a seed is the same workload
and the same faults before and after, the seeds' own differences cancel out: seed by seed, after minus before, and the
interval of the signed-rank test over them. An outage of 120 s in one seed and 60 s in another then hides nothing. In
the real world, or without seeds in common, the two samples are independent, and the interval is that of the rank-sum
test. Neither assumes anything of the distribution; latencies have none that is well-behaved.

A figure has regressed if the whole interval is worse than before by more than `TOLERANCE` of the earlier median: a
shift that is certain and small is no reason to stop a release. A scenario has a dozen figures, so each is asked for
less doubt (`TAIL` shared among those that differ in any seed at all; Tarone, Biometrics 46, 1990): a scenario in which
nothing changed is then said to have regressed with probability `TAIL` at most. That takes eight or nine seeds; with
fewer, medians are told and nothing is flagged. Where nothing changed, a sim run gives the same figures to the bit.

Only runs that were judged count; what a lost or broken run measured is not what it would have come to.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import median
from typing import Final, TypeAlias

from harness.comparison import Change, Comparison, Delta, GroupComparison, KnownFinding
from harness.intervals import Shift, paired, pairs_needed, unpaired
from harness.measures import Measure, measure_of
from harness.verdict import FlawedResult, Outcome, RunResult, Verdict

TAIL: Final = 0.05
"""How likely a scenario in which nothing changed may be said to have regressed."""
TOLERANCE: Final = 0.05
"""How much of the earlier median a shift must exceed."""
ENVIRONMENT: Final = ("harness", "python", "platform", "commit")
"""What may explain a shift; the configuration is compared by itself."""

_Key: TypeAlias = tuple[str, str, str]
_Values: TypeAlias = Mapping[int, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One run, as far as it is compared. `config` is None where it was made by a harness that did not record it."""

    scenario: str
    world: str
    profile: str
    seed: int
    target: tuple[tuple[str, str], ...]
    is_judged: bool
    config: str | None
    metrics: Mapping[str, float | int | None]
    wrong: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """One of the two sessions. `wrong` is what is wrong with it beyond its runs: variants that nobody caught."""

    name: str
    samples: tuple[Sample, ...]
    wrong: tuple[KnownFinding, ...] = ()
    hunted: frozenset[KnownFinding] = frozenset()
    environment: Mapping[str, str]


def side_of(
    name: str, runs: Iterable[RunResult], flawed: Iterable[FlawedResult], environment: Mapping[str, str]
) -> Side:
    """Return results of this process as one side of a comparison."""
    flawed = tuple(flawed)
    return Side(
        name=name,
        samples=tuple(_sample(run) for run in runs),
        wrong=tuple(unnoticed(one.scenario, one.world, one.variant) for one in flawed if not one.caught),
        hunted=frozenset(unnoticed(one.scenario, one.world, one.variant) for one in flawed),
        environment={name: environment[name] for name in ENVIRONMENT if name in environment},
    )


def unnoticed(scenario: str, world: str, variant: str) -> KnownFinding:
    """Return the finding that nobody caught a flawed variant."""
    return KnownFinding(scenario=scenario, world=world, profile="hunt", what=f"{variant} is not caught")


def wrong_of(verdict: str, lost: str | None, violated: Iterable[str]) -> tuple[str, ...]:
    """Return what is wrong with one run, in the words by which two sessions know it again."""
    if lost:
        return (f"lost: {lost}",)
    wrong = [f"{one} is violated" for one in violated]
    if verdict == Verdict.ERROR.value:
        wrong.append("harness error")
    elif verdict == Verdict.INCONCLUSIVE.value:
        wrong.append("could not be judged")
    return tuple(wrong)


def _sample(run: RunResult) -> Sample:
    violated = [one.id for one in run.invariants if one.verdict is Outcome.VIOLATED]
    return Sample(
        scenario=run.scenario,
        world=run.world,
        profile=run.profile,
        seed=run.seed,
        target=tuple(sorted(run.target.items())),
        is_judged=run.verdict in (Verdict.PASS, Verdict.FAIL),
        config=run.config or None,
        metrics=run.metrics,
        wrong=wrong_of(run.verdict, run.lost, violated),
    )


def compare(before: Side, after: Side) -> Comparison:
    """Return how `after` stands against the baseline `before`."""
    old, new = _grouped(before.samples), _grouped(after.samples)
    findings = _findings(before, after)
    return replace(
        findings,
        groups=tuple(_group(key, old.get(key, ()), new.get(key, ())) for key in {**new, **old}),
        environment=tuple(
            f"{name}: {before.environment[name]} before, {value} now"
            for name, value in after.environment.items()
            if before.environment.get(name, value) != value
        ),
    )


def _grouped(samples: Iterable[Sample]) -> dict[_Key, list[Sample]]:
    groups: dict[_Key, list[Sample]] = {}
    for one in samples:
        groups.setdefault((one.scenario, one.world, one.profile), []).append(one)
    return groups


def _group(key: _Key, before: Sequence[Sample], after: Sequence[Sample]) -> GroupComparison:
    plain = GroupComparison(scenario=key[0], world=key[1], profile=key[2], standing="compared")
    if not before:
        return replace(plain, standing="added", why="not in the baseline")
    if not after:
        return replace(plain, standing="missing", why="in the baseline, not run this time")
    if why := _incomparable(before, after):
        return replace(plain, standing="not comparable", why=why)
    old, new = ([one for one in side if one.is_judged] for side in (before, after))
    common = {one.seed for one in old} & {one.seed for one in new}
    is_paired = key[1] == "sim" and bool(common)
    if is_paired:
        old, new = ([one for one in side if one.seed in common] for side in (old, new))
    deltas, why = _deltas(old, new, is_paired=is_paired)
    targets = [_targets(side) for side in (before, after)]
    notes = [why] if why else []
    notes += [f"target {targets[0]} before, {targets[1]} now"] if targets[0] != targets[1] else []
    return replace(plain, is_paired=is_paired, deltas=deltas, why="; ".join(notes))


def _incomparable(before: Sequence[Sample], after: Sequence[Sample]) -> str:
    for name, side in (("baseline", before), ("session", after)):
        if len({one.target for one in side}) > 1:
            return f"the {name} has runs of several targets"
        if len({one.config for one in side}) > 1:
            return f"the {name} has runs of several configurations"
    old, new = before[0].config, after[0].config
    if old is None or new is None:
        return "the configuration was not recorded"
    return "" if old == new else f"another configuration: {old} before, {new} now"


def _targets(side: Sequence[Sample]) -> str:
    return ", ".join(f"{port}={factory}" for port, factory in side[0].target)


def _deltas(old: Sequence[Sample], new: Sequence[Sample], *, is_paired: bool) -> tuple[tuple[Delta, ...], str]:
    """Return each measure before and after, and what limits them: too few seeds."""
    names = dict.fromkeys(name for one in (*old, *new) for name in one.metrics)
    measures = [measure for name in names if (measure := measure_of(name)) is not None]
    values = {one.name: (_values(old, one.name), _values(new, one.name)) for one in measures}
    if is_paired:
        values = {name: _in_both(*sides) for name, sides in values.items()}
    moved = sum(not is_paired or first != second for first, second in values.values())
    tail = TAIL / max(1, moved)
    deltas = tuple(_delta(one, *values[one.name], tail=tail, is_paired=is_paired) for one in measures)
    told = tuple(delta for delta in deltas if any(delta.samples))
    differing = [delta for delta in told if delta.before != delta.after]
    if differing and all(delta.shift is None for delta in differing):
        seeds = f"{len(old)} and {len(new)} judged seeds" if len(old) != len(new) else f"{len(old)} judged seed(s)"
        needed = f"at least {pairs_needed(tail)}" if is_paired else "more"
        return told, f"{seeds}: it takes {needed} to tell a shift from the spread of seeds, so nothing is flagged"
    return told, ""


def _values(samples: Iterable[Sample], name: str) -> _Values:
    found = ((one.seed, one.metrics.get(name)) for one in samples)
    return {seed: float(value) for seed, value in found if value is not None}


def _in_both(before: _Values, after: _Values) -> tuple[_Values, _Values]:
    seeds = sorted(before.keys() & after.keys())
    return {seed: before[seed] for seed in seeds}, {seed: after[seed] for seed in seeds}


def _delta(measure: Measure, before: _Values, after: _Values, *, tail: float, is_paired: bool) -> Delta:
    old, new = list(before.values()), list(after.values())
    plain = Delta(
        name=measure.name,
        unit=measure.unit,
        less_is_better=measure.less_is_better,
        before=median(old) if old else None,
        after=median(new) if new else None,
        samples=(len(old), len(new)),
    )
    shift = paired(old, new, tail) if is_paired else unpaired(old, new, tail)
    if shift is None or plain.before is None:
        return plain
    change = _change(shift, abs(plain.before) * TOLERANCE, less_is_better=measure.less_is_better)
    return replace(plain, shift=shift.estimate, low=shift.low, high=shift.high, change=change)


def _change(shift: Shift, tolerance: float, *, less_is_better: bool) -> Change:
    if shift.low > tolerance:
        return "regression" if less_is_better else "improvement"
    if shift.high < -tolerance:
        return "improvement" if less_is_better else "regression"
    return ""


def _findings(before: Side, after: Side) -> Comparison:
    """Return which findings are new, ongoing and resolved. Nothing is resolved whose seeds were not looked at."""
    old, new = _found(before), _found(after)
    judged = {(one.scenario, one.world, one.profile, one.seed) for one in after.samples if one.is_judged}
    gone = [finding for finding in old if finding not in new]
    looked_at = {
        finding
        for finding in gone
        if finding in after.hunted
        or any((finding.scenario, finding.world, finding.profile, seed) in judged for seed in old[finding])
    }
    return Comparison(
        baseline=before.name,
        new=tuple(sorted(finding for finding in new if finding not in old)),
        ongoing=tuple(sorted(finding for finding in new if finding in old)),
        resolved=tuple(sorted(looked_at)),
        unseen=tuple(sorted(finding for finding in gone if finding not in looked_at)),
    )


def _found(side: Side) -> dict[KnownFinding, list[int]]:
    """Return the findings of a session, each with the seeds that have it."""
    found: dict[KnownFinding, list[int]] = {finding: [] for finding in side.wrong}
    for one in side.samples:
        for what in one.wrong:
            key = KnownFinding(scenario=one.scenario, world=one.world, profile=one.profile, what=what)
            found.setdefault(key, []).append(one.seed)
    return found
