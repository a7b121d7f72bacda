"""Entry point: parse, run the command, turn whatever happens into one clear line and the right exit code."""

import difflib
import importlib
import os
import sys
import traceback
from collections.abc import Sequence
from typing import Final

import click

from harness import __version__
from harness.errors import HarnessError, HistoryError, NothingSelectedError, UsageError
from harness.verdict import EXIT_HARNESS_ERROR, EXIT_INTERRUPTED, EXIT_NOTHING_SELECTED, EXIT_USAGE

_COMMANDS: Final = {
    "list": "show the scenarios, their invariants and flawed variants",
    "run": "run scenarios and judge them",
    "gate": "run everything, both worlds, flawed variants included: the release verdict",
    "explore": "search for failures that nobody wrote a scenario for",
    "shrink": "find the simplest run that fails as a stored one does",
    "replay": "make a stored run again and compare it",
    "compare": "compare two stored runs: what became worse, what was found and mended",
    "report": "make the reports of a stored run again",
    "check": "judge a stored history again",
    "conform": "tell what a target of yours lacks, port by port",
    "binance": "run the emulated Binance by itself",
    "toxiproxy": "run the Toxiproxy-compatible server by itself",
    "init": "write a starter: configuration, target, scenario, test, CI",
    "completion": "print what makes a shell complete commands and names",
    "doctor": "show what is installed and what was left behind",
}

_EXIT_CODES: Final = """
\b
Exit codes:
  0  pass                      4  usage error
  1  an invariant is violated  5  nothing selected
  2  interrupted               7  inconclusive
  3  harness error             8  regression only
"""


class _Commands(click.Group):
    """Imports a command's module when it is asked for, and names the nearest command when there is none."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        del ctx
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        del ctx
        if cmd_name not in _COMMANDS:
            return None
        command = importlib.import_module(f"harness.cli.{cmd_name}_command").command
        assert isinstance(command, click.Command)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and not args[0].startswith("-") and args[0] not in _COMMANDS:
            near = difflib.get_close_matches(args[0], _COMMANDS, n=1, cutoff=0.5)
            hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(_COMMANDS)}"
            raise UsageError(f"unknown command {args[0]!r}; {hint}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands from the table above, without importing any of them."""
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl(list(_COMMANDS.items()))


@click.group(
    cls=_Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 80},
    epilog=_EXIT_CODES,
)
@click.version_option(__version__, prog_name="harness")
def cli() -> None:
    """Break what a trading stack depends on, and judge what it does.

    The same scenarios run in two worlds: `sim` (one process, virtual time, one seed, repeatable to the byte) and
    `real` (processes, sockets, signals). A run passes only if every fault shows that it bit, every need is met and
    every invariant holds.
    """


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command line and exit with its code."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    try:
        code = cli.main(arguments, prog_name="harness", standalone_mode=False)
    except click.exceptions.Exit as leave:
        code = leave.exit_code
    except click.exceptions.NoArgsIsHelpError as error:
        print(error.format_message(), file=sys.stderr)  # nothing was run, and a script must not take that for a pass
        code = EXIT_USAGE
    except click.ClickException as error:
        code = _complain(_one_line(error), EXIT_USAGE)
    except HarnessError as error:
        code = _complain(str(error), _code_of(error))
    except (KeyboardInterrupt, click.exceptions.Abort):
        code = _complain("interrupted", EXIT_INTERRUPTED)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # the reader left: nobody to complain to
        code = EXIT_HARNESS_ERROR
    except Exception as error:  # noqa: BLE001 - the last resort: one line for the person, the traceback on request
        if os.environ.get("HARNESS_DEBUG"):
            traceback.print_exc()
        code = _complain(f"{type(error).__name__}: {error} (HARNESS_DEBUG=1 shows where)", EXIT_HARNESS_ERROR)
    sys.exit(code if isinstance(code, int) else 0)


def _code_of(error: HarnessError) -> int:
    if isinstance(error, UsageError | HistoryError):
        return EXIT_USAGE
    return EXIT_NOTHING_SELECTED if isinstance(error, NothingSelectedError) else EXIT_HARNESS_ERROR


def _one_line(error: click.ClickException) -> str:
    text = " ".join(error.format_message().split())
    if isinstance(error, click.BadParameter) and error.ctx is not None and error.param is not None:
        source = error.ctx.get_parameter_source(error.param.name or "")
        if source is click.core.ParameterSource.ENVIRONMENT:
            text = f"{text.rstrip('.')} (from {error.param.envvar})"
    return text[:1].lower() + text[1:]


def _complain(text: str, code: int) -> int:
    """Say it in exactly one line, whatever the names of files and modules in it are made of."""
    line = "".join(sign if sign.isprintable() else repr(sign)[1:-1] for sign in " ".join(text.split()))
    print(f"harness: {line}", file=sys.stderr)
    return code


if __name__ == "__main__":
    main()
