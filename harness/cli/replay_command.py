"""`harness replay`: make a stored run again from what its history says, and compare."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from harness.campaign import Job, Single
from harness.cli.config import load_config
from harness.cli.located import locate
from harness.cli.options import limit_options, output_options, world_options
from harness.code_hash import changed, code_hashes
from harness.errors import UsageError
from harness.history.events import RunEnded, RunStarted
from harness.history.store import load
from harness.registry import discover
from harness.runner import Order, scenario_of
from harness.scenario import Scenario
from harness.targets import resolve
from harness.world.base import WorldKind
from harness.worlds import Options


@click.command(name="replay")
@click.argument("run", metavar="RUN[#FINDING]")
@limit_options
@output_options
def command(run: str, **rest: Any) -> int:
    """Run again what a stored history records: same scenario, world, target and seed, or the same experiment.

    In the sim world the trace digest must be the same; which code has changed since the run is said. RUN is a run
    folder, `latest`, or a history (.jsonl); FINDING the id of an invariant or the number of a finding in that run.
    """
    from harness.cli.work import do, limits_of, show_of, stable_interpreter

    config = load_config(Path.cwd())
    stored = load(locate(run, config.out).history)
    header, last = stored.header, stored.events[-1]
    before = last.trace_digest if isinstance(last, RunEnded) else None
    scenario = _scenario(header, discover(config.scenarios))
    for factory in header.targets.values():
        resolve(factory)
    options = world_options(rest, real_runs=1 if header.world == "real" else 0)
    world: WorldKind = "sim" if header.world == "sim" else "real"
    if tuple(header.left_out) != options.left_out(world):
        raise UsageError("made with another choice of --redis or --toxiproxy, which leave faults out; give the same")
    stable_interpreter()

    def jobs(folder: Path) -> list[Job]:
        return [Single(order=_order(header, scenario, world, folder, options))]

    def compare(result: Any) -> None:
        now = result.runs[0].trace_digest if result.runs else None
        print(_comparison(before, now, _changed(header, scenario)), file=sys.stderr)

    return do(jobs, limits_of(rest), show_of(rest, config), after=compare)


def _order(header: RunStarted, scenario: Scenario, world: WorldKind, folder: Path, options: Options) -> Order:
    return Order(
        scenario=scenario,
        profile=header.profile,
        world=world,
        seed=header.seed,
        targets=header.targets,
        folder=folder,
        label="replay",
        options=options,
    )


def _changed(header: RunStarted, scenario: Scenario) -> tuple[str, ...] | None:
    """Return the packages whose code is not what it was when the run was made; None if that is not known."""
    if not header.code:
        return None
    programs = [host.program.__module__ for host in scenario.profile(header.profile).hosts]
    return changed(header.code, code_hashes([*header.targets.values(), *programs]))


def _comparison(before: str | None, now: str | None, packages: tuple[str, ...] | None) -> str:
    said = f"; changed since: {', '.join(packages)}" if packages else ""
    if before is None or now is None:
        return f"replay: no trace to compare (real world, or a run that did not end){said}"
    if before == now:
        return f"replay: same trace ({now}){said}"
    if packages is None:
        said = "; the code has changed, or the run is not reproducible"
    elif not packages:
        said = "; the code is the same, so the run is not reproducible"
    return f"replay: NOT the same trace: {before} then, {now} now{said}"


def _scenario(header: RunStarted, scenarios: Mapping[str, Scenario]) -> Scenario:
    scenario = scenario_of(header, scenarios)
    if scenario is None:
        name = header.base or header.scenario
        raise UsageError(f"made by scenario {name!r}, which is not known here; known: {', '.join(scenarios)}")
    scenario.profile(header.profile)
    if header.targets.keys() != scenario.ports.keys():
        made, now = ", ".join(sorted(header.targets)), ", ".join(sorted(scenario.ports))
        raise UsageError(f"made with targets for {made or 'no port'}, but {scenario.name} now has {now}")
    return scenario
