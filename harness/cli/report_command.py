"""`harness report`: the reports of a stored run, made again from what its folder holds."""

import importlib
from pathlib import Path
from typing import Any, Final

import click

from harness.cli.config import load_config
from harness.cli.options import report_option
from harness.errors import UsageError
from harness.history.history import History

_LATEST: Final = "latest"


@click.command(name="report")
@click.argument("run", metavar="RUN", type=click.Path(path_type=Path))
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    metavar="FOLDER",
    help="Write into this folder. Default: the run folder itself, whose report.json is left as it is.",
)
@report_option
def command(run: Path, out: Path | None, formats: tuple[str, ...]) -> int:
    """Make the reports of RUN again: a run folder, the report.json in it, or `latest`.

    Nothing is run and nothing is judged: verdict and findings are those of report.json, and the charts come from the
    histories beside it. The paths that were written go to stdout; the exit code is 0 whatever the verdict.
    """
    if str(run) == _LATEST and not run.exists():
        run = load_config(Path.cwd()).out / _LATEST
    reports: Any = importlib.import_module("reports")  # found by name: the harness does not depend on it
    session = reports.read(run)
    folder = run if run.is_dir() else run.parent
    into = folder if out is None else out
    if _same(into, folder):  # the record stays: a newer harness may have written more into it than this one reads
        formats = tuple(name for name in formats if name != "json")
    report = reports.build(session, _histories_in(folder))
    try:
        written = reports.write(report, into, formats)
    except OSError as error:
        raise UsageError(f"cannot write to {into}: {error.strerror or error}") from error
    for path in written:
        click.echo(path)
    if not written:
        click.echo(f"harness: {folder / 'report.json'} is the record itself; --out writes it elsewhere", err=True)
    return 0


def _same(one: Path, other: Path) -> bool:
    return one.exists() and one.samefile(other)


def _histories_in(folder: Path) -> Any:
    """Return what loads a history: from the folder where it is there, as a run folder may have been moved."""
    from harness.history.store import load

    def stored(path: str) -> History:
        beside = folder / "histories" / Path(path).name
        return load(beside if beside.exists() else Path(path))

    return stored
