"""`harness completion`: the script that makes a shell complete commands, options and names of scenarios."""

import click

from harness.verdict import EXIT_PASS

_HOW = {
    "bash": "# harness completion bash > ~/.local/share/bash-completion/completions/harness",
    "zsh": '# harness completion zsh > "${fpath[1]}/_harness"',
    "fish": "# harness completion fish > ~/.config/fish/completions/harness.fish",
}


@click.command(name="completion")
@click.argument("shell", type=click.Choice(list(_HOW)))
def command(shell: str) -> int:
    """Print the completion script of a shell; its first line says where it belongs."""
    from click.shell_completion import get_completion_class

    from harness.cli.main import cli

    made = get_completion_class(shell)
    assert made is not None
    source = made(cli, {}, "harness", "_HARNESS_COMPLETE").source()
    first, _, rest = source.partition("\n")
    # zsh wants `#compdef` in its first line
    click.echo(f"{first}\n{_HOW[shell]}\n{rest}" if first.startswith("#compdef") else f"{_HOW[shell]}\n{source}")
    return EXIT_PASS
