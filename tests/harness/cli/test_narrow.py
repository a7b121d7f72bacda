"""On a narrow terminal text is wrapped; where there is no terminal it is as wide as a page; starting up is cheap."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from harness.cli.width import text_width

HARNESS = Path(sys.executable).with_name("harness")


@pytest.mark.parametrize(("columns", "widest"), [("40", 39), ("80", 79), ("200", 79), ("3", 38), ("x", 79)])
def test_lines_are_as_wide_as_there_is_room(monkeypatch, columns, widest):
    """From what a label needs to what reads well; nonsense counts as nothing."""
    monkeypatch.setenv("COLUMNS", columns)

    assert text_width() == widest


@pytest.mark.parametrize("columns", [40, 80])
def test_the_list_of_scenarios_fits(harness, monkeypatch, columns):
    """Titles too."""
    monkeypatch.setenv("COLUMNS", str(columns))
    said = harness("list", "-k", "redis")

    assert said.code == 0
    assert max(map(len, said.out.splitlines())) <= columns


def test_starting_up_imports_nothing_dear():
    """`harness --help` answers at once: the dear libraries are imported by the commands that need them."""
    code = "import sys, harness.cli.main; print([one for one in sys.argv[1:] if one in sys.modules])"
    dear = ("rich", "httpx", "asyncio", "msgspec", "redis", "fakeredis", "hypothesis", "uvicorn", "jinja2", "scenarios")
    done = subprocess.run(
        [sys.executable, "-c", code, *dear], capture_output=True, text=True, check=True, env={**os.environ}
    )

    assert done.stdout.strip() == "[]"
