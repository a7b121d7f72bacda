"""Finding a stored run: `RUN#FINDING`, where RUN is a run folder, `latest`, or a history itself.

FINDING is an invariant's id (`EB1`), or a number: the report's violations counted from 1, in its order. A folder with a
single history needs none.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from harness.errors import UsageError, unknown_name

_LATEST: Final = "latest"
_NAMES_MAX: Final = 5


@dataclass(frozen=True, slots=True)
class Located:
    """A stored history, and the invariant that was asked for, if one was."""

    history: Path
    invariant: str | None


def locate(text: str, out: Path) -> Located:
    """Return what RUN, or RUN#FINDING, means. Raises `UsageError` if there is no such run, or no such finding in it."""
    run, _, finding = text.rpartition("#")
    if Path(text).exists() or not run:
        run, finding = text, ""
    path = out / _LATEST if run == _LATEST else Path(run)
    if not path.exists():
        raise UsageError(f"{run}: no such file or run folder")
    if not path.is_dir():
        return Located(path, finding or None)
    if finding:
        return _finding(path, finding)
    return Located(_single(path), None)


def _finding(folder: Path, finding: str) -> Located:
    found = list(_violations(folder))
    if finding.isdecimal():
        if not 1 <= int(finding) <= len(found):
            raise UsageError(f"{folder} has {len(found)} findings with a history, so none of number {finding}")
        return found[int(finding) - 1]
    for one in found:
        if one.invariant == finding:
            return one
    known = dict.fromkeys(one.invariant or "" for one in found)
    raise unknown_name(f"finding in {folder}", finding, known)


def _violations(folder: Path) -> list[Located]:
    """Return each invariant that a scenario of the run violates, once, with the first history that shows it."""
    report = folder / "report.json"
    try:
        runs: list[dict[str, Any]] = json.loads(report.read_text(encoding="utf-8"))["runs"]
        found: dict[tuple[str, str, str], Located] = {}
        for run in runs:
            for one in run["invariants"]:
                if one["verdict"] == "VIOLATED" and run["history"]:
                    key = (run["scenario"], run["world"], one["id"])
                    found.setdefault(key, Located(_beside(folder, Path(run["history"])), one["id"]))
    except FileNotFoundError:
        raise UsageError(f"{folder} has no report.json, so its findings are not known; name a history") from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(f"{report}: not a report: {' '.join(str(error).split())}") from error
    return list(found.values())


def _beside(folder: Path, history: Path) -> Path:
    """A run folder that was moved keeps its histories."""
    moved = folder / "histories" / history.name
    return moved if moved.exists() else history


def _single(folder: Path) -> Path:
    found = sorted(folder.glob("histories/*.jsonl"))
    if not found:
        raise UsageError(f"{folder} is a folder without histories/*.jsonl, so not a run folder")
    if len(found) > 1:
        names = ", ".join(one.name for one in found[:_NAMES_MAX]) + (", ..." if len(found) > _NAMES_MAX else "")
        raise UsageError(f"{folder} holds {len(found)} histories; name one of them: {names}; or a finding: {folder}#1")
    return found[0]
