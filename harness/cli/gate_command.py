"""`harness gate`: everything there is, judged for release."""

from pathlib import Path
from typing import Any, get_args

import click

from harness.cli.config import Config, load_config
from harness.cli.options import WholeNumber, limit_options, output_options, world_options
from harness.errors import unknown_name
from harness.gate import GatePolicy, gate_jobs
from harness.registry import discover, select
from harness.targets import check_ports, choose, for_ports, resolve
from harness.world.base import WorldKind


@click.command(name="gate")
@click.option("--world", type=str, help="Only this world: sim or real. Default: both.")
@click.option("--seeds", metavar="N", type=WholeNumber(1, 100_000), help="Sim seeds per scenario.  [default: 20]")
@click.option("-k", "keyword", metavar="TEXT", help="Only scenarios whose name contains TEXT, or matches it as a glob.")
@limit_options
@output_options
def command(world: str | None, seeds: int | None, keyword: str | None, **rest: Any) -> int:
    """Run every scenario in both worlds, and every flawed variant, and give one verdict.

    READY needs everything: the target passes every seed in both worlds, every fault bites, the same seed gives the
    same history, and every flawed variant is caught by the invariant that was written for it.
    """
    from harness.cli.work import do, limits_of, show_of, stable_interpreter

    config = load_config(Path.cwd())
    policy = _policy(config, world, seeds)
    known = discover(config.scenarios)
    scenarios = select(known, tuple(config.gate.get("scenarios", ())), keyword)
    check_ports(known.values(), config.targets)
    for one in scenarios:
        for path in choose(one, for_ports(one, config.targets)).values():
            resolve(path)
    options = world_options(rest, real_runs=len(scenarios) * policy.real_seeds if "real" in policy.worlds else 0)
    stable_interpreter()
    limits = limits_of(rest, config.gate.get("real_jobs", 1))
    return do(lambda folder: gate_jobs(scenarios, policy, folder, options), limits, show_of(rest, config))


def _policy(config: Config, world: str | None, seeds: int | None) -> GatePolicy:
    known = get_args(WorldKind)
    names = [world] if world is not None else list(config.gate.get("worlds", known))
    for name in names:
        if name not in known:
            raise unknown_name("world", name, known)
    worlds: tuple[WorldKind, ...] = tuple(one for one in known if one in names)
    defaults = GatePolicy()
    return GatePolicy(
        sim_seeds=seeds or config.gate.get("sim_seeds", defaults.sim_seeds),
        real_seeds=config.gate.get("real_seeds", defaults.real_seeds),
        hunt_seeds=config.gate.get("hunt_seeds", defaults.hunt_seeds),
        worlds=worlds,
        targets=config.targets,
    )
