"""The reference, killed after every step of what changes its state: each promise holds, wherever the crash falls."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from harness.crash_points import crash_points
from harness.dependencies.redis import faults as redis
from harness.registry import discover
from harness.scenario import Step, during
from harness.units import ms, seconds
from harness.verdict import Verdict

SCENARIOS = discover()


@dataclass(frozen=True)
class Change:
    """A state-changing path: the operation, the first of which begins `after_ns` after the start, and what else is."""

    scenario: str
    host: str
    operation: str
    after_ns: int
    ids: tuple[str, ...]
    steps_min: int
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
        (during(seconds(2), seconds(3), redis.outage("refuse")),),
        "-while-redis-is-gone",
    ),
    Change("policy-writers", "risk", "update", seconds(3), ("PS2", "PS3", "PS5"), 10),
    Change("unknown-outcome", "trader", "execute", ms(3_000), ("EX1", "EX2", "EX4"), 10),
]


@pytest.mark.parametrize("change", CHANGES, ids=str)
def test_no_crash_breaks_a_promise(change: Change, tmp_path: Path) -> None:
    """One run for each step, from the one that begins the operation to the first after its end."""
    crashes = list(
        crash_points(
            SCENARIOS[change.scenario],
            host=change.host,
            operation=change.operation,
            after_ns=change.after_ns,
            schedule=change.schedule,
            ids=change.ids,
            profile="short",
            folder=tmp_path,
        )
    )
    assert len(crashes) > change.steps_min
    assert {
        crash.step: (crash.result.verdict, crash.result.errors, crash.result.doubts)
        for crash in crashes
        if crash.result.verdict is not Verdict.PASS
    } == {}
