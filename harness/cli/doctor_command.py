"""`harness doctor`: what works on this machine, and what killed runs left behind."""

import os
import shutil
import textwrap
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from harness.cli.checkup import Check, checkup, size
from harness.cli.config import Config, load_config
from harness.cli.width import text_width
from harness.errors import HarnessError
from harness.registry import discover
from harness.verdict import EXIT_HARNESS_ERROR, EXIT_PASS

if TYPE_CHECKING:
    from harness.world.real.leftovers import LeftProcess, LeftRun

_NAME_WIDTH: Final = 18
_WORDS: Final = {"ok": "ok", "absent": "-", "broken": "BROKEN"}


@click.command(name="doctor")
@click.option("--clean", is_flag=True, help="End and remove what killed runs left behind.")
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
def command(*, clean: bool, as_json: bool) -> int:
    """Show what is installed and what killed runs left behind.

    Exit code 0 if all that is needed works, 3 if something does not; the lines say what to do. A dash marks what is
    optional and not there. Runs that are still going are never touched.
    """
    from harness.world.real import leftovers
    from harness.world.sim import disks

    config = load_config(Path.cwd())
    checks = [*checkup(), _scenarios(config), _out(config)]
    found = [*leftovers.find(), *_abandoned_disks()]
    surviving = leftovers.clean(found) if clean else []
    if clean:
        for path in disks.abandoned():
            shutil.rmtree(path, ignore_errors=True)
    usable = not surviving and all(one.state != "broken" for one in checks)
    if as_json:
        _print_json(checks, found, surviving, cleaned=clean, usable=usable)
    else:
        for check in checks:
            _line(check)
        click.echo()
        _print_left(found, surviving, cleaned=clean)
        click.echo("All that is needed works." if usable else "Something that is needed does not work: see above.")
    return EXIT_PASS if usable else EXIT_HARNESS_ERROR


def _abandoned_disks() -> list["LeftRun"]:
    from harness.world.real.leftovers import LeftRun
    from harness.world.sim import disks

    return [LeftRun(run_id=path.name, processes=(), directories=(path,), record=None) for path in disks.abandoned()]


def _scenarios(config: Config) -> Check:
    try:
        found = discover(config.scenarios)
    except HarnessError as error:
        return Check(name="scenarios", state="broken", text=str(error))
    if not found:
        text = f"none in {', '.join(config.scenarios) or 'no package'}"
        return Check(name="scenarios", state="broken", text=text, advice="name packages in [tool.harness] scenarios")
    return Check(name="scenarios", state="ok", text=f"{len(found)}: {', '.join(found)}")


def _out(config: Config) -> Check:
    """The folder may not be there yet; what counts is that it can be."""
    out = config.out
    standing = next(folder for folder in (out.absolute(), *out.absolute().parents) if folder.exists())
    if not standing.is_dir() or not os.access(standing, os.W_OK):
        advice = "remove what is in the way, or use --out"
        return Check(name="out folder", state="broken", text=f"{out} cannot be written", advice=advice)
    if standing != out.absolute():
        return Check(name="out folder", state="ok", text=f"{out}, not made yet")
    runs = [path for path in out.iterdir() if path.is_dir() and not path.is_symlink()]
    used = sum(path.lstat().st_size for path in out.rglob("*") if path.is_file() and not path.is_symlink())
    return Check(name="out folder", state="ok", text=f"{out}, {len(runs)} run folders, {size(used)}")


def _print_left(found: Sequence["LeftRun"], surviving: Sequence["LeftProcess"], *, cleaned: bool) -> None:
    if not found:
        click.echo("No run left anything behind.")
        return
    click.echo(f"{'Ended and removed' if cleaned else 'Left behind by killed runs'}:")
    for run in found:
        _wrapped(f"run {run.run_id}", "  ")
        for process in run.processes:
            failed = " COULD NOT BE ENDED" if process in surviving else ""
            _wrapped(f"process {process.pid}{failed}: {process.command}", "    ")
        for directory in run.directories:
            _wrapped(f"folder {directory}", "    ")
        for proxy in run.proxies:
            _wrapped(f"proxy {proxy}, if that server still runs", "    ")
    if not cleaned:
        click.echo("`harness doctor --clean` ends and removes them.")


def _print_json(
    checks: Sequence[Check],
    found: Sequence["LeftRun"],
    surviving: Sequence["LeftProcess"],
    *,
    cleaned: bool,
    usable: bool,
) -> None:
    import json

    document: dict[str, Any] = {
        "usable": usable,
        "checks": [asdict(one) for one in checks],
        "left": [
            {
                "run": run.run_id,
                "processes": [{"pid": one.pid, "command": one.command} for one in run.processes],
                "folders": [str(one) for one in run.directories],
                "proxies": list(run.proxies),
            }
            for run in found
        ],
        "cleaned": cleaned,
        "could_not_be_ended": [one.pid for one in surviving],
    }
    click.echo(json.dumps(document, indent=2))


def _line(check: Check) -> None:
    label = f"{_WORDS[check.state]:<7} {check.name:<{_NAME_WIDTH - 1}} "
    text = f"{check.text}; {check.advice}" if check.advice else check.text
    _wrapped(text, label, " " * len(label))


def _wrapped(text: str, first: str, rest: str | None = None) -> None:
    """Print foreign text (paths, command lines) as wide as there is room, with nothing that a terminal would obey."""
    shown = "".join(sign if sign.isprintable() else "?" for sign in " ".join(text.split()))
    follow = " " * (len(first) + 2) if rest is None else rest
    click.echo(
        textwrap.fill(shown, text_width(), initial_indent=first, subsequent_indent=follow, break_on_hyphens=False)
    )
