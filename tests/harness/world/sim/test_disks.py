"""Simulated disks go with their run, and those of a killed harness can be found."""

import subprocess
import sys
from pathlib import Path

from harness.world.sim.disks import abandoned, disks

HOLDER = """
from harness.world.sim.disks import disks
with disks() as path:
    print(path, flush=True)
    input()
"""


def test_gone_after_the_run() -> None:
    """The directory is there during the run, is not taken for abandoned, and is gone afterwards."""
    with disks() as path:
        (path / "file").write_text("x")
        assert path.is_dir()
        assert path not in abandoned()
    assert not path.exists()


def test_a_killed_harness_leaves_disks_that_are_found() -> None:
    """While its process lives a directory is nobody's business; once that is killed, it is found."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        path = Path(process.stdout.readline().strip())
        assert path.is_dir()
        assert path not in abandoned()
        process.kill()
        process.wait()
        assert path in abandoned()
    path.rmdir()
