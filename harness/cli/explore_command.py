"""`harness explore`: let a scenario's faults, workload, callback order and seed be drawn, until an invariant breaks."""

import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from harness.cli.config import load_config
from harness.cli.options import FORMATS, WholeNumber, scenario_names
from harness.cli.own_targets import checked
from harness.errors import UsageError
from harness.explore.coverage import PHASES, Coverage
from harness.registry import discover, select
from harness.targets import check_ports, choose, for_ports
from harness.verdict import EXIT_HARNESS_ERROR, EXIT_PASS, EXIT_VIOLATED

if TYPE_CHECKING:
    from harness.explore.search import Searched

_ERRORS_MAX: Final = 5
_SEEDS_MAX: Final = 1 << 63


@click.command(name="explore")
@click.argument("name", metavar="SCENARIO", shell_complete=scenario_names)
@click.option(
    "--target",
    "targets",
    multiple=True,
    metavar="PORT=MODULE:FACTORY",
    help="Code under test; or PORT:VARIANT for a flawed one.",
)
@click.option(
    "--executions",
    metavar="N",
    type=WholeNumber(1, 1_000_000),
    default=200,
    show_default=True,
    envvar="HARNESS_EXECUTIONS",
    help="How many experiments to make at most.",
)
@click.option(
    "--time-budget",
    type=click.FloatRange(min=0, min_open=True),
    metavar="SECONDS",
    envvar="HARNESS_TIME_BUDGET",
    help="Make no new one after this long.",
)
@click.option(
    "--seed", metavar="N", type=WholeNumber(0, _SEEDS_MAX), default=1, show_default=True, help="Of the search."
)
@click.option(
    "--shrinks", metavar="N", type=WholeNumber(0, 100_000), default=200, show_default=True, help="Executions to shrink."
)
@click.option("--invariant", "invariants", multiple=True, metavar="ID", help="Look for violations of these only.")
@click.option(
    "--database",
    type=click.Path(path_type=Path),
    metavar="FOLDER",
    envvar="HARNESS_DATABASE",
    help="Where failures are kept to be tried first the next time. Default: examples, in the out folder.",
)
@click.option("--no-database", is_flag=True, help="Neither try earlier failures nor keep new ones.")
@click.option("--out", type=click.Path(path_type=Path), envvar="HARNESS_OUT", help="Folder of run folders.")
@click.option("-q", "--quiet", is_flag=True, help="No progress on stderr.")
def command(
    name: str,
    targets: tuple[str, ...],
    executions: int,
    time_budget: float | None,
    seed: int,
    shrinks: int,
    invariants: tuple[str, ...],
    database: Path | None,
    out: Path | None,
    *,
    no_database: bool,
    quiet: bool,
) -> int:
    """Search for a failure of SCENARIO that its own schedule does not show.

    Faults are drawn from all that applies to its hosts, links and dependencies. The first violated invariant ends the
    search; it is shrunk, explained, and written down as a scenario file. The same command gives the same output, unless
    the time budget or a failure in the database ends it earlier.
    """
    from harness.cli.telling import Failure, tell_failure
    from harness.cli.work import stable_interpreter
    from harness.explore.execute import Laboratory
    from harness.explore.failures import Failures
    from harness.explore.search import larder_of, quiet_history, search

    config = load_config(Path.cwd())
    scenarios = discover(config.scenarios)
    (scenario,) = select(scenarios, (name,), None)
    check_ports(scenarios.values(), config.targets)
    chosen = checked(scenario, choose(scenario, [*for_ports(scenario, config.targets), *targets]), config, "sim")
    if unknown := set(invariants) - {one.id for one in scenario.invariants}:
        raise UsageError(f"--invariant {', '.join(sorted(unknown))}: not an invariant of {scenario.name}")
    stable_interpreter()
    out = out or config.out
    kept = None if no_database else database or out / "examples"
    with tempfile.TemporaryDirectory(prefix="harness-explore-") as scratch:
        laboratory = Laboratory(scenario, chosen, Path(scratch))
        failures = Failures(kept, scenario.name, chosen)
        done = search(
            laboratory,
            failures,
            executions=executions,
            seed=seed,
            wanted=invariants or None,
            go_on=_while_in(time_budget),
            told=_silent if quiet else _told,
        )
        _print_search(scenario.name, seed, done)
        if done.found is not None:
            where = "remembered from an earlier search" if done.remembered else f"found in execution {done.executions}"
            failure = Failure(
                experiment=done.found,
                invariant=done.violated[0],
                origin=f"{where} (seed {seed}); {_faults(len(done.found.faults))} drawn",
                out=out,
                formats=FORMATS,
                shrinks_max=shrinks,
            )
            failures.keep(tell_failure(failure, laboratory, larder_of(scenario, quiet_history(laboratory))))
    if done.errors:
        return EXIT_HARNESS_ERROR
    return EXIT_PASS if done.found is None else EXIT_VIOLATED


def _faults(count: int) -> str:
    return "1 fault" if count == 1 else f"{count or 'no'} faults"


def _while_in(time_budget: float | None) -> Callable[[], str]:
    """Return what says why not to go on, from now on: nothing while there is time."""
    began = time.monotonic()

    def go_on() -> str:
        spent = time_budget is not None and time.monotonic() - began > time_budget
        return f"time budget of {time_budget:g} s spent" if spent else ""

    return go_on


def _told(count: int, errors: int, reached: int) -> None:
    """Say how far it is, ever less often."""
    if count & (count - 1) == 0 or count % 50 == 0:
        said = f", {errors} of them broke" if errors else ""
        print(f"explore: {count} executions{said}, {reached} features reached", file=sys.stderr)


def _silent(*_: int) -> None:
    """Say nothing."""


def _print_search(name: str, seed: int, done: "Searched") -> None:
    """Print how far the search went, what it reached, and what broke on the way."""
    click.echo(f"{name}: {done.executions} executions, seed {seed}{_why(done.stopped)}")
    _print_coverage(done.coverage)
    for broken in done.errors[:_ERRORS_MAX]:
        click.echo(f"ERROR  seed {broken.experiment.seed}: {broken.text}")
    if len(done.errors) > _ERRORS_MAX:
        click.echo(f"ERROR  and {len(done.errors) - _ERRORS_MAX} more")
    click.echo()
    if done.found is None:
        click.echo(f"Nothing found: no invariant was violated in {done.executions} executions.")


def _why(stopped: str) -> str:
    return f" ({stopped})" if stopped and stopped != "executions" else ""


def _print_coverage(coverage: Coverage) -> None:
    """Print which faults met which operations: executions, by phase and outcome (ok/fail/info)."""
    rows = coverage.table()
    if not rows:
        return
    click.echo(
        f"\n{'fault':<40} {'operation':<14} {' '.join(f'{phase:<12}' for phase in PHASES)} executions: ok/fail/?"
    )
    for fault, operation, phases in rows:
        cells = " ".join(f"{_cell(phases.get(phase, {})):<12}" for phase in PHASES)
        click.echo(f"{fault:<40} {operation:<14} {cells}".rstrip())
    click.echo()


def _cell(outcomes: dict[str, int]) -> str:
    return "/".join(str(outcomes.get(one, 0)) for one in ("ok", "fail", "info")) if outcomes else "-"
