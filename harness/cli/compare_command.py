"""`harness compare`: two stored sessions, and what became worse beyond the spread of repeated seeds."""

import importlib
from pathlib import Path
from typing import Any

import click

from harness.cli.config import load_config
from harness.cli.options import output_options
from harness.verdict import EXIT_INCONCLUSIVE, EXIT_PASS, EXIT_REGRESSION


@click.command(name="compare")
@click.argument("before", metavar="BASELINE", type=click.Path(path_type=Path))
@click.argument("after", metavar="RUN", type=click.Path(path_type=Path))
@output_options
def command(before: Path, after: Path, **rest: Any) -> int:
    """Compare RUN with BASELINE: two run folders, or the report.json of each.

    Recovery times, latencies, drops and throughput of each scenario, world and target; and which findings are new,
    ongoing and resolved. A regression is flagged only beyond the spread of repeated seeds, and nothing is compared
    whose configuration differs. The exit code is that of RUN, 8 if all that is wrong with it is a regression, and 7 if
    nothing could be compared.
    """
    from harness.baseline import load_baseline
    from harness.cli.work import show_of
    from harness.compare import compare

    show = show_of(rest, load_config(Path.cwd()))
    old, new = load_baseline(before), load_baseline(after)
    comparison = compare(old.side, new.side)
    reports: Any = importlib.import_module("reports")
    if show.as_json:
        click.echo(reports.comparison_json(comparison), nl=False)
    else:
        reports.print_comparison(comparison, show.console(stderr=False), plain=show.plain, quiet=show.quiet)
    if new.exit_code != EXIT_PASS:
        return new.exit_code
    if comparison.is_empty:
        return EXIT_INCONCLUSIVE
    return EXIT_REGRESSION if comparison.regressed else EXIT_PASS
