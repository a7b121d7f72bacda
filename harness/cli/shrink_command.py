"""`harness shrink`: from a stored run that failed to the simplest one that fails in the same way."""

import tempfile
from pathlib import Path
from typing import Final

import click

from harness.cli.config import load_config
from harness.cli.located import locate
from harness.cli.options import FORMATS, WholeNumber
from harness.errors import HarnessError, UsageError
from harness.history.store import load
from harness.registry import discover
from harness.targets import resolve
from harness.verdict import EXIT_VIOLATED

_SHRINKS: Final = 200


@click.command(name="shrink")
@click.argument("run", metavar="RUN[#FINDING]")
@click.option(
    "--shrinks",
    metavar="N",
    type=WholeNumber(0, 100_000),
    default=_SHRINKS,
    show_default=True,
    help="Executions at most.",
)
@click.option("--out", type=click.Path(path_type=Path), envvar="HARNESS_OUT", help="Folder of run folders.")
def command(run: str, shrinks: int, out: Path | None) -> int:
    """Shrink a stored run that violates an invariant, of `run`, `gate` or `explore`; in the sim world.

    RUN is a run folder, `latest`, or a history (.jsonl); FINDING the id of an invariant or the number of a finding.
    Without one, the first violated invariant is meant.
    """
    from harness.cli.telling import Failure, tell_failure
    from harness.cli.work import stable_interpreter
    from harness.explore.execute import Laboratory
    from harness.explore.search import larder_of, quiet_history
    from harness.explore.stored import experiment_of

    config = load_config(Path.cwd())
    located = locate(run, config.out)
    header = load(located.history).header
    scenarios = discover(config.scenarios)
    scenario = scenarios.get(header.base or header.scenario)
    if scenario is None:
        raise UsageError(f"made by scenario {header.base or header.scenario!r}, which is not known here")
    for path in header.targets.values():
        resolve(path)
    stable_interpreter()
    experiment = experiment_of(header, scenario)
    with tempfile.TemporaryDirectory(prefix="harness-shrink-") as scratch:
        laboratory = Laboratory(scenario, header.targets, Path(scratch))
        outcomes = laboratory.outcomes(experiment)
        if outcomes.errors:
            raise HarnessError(f"the run cannot be made again: {outcomes.errors[0]}")
        wanted = located.invariant or next(iter(outcomes.violated), None)
        if wanted is None or wanted not in outcomes.violated:
            raise HarnessError(f"made again in the sim world, it does not violate {wanted or 'any invariant'}")
        failure = Failure(
            experiment=experiment,
            invariant=wanted,
            origin=f"from seed {header.seed}, {len(experiment.faults)} faults",
            out=out or config.out,
            formats=FORMATS,
            shrinks_max=shrinks,
        )
        tell_failure(failure, laboratory, larder_of(scenario, quiet_history(laboratory), experiment.profile))
    return EXIT_VIOLATED
