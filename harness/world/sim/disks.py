"""Where simulated disks live: in memory where that is possible, since an fsync there costs nothing and proves the same.

Its name tells whose it is, so that what a killed harness left behind can be told from what a running one uses.
"""

import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import psutil

_NAME: Final = re.compile(r"harness-sim-(\d+)-(\d+)-.+")


@contextmanager
def disks() -> Iterator[Path]:
    """Make a directory for the disks of one run; it is gone afterwards."""
    owner = psutil.Process()
    prefix = f"harness-sim-{os.getpid()}-{_started(owner)}-"
    path = Path(tempfile.mkdtemp(prefix=prefix, dir=place()))
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def abandoned() -> list[Path]:
    """Return the directories of this user whose process is gone."""
    found: list[Path] = []
    for path in sorted(place().glob("harness-sim-*")):
        named = _NAME.fullmatch(path.name)
        if named and path.is_dir() and path.stat().st_uid == os.getuid() and not _lives(int(named[1]), int(named[2])):
            found.append(path)
    return found


def _lives(pid: int, started: int) -> bool:
    try:
        return _started(psutil.Process(pid)) == started
    except psutil.NoSuchProcess:
        return False


def _started(process: psutil.Process) -> int:
    """The start in hundredths of a second: with the pid it names a process for good."""
    return round(process.create_time() * 100)


def place() -> Path:
    """Return the directory below which disks are made: in memory if that can be written, else the temporary one."""
    shared = Path("/dev/shm")  # noqa: S108 - a directory of our own with a random name is made below it
    return shared if shared.is_dir() and os.access(shared, os.W_OK) else Path(tempfile.gettempdir())
