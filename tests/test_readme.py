"""What README and every page show must work: commands parse, options are in the help, links lead somewhere."""

import re
import shlex
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from harness import verdict
from harness.cli.main import cli
from harness.errors import UsageError
from harness.registry import discover

ROOT = Path(__file__).parents[1]
FOLDERS = (".", "scenarios", "harness", "harness/docs", "reference_impl", "reports")
DOCUMENTS = sorted(
    str(page.relative_to(ROOT))
    for folder in FOLDERS
    for page in (ROOT / folder).glob("*.md")
    if page.name != "CHANGELOG.md"
)
SCENARIOS = (ROOT / "scenarios" / "README.md").read_text(encoding="utf-8")
COMMANDS = tuple(cli.list_commands(click.Context(cli)))


def commands_in(text: str) -> list[str]:
    """Return every `harness ...` command line shown: in fenced blocks, and in inline code."""
    blocks = re.findall(r"^```sh\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    prose = re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    lines = [line for block in blocks for line in block.splitlines()] + re.findall(r"`([^`\n]+)`", prose)
    return [line for line in lines if re.match(r"(\.venv/bin/)?harness\s", line)]


SHOWN = [(name, line) for name in DOCUMENTS for line in commands_in((ROOT / name).read_text(encoding="utf-8"))]


def parse(line: str) -> tuple[click.Command, list[str]]:
    """Parse a shown command with the program's own parser, without running it. Raises what a person would see."""
    words = shlex.split(line, comments=True)[1:]
    root = cli.make_context("harness", list(words))
    name, command, rest = cli.resolve_command(root, list(words))
    assert command is not None
    command.make_context(name, list(rest), parent=root)
    return command, rest


def test_the_readme_shows_commands():
    """The other tests of this file have something to look at, every command among it."""
    shown = {shlex.split(line, comments=True)[1] for _, line in SHOWN}

    assert len(SHOWN) >= 8
    assert {"list", "run", "replay", "check", "doctor"} <= shown


@pytest.mark.parametrize(("name", "line"), SHOWN)
def test_a_shown_command_parses(name, line, monkeypatch):
    """Command, options and their values are those of the program."""
    for variable in ("HARNESS_SEED", "HARNESS_JOBS", "HARNESS_WORLD"):
        monkeypatch.delenv(variable, raising=False)
    command, _ = parse(line)

    assert command.name in COMMANDS


@pytest.mark.parametrize("line", ["harness run --sed 3", "harness run --seed x", "harness rnu", "harness replay"])
def test_the_parser_would_notice(line):
    """A slip in the README would be found: the check above can fail."""
    with pytest.raises((click.UsageError, UsageError)):
        parse(line)


@pytest.mark.parametrize(("name", "line"), SHOWN)
def test_every_shown_option_is_in_the_help(name, line):
    """What the README uses, `--help` explains."""
    command, rest = parse(line)
    text = CliRunner().invoke(cli, [command.name or "", "--help"]).output

    for option in [word.partition("=")[0] for word in rest if word.startswith("-")]:
        assert re.search(rf"(?<!\S){option}\b", text), option


@pytest.mark.parametrize("words", [[], *([one] for one in COMMANDS)], ids=str)
def test_help_fits_80_columns(words):
    """Also on the narrowest terminal in use; every command and option has a text."""
    shown = CliRunner().invoke(cli, [*words, "--help"], terminal_width=80)

    assert shown.exit_code == 0
    assert max(len(line) for line in shown.output.splitlines()) <= 80


def test_the_help_lists_exactly_the_commands_there_are():
    """Each command in the table can be loaded, and says in its first line what it does; and none is left out of it."""
    context = click.Context(cli)
    modules = {path.name.removesuffix("_command.py") for path in (ROOT / "harness" / "cli").glob("*_command.py")}

    assert set(COMMANDS) == modules
    for name in COMMANDS:
        command = cli.get_command(context, name)
        assert command is not None
        assert command.name == name
        assert command.get_short_help_str()


CODES = {name: value for name, value in vars(verdict).items() if name.startswith("EXIT_") and isinstance(value, int)}
MEANINGS = {
    "EXIT_PASS": "pass",
    "EXIT_VIOLATED": "an invariant is violated",
    "EXIT_INTERRUPTED": "interrupted",
    "EXIT_HARNESS_ERROR": "harness error",
    "EXIT_USAGE": "usage error",
    "EXIT_NOTHING_SELECTED": "nothing selected",
    "EXIT_INCONCLUSIVE": "inconclusive",
    "EXIT_REGRESSION": "regression only",
}


def test_every_exit_code_has_a_meaning():
    """A new code is not forgotten here, and no two share a number."""
    assert MEANINGS.keys() == CODES.keys()
    assert len(set(CODES.values())) == len(CODES)


def test_the_exit_codes_of_the_readme_are_those_of_the_program():
    """Each code that the README names means there what it means in harness/verdict.py."""
    text = " ".join((ROOT / "README.md").read_text(encoding="utf-8").split())
    (sentence,) = re.findall(r"Exit codes: (.*?)\. ", text)
    shown = {int(number): meaning for number, meaning in re.findall(r"(\d) ([a-z ]+)", sentence)}
    known = {CODES[name]: meaning for name, meaning in MEANINGS.items()}

    assert shown == known


def test_the_exit_codes_of_the_help_are_those_of_the_program():
    """`harness --help` names them all."""
    text = CliRunner().invoke(cli, ["--help"], terminal_width=80).output.partition("Exit codes:")[2]
    shown = {int(number): meaning.strip() for number, meaning in re.findall(r"(\d)  ([a-z ]+?)(?=\s{2,}|\n)", text)}

    assert shown == {CODES[name]: meaning for name, meaning in MEANINGS.items()}


def pages() -> list[Path]:
    """Return every page."""
    return [ROOT / name for name in DOCUMENTS]


def anchors(page: Path) -> set[str]:
    """Return what can be linked to in a page, as GitHub names it."""
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    titles = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", pages(), ids=DOCUMENTS)
def test_every_link_leads_somewhere(page):
    """Files, folders and headings that are linked to exist; what is on the web is not asked."""
    for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
        if link.startswith("http"):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


def test_every_page_can_be_reached_from_the_readme():
    """A page that nothing links to is not read."""
    reached, waiting = set(), [ROOT / "README.md"]
    while waiting:
        page = waiting.pop()
        if page in reached:
            continue
        reached.add(page)
        links = re.findall(r"\]\(([^)\s#]+\.md)[^)]*\)", page.read_text(encoding="utf-8"))
        waiting += [(page.parent / link).resolve() for link in links if not link.startswith("http")]

    assert reached >= set(pages())


def test_every_scenario_is_in_the_table():
    """With its patch, priority, title and ports, in the order of `harness list`."""
    shown = re.findall(r"^\| (\w+) \| (P\d) \| `([\w-]+)` \| (.*) \| (.*) \|$", SCENARIOS, re.MULTILINE)
    known = [
        (
            "all" if one.patch == verdict.COMBINED else str(one.patch),
            one.priority,
            one.name,
            one.title,
            ", ".join(f"`{port}`" for port in one.ports),
        )
        for one in discover().values()
    ]

    assert shown == known
