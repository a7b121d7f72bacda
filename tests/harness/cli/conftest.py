"""The command line in this process: `harness("run", ...)` gives its exit code and what it wrote."""

import os
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from harness.cli import work
from harness.cli.main import main


@dataclass(frozen=True)
class Said:
    """What a command left behind."""

    code: int
    out: str
    err: str


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A folder with a pyproject.toml of its own, to run commands in; no HARNESS_* of the machine's reaches it."""
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "pyproject.toml").write_text('[tool.harness]\nscenarios = ["scenarios"]\n')
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "path", [*sys.path])
    for name in [name for name in os.environ if name.startswith("HARNESS_")]:
        monkeypatch.delenv(name)
    return folder


@pytest.fixture
def harness(project, monkeypatch, capsys):
    """Run the command line here. The interpreter is not started anew: that would replace the test run."""
    monkeypatch.setattr(work, "stable_interpreter", lambda: None)

    def run(*arguments: str | Path) -> Said:
        words = [str(one) for one in arguments]
        monkeypatch.setattr(sys, "argv", ["harness", *words])
        with pytest.raises(SystemExit) as left:
            main(words)
        captured = capsys.readouterr()
        return Said(left.value.code, captured.out, captured.err)

    return run
