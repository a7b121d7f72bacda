"""The reference, killed after every step of what changes its state: each promise holds, wherever the crash falls."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from harness.crash_points import crash_points
from harness.dependencies.redis import faults as redis
from harness.registry import discover
from harness.scenario import Step, during
from harness.units import ms, seconds
from harness.verdict import Verdict

SCENARIOS = discover()

_RESET = {"call": "reset", "defect": ""}


@dataclass(frozen=True)
class Change:
    """A state-changing path: the operation, the first of which begins `after_ns` after the start, and what else is."""

    scenario: str
    host: str
    operation: str
    after_ns: int
    ids: tuple[str, ...]
    steps_min: int
    where: Mapping[str, str] | None = None
    schedule: Sequence[Step] = ()
    note: str = ""

    def __str__(self) -> str:
        return f"{self.scenario}-{self.operation}{self.note}"


CHANGES = [
    Change("redis-outage", "publisher", "publish", seconds(3), ("EB1", "EB2", "EB3", "EB4"), 4),
    Change(
        "redis-outage",
        "publisher",
        "publish",
        seconds(3),
        ("EB1", "EB2", "EB3", "EB4"),
        3,
        schedule=(during(seconds(2), seconds(3), redis.outage("refuse")),),
        note="-while-redis-is-gone",
    ),
    Change("policy-writers", "risk", "update", seconds(3), ("PS2", "PS3", "PS5"), 10),
    Change("ess-crash", "desk", "arm", 0, ("ES2", "ES5"), 5),
    Change("ess-crash", "desk", "trip", 0, ("ES1", "ES2", "ES5", "ES6"), 10),
    Change("ess-crash", "desk", "metrics", ms(4_950), ("ES1", "ES2", "ES5", "ES6"), 12, note="-that-trip"),
    Change("ess-crash", "desk", "call", ms(4_500), ("ES2", "ES3", "ES5", "ES6", "ES7"), 10, _RESET, note="-reset"),
]


@pytest.mark.parametrize("change", CHANGES, ids=str)
def test_no_crash_breaks_a_promise(change: Change, tmp_path: Path) -> None:
    """One run for each step, from the one that begins the operation to the first after its end."""
    scenario = SCENARIOS[change.scenario]
    brief = replace(scenario.profiles["short"], settle_ns=seconds(4))
    crashes = list(
        crash_points(
            replace(scenario, profiles={"short": brief}),
            host=change.host,
            operation=change.operation,
            after_ns=change.after_ns,
            where=change.where,
            schedule=change.schedule,
            ids=change.ids,
            profile="short",
            folder=tmp_path,
            down_ns=seconds(4),
        )
    )
    assert len(crashes) > change.steps_min
    assert {
        crash.step: (crash.result.verdict, crash.result.errors, crash.result.doubts)
        for crash in crashes
        if crash.result.verdict is not Verdict.PASS
    } == {}
