"""`judge_all` keeps answers honest: crashes, empty looks and cut histories never hold."""

from dataclasses import dataclass

import pytest

from harness.invariants.base import judge_all, none_of, result
from harness.verdict import Finding, InvariantResult, Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class Says:
    """An invariant that says what it was told to."""

    verdict: Outcome = Outcome.HOLDS
    checked: int = 1
    reason: str = ""
    needs_end: bool = False
    raises: Exception | None = None
    id: str = "T1"
    name: str = "says"
    statement: str = "as told"

    def judge(self, history):
        if self.raises is not None:
            raise self.raises
        return result(self, self.verdict, checked=self.checked, reason=self.reason)


def test_a_result_carries_the_invariants_identity(run):
    """Ids and statements come from the declaration."""
    assert (InvariantResult(id="T1", name="says", statement="as told", verdict=Outcome.HOLDS, checked=1),) == judge_all(
        run.end(1), [Says()]
    )


def test_a_checker_that_raises_is_an_error_and_the_others_go_on(run):
    """With type, text on one line, and place - the module and line that raised."""
    crashed, held = judge_all(run.end(1), [Says(raises=KeyError("a\nb")), Says()])
    assert (crashed.verdict, crashed.checked, held.verdict) == (Outcome.ERROR, 0, Outcome.HOLDS)
    assert crashed.reason.startswith("the checker raised KeyError: 'a\\nb' (at ")
    assert crashed.reason.endswith(" in judge)")
    assert "test_base:" in crashed.reason
    assert "/" not in crashed.reason


@pytest.mark.parametrize("reason", ["", "no group"])
def test_looking_at_nothing_is_inconclusive(run, reason):
    """With a reason in any case."""
    judged = judge_all(run.end(1), [Says(checked=0, reason=reason)])[0]
    assert Outcome.INCONCLUSIVE is judged.verdict
    assert (reason or "nothing in the history could be checked") == judged.reason


@pytest.mark.parametrize(
    ("needs_end", "verdict", "expected"),
    [
        (True, Outcome.HOLDS, Outcome.INCONCLUSIVE),
        (False, Outcome.HOLDS, Outcome.HOLDS),
        (True, Outcome.VIOLATED, Outcome.VIOLATED),
        (True, Outcome.ERROR, Outcome.ERROR),
    ],
)
def test_a_cut_history_cannot_show_that_what_needs_the_end_holds(run, needs_end, verdict, expected):
    """A violation that it shows stays one."""
    assert expected is judge_all(run.cut(), [Says(verdict=verdict, needs_end=needs_end)])[0].verdict


def test_none_of_explains_only_offences(run):
    """The explanation is not even computed when there are none."""
    shown = Finding(sentence="s", count=2, first="a", worst="b", last="c")
    held = none_of(Says(), [], checked=3, unit="events", explain=lambda: pytest.fail("nothing to explain"))
    broken = none_of(Says(), ["x", "y"], checked=3, unit="events", explain=lambda: shown)
    assert (held.verdict, held.observed, held.limit, held.finding) == (Outcome.HOLDS, 0, 0, None)
    assert (Outcome.VIOLATED, 2, 0, shown) == (broken.verdict, broken.observed, broken.limit, broken.finding)
