"""The tape: every choice of a run, reproducible from its seed and editable one draw at a time."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.tape import Stream, Tape

LIMITS = st.integers(min_value=1, max_value=1 << 52)
LABELS = st.text(min_size=1, max_size=12)
SEEDS = st.integers(min_value=0, max_value=1 << 63)
PLAYS = st.lists(st.tuples(LABELS, LIMITS), max_size=30)
"""What a run asks of the tape, in order: a draw under a label, below a limit."""


def play(tape: Tape, draws: list[tuple[str, int]]) -> list[int]:
    return [tape.stream(label).below(limit) for label, limit in draws]


@given(SEEDS, PLAYS)
def test_same_seed_same_draws(seed: int, draws: list[tuple[str, int]]) -> None:
    """The same seed and the same questions give the same answers, so a seed names a run."""
    assert play(Tape(seed), draws) == play(Tape(seed), draws)


def test_other_seed_other_draws() -> None:
    """Seeds differ in what they give: twenty draws of two seeds, or of two labels, are not the same by chance."""
    draws = [("plan/0/start", 1 << 52)] * 20
    elsewhere = [("plan/1/start", 1 << 52)] * 20

    assert play(Tape(1), draws) != play(Tape(2), draws)
    assert play(Tape(1), draws) != play(Tape(1), elsewhere)


@given(SEEDS, PLAYS)
def test_every_draw_is_in_range(seed: int, draws: list[tuple[str, int]]) -> None:
    """A draw below a limit is at least 0 and below it, up to the largest limit there is."""
    for (_, limit), value in zip(draws, play(Tape(seed), draws), strict=True):
        assert 0 <= value < limit


@given(SEEDS, LIMITS, st.integers(min_value=0, max_value=1 << 60))
def test_an_edit_out_of_range_is_brought_into_it(seed: int, limit: int, value: int) -> None:
    """An edit recorded under another limit (the code has changed since) still gives a legal choice."""
    tape = Tape(seed, {"schedule": {0: value}})

    assert value % limit == tape.stream("schedule").below(limit)


@given(SEEDS, PLAYS)
def test_replay_of_what_was_recorded_gives_the_same_draws(seed: int, draws: list[tuple[str, int]]) -> None:
    """A tape made of `recorded()` alone replays the run, whatever its own seed would have given."""
    first = Tape(seed)
    drawn = play(first, draws)
    edits = {label: dict(enumerate(values)) for label, values in first.recorded().items()}

    assert drawn == play(Tape(seed + 1, edits), draws)


@given(SEEDS, st.lists(LIMITS, min_size=1, max_size=20), st.data())
def test_an_edit_changes_its_own_position_only(seed: int, limits: list[int], data: st.DataObject) -> None:
    """Editing one draw leaves all the other draws of that label as they were: runs shrink one choice at a time."""
    position = data.draw(st.integers(0, len(limits) - 1))
    value = data.draw(st.integers(0, limits[position] - 1))
    draws = [("link/a->b", limit) for limit in limits]
    plain = play(Tape(seed), draws)
    plain[position] = value

    assert plain == play(Tape(seed, {"link/a->b": {position: value}}), draws)


@given(SEEDS, LABELS, LABELS, st.integers(0, 20), st.integers(1, 20))
def test_labels_are_independent(seed: int, mine: str, other: str, extra: int, count: int) -> None:
    """How often one label is drawn from does not change what another gives."""
    if mine == other:
        return
    alone, crowded = Tape(seed), Tape(seed)
    for _ in range(extra):
        crowded.stream(other).below(1_000)

    assert play(alone, [(mine, 1_000)] * count) == play(crowded, [(mine, 1_000)] * count)


@given(SEEDS, st.integers(-1_000, 1_000), st.integers(0, 1_000))
def test_between_includes_both_bounds(seed: int, low: int, width: int) -> None:
    """`between` draws from a closed range, and one of width 0 has a single answer."""
    stream = Tape(seed).stream("workload/a")

    assert low <= stream.between(low, low + width) <= low + width
    assert low == stream.between(low, low)


def test_between_and_choice_reach_everything() -> None:
    """Both bounds of a range and every alternative do come up."""
    stream = Tape(3).stream("plan/0/mode")

    assert {1, 2, 3} == {stream.between(1, 3) for _ in range(100)}
    assert {"refuse", "hang"} == {stream.choice(["refuse", "hang"]) for _ in range(100)}


@given(SEEDS)
def test_a_fraction_is_at_least_0_and_below_1(seed: int) -> None:
    """Fractions fit where a probability is compared."""
    stream = Tape(seed).stream("link/a->b")

    assert all(0 <= stream.fraction() < 1 for _ in range(50))


def test_a_given_choice_is_recorded_and_can_be_edited() -> None:
    """A computed choice goes on the tape like a drawn one."""
    plain, edited = Tape(1), Tape(1, {"plan/0/mode": {0: 2}})

    assert plain.stream("plan/0/mode").given(1, 3) == 1
    assert plain.recorded() == {"plan/0/mode": [1]}
    assert edited.stream("plan/0/mode").given(1, 3) == 2


@pytest.mark.parametrize(
    "simplest",
    [
        lambda stream: stream.below(9),
        lambda stream: stream.between(0, 9),
        lambda stream: stream.given(0, 9),
        lambda stream: stream.choice([0, 1, 2]),
        lambda stream: stream.fraction(),
    ],
)
def test_zero_is_the_simplest_choice(simplest: Callable[[Stream], float]) -> None:
    """An edit to 0 gives the first alternative and the low bound in each way of drawing: what shrinking aims at."""
    assert simplest(Tape(5, {"schedule": {0: 0}}).stream("schedule")) == 0


@given(SEEDS)
def test_dice_follow_the_tape(seed: int) -> None:
    """Bulk dice take one draw, are the same for the same seed, and differ from the next dice of that label."""
    one, two = Tape(seed), Tape(seed)
    first = [one.stream("entropy/a#1").dice().random() for _ in range(2)]

    assert first == [two.stream("entropy/a#1").dice().random() for _ in range(2)]
    assert first[0] != first[1]
    assert [len(values) for values in one.recorded().values()] == [2]


def test_a_stream_is_one_object_per_label() -> None:
    """Asking twice continues the stream; it does not start over."""
    tape = Tape(1)

    assert tape.stream("schedule") is tape.stream("schedule")
    assert tape.stream("schedule") is not tape.stream("plan/0/start")


@given(SEEDS, PLAYS)
def test_a_calm_label_gives_the_simplest_choice(seed: int, draws: list[tuple[str, int]]) -> None:
    """Every draw of a calm label is 0, whatever the seed; the labels beside it give what they always do."""
    tape = Tape(seed, calm=["link/*"])
    calm = play(tape, [(f"link/{label}", limit) for label, limit in draws])

    assert calm == [0] * len(draws)
    assert play(tape, draws) == play(Tape(seed), draws)


def test_an_edit_wins_over_calm() -> None:
    """A single choice can be kept where all others of its label are the simplest."""
    stream = Tape(1, {"schedule": {2: 5}}, calm=["schedule"]).stream("schedule")

    assert [stream.below(10) for _ in range(4)] == [0, 0, 5, 0]
