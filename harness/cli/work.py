"""What `run` and `gate` share: do the jobs with progress, write the reports, say the verdict."""

import importlib
import signal
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from harness import interrupts
from harness.campaign import Done, Job, Limits, conduct
from harness.cli.config import Config
from harness.cli.folder import RunFolder, make_run_folder, point_latest
from harness.cli.progress import showing
from harness.compare import Side
from harness.farm import Farm
from harness.gate import session
from harness.history.history import History
from harness.history.store import load
from harness.readiness import Assessment
from harness.verdict import Session


@dataclass(frozen=True, slots=True, kw_only=True)
class Show:
    """What is shown and written."""

    out: Path
    formats: tuple[str, ...]
    as_json: bool
    plain: bool
    no_color: bool
    quiet: bool
    verbose: bool

    def console(self, *, stderr: bool) -> Console:
        """Return the console for results (stdout) or progress (stderr)."""
        colour = None if not (self.no_color or self.plain) else False
        return Console(stderr=stderr, no_color=colour is False or None, highlight=False, soft_wrap=False)


def show_of(flags: Mapping[str, Any], config: Config) -> Show:
    """Return what the flags of `output_options` ask for."""
    return Show(
        out=flags["out"] or config.out,
        formats=flags["formats"],
        as_json=flags["as_json"],
        plain=flags["plain"],
        no_color=flags["no_color"],
        quiet=flags["quiet"],
        verbose=flags["verbose"],
    )


def limits_of(flags: Mapping[str, Any], real_jobs: int = 1) -> Limits:
    """Return what the flags of `limit_options` ask for."""
    return Limits(
        jobs=flags["jobs"],
        real_jobs=real_jobs,
        budget_s=flags["time_budget"],
        fail_fast=flags["fail_fast"],
        run_timeout_s=flags["run_timeout"],
        executor=flags["executor"],
    )


def baseline_of(flags: Mapping[str, Any]) -> Side | None:
    """Return the session that `--baseline` names. Raises `UsageError` if it cannot be read."""
    if flags["baseline"] is None:
        return None
    from harness.baseline import load_baseline

    return load_baseline(flags["baseline"]).side


def stable_interpreter() -> None:
    """Start this process anew where its hash seed would make sim runs differ from one process to the next."""
    from harness.world.sim.identity import ensure_stable_interpreter

    ensure_stable_interpreter()


def do(
    make_jobs: Callable[[Path], Sequence[Job]],
    limits: Limits,
    show: Show,
    *,
    after: Callable[[Session], None] | None = None,
    baseline: Side | None = None,
    order: Callable[[Sequence[Job]], Sequence[Job]] | None = None,
    assess: Callable[[Done, Sequence[Job]], Assessment] | None = None,
) -> int:
    """Do the jobs, report, tell `after` of the result, and return the exit code.

    `order` puts them in the order in which they are done; `assess` says what they come to where a policy decides that.

    Ctrl-C and SIGTERM end the work early: faults healed, children stopped, history kept, reports written.
    """
    with _farm(limits.executor) as farm, interrupts.heeded(signal.SIGINT, signal.SIGTERM):
        folder = make_run_folder(show.out)
        jobs = make_jobs(folder.path)
        with showing(
            show.console(stderr=True),
            jobs,
            quiet=show.quiet or show.as_json,
            plain=show.plain,
            verbose=show.verbose,
            interleaved=order is not None,
        ) as progress:
            done = conduct(jobs, limits, progress, order=order, farm=farm)
        result = session(
            done,
            command=sys.argv[1:],
            started_utc=folder.started_utc,
            baseline=baseline,
            assessment=None if assess is None else assess(done, jobs),
        )
        tell(result, show, folder)
    if after is not None:
        after(result)
    return result.exit_code


@contextmanager
def _farm(executor: str | None) -> Iterator[Farm | None]:
    if executor is None:
        yield None
        return
    from harness.cluster import cluster

    with cluster(executor) as farm:
        yield farm


def tell(result: Session, show: Show, folder: RunFolder | None = None) -> None:
    """Write the reports (when there is a folder for them) and print the verdict on stdout."""
    reports: Any = importlib.import_module("reports")  # found by name: the harness does not depend on it
    report = reports.build(result, _stored)
    written: list[Path] = []
    if folder is not None:
        written = reports.write(report, folder.path, show.formats)
        point_latest(folder)
    if show.as_json:
        click.echo(reports.FORMATS["json"].render(report), nl=False)
    elif show.quiet:
        click.echo(f"{report.headline.word}  {report.headline.sentence}")
    else:
        console = show.console(stderr=False)
        reports.print_summary(report, console, plain=show.plain, report_path=_shown(written))


def _shown(written: Sequence[Path]) -> Path | None:
    """The report that a person opens: the page if there is one, as seen from where the command was run."""
    path = next((one for one in written if one.suffix == ".html"), next(iter(written), None))
    if path is None or not path.is_relative_to(Path.cwd()):
        return path
    return path.relative_to(Path.cwd())


def _stored(path: str) -> History:
    return load(Path(path))
