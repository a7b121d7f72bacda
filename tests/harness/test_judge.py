"""The judge: nothing but a whole, bitten, busy and unbroken run is a PASS."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import UsageError
from harness.faults.base import Evidence, WithoutEffect
from harness.history.events import FaultHealed, HostChanged, Observation, Ok
from harness.history.history import History
from harness.invariants.base import result
from harness.invariants.needs import at_least
from harness.judge import judge
from harness.scenario import during
from harness.units import seconds
from harness.verdict import Outcome, Verdict, worst


class Saying:
    """An invariant that says what it is told to."""

    name = "saying"
    statement = "says what it is told"
    needs_end = False

    def __init__(self, outcome: Outcome, id: str = "X1") -> None:  # noqa: A002 - as the protocol calls it
        self.outcome = outcome
        self.id = id

    def judge(self, history: History) -> Any:
        """Say it; ERROR is said by raising."""
        if self.outcome is Outcome.ERROR:
            raise ZeroDivisionError("no checker\nis perfect")
        return result(self, self.outcome, checked=1, reason="because")


class BadEvidence:
    """A fault whose evidence cannot be computed."""

    name, on, modes = "redis.outage", "redis", ("refuse", "hang", "crash")

    def evidence(self, history: History, window: Any) -> Evidence:
        """Fail."""
        raise KeyError("bytes")


class BadNeed:
    """A need that cannot be checked."""

    def check(self, history: History) -> Any:
        """Fail."""
        raise IndexError("out of range")


def with_fault(scenario, fault):
    """Put this fault where the scenario's own was."""
    profile = replace(scenario.profile("full"), schedule=(during(seconds(2), seconds(3), fault),))
    return replace(scenario, profiles={"full": profile})


def with_needs(scenario, *needs):
    """Put these needs in place of the scenario's own."""
    return replace(scenario, profiles={"full": replace(scenario.profile("full"), needs=needs)})


def test_a_run_with_everything_passes(make_scenario, make_history):
    """The one way to PASS: bitten, healed, needs met, invariants hold, whole. It leaves no doubt and no error."""
    scenario = make_scenario()
    judged = judge(make_history(scenario), scenario)

    assert judged.verdict is Verdict.PASS
    assert (judged.errors, judged.doubts) == ((), ())
    (fault,) = judged.faults
    assert (fault.name, fault.mode, fault.on, fault.start_s, fault.end_s) == ("redis.outage", "hang", "redis", 2.0, 5.0)
    assert (fault.bit, fault.evidence) == (True, {"refused": 1})
    assert [(one.met, one.observed) for one in judged.needs] == [(True, 5)]
    assert [one.verdict for one in judged.invariants] == [Outcome.HOLDS]


def test_an_emulator_that_breaks_is_our_error(make_scenario, make_history):
    """Whatever the invariants say: an answer that came from a defect of ours proves nothing about the target."""
    scenario = make_scenario()
    whole = make_history(scenario)
    broke = Observation(seconds(3), "binance", 1, "internal_error", {"what": "request", "error": "KeyError('x')"})
    judged = judge(History.of([*whole.events, broke]), scenario)

    assert judged.verdict is Verdict.ERROR
    assert judged.errors == ("binance failed inside, request: KeyError('x')",)


def test_a_fault_made_a_no_op_is_inconclusive(make_scenario, make_history, outage):
    """All invariants hold, and still no PASS: nothing was shown to have hurt the target."""
    scenario = with_fault(make_scenario(), WithoutEffect(outage()))
    judged = judge(make_history(scenario, bites=False), scenario)

    assert judged.verdict is Verdict.INCONCLUSIVE
    assert judged.doubts == ("fault redis.outage (hang) shows no evidence that it bit",)
    assert [one.verdict for one in judged.invariants] == [Outcome.HOLDS]


def test_a_fault_that_never_began_is_inconclusive(make_scenario, make_history):
    """A planned fault without a trace in the history neither bit nor healed."""
    scenario = make_scenario()
    history = make_history(scenario)
    without = History.of(event for event in history.events if "Fault" not in type(event).__name__)
    judged = judge(without, scenario)

    assert judged.verdict is Verdict.INCONCLUSIVE
    assert (judged.faults[0].bit, judged.faults[0].end_s) == (False, None)


def test_a_fault_that_was_not_healed_is_inconclusive(make_scenario, make_history):
    """Recovery was never owed, so none was seen."""
    scenario = make_scenario()
    judged = judge(make_history(scenario, healed=False), scenario)

    assert judged.verdict is Verdict.INCONCLUSIVE
    assert judged.doubts == ("fault redis.outage (hang) was never healed",)


def test_an_unmet_need_is_inconclusive(make_scenario, make_history):
    """Too little happened for a verdict; how much did is told."""
    scenario = with_needs(make_scenario(), at_least(3, "publish"))
    judged = judge(make_history(scenario, publishes=2), scenario)

    assert judged.verdict is Verdict.INCONCLUSIVE
    assert judged.doubts == ("need not met: at least 3 publish (observed 2)",)


def test_a_history_cut_short_is_not_a_pass(make_scenario, make_history):
    """What is missing could have broken anything, also where no invariant asks for the end."""
    scenario = make_scenario(invariants=(Saying(Outcome.HOLDS, "EB1"),))
    judged = judge(make_history(scenario, ended=False), scenario)

    assert judged.verdict is Verdict.INCONCLUSIVE
    assert judged.doubts == ("the history was cut short",)


def test_an_inconclusive_invariant_is_inconclusive(make_scenario, make_history):
    """One invariant in doubt leaves the whole in doubt, with its reason."""
    scenario = make_scenario(invariants=(Saying(Outcome.HOLDS, "EB1"), Saying(Outcome.INCONCLUSIVE)))
    judged = judge(make_history(scenario), scenario)

    assert judged.verdict is Verdict.INCONCLUSIVE
    assert judged.doubts == ("X1 is inconclusive: because",)


def test_an_invariant_that_looked_at_nothing_is_inconclusive(make_scenario, make_history):
    """No publish at all: "every publish is answered" holds of nothing."""
    scenario = make_scenario()
    judged = judge(make_history(scenario, publishes=0), scenario)

    assert judged.verdict is Verdict.INCONCLUSIVE
    assert [one.verdict for one in judged.invariants] == [Outcome.INCONCLUSIVE]


def test_a_violation_is_a_fail(make_scenario, make_history):
    """The plain failure."""
    scenario = make_scenario()
    judged = judge(make_history(scenario, lost=1), scenario)

    assert judged.verdict is Verdict.FAIL
    assert (judged.errors, judged.doubts) == ((), ())


def test_a_violation_is_a_fail_whatever_is_in_doubt(make_scenario, make_history):
    """Not bitten, not healed, cut short, need unmet: what was seen to be broken is broken. The doubts are kept."""
    scenario = make_scenario()
    judged = judge(make_history(scenario, publishes=2, lost=2, bites=False, healed=False, ended=False), scenario)

    assert judged.verdict is Verdict.FAIL
    assert len(judged.doubts) == 4


def test_a_checker_that_raises_is_an_error(make_scenario, make_history):
    """A broken checker is our error, never "holds", and it is named with where it broke."""
    scenario = make_scenario(invariants=(Saying(Outcome.HOLDS, "EB1"), Saying(Outcome.ERROR)))
    judged = judge(make_history(scenario), scenario)

    assert judged.verdict is Verdict.ERROR
    (error,) = judged.errors
    assert error.startswith("invariant X1 raised: the checker raised ZeroDivisionError: no checker is perfect (at ")


def test_evidence_that_raises_is_an_error(make_scenario, make_history):
    """Evidence that cannot be computed is our error, even where all invariants hold."""
    scenario = with_fault(make_scenario(), BadEvidence())
    judged = judge(make_history(scenario), scenario)

    assert judged.verdict is Verdict.ERROR
    assert judged.errors == ("evidence of redis.outage raised KeyError: 'bytes'",)
    assert not judged.faults[0].bit


def test_a_need_that_raises_is_an_error(make_scenario, make_history):
    """A need that cannot be checked is our error; the other needs are still told."""
    scenario = with_needs(make_scenario(), BadNeed(), at_least(1, "publish"))
    judged = judge(make_history(scenario), scenario)

    assert judged.verdict is Verdict.ERROR
    assert judged.errors == ("a need raised IndexError: out of range",)
    assert len(judged.needs) == 1


def test_a_host_that_failed_by_itself_is_an_error(make_scenario, make_history):
    """A program that crashed is not a target that held."""
    scenario = make_scenario()
    crash = HostChanged(seconds(4), "publisher", 1, "failed", "RuntimeError: boom")
    judged = judge(make_history(scenario, extra=[crash]), scenario)

    assert judged.verdict is Verdict.ERROR
    assert judged.errors == ("host publisher failed: RuntimeError: boom",)


@pytest.mark.parametrize("change", ["started", "stopped", "finished", "killed", "powered_off", "frozen", "thawed"])
def test_a_host_that_was_made_to_stop_is_no_error(make_scenario, make_history, change):
    """What a fault or the end of the run does to a host is what was planned."""
    scenario = make_scenario()
    ended = HostChanged(seconds(4), "publisher", 1, change, "")

    assert judge(make_history(scenario, extra=[ended]), scenario).verdict is Verdict.PASS


def test_trouble_of_the_harness_is_an_error_before_all(make_scenario, make_history):
    """What the harness ran into outranks even a violation: it may have caused it."""
    scenario = make_scenario()
    judged = judge(make_history(scenario, lost=1), scenario, trouble=("redis did not start",))

    assert judged.verdict is Verdict.ERROR
    assert judged.errors == ("redis did not start",)


def test_a_scenario_edited_since_is_an_error(make_scenario, make_history, outage):
    """A history is not judged by a plan it was not made under: longer fault, other seed's mode, one fault less."""
    made = make_history(make_scenario())
    longer = replace(make_scenario().profile("full"), schedule=(during(seconds(2), seconds(4), outage()),))
    fewer = replace(longer, schedule=())

    for profile in (longer, fewer):
        judged = judge(made, make_scenario(profiles={"full": profile}))
        assert judged.verdict is Verdict.ERROR
        assert judged.errors == (
            "scenario redis-outage has changed since this history was made: its plan for seed 1 differs",
        )
    other_seed = judge(make_history(make_scenario(), header={"seed": 2}), make_scenario())
    assert other_seed.verdict is Verdict.ERROR


def test_a_history_of_an_unknown_profile_is_the_persons_error(make_scenario, make_history):
    """The profile is looked up by name, with the nearest one named."""
    scenario = make_scenario()

    with pytest.raises(UsageError, match="unknown profile of redis-outage 'ful'; did you mean 'full'"):
        judge(make_history(scenario, header={"profile": "ful"}), scenario)


@pytest.mark.parametrize(
    ("extra", "text"),
    [
        (Ok(seconds(3), "publisher", 1, 99, {}), "completed at 3000000000 ns without having been invoked"),
        (Ok(seconds(3), "publisher", 1, 0, {}), "was invoked or completed twice"),
        (FaultHealed(seconds(6), "harness", 1, 0), "fault 0 healed at 6000000000 ns, but did not hold"),
    ],
)
def test_a_history_that_contradicts_itself_is_an_error(make_scenario, make_history, extra, text):
    """An answer nobody asked for, two answers to one question: an ERROR that says so, not an exception."""
    scenario = make_scenario()
    judged = judge(make_history(scenario, extra=[extra]), scenario)

    assert judged.verdict is Verdict.ERROR
    assert judged.errors[0].startswith("the history contradicts itself: ")
    assert text in judged.errors[0]


@given(st.lists(st.sampled_from(Outcome), min_size=1, max_size=6), st.booleans(), st.booleans(), st.booleans())
def test_precedence(make_scenario, make_history, outcomes, trouble, bites, ended):
    """ERROR over FAIL over INCONCLUSIVE over PASS, for every mixture of outcomes, doubts and trouble."""
    invariants = tuple(Saying(outcome, f"X{number}") for number, outcome in enumerate(outcomes))
    scenario = make_scenario(invariants=invariants, flawed=())
    history = make_history(scenario, bites=bites, ended=ended)
    if trouble or Outcome.ERROR in outcomes:
        expected = Verdict.ERROR
    elif Outcome.VIOLATED in outcomes:
        expected = Verdict.FAIL
    elif Outcome.INCONCLUSIVE in outcomes or not bites or not ended:
        expected = Verdict.INCONCLUSIVE
    else:
        expected = Verdict.PASS

    judged = judge(history, scenario, trouble=("trouble",) if trouble else ())
    assert judged.verdict is expected
    assert (expected is Verdict.PASS) == (not judged.errors and not judged.doubts and Outcome.VIOLATED not in outcomes)


@given(st.lists(st.sampled_from(Verdict), max_size=8))
def test_the_worst_verdict_decides(verdicts):
    """Over many runs the same precedence holds, in whatever order; adding one never makes it better."""
    ranks = [Verdict.PASS, Verdict.INCONCLUSIVE, Verdict.FAIL, Verdict.ERROR]
    expected = max(verdicts, key=ranks.index, default=Verdict.INCONCLUSIVE)

    assert worst(verdicts) is expected
    assert worst(reversed(verdicts)) is expected
    if verdicts:
        assert all(ranks.index(worst([*verdicts, one])) >= ranks.index(expected) for one in Verdict)


def test_nothing_at_all_is_inconclusive():
    """No run is no pass."""
    assert worst([]) is Verdict.INCONCLUSIVE
