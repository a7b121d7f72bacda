"""What earlier gates came to, as far as it helps to spend the next one's time well: costs, and seeds that told much.

It decides the order of work and the seed at which a hunt begins, never a verdict. So it is a cache beside the run
folders: if it is missing, of another version or unreadable, everything is merely as if for the first time.
"""

import os
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import msgspec

from harness.verdict import FlawedResult, RunResult, Verdict

FILE_NAME: Final = ".gate-past.json"
FAILED_MAX: Final = 20
"""Failing seeds that are remembered of a scenario: they come first, and must not be all that comes."""
_VERSION: Final = 1


class GroupPast(msgspec.Struct, frozen=True):
    """One scenario, size and world: wall seconds of a run, and the seeds that last did not pass, lowest first."""

    cost_s: float | None = None
    failed: tuple[int, ...] = ()


class Past(msgspec.Struct, frozen=True):
    """What is known. Keys are joined by `|`, which no name of a scenario, world or variant has."""

    version: int = _VERSION
    groups: dict[str, GroupPast] = {}
    catches: dict[str, int] = {}

    def of(self, scenario: str, world: str, profile: str) -> GroupPast:
        """Return what is known of that scenario, or nothing."""
        return self.groups.get(_key(scenario, world, profile), _NOTHING)

    def caught_at(self, scenario: str, world: str, variant: str) -> int | None:
        """Return the seed that caught that variant the last time."""
        return self.catches.get(_key(scenario, world, variant))


_NOTHING: Final = GroupPast()


def read_past(path: Path) -> Past:
    """Return what is in that file, or nothing where it cannot be read."""
    try:
        past = msgspec.json.decode(path.read_bytes(), type=Past)
    except (OSError, msgspec.DecodeError):
        return Past()
    return past if past.version == _VERSION else Past()


def write_past(path: Path, past: Past) -> None:
    """Put it there, whole or not at all. Where nothing can be written, nothing is remembered."""
    temporary: str | None = None
    try:
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f"{path.name}.")
        with os.fdopen(handle, "wb") as file:
            file.write(msgspec.json.encode(past))
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(path)
    except OSError:
        if temporary is not None:
            Path(temporary).unlink(missing_ok=True)


def learned(past: Past, runs: Iterable[RunResult], flawed: Iterable[FlawedResult]) -> Past:
    """Return what is known after these results. A seed that passes again is forgotten; one not run again is not."""
    groups: dict[str, list[RunResult]] = {}
    for run in runs:
        groups.setdefault(_key(run.scenario, run.world, run.profile), []).append(run)
    catches = dict(past.catches)
    for one in flawed:
        key = _key(one.scenario, one.world, one.variant)
        if one.seed is not None:
            catches[key] = one.seed
        else:
            catches.pop(key, None)
    known = {key: _learned(past.groups.get(key, _NOTHING), mine) for key, mine in groups.items()}
    return Past(groups={**past.groups, **known}, catches=catches)


def _learned(before: GroupPast, runs: list[RunResult]) -> GroupPast:
    took = [run.wall_s for run in runs if run.wall_s is not None and not run.lost]
    failed = {run.seed for run in runs if run.verdict is not Verdict.PASS}
    unseen = set(before.failed) - {run.seed for run in runs}
    return GroupPast(
        cost_s=round(sum(took) / len(took), 3) if took else before.cost_s,
        failed=tuple(sorted(failed | unseen)[:FAILED_MAX]),
    )


def _key(*parts: str) -> str:
    return "|".join(parts)
