"""The state of one service: hysteresis, and never a state without a recent check."""

from dataclasses import dataclass, field

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from reference_impl._health.machine import Machine
from reference_impl._health.model import Change, Options, Reading, State

H, D, C, U = State.HEALTHY, State.DEGRADED, State.CRITICAL, State.UNKNOWN
OPTIONS = Options(interval=2.0, timeout=1.0)


def checked(*states: State, options: Options = OPTIONS) -> tuple[Machine, list[State]]:
    """Return a machine that found these, a second apart, and its state after each."""
    machine = Machine("s", options)
    seen = []
    for second, state in enumerate(states):
        machine.take(Reading(state, "why" if state is not H else ""), float(second))
        seen.append(machine.state(float(second)))
    return machine, seen


@pytest.mark.parametrize(
    ("found", "shown"),
    [
        ([H], [H]),
        ([D], [D]),
        ([C], [U]),
        ([C, C], [U, C]),
        ([C, H], [U, H]),
        ([H, C, H, C, H], [H, H, H, H, H]),
        ([H, C, C], [H, H, C]),
        ([H, C, C, H, C, H, H], [H, H, C, C, C, C, H]),
        ([H, D, C], [H, H, D]),
        ([H, C, D], [H, H, D]),
        ([H, C, D, C, C], [H, H, D, D, C]),
        ([C, C, H, D], [U, C, C, D]),
        ([C, C, D, H], [U, C, C, D]),
        ([C, C, D, H, H, H], [U, C, C, D, D, H]),
        ([H, D, D, C, H, H], [H, H, D, D, D, H]),
    ],
)
def test_a_state_changes_when_two_checks_in_a_row_prove_it(found: list[State], shown: list[State]) -> None:
    """The mildest of what got worse, the worst of what got better; nothing known needs one good check only."""
    assert checked(*found)[1] == shown


def test_a_change_says_what_and_why() -> None:
    """Before, after, the reason of the check that proved it, and when."""
    machine = Machine("s", OPTIONS)
    assert machine.take(Reading(H), 1.0) == Change("s", U, H, "", 1.0)
    assert machine.take(Reading(C, "refused"), 3.0) is None
    assert machine.in_doubt
    assert machine.take(Reading(C, "timeout"), 4.0) == Change("s", H, C, "timeout", 4.0)
    assert (machine.reason, machine.changed_at, machine.checked_at) == ("timeout", 4.0, 4.0)
    assert not machine.in_doubt
    assert machine.take(Reading(C, "refused"), 6.0) is None
    assert (machine.reason, machine.changed_at) == ("refused", 4.0)


def test_without_a_recent_check_nothing_is_known() -> None:
    """Two intervals and a timeout after the last one, to the instant; and before the first."""
    machine = Machine("s", OPTIONS)
    assert machine.state(0.0) is U
    machine.take(Reading(H), 10.0)
    assert machine.state(15.0) is H
    assert machine.state(15.001) is U


@pytest.mark.parametrize(("found", "state"), [(H, H), (D, D), (C, U)])
def test_after_a_gap_it_begins_anew(found: State, state: State) -> None:
    """What was before a freeze is no half of a proof."""
    machine, _ = checked(H, C)
    machine.take(Reading(found), 100.0)
    assert machine.state(100.0) is state


@pytest.mark.parametrize(("fall", "rise"), [(1, 1), (3, 2), (2, 5)])
def test_fall_and_rise_are_options(fall: int, rise: int) -> None:
    """So many in a row, not one fewer."""
    options = Options(interval=2.0, timeout=1.0, fall=fall, rise=rise)
    assert checked(H, *[C] * (fall - 1), options=options)[1][-1] is H
    assert checked(H, *[C] * fall, options=options)[1][-1] is C
    assert checked(H, *[C] * fall, *[H] * (rise - 1), options=options)[1][-1] is C
    assert checked(H, *[C] * fall, *[H] * rise, options=options)[1][-1] is H


_RANK = {H: 0, D: 1, C: 2}


@dataclass
class _Model:
    """The same, told another way: from the whole list of what was found since the last gap, replayed each time."""

    fall: int
    rise: int
    stale_after: float
    found: list[State] = field(default_factory=list)
    last: float | None = None

    def take(self, state: State, now: float) -> None:
        if self.last is not None and now - self.last > self.stale_after:
            self.found.clear()
        self.found.append(state)
        self.last = now

    def state(self, now: float) -> State:
        if self.last is None or now - self.last > self.stale_after:
            return U
        shown, begin = U, 0
        for end in range(1, len(self.found) + 1):
            worse = self._run(shown, begin, end, worse=True)
            better = self._run(shown, begin, end, worse=False)
            if len(worse) >= self.fall:
                shown, begin = min(worse, key=_RANK.__getitem__), end
            elif len(better) >= (1 if shown is U else self.rise):
                shown, begin = max(better, key=_RANK.__getitem__), end
        return shown

    def _run(self, shown: State, begin: int, end: int, *, worse: bool) -> list[State]:
        """Return the findings right before `end` that all say worse, or all say better, than what is shown."""
        run: list[State] = []
        for state in reversed(self.found[begin:end]):
            if state is shown or (_RANK[state] > _RANK.get(shown, 1)) is not worse:
                break
            run.append(state)
        return run


class MachineMachine(RuleBasedStateMachine):
    """Checks at any times, of any outcome."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.options = Options(interval=2.0, timeout=1.0)
        self.machine = Machine("s", self.options)
        self.model = _Model(2, 2, self.options.stale_after)

    @precondition(lambda self: not self.model.found)
    @rule(fall=st.integers(1, 4), rise=st.integers(1, 4))
    def begin(self, fall: int, rise: int) -> None:
        self.options = Options(interval=2.0, timeout=1.0, fall=fall, rise=rise)
        self.machine = Machine("s", self.options)
        self.model = _Model(fall, rise, self.options.stale_after)

    @rule(state=st.sampled_from([H, D, C]))
    def check(self, state: State) -> None:
        before = self.machine.state(self.now)
        change = self.machine.take(Reading(state), self.now)
        self.model.take(state, self.now)
        after = self.machine.state(self.now)
        assert (change is not None) == (after is not before or (before is U and after is not U))
        if change is not None:
            assert (change.before, change.after) == (before, after)

    @rule(seconds=st.sampled_from([0.5, 1.0, 2.0, 4.9, 5.0, 5.1, 60.0]))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    @invariant()
    def agrees(self) -> None:
        assert self.machine.state(self.now) is self.model.state(self.now)

    @invariant()
    def knows_nothing_without_a_recent_check(self) -> None:
        last = self.model.last
        if last is None or self.now - last > self.options.stale_after:
            assert self.machine.state(self.now) is U


TestMachine = MachineMachine.TestCase
TestMachine.settings = settings(max_examples=60, stateful_step_count=40)
