"""Is each patch ready, and if not, why? A gate's verdict is made of the answers.

Ready needs everything: each required run was done and passed, in each world; the worlds agree on each scenario; every
flawed variant was caught; the policy's own limits hold. Patches whose priority the policy does not require are judged
and told alike, but keep no gate shut.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from harness.jobs import Done, Job
from harness.measures import measure_of
from harness.policy import GatePolicy
from harness.verdict import FlawedResult, Outcome, PatchReadiness, RunResult, Verdict, worst


@dataclass(slots=True)
class _Patch:
    """What there is of one patch."""

    runs: list[RunResult] = field(default_factory=list)
    flawed: list[FlawedResult] = field(default_factory=list)
    undone: list[Job] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class Assessment:
    """The patches, in order, and what they come to for the gate."""

    patches: tuple[PatchReadiness, ...]
    verdict: Verdict


def assess(done: Done, jobs: Sequence[Job], policy: GatePolicy) -> Assessment:
    """Return the readiness of each patch that `jobs` are about, and the verdict over those that are required."""
    places = {job.order.scenario.name: (job.order.scenario.patch, job.order.scenario.priority) for job in jobs}
    patches: dict[tuple[int, str], _Patch] = {place: _Patch() for place in sorted(set(places.values()))}
    for run in done.runs:
        patches[places[run.scenario]].runs.append(run)
    for one in done.flawed:
        patches[places[one.scenario]].flawed.append(one)
    for job in done.undone:
        patches[places[job.order.scenario.name]].undone.append(job)
    told = {place: _readiness(*place, patch, policy) for place, patch in patches.items()}
    required = [verdict for (_, priority), (_, verdict) in told.items() if priority in policy.require]
    errors = [verdict for _, verdict in told.values() if verdict is Verdict.ERROR]  # the harness cannot be relied on
    return Assessment(patches=tuple(one for one, _ in told.values()), verdict=worst([*required, *errors]))


def _readiness(patch: int, priority: str, of: _Patch, policy: GatePolicy) -> tuple[PatchReadiness, Verdict]:
    against = [
        *_runs(of.runs),
        *_disagreements(of.runs),
        *_uncaught(of.flawed),
        *_beyond_limits(of.runs, policy.limits),
        *([(Verdict.INCONCLUSIVE, f"not done: {', '.join(map(str, of.undone[:3]))}{_more(of.undone, 3)}")]
          if of.undone else []),
        *([] if of.runs else [(Verdict.INCONCLUSIVE, "nothing was run")]),
    ]  # fmt: skip
    outcomes: dict[str, set[Outcome]] = {}
    for run in of.runs:
        for one in run.invariants:
            outcomes.setdefault(one.id, set()).add(one.verdict)
    readiness = PatchReadiness(
        patch=patch,
        priority=priority,
        is_required=priority in policy.require,
        worlds=tuple(world for world in policy.worlds if any(run.world == world for run in of.runs)),
        runs=len(of.runs),
        passed=sum(run.verdict is Verdict.PASS for run in of.runs),
        invariants=sum(seen == {Outcome.HOLDS} for seen in outcomes.values()),
        invariants_total=len(outcomes),
        variants=len(of.flawed),
        caught=sum(one.caught for one in of.flawed),
        reasons=tuple(reason for _, reason in against),
    )
    return readiness, worst([Verdict.PASS, *(verdict for verdict, _ in against)])


def _more(things: Sequence[object], shown: int) -> str:
    return f" and {len(things) - shown} more" if len(things) > shown else ""


def _runs(runs: Iterable[RunResult]) -> Iterable[tuple[Verdict, str]]:
    groups: dict[str, list[RunResult]] = {}
    for run in runs:
        groups.setdefault(f"{run.scenario} [{run.world}]", []).append(run)
    for place, mine in groups.items():
        for verdict in (Verdict.ERROR, Verdict.FAIL, Verdict.INCONCLUSIVE):
            seeds = sorted(run.seed for run in mine if run.verdict is verdict)
            if seeds:
                yield verdict, f"{place}: {len(seeds)} of {len(mine)} runs {verdict}, lowest seed {seeds[0]}"


def _disagreements(runs: Iterable[RunResult]) -> Iterable[tuple[Verdict, str]]:
    """One world's pass does not stand against another's failure: one of them simulates what the other has, or not."""
    scenarios: dict[str, dict[str, list[Verdict]]] = {}
    for run in runs:
        scenarios.setdefault(run.scenario, {}).setdefault(run.world, []).append(run.verdict)
    for scenario, worlds in scenarios.items():
        verdicts = {world: worst(seen) for world, seen in worlds.items()}
        if len(set(verdicts.values())) > 1:
            said = ", ".join(f"{verdict} in {world}" for world, verdict in verdicts.items())
            yield Verdict.INCONCLUSIVE, f"the worlds disagree on {scenario}: {said}"


def _uncaught(flawed: Iterable[FlawedResult]) -> Iterable[tuple[Verdict, str]]:
    for one in flawed:
        if not one.caught:
            broke = one.example is not None and one.example.verdict is Verdict.ERROR
            verdict = Verdict.ERROR if broke else Verdict.INCONCLUSIVE
            yield verdict, f"{one.variant} is not caught in {one.scenario} [{one.world}], {one.seeds} seeds"


def _beyond_limits(
    runs: Iterable[RunResult], limits: Mapping[str, Mapping[str, float]]
) -> Iterable[tuple[Verdict, str]]:
    by_scenario: dict[str, list[RunResult]] = {}
    for run in runs:
        by_scenario.setdefault(run.scenario, []).append(run)
    for scenario, mine in by_scenario.items():
        for name, limit in limits.get(scenario, {}).items():
            measure = measure_of(name)
            assert measure is not None
            values = [(value, run) for run in mine if (value := run.metrics.get(name)) is not None]
            if not values:
                yield Verdict.INCONCLUSIVE, f"limit {name} of {scenario}: no run has such a figure"
                continue
            far = max if measure.less_is_better else min
            value, run = far(values, key=lambda one: one[0])
            if value > limit if measure.less_is_better else value < limit:
                where = f"{run.world}, seed {run.seed}"
                yield Verdict.FAIL, f"limit {name} of {scenario}: {value:g} {measure.unit}, limit {limit:g} ({where})"
