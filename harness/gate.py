"""The gate: everything there is, in both worlds, flawed variants included, and one verdict over it.

A flawed variant that nobody catches leaves its invariant unproven, so the gate is INCONCLUSIVE, like a need unmet.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from harness import __version__
from harness.campaign import Done, Hunt, Job, Single, Twice
from harness.compare import Side, compare, side_of
from harness.past import Past
from harness.policy import GatePolicy
from harness.provenance import provenance
from harness.readiness import Assessment
from harness.runner import Order
from harness.scenario import Scenario
from harness.targets import choose, for_ports
from harness.verdict import (
    EXIT_CODES,
    EXIT_HARNESS_ERROR,
    EXIT_INTERRUPTED,
    EXIT_PASS,
    EXIT_REGRESSION,
    Session,
    Verdict,
    worst,
)
from harness.world.base import WorldKind
from harness.worlds import Options

__all__ = ["DEFAULT_PROFILE", "LARGE", "GatePolicy", "gate_jobs", "session"]

DEFAULT_PROFILE: Final[dict[WorldKind, str]] = {"sim": "full", "real": "short"}
LARGE: Final = "large"
"""A size that a scenario may have besides, for what shows in bulk only. It is run once, in the sim world."""


def gate_jobs(
    scenarios: Sequence[Scenario], policy: GatePolicy, folder: Path, options: Options, past: Past | None = None
) -> list[Job]:
    """Return every job of a gate over these scenarios: what is judged first, then the proofs that it could fail."""
    jobs: list[Job] = []
    for world in policy.worlds:
        for scenario in scenarios:
            jobs += _judged_jobs(scenario, world, policy, folder, options)
        for scenario in scenarios:
            jobs += _hunt_jobs(scenario, world, policy, folder, options, past or Past())
    return jobs


def _judged_jobs(scenario: Scenario, world: WorldKind, policy: GatePolicy, folder: Path, options: Options) -> list[Job]:
    seeds = policy.sim_seeds_of(scenario.name) if world == "sim" else policy.real_seeds
    targets = choose(scenario, for_ports(scenario, policy.targets))
    label = "reference" if targets == scenario.ports else "target"
    orders = [_order(scenario, world, seed, targets, label, folder, options) for seed in range(1, seeds + 1)]
    if world == "real":
        return [Single(order=order) for order in orders]
    if LARGE in scenario.profiles:
        orders.append(replace(orders[0], profile=LARGE))
    required = policy.required_of(scenario.name)
    further = (
        Single(order=order, keep_history=False, is_optional=order.seed > required and order.profile != LARGE)
        for order in orders[1:]
    )
    return [Twice(order=orders[0]), *further]


def _hunt_jobs(
    scenario: Scenario, world: WorldKind, policy: GatePolicy, folder: Path, options: Options, past: Past
) -> list[Job]:
    chosen = [one for one in scenario.flawed if world == "sim" or one.name in policy.real_variants]
    return [
        Hunt(
            order=_order(scenario, world, 1, choose(scenario, [variant.label]), variant.label, folder, options),
            variant=variant,
            seeds=policy.hunt_seeds if world == "sim" else policy.real_hunt_seeds,
            first=past.caught_at(scenario.name, world, variant.label),
        )
        for variant in chosen
    ]


def _order(
    scenario: Scenario,
    world: WorldKind,
    seed: int,
    targets: dict[str, str],
    label: str,
    folder: Path,
    options: Options,
) -> Order:
    return Order(
        scenario=scenario,
        profile=DEFAULT_PROFILE[world],
        world=world,
        seed=seed,
        targets=targets,
        folder=folder,
        label=label,
        options=options,
    )


def session(
    done: Done,
    *,
    command: Sequence[str],
    started_utc: str,
    baseline: Side | None = None,
    assessment: Assessment | None = None,
) -> Session:
    """Return the verdict over everything that was done, and its exit code: 3 over 2 over 1 over 7 over 8.

    With an assessment, which knows what a gate's policy requires, the verdict is its.
    """
    verdict = _verdict(done) if assessment is None else assessment.verdict
    code = EXIT_CODES[verdict]
    if done.interrupted and code != EXIT_HARNESS_ERROR:
        code = EXIT_INTERRUPTED
    environment = provenance(done.runs, Path.cwd())
    comparison = None
    if baseline is not None:
        now = side_of("this session", done.runs, done.flawed, {**environment, "harness": __version__})
        comparison = compare(baseline, now)
        if comparison.regressed and code == EXIT_PASS:
            code = EXIT_REGRESSION
    return Session(
        verdict=verdict,
        exit_code=code,
        harness_version=__version__,
        command=tuple(command),
        started_utc=started_utc,
        runs=done.runs,
        flawed=done.flawed,
        skipped=done.skipped,
        omitted=done.omitted,
        readiness=() if assessment is None else assessment.patches,
        environment=environment,
        comparison=comparison,
    )


def _verdict(done: Done) -> Verdict:
    return worst(
        [
            *(one.verdict for one in done.runs),
            *(
                Verdict.PASS if one.caught else _uncaught(one.example is not None and one.example.verdict)
                for one in done.flawed
            ),
            *([Verdict.INCONCLUSIVE] if done.skipped else []),
        ]
    )


def _uncaught(verdict: Verdict | bool) -> Verdict:
    """A variant that broke the run is our error; one that nobody caught leaves its invariant unproven."""
    return Verdict.ERROR if verdict is Verdict.ERROR else Verdict.INCONCLUSIVE
