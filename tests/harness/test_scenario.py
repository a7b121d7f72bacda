"""Scenarios: declarations that could not fail are refused, and a seed resolves into one plan."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.dependencies.redis import faults as redis
from harness.errors import UsageError
from harness.faults import process
from harness.faults.base import WithoutEffect
from harness.invariants.needs import at_least
from harness.scenario import Between, FlawedVariant, Profile, between, during, plan
from harness.tape import Tape
from harness.units import ms, seconds

SPANS = st.tuples(st.integers(0, seconds(200)), st.integers(0, seconds(200))).map(sorted)


def test_a_scenario_without_invariants_is_refused(make_scenario):
    """It could not fail."""
    with pytest.raises(ValueError, match="it has no invariants, so it could not fail"):
        make_scenario(invariants=(), flawed=())


def test_a_profile_without_needs_is_refused(make_scenario):
    """It could pass with an idle target, in whichever profile."""
    profile = make_scenario().profile("full")

    with pytest.raises(ValueError, match="profile short: it has no needs, so it could pass idle"):
        make_scenario(profiles={"full": profile, "short": replace(profile, needs=())})


def test_a_flawed_variant_is_caught_by_an_invariant_of_its_scenario(make_scenario):
    """A variant that names an invariant which is not judged could never be caught."""
    variant = FlawedVariant(port="event_bus", name="silent", factory="json:loads", caught_by=("EB1", "EB9"))

    with pytest.raises(ValueError, match=r"event_bus:silent names \['EB9'\]"):
        make_scenario(flawed=(variant,))


def test_an_unknown_profile_names_the_nearest(make_scenario):
    """A slip in a profile's name is the person's error, with a hint."""
    with pytest.raises(UsageError, match="unknown profile of redis-outage 'shrt'; did you mean 'short'"):
        make_scenario().profile("shrt")


@pytest.mark.parametrize(("low", "high"), [(2, 1), (-1, 1)])
def test_a_range_is_ordered_and_not_negative(low, high):
    """Time does not run backwards."""
    with pytest.raises(ValueError, match="must be ordered and not negative"):
        between(low, high)


@given(SPANS, st.integers(0, 1 << 40))
def test_a_drawn_span_is_within_its_bounds_in_whole_milliseconds(span, seed):
    """Both bounds hold, and the steps are those that a person would write."""
    low, high = span
    drawn = Between(low, high).resolve(Tape(seed).stream("plan/0/start"))

    assert low <= drawn <= high
    assert (drawn - low) % ms(1) == 0


def test_a_drawn_span_reaches_both_bounds():
    """Neither end is left out."""
    drawn = {between(ms(1), ms(3)).resolve(Tape(seed).stream("plan/0/start")) for seed in range(60)}

    assert drawn == {ms(1), ms(2), ms(3)}


@given(st.integers(0, 1 << 62), SPANS, SPANS)
def test_the_plan_is_a_function_of_the_seed(make_scenario, outage, seed, start, duration):
    """The same seed gives the same plan; it ends after it begins, and every draw is within its range."""
    step = during(between(*start), between(*duration), outage())
    profile = replace(make_scenario().profile("full"), schedule=(step, step))
    planned = plan(profile, Tape(seed))

    assert planned == plan(profile, Tape(seed))
    assert [one.number for one in planned] == [0, 1]
    for one in planned:
        assert start[0] <= one.start_ns <= start[1]
        assert duration[0] <= one.end_ns - one.start_ns <= duration[1]


@given(st.integers(0, 1 << 62), st.integers(1, 7))
def test_modes_rotate_so_that_successive_seeds_cover_them_all(make_scenario, outage, seed, count):
    """As many successive seeds as a fault has modes see each of them once, wherever they begin."""
    modes = tuple(f"mode-{number}" for number in range(count))
    step = during(seconds(1), seconds(1), outage(modes=modes))
    profile = replace(make_scenario().profile("full"), schedule=(step,))
    seen = [plan(profile, Tape(seed + number))[0].mode for number in range(count)]

    assert sorted(seen) == sorted(modes)


def test_an_edited_tape_moves_one_fault_alone(make_scenario, outage):
    """Moving the first fault leaves the second where it was: what shrinking rests on."""
    step = during(between(0, seconds(100)), between(0, seconds(100)), outage())
    profile = replace(make_scenario().profile("full"), schedule=(step, step))
    first, second = plan(profile, Tape(1))
    moved, kept = plan(profile, Tape(1, {"plan/0/start": {0: 0}}))

    assert (moved.start_ns, moved.end_ns - moved.start_ns) == (0, first.end_ns - first.start_ns)
    assert kept == second


def test_fixed_spans_draw_nothing(make_scenario):
    """A fixed instant leaves the tape alone; only the mode is on it, where it can be edited."""
    tape = Tape(1)
    (planned,) = plan(make_scenario().profile("full"), tape)

    assert (planned.start_ns, planned.end_ns, planned.mode) == (seconds(2), seconds(5), "hang")
    assert tape.recorded() == {"plan/0/mode": [1]}


def test_a_planned_fault_in_words_and_in_the_history(make_scenario):
    """What the first line of a history holds, and what a person reads."""
    (planned,) = plan(make_scenario().profile("full"), Tape(1))

    assert str(planned) == "redis.outage (hang) on redis from 2 s to 5 s"
    assert planned.as_fields() == {
        "fault": 0,
        "name": "redis.outage",
        "mode": "hang",
        "on": "redis",
        "start_ns": seconds(2),
        "end_ns": seconds(5),
    }


def test_a_fault_without_effect_has_the_plan_of_the_real_one(make_scenario, outage):
    """The no-op stands in unnoticed: same name, same place, same modes, so only the evidence can tell."""
    profile = make_scenario().profile("full")
    idle = replace(profile, schedule=(during(seconds(2), seconds(3), WithoutEffect(outage())),))

    assert [one.as_fields() for one in plan(profile, Tape(1))] == [one.as_fields() for one in plan(idle, Tape(1))]


def test_a_step_with_several_faults_takes_each_of_them_in_turn(make_scenario):
    """Successive seeds go through every fault in every mode; a run has one of them, by its own name."""
    scenario = make_scenario()
    step = during(seconds(1), seconds(2), process.kill("a"), process.freeze("a"), process.power_off("b"))
    profile = replace(scenario.profile("full"), schedule=(step, step))

    plans = [plan(profile, Tape(seed)) for seed in range(1, 4)]

    assert {(first.fault.name, first.mode) for first, _ in plans} == {
        ("process.kill", "sigkill"),
        ("process.freeze", "sigstop"),
        ("process.power_off", "power-off"),
    }
    assert all(first.fault.name != second.fault.name for first, second in plans)


def test_a_step_without_a_fault_is_refused():
    """It would claim a fault that nobody injects."""
    with pytest.raises(ValueError, match="a step of a schedule without a fault"):
        during(seconds(1), seconds(2))


@given(st.integers(0, 100))
def test_what_is_left_out_is_never_planned_and_the_rest_still_rotates(seed):
    """The choices that remain are taken in turn; start and length of the fault stay as the seed has them."""
    step = during(between(0, seconds(9)), between(ms(1), seconds(9)), redis.outage("refuse", "crash", "hang"))
    profile = Profile(hosts=(), schedule=(step,), settle_ns=0, needs=(at_least(1, "publish"),))
    (whole,) = plan(profile, Tape(seed))
    (one,) = plan(profile, Tape(seed), ["redis.outage/crash", "redis.replies/oom"])
    (next_one,) = plan(profile, Tape(seed + 1), ["redis.outage/crash"])

    assert {one.mode, next_one.mode} == {"refuse", "hang"}
    assert (one.start_ns, one.end_ns) == (whole.start_ns, whole.end_ns)


def test_a_step_of_which_all_is_left_out_is_an_error():
    """A run without that fault would be another scenario, and could pass for this one."""
    step = during(seconds(1), seconds(1), redis.outage("crash"))
    profile = Profile(hosts=(), schedule=(step,), settle_ns=0, needs=(at_least(1, "publish"),))

    with pytest.raises(UsageError, match=r"none of these faults can be done .* not ours: redis\.outage \(crash\)"):
        plan(profile, Tape(1), ["redis.outage/crash"])
