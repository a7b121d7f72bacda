"""`harness run`: named scenarios, one world, some seeds."""

from pathlib import Path
from typing import Any, get_args

import click

from harness.campaign import Job, Single
from harness.cli.config import load_config
from harness.cli.options import (
    WholeNumber,
    baseline_option,
    limit_options,
    output_options,
    scenario_names,
    world_options,
)
from harness.cli.own_targets import checked
from harness.errors import UsageError, unknown_name
from harness.gate import DEFAULT_PROFILE
from harness.registry import discover, scenario_in, select
from harness.runner import Order
from harness.scenario import Scenario, plan
from harness.tape import Tape
from harness.targets import check_ports, choose, for_ports, share
from harness.world.base import WorldKind

_KEEP_HISTORIES = 20
"""Beyond this many seeds only the histories of runs that do not pass are kept: a campaign would fill the disk."""

_SEEDS_MAX = 1 << 63


def _with_files(names: tuple[str, ...], scenarios: dict[str, Scenario]) -> tuple[str, ...]:
    """Add the scenarios of those names that are files; return all names as those of scenarios."""
    files = {name: scenario_in(Path(name)) for name in names if name.endswith(".py")}
    scenarios.update({one.name: one for one in files.values()})
    return tuple(files[name].name if name in files else name for name in names)


def _size(scenario: Scenario, kind: WorldKind) -> str:
    return DEFAULT_PROFILE[kind] if scenario.pinned is None else scenario.pinned.experiment.profile


@click.command(name="run")
@click.argument("names", metavar="[SCENARIO]...", nargs=-1, shell_complete=scenario_names)
@click.option("--world", default="sim", show_default=True, envvar="HARNESS_WORLD", help="sim or real.")
@click.option("--profile", help="Size of the scenario: full or short. Default: full in sim, short in real.")
@click.option(
    "--seed",
    metavar="N",
    type=WholeNumber(min=0),
    default=1,
    show_default=True,
    envvar="HARNESS_SEED",
    help="First seed.",
)
@click.option(
    "--seeds",
    metavar="N",
    type=WholeNumber(1, 1_000_000),
    default=1,
    show_default=True,
    envvar="HARNESS_SEEDS",
    help="How many seeds.",
)
@click.option(
    "--target",
    "targets",
    multiple=True,
    metavar="PORT=MODULE:FACTORY",
    help="Code under test; or PORT:VARIANT for a flawed one.",
)
@click.option("-k", "keyword", metavar="TEXT", help="Only scenarios whose name contains TEXT, or matches it as a glob.")
@baseline_option
@limit_options
@output_options
def command(
    names: tuple[str, ...],
    world: str,
    profile: str | None,
    seed: int,
    seeds: int,
    keyword: str | None,
    **rest: Any,
) -> int:
    """Run scenarios against the reference, or against a target of your own, and judge them.

    SCENARIO is a name, or a Python file with a SCENARIO in it. Without one, all scenarios run, or with --target those
    that have its port. The last line says the verdict; the run folder holds the reports and histories.
    """
    from harness.cli.work import baseline_of, do, limits_of, show_of, stable_interpreter
    from harness.past import Past
    from harness.schedule import in_order

    config = load_config(Path.cwd())
    if seed + seeds > _SEEDS_MAX:
        raise UsageError(f"--seed {seed}: seeds stay below {_SEEDS_MAX}, the most that a history holds")
    if world not in get_args(WorldKind):
        raise unknown_name("world", world, get_args(WorldKind))
    kind: WorldKind = "sim" if world == "sim" else "real"
    scenarios = discover(config.scenarios)
    names = _with_files(names, scenarios)
    chosen = select(scenarios, names, keyword)
    check_ports(scenarios.values(), config.targets)
    wishes = {one.name: rest["targets"] for one in chosen} if names else share(chosen, rest["targets"])
    chosen = [one for one in chosen if one.name in wishes]
    wanted = {one.name: choose(one, [*for_ports(one, config.targets), *wishes[one.name]]) for one in chosen}
    wanted = {one.name: checked(one, wanted[one.name], config, kind) for one in chosen}
    sizes = {one.name: profile or _size(one, kind) for one in chosen}
    for one in chosen:
        one.profile(sizes[one.name])
    baseline = baseline_of(rest)
    options = world_options(rest, real_runs=len(chosen) * seeds if kind == "real" else 0)
    for one in chosen:
        plan(one.profile(sizes[one.name]), Tape(seed), options.left_out(kind))

    def jobs(folder: Path) -> list[Job]:
        return [
            Single(
                order=Order(
                    scenario=one,
                    profile=sizes[one.name],
                    world=kind,
                    seed=number,
                    targets=wanted[one.name],
                    folder=folder,
                    label="reference" if wanted[one.name] == one.ports else "target",
                    options=options,
                ),
                keep_history=seeds <= _KEEP_HISTORIES or number == seed,
            )
            for one in chosen
            for number in range(seed, seed + seeds)
        ]

    if kind == "sim":
        stable_interpreter()
    limits = limits_of(rest)
    order = in_order(Past()) if limits.budget_s and len(chosen) > 1 else None
    return do(jobs, limits, show_of(rest, config), baseline=baseline, order=order)
