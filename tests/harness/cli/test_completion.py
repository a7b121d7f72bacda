"""`harness completion`: what a shell runs, and what the program then answers."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

HARNESS = Path(sys.executable).with_name("harness")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_is_one_that_the_shell_takes(harness, shell, tmp_path):
    """It says where it belongs, and where the shell is there, the shell finds no fault with it."""
    said = harness("completion", shell)

    assert said.code == 0
    assert "# harness completion" in said.out
    assert "_HARNESS_COMPLETE" in said.out
    if shutil.which(shell):
        (tmp_path / "script").write_text(said.out)
        subprocess.run([shell, "-n", str(tmp_path / "script")], check=True)


def test_an_unknown_shell_is_one_line(harness):
    """With those that there are."""
    said = harness("completion", "tcsh")

    assert (said.code, said.err.count("\n")) == (4, 1)
    assert "'bash', 'zsh', 'fish'" in said.err


def test_names_of_scenarios_are_completed():
    """As the shell asks for them."""
    asked = {"_HARNESS_COMPLETE": "bash_complete", "COMP_WORDS": "harness run redis-o", "COMP_CWORD": "2"}
    done = subprocess.run([HARNESS], env={**os.environ, **asked}, capture_output=True, text=True, check=False)

    assert done.stdout.split() == ["plain,redis-outage", "plain,redis-outage-overflow"]
