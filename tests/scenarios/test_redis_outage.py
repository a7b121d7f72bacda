"""`redis-outage` and its overflow, run for real in the sim world: they pass, and they could not pass vacuously."""

from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from harness.history.history import History
from harness.registry import discover
from harness.verdict import InvariantResult, Outcome, Verdict

SCENARIO = discover()["redis-outage"]


@dataclass(frozen=True, slots=True)
class Broken:
    """An invariant that cannot do its work."""

    id: str = "XX"
    name: str = "broken"
    statement: str = "raises"
    needs_end: bool = False

    def judge(self, history: History) -> InvariantResult:
        """Raise, as a checker with a mistake in it does."""
        raise ZeroDivisionError(f"{len(history.events)} events")


@pytest.mark.parametrize("seed", range(1, 7))
def test_the_reference_passes_every_mode(run_short, seed: int) -> None:
    """Six seeds take the outage through its six modes; each bites, and everything holds."""
    result = run_short(SCENARIO, seed=seed)
    assert (result.verdict, result.errors, result.doubts) == (Verdict.PASS, (), ())
    assert all(fault.bit and fault.evidence for fault in result.faults)


@pytest.mark.parametrize("fault", ["redis.outage", "process.kill"])
@pytest.mark.parametrize("seed", [1, 2, 4])
def test_a_fault_without_effect_is_inconclusive(run_short, without_effect, fault: str, seed: int) -> None:
    """Everything holds, as nothing happened: that is no pass."""
    result = run_short(without_effect(SCENARIO, fault), seed=seed)
    assert result.verdict is Verdict.INCONCLUSIVE
    assert [one.name for one in result.faults if not one.bit] == [fault]


def test_a_checker_that_raises_is_an_error(run_short) -> None:
    """It is neither a pass nor a finding against the target."""
    result = run_short(replace(SCENARIO, invariants=(*SCENARIO.invariants, Broken())))
    assert result.verdict is Verdict.ERROR
    assert [one.verdict for one in result.invariants if one.id == "XX"] == [Outcome.ERROR]
    assert "ZeroDivisionError" in result.errors[0]


def test_same_seed_same_history(run_short) -> None:
    """Byte for byte, and another seed has another trace."""
    first, again = run_short(SCENARIO), run_short(SCENARIO)
    other = run_short(SCENARIO, seed=7)
    assert first.history is not None
    assert again.history is not None
    assert Path(first.history).read_bytes() == Path(again.history).read_bytes()
    assert first.trace_digest == again.trace_digest != other.trace_digest


@pytest.mark.parametrize("variant", SCENARIO.flawed, ids=lambda variant: variant.name)
def test_flawed_variants_are_caught(must_catch, variant) -> None:
    """By an invariant that was written for them, within the modes that six seeds take."""
    must_catch(SCENARIO, variant, range(1, 7))
