"""The order in which a budget is spent, and what is remembered for it from one gate to the next."""

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.campaign import Hunt, Job, Single, Twice
from harness.past import FAILED_MAX, GroupPast, Past, learned, read_past, write_past
from harness.runner import Order
from harness.schedule import in_order
from harness.verdict import FlawedResult, RunResult, Verdict


@pytest.fixture
def jobs(make_scenario, tmp_path):
    """`jobs(cheap=3, dear=2)`: that many seeds of each scenario, seed 1 twice, and a hunt of each."""

    def make(**seeds: int) -> list[Job]:
        made: list[Job] = []
        for name, count in seeds.items():
            scenario = make_scenario(name=name)
            order = Order(scenario=scenario, profile="full", world="sim", seed=1, targets={}, folder=tmp_path)
            made.append(Twice(order=order))
            made += [Single(order=replace(order, seed=seed)) for seed in range(2, count + 1)]
            made += [Hunt(order=order, variant=variant, seeds=5) for variant in scenario.flawed]
        return made

    return make


def told(jobs):
    return [f"{job.order.scenario.name} {'hunt' if isinstance(job, Hunt) else job.order.seed}" for job in jobs]


def past_of(**groups):
    return Past(groups={f"{name}|sim|full": known for name, known in groups.items()})


def test_first_seeds_then_hunts_then_the_rest_in_turn(jobs):
    """Nothing known: each scenario once, each variant, then seeds round robin."""
    assert told(in_order(Past())(jobs(one=3, two=3))) == [
        *("one 1", "two 1"),
        *("one hunt", "two hunt"),
        *("one 2", "two 2", "one 3", "two 3"),
    ]


def test_what_failed_the_last_time_comes_first(jobs):
    """Seed 3 of the second failed: it is the first of all, and its scenario still has its first seed in time."""
    order = told(in_order(past_of(two=GroupPast(cost_s=1.0, failed=(3,))))(jobs(one=3, two=4)))
    assert order[:3] == ["two 3", "one 1", "two 1"]


def test_a_dear_scenario_takes_no_more_time_than_a_cheap_one(jobs):
    """Ten times the cost, a tenth of the further seeds, while there are any of the cheap ones."""
    past = past_of(cheap=GroupPast(cost_s=1.0), dear=GroupPast(cost_s=10.0))
    further = told(in_order(past)(jobs(cheap=41, dear=41)))[4:]
    spent = further[:22]
    assert (sum(one.startswith("cheap") for one in spent), sum(one.startswith("dear") for one in spent)) == (20, 2)


def test_a_scenario_that_failed_of_late_has_a_multiple(jobs):
    """Its seeds evidently differ; the other's have all passed."""
    past = past_of(sound=GroupPast(cost_s=1.0), shaky=GroupPast(cost_s=1.0, failed=(99,)))
    further = told(in_order(past)(jobs(sound=30, shaky=30)))[4:24]
    assert sum(one.startswith("shaky") for one in further) == 16


@given(st.data())
def test_whatever_is_known_nothing_is_lost_or_done_twice(data):
    """The order is one of the same jobs, first seeds and hunts are before further ones, and it is always the same."""
    from tests.harness.conftest import declare  # noqa: PLC0415 - fixtures of a function do not go with Hypothesis

    names = ["a", "b", "c"]
    costs = st.one_of(st.none(), st.floats(0, 100))
    failed = st.lists(st.integers(1, 6), max_size=3, unique=True).map(tuple)
    past = past_of(**{name: GroupPast(cost_s=data.draw(costs), failed=data.draw(failed)) for name in names})
    made: list[Job] = []
    for name in names:
        scenario = declare(name=name)
        order = Order(scenario=scenario, profile="full", world="sim", seed=1, targets={}, folder=Path())
        made += [Single(order=replace(order, seed=seed)) for seed in range(1, data.draw(st.integers(1, 6)) + 1)]
        made.append(Hunt(order=order, variant=scenario.flawed[0], seeds=5))
    ordered = in_order(past)(made)
    assert sorted(map(id, ordered)) == sorted(map(id, made))
    assert list(map(id, in_order(past)(made))) == list(map(id, ordered))
    last_hunt = max(at for at, job in enumerate(ordered) if isinstance(job, Hunt))
    assert {job.order.scenario.name for job in ordered[:last_hunt] if isinstance(job, Single)} == set(names)


def run(seed, verdict=Verdict.PASS, wall_s=2.0, **fields):
    return RunResult(
        scenario="s", title="", patch=1, priority="P0", world="sim", profile="full", seed=seed, target={},
        verdict=verdict, wall_s=wall_s, **fields,
    )  # fmt: skip


def flawed(seed):
    return FlawedResult(
        variant="bus:v", scenario="s", world="sim", expected=(), caught=seed is not None, by=(), seeds=1, seed=seed
    )


def test_what_is_learned():
    """The mean cost of whole runs; seeds that did not pass, until they pass again; seeds that caught a variant."""
    past = learned(
        Past(), [run(1), run(2, Verdict.FAIL, 4.0), run(3, Verdict.ERROR, 99.0, lost="timed out")], [flawed(4)]
    )
    assert past.of("s", "sim", "full") == GroupPast(cost_s=3.0, failed=(2, 3))
    assert past.caught_at("s", "sim", "bus:v") == 4
    past = learned(past, [run(2)], [])
    assert past.of("s", "sim", "full") == GroupPast(cost_s=2.0, failed=(3,))
    assert past.caught_at("s", "sim", "bus:v") == 4
    assert learned(past, [], [flawed(None)]).caught_at("s", "sim", "bus:v") is None
    assert past.of("other", "sim", "full") == GroupPast()
    many = learned(Past(), [run(seed, Verdict.FAIL) for seed in range(100)], [])
    assert len(many.of("s", "sim", "full").failed) == FAILED_MAX


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"version": 2}', b'{"groups": 7}', b"\xff"])
def test_a_past_that_cannot_be_read_is_none(tmp_path, content):
    """It is a cache: bad ones are as good as missing ones, and the next gate writes a good one."""
    path = tmp_path / ".gate-past.json"
    assert read_past(path) == Past()
    path.write_bytes(content)
    assert read_past(path) == Past()
    known = learned(Past(), [run(1, Verdict.FAIL)], [flawed(2)])
    write_past(path, known)
    assert read_past(path) == known
    assert [one.name for one in tmp_path.iterdir()] == [path.name]


def test_where_nothing_can_be_written_nothing_is_remembered(tmp_path):
    """A folder that is none is no reason for a gate to fail."""
    write_past(tmp_path / "missing" / ".gate-past.json", Past())
    assert list(tmp_path.iterdir()) == []


def test_a_hunt_begins_at_the_seed_that_caught_the_variant_before(make_scenario, tmp_path):
    """That seed first, then the others once each; a seed beyond the hunt's is left alone."""
    scenario = make_scenario()
    order = Order(scenario=scenario, profile="full", world="sim", seed=1, targets={}, folder=tmp_path)
    hunt = Hunt(order=order, variant=scenario.flawed[0], seeds=4, first=3)
    assert hunt.tries == [3, 1, 2, 4]
    assert replace(hunt, first=9).tries == replace(hunt, first=None).tries == [1, 2, 3, 4]


def test_required_seeds_are_before_optional_ones(jobs):
    """However cheap those are, and whatever failed."""
    made = [replace(job, is_optional=job.order.seed > 2) if isinstance(job, Single) else job for job in jobs(a=5, b=5)]
    ordered = [job for job in in_order(past_of(a=GroupPast(cost_s=0.1)))(made) if isinstance(job, Single)]
    assert [job.is_optional for job in ordered] == [False] * 2 + [True] * 6
