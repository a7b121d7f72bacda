"""Crash points: every step of an operation is tried, in order, and a target that acks too early is found out."""

import asyncio
import itertools
import os
from dataclasses import dataclass
from pathlib import Path

import pytest

from harness.crash_points import crash_points
from harness.errors import HarnessError, UsageError
from harness.faults.process import freeze
from harness.history.history import History
from harness.history.query import observations, operations
from harness.invariants.base import none_of
from harness.invariants.needs import at_least
from harness.scenario import Profile, Scenario, during
from harness.units import seconds
from harness.verdict import Finding, InvariantResult, Verdict
from harness.world.base import Host, HostSpec


class Ledger:
    """Saves amounts to a file: `save` returns once the amount can no longer be lost."""

    def __init__(self, directory: Path) -> None:
        self._path = directory / "ledger.txt"

    async def save(self, number: int) -> None:
        """Write to a new file and put it in the old one's place, in two jobs of a thread."""
        await asyncio.to_thread(self._write, number)
        await asyncio.to_thread(os.replace, self._path.with_suffix(".new"), self._path)

    def saved(self) -> list[int]:
        """Return what is saved."""
        return [int(line) for line in self._path.read_text().split()] if self._path.exists() else []

    def _write(self, number: int) -> None:
        self._path.with_suffix(".new").write_text("\n".join(map(str, [*self.saved(), number])))


class Hasty(Ledger):
    """Returns before the new file is in its place."""

    async def save(self, number: int) -> None:
        """Write, and leave the rest for later."""
        await asyncio.to_thread(self._write, number)
        self.later = asyncio.ensure_future(asyncio.to_thread(os.replace, self._path.with_suffix(".new"), self._path))


async def keep(host: Host) -> None:
    """Save a number every second, and tell at the start and at the end what is saved."""
    ledger = host.target("ledger")(host.disk)
    host.log.observe("saved", numbers=ledger.saved())
    stopping = asyncio.ensure_future(host.stopping())
    for number in itertools.count(1000 * host.incarnation):
        with host.log.operation("save", number=number):
            await ledger.save(number)
        await asyncio.wait({stopping}, timeout=1.0)
        if stopping.done():
            break
    host.log.observe("saved", numbers=ledger.saved())


@dataclass(frozen=True)
class NothingLost:
    """Whatever was acked is saved in the end."""

    id: str = "L1"
    name: str = "nothing-lost"
    statement: str = "what was acked is saved in the end"
    needs_end: bool = True

    def judge(self, history: History) -> InvariantResult:
        """Compare."""
        acked = [one.value["number"] for one in operations(history, "save") if one.outcome == "ok"]
        saved = observations(history, "saved")[-1].value["numbers"]
        lost = sorted(set(acked) - set(saved))
        explain = Finding(sentence="", count=len(lost), first="", worst="", last="", rows=())
        return none_of(self, lost, checked=len(acked), unit="numbers", explain=lambda: explain)


def scenario(ledger: str) -> Scenario:
    """Return a scenario without any fault of its own."""
    profile = Profile(
        hosts=(HostSpec(name="keeper", program=keep),),
        schedule=(),
        settle_ns=seconds(4),
        needs=(at_least(3, "save"),),
    )
    return Scenario(
        name="ledger",
        title="",
        patch=1,
        priority="P0",
        ports={"ledger": f"{__name__}:{ledger}"},
        dependencies=(),
        profiles={"full": profile},
        invariants=(NothingLost(),),
    )


@pytest.fixture(autouse=True)
def importable(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have this module be found by the name under which targets are resolved."""
    monkeypatch.syspath_prepend(str(Path(__file__).parent))


def tried(ledger: str, folder: Path, operation: str = "save") -> list[tuple[int, bool, Verdict]]:
    """Return what came of each crash."""
    points = crash_points(
        scenario(ledger), host="keeper", operation=operation, after_ns=seconds(2), folder=folder, down_ns=seconds(2)
    )
    return [(one.step, one.inside, one.result.verdict) for one in points]


def test_every_step_is_tried_until_the_operation_has_ended(tmp_path: Path) -> None:
    """Steps come one after the other; all but the last lie inside; a ledger that saves before it acks loses nothing."""
    points = tried("Ledger", tmp_path)
    assert [step for step, _, _ in points] == list(range(len(points)))
    assert [inside for _, inside, _ in points] == [True] * (len(points) - 1) + [False]
    assert {verdict for _, _, verdict in points} == {Verdict.PASS}
    assert len(points) >= 4


def test_a_target_that_acks_too_early_is_found_out(tmp_path: Path) -> None:
    """The crash between the ack and what it promised is among those tried."""
    verdicts = [verdict for _, _, verdict in tried("Hasty", tmp_path)]
    assert Verdict.FAIL in verdicts
    assert Verdict.PASS in verdicts


def test_the_same_runs_again(tmp_path: Path) -> None:
    """The same steps, inside or not, and the same trace of each."""
    one, other = (
        [
            (point.step, point.inside, point.result.trace_digest)
            for point in crash_points(
                scenario("Ledger"), host="keeper", operation="save", after_ns=seconds(2), folder=tmp_path / name
            )
        ]
        for name in ("one", "other")
    )
    assert one == other


def test_an_operation_that_never_begins_is_no_proof(tmp_path: Path) -> None:
    """It is an error, not an empty list of crashes that all went well."""
    with pytest.raises(HarnessError, match="'sell'"):
        tried("Ledger", tmp_path, operation="sell")


def test_only_what_is_asked_for_is_judged(tmp_path: Path) -> None:
    """By id, and an id that is none is named with the nearest."""
    ids = {"host": "keeper", "operation": "save", "after_ns": seconds(2), "folder": tmp_path}
    first = next(crash_points(scenario("Ledger"), ids=["L1"], **ids))
    assert [one.id for one in first.result.invariants] == ["L1"]
    with pytest.raises(UsageError, match=r"'L2'.*'L1'"):
        next(crash_points(scenario("Ledger"), ids=["L2"], **ids))


def test_what_else_happens_happens_too(tmp_path: Path) -> None:
    """Its evidence is judged with the rest."""
    schedule = (during(seconds(1), seconds(1), freeze("keeper")),)
    first = next(
        crash_points(
            scenario("Ledger"), host="keeper", operation="save", after_ns=seconds(3), schedule=schedule, folder=tmp_path
        )
    )
    assert [fault.name for fault in first.result.faults] == ["process.kill_inside", "process.freeze"]
    assert all(fault.bit for fault in first.result.faults)
