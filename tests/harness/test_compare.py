"""Comparisons: flagged only beyond the spread of seeds, mirrored when turned round, silent where they cannot tell."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.compare import Sample, Side, compare, unnoticed
from harness.comparison import KnownFinding

NAMES = ("recovery_s", "publish_p99_ms", "publish_fail", "publish_per_s")


def sample(
    seed, *, world="sim", scenario="redis-outage", config="c0ffee", judged=True, wrong=(), target="a", **metrics
):
    return Sample(
        scenario=scenario,
        world=world,
        profile="full",
        seed=seed,
        target=(("event_bus", target),),
        is_judged=judged,
        config=config,
        metrics=metrics,
        wrong=tuple(wrong),
    )


def side(*samples, name="before", **fields):
    return Side(name=name, samples=tuple(samples), environment=fields.pop("environment", {}), **fields)


def spread(seeds, change=lambda value: value, dice_of=1, **fields):
    """Return runs whose recovery varies from seed to seed by a factor of ten, changed by `change`."""
    dice = random.Random(dice_of)
    return [sample(seed, recovery_s=change(dice.uniform(1, 10)), **fields) for seed in range(1, seeds + 1)]


def only_group(before, after):
    (group,) = compare(side(*before), side(*after)).groups
    return group


def test_the_same_seeds_show_what_their_spread_would_hide():
    """A fifth slower in every seed is far within the spread of the seeds, and plain in their pairs."""
    group = only_group(spread(12), spread(12, lambda value: value * 1.2))
    (delta,) = group.deltas
    assert (group.is_paired, delta.change, delta.samples) == (True, "regression", (12, 12))
    assert 0 < delta.low <= delta.shift <= delta.high


def test_different_seeds_are_held_against_their_whole_spread():
    """Without seeds in common a fifth is nothing, and ten times as much is something."""
    slower, far = ([sample(one.seed + 100, recovery_s=one.metrics["recovery_s"] * by) for one in spread(12, dice_of=2)]
                   for by in (1.2, 10))  # fmt: skip
    assert [delta.change for delta in only_group(spread(12), slower).deltas] == [""]
    group = only_group(spread(12), far)
    assert (group.is_paired, [delta.change for delta in group.deltas]) == (False, ["regression"])


def test_the_real_world_is_never_paired():
    """The same seed is the same plan there, and not the same run."""
    before, after = (spread(12, world="real", dice_of=dice) for dice in (1, 2))
    group = only_group(before, after)
    assert (group.is_paired, group.deltas[0].change) == (False, "")


@pytest.mark.parametrize(("world", "seeds"), [("sim", 1), ("sim", 4), ("real", 1), ("real", 2)])
def test_with_few_seeds_nothing_is_flagged_and_that_is_said(world, seeds):
    """A hundred times slower in one seed is told as medians, with how many seeds it would take."""
    group = only_group(spread(seeds, world=world), spread(seeds, lambda value: value * 100, world=world))
    assert [delta.change for delta in group.deltas] == [""]
    assert group.deltas[0].after == pytest.approx(group.deltas[0].before * 100)
    assert f"{seeds} judged seed(s): it takes" in group.why


def test_a_certain_but_small_shift_is_no_regression():
    """A thousandth in every seed stops no release; nor does nothing at all."""
    assert only_group(spread(20), spread(20, lambda value: value * 1.001)).deltas[0].change == ""
    same = only_group(spread(20), spread(20)).deltas[0]
    assert (same.shift, same.low, same.high, same.change) == (0, 0, 0, "")


def test_more_throughput_is_better_and_more_drops_are_worse():
    """Each measure knows its own direction; drops that never were before are a regression as well."""
    before = [sample(seed, put_per_s=50.0, put_fail=0, put_total=100) for seed in range(1, 13)]
    after = [sample(seed, put_per_s=70.0, put_fail=3, put_total=900) for seed in range(1, 13)]
    assert {one.name: one.change for one in only_group(before, after).deltas} == {
        "put_per_s": "improvement",
        "put_fail": "regression",
    }


@given(st.data())
def test_turned_round_a_regression_is_an_improvement(data):
    """Whatever was measured: shifts change their sign; what one calls worse the other never calls worse, too."""
    values = st.lists(st.one_of(st.none(), st.integers(0, 50)), min_size=4, max_size=4)
    runs = [
        [sample(seed, world=world, **dict(zip(NAMES, data.draw(values), strict=True))) for seed in range(9)]
        for world in [data.draw(st.sampled_from(["sim", "real"]))]
        for _ in range(2)
    ]
    there, back = only_group(*runs), only_group(*reversed(runs))
    for one, other in zip(there.deltas, sorted(back.deltas, key=lambda delta: NAMES.index(delta.name)), strict=False):
        if one.name != other.name:
            continue
        assert (one.before, one.after, one.samples) == (other.after, other.before, other.samples[::-1])
        assert one.shift == (None if other.shift is None else -other.shift)
        assert not (one.change == other.change == "regression")
    everything = [delta for delta in only_group(runs[0], runs[0]).deltas if delta.change]
    assert everything == []


def test_nothing_changed_is_hardly_ever_called_a_regression():
    """300 scenarios with twelve figures that only scatter: at most the share that is promised has any flag."""
    dice = random.Random(7)
    wrong = 0
    for _ in range(300):
        runs = [
            [sample(seed, **{f"op{at}_p99_ms": dice.lognormvariate(3, 1) for at in range(12)}) for seed in range(10)]
            for _ in range(2)
        ]
        wrong += bool(only_group(*runs).regressions)
    assert wrong / 300 <= 0.05


@pytest.mark.parametrize(
    ("before", "after", "why"),
    [
        ({}, {"config": "other"}, "another configuration: c0ffee before, other now"),
        ({"config": None}, {}, "the configuration was not recorded"),
    ],
)
def test_another_configuration_is_not_compared(before, after, why):
    """A stricter scenario makes no regression, nor does a report from before this was recorded."""
    group = only_group(spread(12, **before), spread(12, lambda value: value * 9, **after))
    assert (group.standing, group.why, group.deltas) == ("not comparable", why, ())


def test_several_targets_at_once_are_not_compared_and_another_target_is():
    """To hold one target against another is what baselines are for; which ones is said."""
    assert "several targets" in only_group([sample(1), sample(2, target="b")], spread(3)).why
    group = only_group(spread(12), spread(12, target="b"))
    assert (group.standing, group.why) == ("compared", "target event_bus=a before, event_bus=b now")


def test_runs_that_were_not_judged_are_left_out():
    """A run that was lost after a second has not recovered fast."""
    before, after = spread(12), spread(12)
    after[3] = sample(4, judged=False, recovery_s=0.0)
    assert only_group(before, after).deltas[0].samples == (11, 11)


def test_added_and_missing_scenarios_are_named():
    """What is only on one side is neither better nor worse."""
    comparison = compare(side(sample(1), sample(1, scenario="gone")), side(sample(1), sample(1, scenario="new")))
    assert {one.scenario: one.standing for one in comparison.groups} == {
        "redis-outage": "compared",
        "gone": "missing",
        "new": "added",
    }
    assert compare(side(sample(1, scenario="gone")), side(sample(1, scenario="new"))).is_empty


def test_findings_come_stay_and_go():
    """New, ongoing, resolved; and one whose seeds nobody looked at again is not called resolved."""
    before = side(
        sample(1, wrong=["EB1 is violated"]),
        sample(2, wrong=["EB2 is violated"]),
        sample(7, wrong=["EB4 is violated"]),
    )
    after = side(sample(1, wrong=["EB1 is violated", "EB3 is violated"]), sample(2), name="after")
    comparison = compare(before, after)
    found = {name: [one.what for one in getattr(comparison, name)] for name in ("new", "ongoing", "resolved", "unseen")}
    assert found == {
        "new": ["EB3 is violated"],
        "ongoing": ["EB1 is violated"],
        "resolved": ["EB2 is violated"],
        "unseen": ["EB4 is violated"],
    }
    assert str(comparison.new[0]) == "redis-outage [sim, full]: EB3 is violated"


def test_a_variant_is_mended_once_it_is_caught():
    """Hunts have no run of their own: that it was hunted again is enough."""
    variant = unnoticed("redis-outage", "sim", "event_bus:planned")
    assert isinstance(variant, KnownFinding)
    before = side(sample(1), wrong=(variant,), hunted=frozenset([variant]))
    assert compare(before, side(sample(1), hunted=frozenset([variant]))).resolved == (variant,)
    assert compare(before, side(sample(1))).unseen == (variant,)


def test_what_else_differs_is_said():
    """Another Python explains many a shift."""
    before, after = (side(sample(1), environment={"python": version, "harness": "1"}) for version in ("3.11", "3.12"))
    assert compare(before, after).environment == ("python: 3.11 before, 3.12 now",)


def test_a_figure_that_few_seeds_have_does_not_keep_others_from_being_told():
    """Twelve seeds are enough, though only two of them have recovered at all."""
    before = [sample(seed, put_fail=0, recovery_s=1.0 if seed < 3 else None) for seed in range(1, 13)]
    after = [sample(seed, put_fail=5, recovery_s=9.0 if seed < 3 else None) for seed in range(1, 13)]
    group = only_group(before, after)
    assert {one.name: (one.change, one.samples) for one in group.deltas} == {
        "put_fail": ("regression", (12, 12)),
        "recovery_s": ("", (2, 2)),
    }
    assert group.why == ""
