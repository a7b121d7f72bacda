"""Shrinking: it keeps the invariant, comes to an end, gives the same each time, and finds what matters."""

from collections.abc import Callable

from hypothesis import given, settings
from hypothesis import strategies as st

from harness.experiment import Experiment, Held
from harness.explore.draw import fresh
from harness.explore.legal import legal
from harness.explore.shrink import Shrunk, distance, shrink
from harness.tape import Tape
from tests.harness.explore.bots import SPAN_MS, declare, stock

LARDER = stock(declare(workload={"bot": {"gap_ns": (10, 5, 20), "size": (1, 100)}}))
SEEDS = st.integers(0, 1 << 32)


def shrunk(experiment: Experiment, fails: Callable[[Experiment], bool], most: int = 400) -> Shrunk:
    return shrink(experiment, fails, LARDER, executions_max=most)


@settings(max_examples=30)
@given(SEEDS, st.integers(0, 3))
def test_what_is_left_fails_and_is_no_bigger(seed: int, needed: int) -> None:
    """Whatever decides over failing, the result fails, is possible, and has no more faults than before."""
    begun = fresh(Tape(seed).stream("dice"), LARDER)
    entries = {fault.entry for fault in begun.faults[:needed]}

    def fails(experiment: Experiment) -> bool:
        return entries <= {fault.entry for fault in experiment.faults}

    small = shrunk(begun, fails)

    assert fails(small.experiment)
    assert small.complete
    assert {fault.entry for fault in small.experiment.faults} == entries
    assert legal(small.experiment.faults, LARDER.menu, (), SPAN_MS) == small.experiment.faults
    assert (small.experiment.changes, small.experiment.workload, small.experiment.seed) == (0, (), 0)


@settings(max_examples=20)
@given(SEEDS, st.integers(1, 25))
def test_it_ends_within_its_executions_and_is_deterministic(seed: int, most: int) -> None:
    """Never more executions than allowed; the same failure shrinks the same way; an end before the end is said."""
    begun = fresh(Tape(seed).stream("dice"), LARDER)
    asked: list[Experiment] = []

    def fails(experiment: Experiment) -> bool:
        asked.append(experiment)
        return len(experiment.faults) == len(begun.faults) and experiment.seed % 3 == begun.seed % 3

    first, first_asked = shrunk(begun, fails, most), list(asked)
    asked.clear()

    assert first == shrunk(begun, fails, most)
    assert first_asked == asked
    assert len(asked) == first.executions <= most
    assert len(set(asked)) == len(asked)


def test_times_become_short_and_round() -> None:
    """A fault that must hold half a second around 3.2 s is brought to where it can be read."""

    def fails(experiment: Experiment) -> bool:
        return any(fault.start_ms <= 3_300 and fault.end_ms >= 3_400 for fault in experiment.faults)

    begun = Experiment(
        profile="short", seed=9, span_ms=SPAN_MS, faults=(Held(2_870, 4_130, "redis.outage/refuse on redis"),)
    )
    small = shrunk(begun, fails).experiment

    assert small.faults == (Held(3_000, 500, "redis.outage/refuse on redis"),)
    assert small.span_ms == 3_500


def test_the_first_mode_that_fails_is_taken() -> None:
    """A failure that any outage shows is shown with the plainest one; one that needs a crash keeps a crash."""

    def with_crash(experiment: Experiment) -> bool:
        return any("crash" in fault.entry for fault in experiment.faults)

    begun = Experiment(
        profile="short", seed=9, span_ms=SPAN_MS, faults=(Held(1_000, 500, "redis.outage/crash-lose-window on redis"),)
    )

    assert shrunk(begun, lambda one: bool(one.faults)).experiment.faults[0].entry == "redis.outage/refuse on redis"
    assert shrunk(begun, with_crash).experiment.faults[0].entry == "redis.outage/crash on redis"


def test_single_choices_of_the_order_are_kept_where_they_matter() -> None:
    """Where the failure needs one choice of callback order, that one is left, and all others are the simplest."""
    begun = Experiment(profile="short", seed=9, span_ms=100)
    drawn = {"schedule": [3, 0, 1, 2, 5, 0, 1, 1, 2, 7]}

    def fails(experiment: Experiment) -> bool:
        calm = experiment.changes == 0 or "schedule" in experiment.calm
        return not calm or ("schedule", 4, 5) in experiment.edits

    small = shrink(begun, fails, LARDER, executions_max=400, recorded=lambda _: drawn)

    assert small.experiment.edits == (("schedule", 4, 5),)
    assert "schedule" in small.experiment.calm


def test_more_choices_than_can_be_read_stay_with_the_seed() -> None:
    """If half of a label's choices matter, a list of them would say less than the seed."""
    begun = Experiment(profile="short", seed=9, span_ms=100)
    drawn = {"schedule": [1] * 60}

    def fails(experiment: Experiment) -> bool:
        calm = experiment.changes == 0 or "schedule" in experiment.calm
        return not calm or len(experiment.edits) >= 30

    small = shrink(begun, fails, LARDER, executions_max=400, recorded=lambda _: drawn).experiment

    assert (small.edits, "schedule" in small.calm) == ((), False)


def test_the_nearest_passing_experiment_is_told() -> None:
    """Of all that passed, the one that differs least: here by the one fault that matters."""
    entry = "redis.outage/refuse on redis"
    begun = Experiment(profile="short", seed=0, span_ms=1_500, faults=(Held(1_000, 500, entry),), changes=0)
    small = shrunk(begun, lambda one: any(fault.length_ms >= 200 for fault in one.faults))

    assert small.passing is not None
    assert distance(small.experiment, small.passing) <= 2
    assert not any(fault.length_ms >= 200 for fault in small.passing.faults)
