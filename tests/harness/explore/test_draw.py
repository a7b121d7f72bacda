"""Drawing experiments: within the menu and the budget, possible side by side, the same from the same dice."""

from dataclasses import replace
from itertools import combinations

from hypothesis import given, settings
from hypothesis import strategies as st

from harness.experiment import AtMost, Experiment, Held, cannot_bear
from harness.explore.draw import Uses, due, fresh, mutated
from harness.explore.landmarks import Landmarks
from harness.explore.legal import GAP_MS, affordable, claims, legal
from harness.explore.menu import inside_entry
from harness.tape import Tape
from tests.harness.explore.bots import SPAN_MS, declare, stock

LARDER = stock(
    declare(
        budget=(AtMost(1, "redis.outage/crash-lose-* on redis", ever=True), AtMost(2, "network.*")),
        without=("process.freeze/* on risk",),
        workload={"bot": {"gap_ns": (10, 5, 20), "size": (1, 100)}},
    )
)
SEEDS = st.integers(0, 1 << 32)


def drawn(seed: int, mutations: int = 0) -> Experiment:
    dice = Tape(seed).stream("dice")
    experiment = fresh(dice, LARDER)
    for _ in range(mutations):
        experiment = mutated(dice, LARDER, experiment)
    return experiment


@settings(max_examples=60)
@given(SEEDS, st.integers(0, 6))
def test_what_is_drawn_is_possible(seed: int, mutations: int) -> None:
    """Faults are on the menu, lie within the span, and no two that claim the same thing hold at once."""
    faults = drawn(seed, mutations).faults

    for at, fault in enumerate(faults):
        assert LARDER.menu.item(fault.entry).entry == fault.entry
        assert 0 <= fault.start_ms < fault.end_ms <= SPAN_MS
        for other in faults[:at]:
            shared = claims(LARDER.menu.item(fault.entry)) & claims(LARDER.menu.item(other.entry))
            assert not shared or fault.start_ms >= other.end_ms + GAP_MS


@settings(max_examples=60)
@given(SEEDS, st.integers(0, 6))
def test_the_budget_is_kept(seed: int, mutations: int) -> None:
    """One loss of data in a run, two faults of the network at once; what is left out is never drawn."""
    faults = drawn(seed, mutations).faults
    network = [fault for fault in faults if fault.entry.startswith("network.")]

    assert sum(fault.entry.startswith("redis.outage/crash-lose") for fault in faults) <= 1
    for fault in network:
        assert sum(one.start_ms <= fault.start_ms < one.end_ms for one in network) <= 2
    assert not any(fault.entry == "process.freeze/sigstop on risk" for fault in faults)


@settings(max_examples=20)
@given(SEEDS)
def test_the_same_dice_draw_the_same(seed: int) -> None:
    """A search is repeatable because drawing is."""
    assert drawn(seed, 3) == drawn(seed, 3)


@settings(max_examples=40)
@given(SEEDS)
def test_an_experiment_survives_being_written_down(seed: int) -> None:
    """The database and a history's first line give back what was put into them."""
    experiment = drawn(seed)

    assert Experiment.decoded(experiment.encoded()) == experiment
    assert Experiment.of_fields(experiment.as_fields()) == experiment


def test_a_workload_of_lists_survives_as_well() -> None:
    """An agenda comes back from JSON as something that can be a key."""
    agenda = ((100, "trip"), (200, "reset"))
    experiment = Experiment(profile="short", seed=1, span_ms=SPAN_MS, workload=(("bot", "agenda", agenda),))

    assert Experiment.decoded(experiment.encoded()) == experiment
    assert hash(Experiment.of_fields(experiment.as_fields())) == hash(experiment)


def test_the_workload_is_drawn_from_what_the_scenario_allows() -> None:
    """Only declared hosts and parameters, with one of their values; what is as ever is not said."""
    seen = {change for seed in range(60) for change in drawn(seed).workload}

    assert seen == {("bot", "gap_ns", 5), ("bot", "gap_ns", 20), ("bot", "size", 100)}


def test_experiments_differ_in_the_kinds_they_know() -> None:
    """Swarm: an experiment takes a subset of kinds, so some have several faults of one kind and none of another."""
    kinds = [{LARDER.menu.item(fault.entry).kind for fault in drawn(seed).faults} for seed in range(120)]

    assert len({frozenset(one) for one in kinds}) > 60
    assert set().union(*kinds) == {LARDER.menu.item(kind[0]).kind for kind in LARDER.kinds}


def test_what_is_due_leaves_no_fault_out() -> None:
    """In twice as many faults as there are on the menu each was drawn; by chance one in seven is still missing."""
    dice, uses = Tape(1).stream("dice"), Uses()
    larder = stock(declare())
    every = {entry for kind in larder.kinds for entry in kind}
    drawn_faults: list[Held] = []
    while len(drawn_faults) < 2 * len(every):
        faults = due(dice, larder, uses).faults
        uses.note(faults)
        drawn_faults += faults

    assert {fault.entry for fault in drawn_faults} == every


def test_what_is_due_meets_what_it_has_not_met() -> None:
    """Where every kind was drawn with every other but for one pair, that pair comes next."""
    larder = stock(declare())
    entries = [kind[0] for kind in larder.kinds]
    one, other = "clock.step", "redis.outage"
    uses = Uses()
    for pair in combinations(entries, 2):
        if {entry.partition("/")[0] for entry in pair} != {one, other}:
            uses.note([Held(0, 100, entry) for entry in pair])
    for entry in entries:  # those two the least, so that it begins with one of them
        if not entry.startswith((one, other)):
            uses.note([Held(0, 100, each) for kind in larder.kinds for each in kind if each.startswith(entry[:12])])
    kinds = [
        {fault.entry.partition("/")[0] for fault in due(Tape(seed).stream("dice"), larder, uses).faults}
        for seed in range(40)
    ]

    assert sum({one, other} <= met for met in kinds) >= 20


def test_what_cannot_hold_side_by_side_is_not_due() -> None:
    """Else it would be due for ever: a host is not killed while it is dead, and a budget is kept."""
    bounds = (AtMost(1, "network.*"),)
    larder = stock(declare(budget=bounds))
    for seed in range(100):
        faults = due(Tape(seed).stream("dice"), larder, Uses()).faults
        assert len({fault.entry for fault in faults}) == len(faults)
        assert sum(fault.entry.startswith("network.") for fault in faults) <= 1
        assert sum("life of bot" in claims(larder.menu.item(fault.entry)) for fault in faults) <= 1


def test_faults_begin_where_operations_are_under_way() -> None:
    """Some; a rare operation is met as often as one that goes on all the time."""
    rare, frequent = ((5_000, 5_020),), tuple((at, at + 1) for at in range(0, 4_000, 10))
    larder = replace(stock(declare()), landmarks=Landmarks(under_way=(frequent, rare)))
    first = [fresh(Tape(seed).stream("dice"), larder).faults[0].start_ms for seed in range(200)]

    assert sum(5_000 <= start_ms <= 5_030 for start_ms in first) > 10


def test_faults_begin_around_changes_of_state() -> None:
    """Many; a state that is rarely reached is met as often as one that comes and goes."""
    rare, frequent = (5_000,), tuple(range(0, 4_000, 100))
    larder = replace(stock(declare()), landmarks=Landmarks(changes=(frequent, rare)))
    first = [fresh(Tape(seed).stream("dice"), larder).faults[0].start_ms for seed in range(200)]

    assert sum(4_900 <= start_ms < 5_500 for start_ms in first) > 40


def test_a_kill_inside_an_operation_waits_for_one_that_begins() -> None:
    """Three of four begin within a second before one does, and last for it."""
    entry = inside_entry("bot", "publish")
    larder = replace(stock(declare()), landmarks=Landmarks(begins={entry: (3_000, 6_000)}))
    faults = [fault for seed in range(2_000) for fault in fresh(Tape(seed).stream("dice"), larder).faults]
    waits = [fault for fault in faults if fault.entry == entry]
    met = sum(any(fault.start_ms < at_ms <= fault.end_ms for at_ms in (3_000, 6_000)) for fault in waits)

    assert len(waits) > 20
    assert met > len(waits) / 2


def test_half_of_the_faults_are_what_the_scenario_is_about() -> None:
    """What no schedule of it has is drawn all the same, less often."""
    larder = stock(declare())
    one = next(kind for kind in larder.kinds if kind[0].startswith("redis.outage"))
    larder = replace(larder, own=frozenset(one))
    faults = [fault.entry for seed in range(300) for fault in fresh(Tape(seed).stream("dice"), larder).faults]
    about = sum(entry in one for entry in faults)

    assert 0.2 < about / len(faults) < 0.6


def test_a_mutation_takes_a_fault_from_another_experiment() -> None:
    """What two experiments reached, each by itself, is tried together."""
    one = Experiment(profile="short", seed=1, span_ms=SPAN_MS, faults=(Held(0, 100, LARDER.kinds[0][0]),))
    other = Experiment(profile="short", seed=2, span_ms=SPAN_MS, faults=(Held(6_000, 777, LARDER.kinds[-1][0]),))
    children = [mutated(Tape(seed).stream("dice"), LARDER, one, other) for seed in range(40)]

    assert replace(one, faults=(*one.faults, *other.faults)) in children


def test_of_two_that_exclude_each_other_the_earlier_stays() -> None:
    """A host is not killed while it is dead; once it is back, it may be."""
    larder = stock(declare())

    kill, off = "process.kill/sigkill on bot", "process.power_off/power-off on bot"
    faults = [Held(1_000, 500, kill), Held(1_600, 500, off), Held(2_500, 500, off)]

    assert legal(faults, larder.menu, (), SPAN_MS) == (Held(1_000, 500, kill), Held(2_500, 500, off))


def test_an_invariant_says_what_it_cannot_bear() -> None:
    """Such a fault is drawn all the same, and that invariant alone does not judge it."""
    wishes = declare(budget=cannot_bear("process.freeze/*", invariants=("X1",))).explore
    freeze, kill = Held(0, 500, "process.freeze/sigstop on bot"), Held(1_500, 500, "process.kill/sigkill on bot")
    larder = stock(declare(budget=wishes.budget))

    assert legal([freeze, kill], larder.menu, wishes.bounds, SPAN_MS) == (freeze, kill)
    assert affordable([kill], wishes.budget_of("X1"))
    assert not affordable([freeze, kill], wishes.budget_of("X1"))
    assert affordable([freeze, kill], wishes.budget_of("X2"))
