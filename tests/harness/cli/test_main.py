"""The entry point: every outcome of a command becomes one exit code and at most one line; start-up stays light."""

import os
import subprocess
import sys

import click
import pytest

from harness import __version__
from harness.cli import list_command
from harness.errors import BudgetError, HistoryError, NothingSelectedError, UsageError, WorldError

HEAVY = (
    "rich",
    "reports",
    "redis",
    "fakeredis",
    "asyncio",
    "psutil",
    "jinja2",
    "msgspec",
    "harness.worlds",
    "harness.world",
)


@pytest.fixture
def command(monkeypatch):
    """Have `harness list` do something else; to be given what."""

    def install(action) -> None:
        @click.command(name="list")
        def stand_in() -> int:
            """Stand in."""
            return action()

        monkeypatch.setattr(list_command, "command", stand_in)

    return install


def raiser(error: BaseException):
    def action() -> int:
        raise error

    return action


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (UsageError("what was wrong"), 4, "harness: what was wrong"),
        (HistoryError("a.jsonl: is empty"), 4, "harness: a.jsonl: is empty"),
        (click.UsageError("No such thing."), 4, "harness: no such thing."),
        (NothingSelectedError("nothing matches"), 5, "harness: nothing matches"),
        (WorldError("redis did\nnot start"), 3, "harness: redis did not start"),
        (BudgetError("too many steps"), 3, "harness: too many steps"),
        (click.exceptions.Abort(), 2, "harness: interrupted"),
        (ZeroDivisionError("a\nb"), 3, "harness: ZeroDivisionError: a b (HARNESS_DEBUG=1 shows where)"),
        (UsageError("bell \x07 and \x1b[31m"), 4, "harness: bell \\x07 and \\x1b[31m"),
    ],
)
def test_every_error_is_one_line_and_a_code(harness, command, error, code, line):
    """No traceback, whatever happens; control characters in names are made visible."""
    command(raiser(error))
    said = harness("list")

    assert (said.code, said.out, said.err) == (code, "", f"{line}\n")


def test_ctrl_c_is_exit_code_2(harness, command):
    """It ends the line on which a terminal shows ^C, then says one line."""
    command(raiser(KeyboardInterrupt()))
    said = harness("list")

    assert (said.code, said.out, said.err) == (2, "", "\nharness: interrupted\n")


def test_the_traceback_of_the_unexpected_is_there_on_request(harness, command, monkeypatch):
    """With HARNESS_DEBUG the place is shown, and the exit code stays."""
    monkeypatch.setenv("HARNESS_DEBUG", "1")
    command(raiser(ZeroDivisionError("oops")))
    said = harness("list")

    assert said.code == 3
    assert "Traceback (most recent call last)" in said.err
    assert "in action" in said.err


@pytest.mark.parametrize("code", [0, 1, 2, 3, 5, 7, 8])
def test_a_commands_code_is_the_exit_code(harness, command, code):
    """What a command returns is what the shell sees."""
    command(lambda: code)

    assert harness("list").code == code


def test_the_version(harness):
    """`--version` names the program and its version."""
    assert (harness("--version").code, harness("--version").out) == (0, f"harness, version {__version__}\n")


@pytest.mark.parametrize("words", [["--help"], ["-h"], ["run", "--help"], ["doctor", "-h"]], ids=str)
def test_help_is_no_error(harness, words):
    """Help goes to stdout with exit code 0."""
    said = harness(*words)

    assert (said.code, said.err) == (0, "")
    assert said.out.startswith("Usage: harness ")


@pytest.mark.real
def test_a_reader_that_leaves_is_no_traceback(project):
    """`harness list | head -0`: the pipe is closed before anything is read."""
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [sys.executable, "-m", "harness.cli.main", "list"],
        cwd=project,
        stdout=writing,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
        timeout=60,
    )
    os.close(writing)

    assert "Traceback" not in done.stderr
    assert done.returncode != 0


@pytest.mark.real
@pytest.mark.parametrize("words", [["--version"], ["--help"], ["rnu"]], ids=str)
def test_what_needs_nothing_imports_nothing_heavy(words):
    """Start-up time is imports: worlds, reports, rich and redis are left to the commands that need them."""
    code = (
        "import sys\n"
        "from harness.cli.main import main\n"
        "try:\n"
        f"    main({words!r})\n"
        "finally:\n"
        "    print(*sorted(sys.modules), sep='\\n', file=sys.stderr)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60)
    loaded = set(done.stderr.splitlines())

    assert "harness.cli.main" in loaded
    assert loaded.isdisjoint(HEAVY)
