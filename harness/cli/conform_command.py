"""`harness conform`: does a target have what its port asks for?"""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.cli.config import load_config
from harness.cli.width import text_width
from harness.errors import UsageError
from harness.verdict import EXIT_PASS, EXIT_VIOLATED

if TYPE_CHECKING:
    from harness.conform import Conformance


@click.command(name="conform")
@click.argument("targets", metavar="[PORT=MODULE:FACTORY]...", nargs=-1)
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
def command(targets: tuple[str, ...], *, as_json: bool) -> int:
    """Tell the author of a target what is missing, port by port.

    Looks at the factory and at what it returns, then talks with it in the sim world, where nothing is broken. Without
    an argument, the targets of [tool.harness.targets]. Exit code 0 if all fit, 1 if not.
    """
    from harness.conform import chosen_port, try_out
    from harness.ports import discover_ports
    from harness.targets import resolve, split_command

    config = load_config(Path.cwd())
    ports = discover_ports(config.scenarios)
    wanted = dict(map(_split, targets)) if targets else dict(config.targets)
    if not wanted:
        raise UsageError("nothing to look at: name PORT=package.module:factory, or fill [tool.harness.targets]")
    found: list[Conformance] = []
    for name, path in wanted.items():
        port = chosen_port(ports, name)
        if split_command(path)[1] is not None:
            raise UsageError(f"target {path!r} is a command, and those run in the real world only: try a scenario")
        found.append(try_out(port, resolve(path)))
    if as_json:
        import json
        from dataclasses import asdict

        click.echo(json.dumps([asdict(one) for one in found], indent=2))
    else:
        for one in found:
            _print(one, wanted[one.port])
    return EXIT_VIOLATED if any(one.problems for one in found) else EXIT_PASS


def _split(wish: str) -> tuple[str, str]:
    port, equals, path = wish.partition("=")
    if not equals or not port:
        raise UsageError(f"target {wish!r} is not of the form PORT=package.module:factory")
    return port, path


def _print(one: "Conformance", path: str) -> None:
    click.echo(f"{one.port}={path}")
    for word, texts in (("ok", list(dict.fromkeys(one.worked))), ("WRONG", list(one.problems))):
        for text in texts:
            shown = "".join(sign if sign.isprintable() else "?" for sign in text)
            click.echo(
                click.wrap_text(shown, width=text_width(), initial_indent=f"  {word:<6}", subsequent_indent=" " * 8)
            )
    count = len(one.problems)
    click.echo("  It fits." if not count else f"  It does not fit: {count} thing{'s' if count > 1 else ''} to mend.")
