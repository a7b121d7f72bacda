"""The files beside the database that say what the database cannot: that it should be there, and that it is up to date.

`NAME.ess.known` is made with the database and never removed: a database that is missing beside it was lost.

`NAME.ess.permit` is there while the state is another than TRIPPED, and a trip removes it first. Removing a file needs
no space, so a trip is durable on a full disk, too: a database that tells of another state than TRIPPED without a permit
beside it has missed a trip.
"""

import contextlib
import os
from pathlib import Path
from typing import Final

_DATABASE_FILES: Final = ("", "-journal", "-wal", "-shm")


class Files:
    """The paths of one emergency stop. Methods raise `OSError`."""

    def __init__(self, directory: Path, name: str) -> None:
        self.database = directory / f"{name}.ess.sqlite3"
        self._known = directory / f"{name}.ess.known"
        self._permit = directory / f"{name}.ess.permit"

    @property
    def expected(self) -> bool:
        """Whether there has been a database."""
        return self._known.exists() or self._permit.exists() or self.database.exists()

    @property
    def permitted(self) -> bool:
        """Whether no trip was missed."""
        return self._permit.exists()

    def prepare(self) -> None:
        """Make the directory, and note that there is a database from now on."""
        self.database.parent.mkdir(parents=True, exist_ok=True)
        _make(self._known)

    def permit(self) -> None:
        """Allow what the database says; durable when this returns."""
        _make(self._permit)

    def forbid(self) -> None:
        """Take that back; durable when this returns."""
        with contextlib.suppress(FileNotFoundError):
            self._permit.unlink()
            _sync_directory(self._permit.parent)

    def set_aside(self) -> Path | None:
        """Rename an unreadable database, for people to look at; return its new path, if there was one."""
        if not self.database.exists():
            return None
        number = 1
        while (aside := self.database.with_name(f"{self.database.name}.unreadable-{number}")).exists():
            number += 1
        for suffix in _DATABASE_FILES:
            with contextlib.suppress(FileNotFoundError):
                self.database.with_name(self.database.name + suffix).rename(f"{aside}{suffix}")
        _sync_directory(aside.parent)
        return aside


def _make(path: Path) -> None:
    if not path.exists():
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600))
        _sync_directory(path.parent)


def _sync_directory(path: Path) -> None:
    directory = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
