"""`harness list`: what there is to run."""

from pathlib import Path
from typing import Any

import click

from harness.cli.config import load_config
from harness.cli.options import scenario_names
from harness.cli.width import text_width
from harness.registry import discover, select
from harness.scenario import Scenario
from harness.verdict import patch_name


@click.command(name="list")
@click.argument("names", metavar="[SCENARIO]...", nargs=-1, shell_complete=scenario_names)
@click.option("-k", "keyword", metavar="TEXT", help="Only scenarios whose name contains TEXT, or matches it as a glob.")
@click.option(
    "--plain", is_flag=True, help="One line each, in columns that a script can cut: name, patch, priority, title."
)
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
def command(names: tuple[str, ...], keyword: str | None, *, plain: bool, as_json: bool) -> int:
    """Show the scenarios: patch, priority, faults, invariants, flawed variants; of all, or of those that are named."""
    scenarios = select(discover(load_config(Path.cwd()).scenarios), names, keyword)
    if as_json:
        import json

        click.echo(json.dumps([_fields(one) for one in scenarios], indent=2))
        return 0
    if plain:
        for one in scenarios:
            click.echo("\t".join((one.name, patch_name(one.patch), one.priority, one.title)))
        return 0
    for one in scenarios:
        fields = _fields(one)
        click.echo(f"{one.name}  ({patch_name(one.patch)}, {one.priority})")
        click.echo(click.wrap_text(one.title, width=text_width(), initial_indent="  ", subsequent_indent="  "))
        for label in ("ports", "faults", "invariants", "flawed", "profiles"):
            _wrapped(label, fields[label])
        click.echo()
    return 0


def _fields(scenario: Scenario) -> dict[str, Any]:
    steps = [step for profile in scenario.profiles.values() for step in profile.schedule]
    return {
        "name": scenario.name,
        "title": scenario.title,
        "patch": scenario.patch,
        "priority": scenario.priority,
        "ports": [f"{port}={factory}" for port, factory in scenario.ports.items()],
        "faults": list(dict.fromkeys(f"{fault.name} ({mode})" for step in steps for fault, mode in step.choices)),
        "invariants": [f"{one.id} {one.name}" for one in scenario.invariants],
        "flawed": [one.label for one in scenario.flawed],
        "profiles": list(scenario.profiles),
    }


def _wrapped(label: str, values: list[str]) -> None:
    text = click.wrap_text(
        ", ".join(values), width=text_width(), initial_indent=f"  {label:<11}", subsequent_indent=" " * 13
    )
    click.echo(text)
