"""`harness gate`: everything there is, judged for release."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import click

from harness.cli.config import Config, load_config
from harness.cli.options import WholeNumber, baseline_option, limit_options, output_options, world_options
from harness.cli.own_targets import checked, driven
from harness.errors import unknown_name
from harness.gate import GatePolicy, gate_jobs
from harness.jobs import Done, Job
from harness.past import FILE_NAME, learned, read_past, write_past
from harness.policy import check_scenarios
from harness.readiness import Assessment, assess
from harness.registry import discover, select
from harness.targets import check_ports, choose, for_ports
from harness.world.base import WorldKind


@click.command(name="gate")
@click.option("--world", type=str, help="Only this world: sim or real. Default: both.")
@click.option("--seeds", metavar="N", type=WholeNumber(1, 100_000), help="Sim seeds per scenario.  [default: 20]")
@click.option("-k", "keyword", metavar="TEXT", help="Only scenarios whose name contains TEXT, or matches it as a glob.")
@baseline_option
@limit_options
@output_options
def command(world: str | None, seeds: int | None, keyword: str | None, **rest: Any) -> int:
    """Run every scenario in both worlds, and every flawed variant, and give one verdict.

    READY needs everything: the target passes every seed in both worlds, every fault bites, the same seed gives the
    same history, and every flawed variant is caught by the invariant that was written for it. What the project asks
    (scenarios, seeds, limits, which priorities must be ready) is in [tool.harness.gate]. A time budget goes to what
    tells most: what failed the last time, the first seed of each scenario, each variant, then further seeds.
    """
    from harness.cli.work import baseline_of, do, limits_of, show_of, stable_interpreter
    from harness.schedule import in_order

    config = load_config(Path.cwd())
    policy = _policy(config, world, seeds, rest)
    known = discover(config.scenarios)
    check_scenarios(policy, known, config.where)
    scenarios = select(known, policy.scenarios, keyword)
    check_ports(known.values(), config.targets)
    for one in scenarios:
        for kind in policy.worlds:
            checked(one, choose(one, for_ports(one, policy.targets)), config, kind)
    baseline = baseline_of(rest)
    options = world_options(rest, real_runs=len(scenarios) * policy.real_seeds if "real" in policy.worlds else 0)
    stable_interpreter()
    show = show_of(rest, config)
    limits = replace(limits_of(rest, policy.real_jobs), budget_s=policy.budget_s, run_timeout_s=policy.run_timeout_s)
    past = read_past(show.out / FILE_NAME)

    def assessed(done: Done, jobs: Sequence[Job]) -> Assessment:
        write_past(show.out / FILE_NAME, learned(past, done.runs, done.flawed))
        return assess(done, jobs, policy)

    return do(
        lambda folder: gate_jobs(scenarios, policy, folder, options, past),
        limits,
        show,
        baseline=baseline,
        order=in_order(past) if limits.budget_s or limits.fail_fast or policy.sim_seeds_min else None,
        assess=assessed,
    )


def _policy(config: Config, world: str | None, seeds: int | None, flags: Any) -> GatePolicy:
    """Return the project's policy with what the flags change."""
    policy = replace(
        config.gate,
        targets=driven(config),
        budget_s=flags["time_budget"] or config.gate.budget_s,
        run_timeout_s=flags["run_timeout"] or config.gate.run_timeout_s,
    )
    if seeds is not None:
        policy = replace(policy, sim_seeds=seeds, sim_seeds_min=None, seeds={})
    if world is None:
        return policy
    known: tuple[WorldKind, ...] = get_args(WorldKind)
    for one in known:
        if one == world:
            return replace(policy, worlds=(one,))
    raise unknown_name("world", world, known)
