"""`harness init`: the files to begin with, in the current folder. What is there already is never written over."""

import os
import tomllib
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Final

import click

from harness.errors import UsageError
from harness.verdict import EXIT_PASS

_PROJECT: Final = "pyproject.toml"
_CHAOS: Final[Mapping[str, str | None]] = {
    "chaos/__init__.py": None,
    "chaos/targets.py": "targets.py",
    "chaos/scenarios/__init__.py": None,
    "chaos/scenarios/redis_restart.py": "redis_restart.py",
    "chaos/test_chaos.py": "test_chaos.py",
}
_CI: Final[Mapping[str, Mapping[str, str]]] = {
    "github": {".github/workflows/chaos.yml": "github.yml"},
    "gitlab": {".gitlab-ci.yml": "gitlab.yml"},
    "none": {},
}


@click.command(name="init")
@click.option(
    "--ci",
    type=click.Choice(["both", *_CI]),
    default="both",
    show_default=True,
    help="For which CI a workflow is written.",
)
@click.option("--dry-run", is_flag=True, help="Show what would be written, and write nothing.")
def command(ci: str, *, dry_run: bool) -> int:
    """Write a commented starter: configuration, a target, a scenario, a test, CI.

    All or nothing: if a file is there already, or pyproject.toml has a [tool.harness], nothing is written.
    """
    folder = Path.cwd()
    wanted = dict(_CHAOS)
    for name, workflow in _CI.items():
        wanted |= workflow if ci in (name, "both") else {}
    new = not (folder / _PROJECT).exists()
    project = _with_section(folder / _PROJECT)
    contents = {path: "" if name is None else _template(name) for path, name in wanted.items()}
    there = [path for path in contents if os.path.lexists(folder / path)]
    if there:
        hint = "; --ci github leaves it out" if there == [".gitlab-ci.yml"] and ci == "both" else ""
        raise UsageError(f"nothing written: {', '.join(there)} is there already{hint}")
    if not dry_run:
        _write(folder, {**contents, _PROJECT: project})
    _tell(contents, dry_run=dry_run, new=new)
    return EXIT_PASS


def _template(name: str) -> str:
    return (files("harness.cli") / "starter" / f"{name}.txt").read_text(encoding="utf-8")


def _with_section(path: Path) -> str:
    """Return pyproject.toml's text with our section at its end. Raises `UsageError` if that cannot be."""
    section = _template(_PROJECT)
    try:
        before = path.read_bytes().decode()
        tools = tomllib.loads(before).get("tool", {})
    except FileNotFoundError:
        return section
    except (OSError, ValueError) as error:
        raise UsageError(f"nothing written: {path.name}: {' '.join(str(error).split())}") from None
    if isinstance(tools, dict) and "harness" in tools:
        raise UsageError(f"nothing written: {path.name} has a [tool.harness] already")
    newline = "\r\n" if "\r\n" in before else "\n"
    after = before + ("" if before.endswith("\n") or not before else newline) + (newline if before else "")
    after += section.replace("\n", newline)
    try:
        tomllib.loads(after)
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"nothing written: {path.name} takes no section at its end: {error}") from None
    return after


def _write(folder: Path, contents: Mapping[str, str]) -> None:
    """Write each file whole or not at all, pyproject.toml last: it names the others."""
    for name, text in contents.items():
        path = folder / name
        fresh = path.with_name(f".{path.name}.fresh")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with fresh.open("wb") as file:
                file.write(text.encode())
                file.flush()
                os.fsync(file.fileno())
            if path.exists():
                fresh.chmod(path.stat().st_mode)
            fresh.replace(path)
        except OSError as error:
            raise UsageError(f"cannot write {name}: {error.strerror}") from None


def _tell(contents: Mapping[str, str], *, dry_run: bool, new: bool) -> None:
    word = "would write" if dry_run else "wrote"
    for path in contents:
        click.echo(f"{word:<12} {path}")
    append = "would append" if dry_run else "appended"
    click.echo(f"{word if new else append:<12} [tool.harness] in {_PROJECT}")
    if dry_run:
        click.echo()
        click.echo(_template(_PROJECT), nl=False)
        return
    click.echo()
    click.echo("Next:")
    click.echo("  harness conform            # does the target fit its port?")
    click.echo("  harness run redis-restart  # the scenario that was written, sim world, seed 1")
    click.echo("  pytest chaos               # the same from pytest")
    click.echo("Then put your own code into chaos/targets.py. Keep reports/out out of version control.")
