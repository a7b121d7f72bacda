"""`harness check`: judge a stored history again, with the invariants as they are now."""

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from harness.campaign import Done
from harness.cli.config import load_config
from harness.cli.options import output_options
from harness.gate import session
from harness.registry import discover
from harness.runner import check


@click.command(name="check")
@click.argument("histories", metavar="HISTORY...", nargs=-1, required=True, type=click.Path(path_type=Path))
@output_options
def command(histories: tuple[Path, ...], **rest: Any) -> int:
    """Judge stored histories again. Nothing is run: the verdict comes from the files alone."""
    from harness.cli.work import show_of, tell

    config = load_config(Path.cwd())
    scenarios = discover(config.scenarios)
    runs = tuple(check(path, scenarios) for path in histories)
    done = Done(runs=runs, flawed=(), skipped=(), interrupted=False)
    now = datetime.now(tz=UTC).isoformat(timespec="seconds")
    result = session(done, command=sys.argv[1:], started_utc=now)
    tell(result, show_of(rest, config))
    return result.exit_code
