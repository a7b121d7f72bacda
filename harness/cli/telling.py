"""What `explore` and `shrink` share: take a failure apart, store it, and say what it is.

Everything on stdout is the same for the same command: no time, no random name. A failure's folder is named after what
fails in it, so that finding it again writes the same files.
"""

import importlib
import os
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import click

from harness.campaign import Done
from harness.cli.folder import RunFolder, point_latest
from harness.errors import HarnessError
from harness.experiment import Experiment
from harness.explore.applied import pinned
from harness.explore.difference import between, lines, parting
from harness.explore.draw import Larder
from harness.explore.execute import Laboratory
from harness.explore.module_text import module_of, module_text, name_of
from harness.explore.shrink import Shrunk, shrink
from harness.gate import session
from harness.history.store import load
from harness.runner import Made, Order, make
from harness.verdict import Finding, Outcome, RunResult

FOUND: Final = "found"
_FILE: Final = "scenario.py"


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """An experiment that violates an invariant, and where and how it is to be told of."""

    experiment: Experiment
    invariant: str
    origin: str
    out: Path
    formats: tuple[str, ...]
    shrinks_max: int


def tell_failure(failure: Failure, laboratory: Laboratory, larder: Larder) -> Experiment:
    """Shrink a failure, store it in a folder of its own, and print what it is; return what it was shrunk to."""
    small = _shrunk(failure, laboratory, larder)
    scenario, targets = laboratory.scenario, laboratory.targets
    name = name_of(scenario, failure.invariant, small.experiment, targets)
    folder = RunFolder(failure.out.absolute() / FOUND / name, datetime.now(tz=UTC).isoformat(timespec="seconds"))
    made = _stored(name, failure, small.experiment, laboratory, folder)
    result = made.result
    finding = next(one.finding for one in result.invariants if one.id == failure.invariant)
    file = _written(name, small.experiment, laboratory, failure.invariant, finding, folder, result)
    _reports(result, folder, failure)
    for line in _told(failure, small, result, laboratory, file):
        click.echo(line)
    if small.passing is not None:
        _, passed = laboratory.make(small.passing)
        click.echo("\nNearest experiment that passes")
        for line in between(small.experiment, small.passing):
            click.echo(f"  {line}")
        click.echo("\nFirst recorded differently (- fails, + passes)")
        for line in parting(made.history, passed.history):
            click.echo(f"  {line}")
    shown = _shown(folder.path)
    click.echo(f"\nscenario: {shown / _FILE}\nrun:      harness run {shown / _FILE}")
    click.echo(f"replay:   harness replay {shown}#{failure.invariant}")
    return small.experiment


def _shrunk(failure: Failure, laboratory: Laboratory, larder: Larder) -> Shrunk:
    def fails(experiment: Experiment) -> bool:
        return failure.invariant in laboratory.outcomes(experiment).violated

    def recorded(experiment: Experiment) -> dict[str, list[int]]:
        return laboratory.make(experiment)[1].tape.recorded()

    return shrink(failure.experiment, fails, larder, executions_max=failure.shrinks_max, recorded=recorded)


def _stored(name: str, failure: Failure, small: Experiment, laboratory: Laboratory, folder: RunFolder) -> Made:
    """Make the failure once more, as the scenario of its own that it becomes, and keep the history."""
    scenario = laboratory.scenario
    order = Order(
        scenario=pinned(scenario, small, name=name, target=laboratory.targets, invariants=_ids(laboratory, small)),
        profile=small.profile,
        world="sim",
        seed=small.seed,
        targets=laboratory.targets,
        folder=folder.path,
        label="found",
    )
    made = make(order, keep=lambda _: True)
    violated = [one.id for one in made.result.invariants if one.verdict is Outcome.VIOLATED]
    if failure.invariant not in violated:
        raise HarnessError(f"not reproducible: {failure.invariant} was violated, and is not when made once more")
    return made


def _ids(laboratory: Laboratory, small: Experiment) -> tuple[str, ...]:
    """Return the invariants that this experiment says something of: a repaired target then passes it."""
    results = laboratory.make(small)[1].result.invariants
    judges = laboratory.judges(small)
    return tuple(one.id for one in results if one.id in judges and one.verdict in {Outcome.VIOLATED, Outcome.HOLDS})


def _written(
    name: str,
    small: Experiment,
    laboratory: Laboratory,
    invariant: str,
    finding: Finding | None,
    folder: RunFolder,
    result: RunResult,
) -> Path:
    text = module_text(
        laboratory.scenario,
        small,
        name=name,
        module=module_of(laboratory.scenario) or "scenarios",
        targets=laboratory.targets,
        invariants=[one.id for one in result.invariants],
        sentence=f"{invariant} is violated: {'' if finding is None else finding.sentence}",
    )
    path = folder.path / _FILE
    fresh = path.with_suffix(".partial")
    with fresh.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
    return path


def _reports(result: RunResult, folder: RunFolder, failure: Failure) -> None:
    reports: Any = importlib.import_module("reports")  # found by name: the harness does not depend on it
    done = Done(runs=(result,), flawed=(), skipped=(), interrupted=False)
    report = reports.build(session(done, command=sys.argv[1:], started_utc=folder.started_utc), _history)
    reports.write(report, folder.path, tuple(dict.fromkeys((*failure.formats, "json"))))  # replay looks into the JSON
    point_latest(folder, failure.out)


def _history(path: str) -> Any:
    return load(Path(path))


def _told(failure: Failure, small: Shrunk, result: RunResult, laboratory: Laboratory, file: Path) -> Iterator[str]:
    del file
    scenario = laboratory.scenario
    invariant = next(one for one in result.invariants if one.id == failure.invariant)
    others = [one.id for one in result.invariants if one.verdict is Outcome.VIOLATED and one is not invariant]
    yield f"VIOLATED  {invariant.id} {invariant.name}  {scenario.name}, {_targets(scenario.ports, laboratory.targets)}"
    yield f"  {failure.origin}"
    end = "" if small.complete else ", and there was more to try (--shrinks)"
    count = len(small.experiment.faults)
    yield f"  shrunk in {small.executions} executions to {count} fault{'' if count == 1 else 's'}{end}"
    if others:
        yield f"  it violates {', '.join(others)} as well"
    finding = invariant.finding
    if finding is not None:
        yield f"  {finding.sentence}"
    yield "\nExperiment"
    yield from (f"  {line}" for line in lines(small.experiment))
    if finding is not None and finding.rows:
        yield "\nTimeline"
        for row in finding.rows:
            yield f"  {'>' if row.offending else ' '}{row.time_s:9.3f} s  {row.actor}  {row.event}  {row.id}".rstrip()


def _targets(ports: Mapping[str, str], targets: Mapping[str, str]) -> str:
    changed = [f"{port}={path}" for port, path in targets.items() if ports.get(port) != path]
    return ", ".join(changed) or "reference"


def _shown(path: Path) -> Path:
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
