"""What a result was made of: the code's commit, a hash of the configuration, the interpreter."""

import hashlib
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from platform import platform, python_version
from typing import Final

from harness.verdict import RunResult

_GIT_S_MAX: Final = 5.0


def provenance(runs: Sequence[RunResult], folder: Path) -> dict[str, str]:
    """Return what is known; `commit` is missing where `folder` is in no git repository."""
    known = {
        "python": python_version(),
        "platform": platform(),
        "implementation": sys.implementation.name,
        "config_hash": config_hash(runs),
    }
    commit = _commit(folder)
    return known if commit is None else {**known, "commit": commit}


def config_hash(runs: Sequence[RunResult]) -> str:
    """Return what two sessions share if they asked the same of their targets: scenarios, sizes, seeds, limits, needs.

    Targets are left out: comparing two of them under one configuration is what baselines are for.
    """
    asked = sorted(
        [
            run.scenario,
            run.world,
            run.profile,
            str(run.seed),
            *(f"{one.id} {one.statement} {one.limit} {one.unit}" for one in run.invariants),
            *(need.text for need in run.needs),
            *(f"{fault.name} {fault.mode} {fault.on}" for fault in run.faults),
        ]
        for run in runs
    )
    return hashlib.blake2b(json.dumps(asked).encode(), digest_size=6).hexdigest()


def _commit(folder: Path) -> str | None:
    """Return the commit checked out there, and whether files differ from it."""
    try:
        head = _git(folder, "rev-parse", "--short=12", "HEAD")
        changed = _git(folder, "status", "--porcelain", "--untracked-files=no")
    except (OSError, subprocess.SubprocessError):
        return None
    return f"{head} with local changes" if changed else head


def _git(folder: Path, *words: str) -> str:
    done = subprocess.run(  # noqa: S603 - fixed words, no shell
        ["git", *words],  # noqa: S607 - whichever git the person uses
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=_GIT_S_MAX,
        check=True,
    )
    return done.stdout.strip()
