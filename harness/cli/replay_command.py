"""`harness replay`: make a stored run again from what its history says, and compare."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from harness.campaign import Job, Single
from harness.cli.config import load_config
from harness.cli.options import limit_options, output_options, world_options
from harness.errors import UsageError
from harness.history.events import RunEnded, RunStarted
from harness.history.store import load
from harness.registry import discover
from harness.runner import Order
from harness.scenario import Scenario
from harness.targets import resolve
from harness.world.base import WorldKind
from harness.worlds import Options

_NAMES_MAX = 5


@click.command(name="replay")
@click.argument("history", type=click.Path(path_type=Path))
@limit_options
@output_options
def command(history: Path, **rest: Any) -> int:
    """Run again what a stored history records: same scenario, world, target and seed.

    In the sim world the trace digest must be the same; if the code has changed since, it is said that it differs.
    HISTORY is a .jsonl file, or a run folder with a single history in it.
    """
    from harness.cli.work import do, limits_of, show_of, stable_interpreter

    config = load_config(Path.cwd())
    path = _history(history)
    stored = load(path)
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
        print(_comparison(before, now), file=sys.stderr)

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


def _comparison(before: str | None, now: str | None) -> str:
    if before is None or now is None:
        return "replay: no trace to compare (real world, or a run that did not end)"
    if before == now:
        return f"replay: same trace ({now})"
    return f"replay: NOT the same trace: {before} then, {now} now; the code has changed, or the run is not reproducible"


def _scenario(header: RunStarted, scenarios: Mapping[str, Scenario]) -> Scenario:
    scenario = scenarios.get(header.scenario)
    if scenario is None:
        raise UsageError(
            f"made by scenario {header.scenario!r}, which is not known here; known: {', '.join(scenarios)}"
        )
    scenario.profile(header.profile)
    if header.targets.keys() != scenario.ports.keys():
        made, now = ", ".join(sorted(header.targets)), ", ".join(sorted(scenario.ports))
        raise UsageError(f"made with targets for {made or 'no port'}, but {scenario.name} now has {now}")
    return scenario


def _history(path: Path) -> Path:
    if not path.is_dir():
        return path
    found = sorted(path.glob("histories/*.jsonl"))
    if not found:
        raise UsageError(f"{path} is a folder without histories/*.jsonl, so not a run folder")
    if len(found) > 1:
        names = ", ".join(one.name for one in found[:_NAMES_MAX]) + (", ..." if len(found) > _NAMES_MAX else "")
        raise UsageError(f"{path} holds {len(found)} histories; name one of them: {names}")
    return found[0]
