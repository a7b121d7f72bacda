"""What an experiment is in words, and what tells two of them apart."""

from harness.experiment import Experiment, Held
from harness.explore.difference import between, lines, parting
from harness.history.events import SCHEMA, Event, FaultBegan, Invoke, Ok, RunStarted
from harness.history.history import History
from harness.units import ms

FAILING = Experiment(
    profile="short",
    seed=0,
    span_ms=1_500,
    faults=(Held(1_000, 500, "redis.outage/refuse on redis"),),
    changes=0,
    calm=("link/*",),
    edits=(("schedule", 4, 5),),
)
PASSING = Experiment(profile="short", seed=0, span_ms=1_500, changes=0, calm=("link/*",))


def history(*events: Event) -> History:
    """Return a history of these events."""
    return History.of([RunStarted(0, "harness", 1, SCHEMA, "0", "bots", "short", "sim", 1, {}, []), *events])


def test_an_experiment_is_told_choice_by_choice() -> None:
    """Seed and size, each fault with its times, what is calm, and each single choice."""
    assert list(lines(FAILING)) == [
        "seed 0, short profile, faults within 1.5 s",
        "1.00 s to 1.50 s  redis.outage/refuse on redis",
        "the simplest choice throughout: link/*",
        "but schedule[4] = 5",
    ]


def test_a_difference_is_what_only_one_of_them_has() -> None:
    """Lines of both are left out."""
    assert between(FAILING, PASSING) == ["- 1.00 s to 1.50 s  redis.outage/refuse on redis", "- but schedule[4] = 5"]


def test_runs_part_where_they_first_record_something_else() -> None:
    """What is the same is left out, and so is the record of faults, which is known to differ."""
    same = Invoke(ms(1), "bot", 1, 0, "publish", {"key": "a"})
    mine = history(same, FaultBegan(ms(2), "harness", 1, 0, "x", "y", "z"), Ok(ms(3), "bot", 1, 0, {"id": 1}))
    theirs = history(same, Ok(ms(4), "bot", 1, 0, {"id": 1}))

    assert parting(mine, theirs) == ["-     0.003 s  bot#1  ok id=1", "+     0.004 s  bot#1  ok id=1"]
    assert parting(mine, mine) == []
