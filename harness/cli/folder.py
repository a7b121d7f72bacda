"""The run folder: `<out>/<UTC time>-<short id>/`, with `latest` beside it pointing to the newest."""

import secrets
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from harness.errors import UsageError


@dataclass(frozen=True, slots=True)
class RunFolder:
    """Where one command puts what it makes. `started_utc` is ISO 8601, to the second."""

    path: Path
    started_utc: str


def make_run_folder(out: Path) -> RunFolder:
    """Create the folder. Raises `UsageError` when that is not possible."""
    started = datetime.now(tz=UTC)
    path = out.absolute() / f"{started:%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}"
    try:
        path.mkdir(parents=True)
    except OSError as error:
        raise UsageError(f"cannot write to the out folder {out}: {error.strerror or error}") from error
    return RunFolder(path, started.isoformat(timespec="seconds"))


def point_latest(folder: RunFolder, out: Path | None = None) -> None:
    """Point `latest` at this run. Where links cannot be made (some file systems) there is simply none.

    `out` is the folder of run folders, if this one is not directly in it.
    """
    parent = folder.path.parent if out is None else out.absolute()
    link = parent / "latest"
    fresh = parent / f".latest-{folder.path.name}"
    try:
        fresh.symlink_to(folder.path.relative_to(parent), target_is_directory=True)
        fresh.replace(link)
    except OSError:
        fresh.unlink(missing_ok=True)
