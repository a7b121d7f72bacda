"""Full disks and stepped clocks under the event bus: what it promises in a Redis outage, it keeps through them.

The sim world runs every combination; one real run shows that it is not the simulation that is kind.
"""

from pathlib import Path

import pytest

from harness.dependencies.redis import faults as redis
from harness.faults.clock import clock_step
from harness.faults.disk import disk_full
from harness.history.query import operations
from harness.history.store import load
from harness.invariants.needs import at_least
from harness.runner import Order, run
from harness.scenario import DependencySpec, Profile, Scenario, Step, between, during
from harness.targets import choose
from harness.units import ms, seconds
from harness.verdict import Outcome, RunResult, Verdict
from scenarios.event_bus_hosts import consumer, publisher
from scenarios.event_bus_invariants import REFERENCE, invariants

OUTAGE = during(seconds(2), between(seconds(3), seconds(4)), redis.outage())
PROMPT_NS = ms(250)
HOSTILE = {
    "the publisher's disk in the outage": (
        during(between(ms(2_500), ms(3_500)), between(ms(500), ms(1_500)), disk_full("publisher")),
    ),
    "the publisher's disk beyond the outage": (
        during(between(ms(2_500), ms(3_500)), seconds(5), disk_full("publisher")),
    ),
    "the consumer's disk": (during(seconds(3), seconds(5), disk_full("consumer")),),
    "the publisher's clock": (
        during(between(ms(1_000), ms(4_000)), between(seconds(2), seconds(5)), clock_step("publisher")),
    ),
    "the clock steps back as the replay begins": (
        during(ms(2_500), between(ms(2_500), ms(3_500)), clock_step("publisher", "forward")),
    ),
    "the clock steps back in the outage": (during(ms(3_500), ms(500), clock_step("publisher", "backward")),),
    "the clock and both disks": (
        during(between(ms(1_000), ms(4_000)), between(seconds(2), seconds(5)), clock_step("publisher")),
        during(between(ms(2_500), ms(3_500)), between(ms(500), ms(1_500)), disk_full("publisher")),
        during(between(ms(4_500), ms(5_500)), seconds(3), disk_full("consumer")),
    ),
}


def scenario(*steps: Step) -> Scenario:
    """The outage, and what else happens."""
    profile = Profile(
        hosts=(publisher(rate=100, drain_ns=seconds(2)), consumer()),
        schedule=(OUTAGE, *steps),
        settle_ns=seconds(6),
        needs=(at_least(100, "publish", outcome="ok"),),
    )
    return Scenario(
        name="disk-and-clock",
        title="A full disk, or a stepped clock, in the middle of a Redis outage",
        patch=1,
        priority="P0",
        ports=REFERENCE,
        dependencies=(DependencySpec(name="redis", kind="redis"),),
        profiles={"short": profile},
        invariants=invariants(recovers_after="redis.outage"),
    )


def result_of(
    declared: Scenario, folder: Path, *, seed: int, world: str = "sim", target: str | None = None
) -> RunResult:
    """Run it."""
    targets = choose(declared, [] if target is None else [f"event_bus=reference_impl.flawed.event_bus:{target}"])
    return run(
        Order(scenario=declared, profile="short", world=world, seed=seed, targets=targets, folder=folder)  # type: ignore[arg-type]
    )


@pytest.mark.parametrize("what", HOSTILE)
def test_the_reference_keeps_its_promises(tmp_path: Path, what: str) -> None:
    """Every fault bites, and every invariant holds."""
    result = result_of(scenario(*HOSTILE[what]), tmp_path, seed=1)
    assert (result.verdict, result.errors, result.doubts) == (Verdict.PASS, (), ())


def test_what_the_full_disk_refuses_is_a_prompt_and_clear_error(tmp_path: Path) -> None:
    """Each publish that was not acked says that the buffer failed because the disk is full, within 250 ms."""
    result_of(scenario(*HOSTILE["the publisher's disk in the outage"]), tmp_path, seed=2)
    (stored,) = tmp_path.rglob("*.jsonl")
    refused = [operation for operation in operations(load(stored), "publish") if operation.outcome != "ok"]
    assert len(refused) > 20
    assert {operation.error for operation in refused} == {
        "BufferUnavailableError: the fallback buffer failed: database or disk is full"
    }
    assert max(operation.duration_ns or 0 for operation in refused) <= PROMPT_NS


@pytest.mark.parametrize(
    ("variant", "what", "caught_by"),
    [
        ("acks_what_the_disk_refused", "the publisher's disk in the outage", "EB1"),
        ("ack_before_commit", "the publisher's disk in the outage", "EB1"),
        ("replays_by_wall_clock", "the clock steps back in the outage", "EB1"),
    ],
)
def test_a_bus_with_the_defect_is_caught(tmp_path: Path, variant: str, what: str, caught_by: str) -> None:
    """By the invariant that it breaks."""
    result = result_of(scenario(*HOSTILE[what]), tmp_path, seed=1, target=variant)
    assert result.verdict is Verdict.FAIL
    assert caught_by in {one.id for one in result.invariants if one.verdict is Outcome.VIOLATED}


def test_the_same_seed_gives_the_same_run(tmp_path: Path) -> None:
    """Refused writes and stepped clocks leave the trace of a seed as repeatable as ever."""
    declared = scenario(*HOSTILE["the clock and both disks"])
    first, again = (result_of(declared, tmp_path / str(run), seed=5) for run in range(2))
    assert first.trace_digest == again.trace_digest is not None
    one, two = ((tmp_path / str(run)).rglob("*.jsonl") for run in range(2))
    assert next(one).read_bytes() == next(two).read_bytes()


@pytest.mark.real
def test_the_reference_keeps_its_promises_for_real(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Real processes, files and signals: the publisher's disk and clock, and the consumer's disk."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    declared = scenario(*HOSTILE["the clock and both disks"])
    result = result_of(declared, tmp_path, seed=2, world="real")
    assert (result.verdict, result.errors, result.doubts) == (Verdict.PASS, (), ())
    assert all(fault.bit and fault.evidence for fault in result.faults)
